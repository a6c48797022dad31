"""Verifying the tokens of identity providers (OpenID Connect, RFC 7519, RFC 7517).

The issuers' public keys are kept in memory. One thread fetches them, at the start, every ten
minutes, and when a token names a key that is not known, but then not more often than every ten
seconds an issuer, so that strangers' tokens cannot make us knock at somebody's door. Verifying
itself never touches the network or the database.
"""

import threading
import time
from collections.abc import Iterable
from typing import Any, Final, Self

import httpx2
import structlog
from joserfc.jwk import Key, OctKey

from farebox.access.consumers.model import (
    Identity,
    Issuer,
    IssuerFault,
    TokenKeyUnknown,
    TokenRefused,
)
from farebox.access.consumers.rules import (
    algorithms_of,
    checked_issuer,
    identity_of,
    may_verify,
    parsed_object,
    usable_keys,
)
from farebox.kernel.clock import Clock
from farebox.platform.tokens import TokenBroken, peek, read_token

TIMEOUT: Final = httpx2.Timeout(5.0)
LARGEST_ANSWER: Final = 2**20
REFRESH_S: Final = 600.0
COOL_DOWN_S: Final = 10.0
RETRY_S: Final = (1.0, 5.0, 15.0, 60.0)
"""After so many seconds a failed fetch is tried again; the last one goes for all further tries."""

_log = structlog.get_logger("farebox.tokens")


class _Keys:
    """What is known of one issuer's keys. Replaced as a whole, so readers need no lock."""

    def __init__(self, issuer: Issuer) -> None:
        self.issuer = issuer
        self.keys: tuple[Key, ...] = ()
        self.due_at = 0.0
        self.asked_at = float("-inf")
        self.fetching = False
        self.wanted = False
        self.fetches = 0
        self.failures = 0

    def next_fetch_at(self, cool_down_s: float) -> float:
        """Return when the keys are fetched next: when they are due, or sooner if asked for."""
        return min(self.due_at, self.asked_at + cool_down_s) if self.wanted else self.due_at


class TokenVerifier:
    """Verifies tokens of the configured issuers; their keys are fetched by a thread of its own.

    Use it as a context manager, or `start` and `close` it. `cool_down_s` is the least time between
    two fetches that unknown keys cause.
    """

    def __init__(
        self, issuers: Iterable[Issuer], clock: Clock, *, cool_down_s: float = COOL_DOWN_S
    ) -> None:
        self._clock = clock
        self._cool_down_s = cool_down_s
        self._known = {one.issuer: _Keys(checked_issuer(one)) for one in issuers}
        self._changed = threading.Condition()
        self._closed = False
        self._thread: threading.Thread | None = None
        for known in self._known.values():
            if known.issuer.hs256_secret is not None:
                known.keys = (OctKey.import_key(known.issuer.hs256_secret),)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> Self:
        """Begin to fetch the issuers' keys; returns at once."""
        if any(known.issuer.hs256_secret is None for known in self._known.values()):
            self._thread = threading.Thread(target=self._run, name="token-keys", daemon=True)
            self._thread.start()
        return self

    def close(self) -> None:
        """Stop fetching and wait for the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()

    def issuer(self, name: str) -> Issuer | None:
        """Return the settings of an issuer."""
        known = self._known.get(name)
        return None if known is None else known.issuer

    # -- verifying -------------------------------------------------------------------------------

    def verify(self, token: str) -> Identity:
        """Return what a token says; never waits for the network.

        Refuses `token_invalid`, `token_expired`, and `token_key_unknown`: then the issuer's keys
        are being fetched, and the same token may be good in a moment.
        """
        known, header = self._issuer_of(token)
        allowed = algorithms_of(known.issuer)
        if header.get("alg") not in allowed:
            raise TokenRefused("the token is signed in a way that its issuer does not use")
        for key in self._candidates(known, header):
            try:
                verified = read_token(token, key, allowed)
            except TokenBroken:
                continue
            return identity_of(known.issuer, *verified, self._clock.now_us())
        raise TokenRefused("the token's signature is not its issuer's")

    def verify_patiently(self, token: str, *, seconds: float = 2.0) -> Identity:
        """Verify, waiting for the issuer's keys if they are about to come. Not for the event loop.

        Where a fetch is not to be expected in time, as within the cool-down, it refuses at once:
        made-up tokens must not keep threads waiting.
        """
        known, _ = self._issuer_of(token)
        seen = known.fetches
        try:
            return self.verify(token)
        except TokenKeyUnknown:
            with self._changed:
                soon = time.monotonic() + seconds
                if not known.fetching and known.next_fetch_at(self._cool_down_s) > soon:
                    raise
                self._changed.wait_for(lambda: known.fetches > seen or self._closed, seconds)
        return self.verify(token)

    def _issuer_of(self, token: str) -> tuple[_Keys, dict[str, Any]]:
        """Return the issuer that a token names, and the token's header; nothing is verified."""
        try:
            header, claims = peek(token)
        except TokenBroken as error:
            raise TokenRefused("this is not a token") from error
        name = claims.get("iss")
        known = self._known.get(name) if isinstance(name, str) else None
        if known is None:
            raise TokenRefused("the token is of an issuer that is not configured")
        return known, header

    def _candidates(self, known: _Keys, header: dict[str, Any]) -> list[Key]:
        """Return the keys that may have signed, or ask for the issuer's keys anew."""
        found = [key for key in known.keys if may_verify(key, header)]
        if not found and known.issuer.hs256_secret is None:
            with self._changed:
                known.wanted = True
                self._changed.notify_all()
            raise TokenKeyUnknown
        return found

    # -- fetching --------------------------------------------------------------------------------

    def _run(self) -> None:
        with httpx2.Client(timeout=TIMEOUT, follow_redirects=False) as client:
            while (known := self._next()) is not None:
                self._fetch(client, known)

    def _next(self) -> _Keys | None:
        """Wait for the next issuer whose keys are due; None at the end."""
        fetched = [one for one in self._known.values() if one.issuer.hs256_secret is None]
        with self._changed:
            while not self._closed:
                soonest = min(fetched, key=lambda one: one.next_fetch_at(self._cool_down_s))
                wait_s = soonest.next_fetch_at(self._cool_down_s) - time.monotonic()
                if wait_s <= 0:
                    soonest.fetching = True
                    soonest.wanted = False
                    soonest.asked_at = time.monotonic()
                    return soonest
                self._changed.wait(wait_s)
        return None

    def _fetch(self, client: httpx2.Client, known: _Keys) -> None:
        pause = REFRESH_S
        try:
            known.keys = usable_keys(_fetched(client, _jwks_uri(client, known.issuer)))
            known.failures = 0
        except Exception as error:  # noqa: BLE001 - whatever an issuer answers, the thread goes on
            # The keys known so far stay good: an issuer that is down locks nobody out.
            pause = RETRY_S[min(known.failures, len(RETRY_S) - 1)]
            known.failures += 1
            _log.warning("issuer_keys_not_fetched", issuer=known.issuer.issuer, error=str(error))
        with self._changed:
            known.due_at = time.monotonic() + pause
            known.fetching = False
            known.fetches += 1
            self._changed.notify_all()


def _jwks_uri(client: httpx2.Client, issuer: Issuer) -> str:
    """Return where an issuer's keys are: configured, or by discovery (OIDC Discovery 1.0)."""
    if issuer.jwks_uri is not None:
        return issuer.jwks_uri
    found = _fetched(client, issuer.issuer.rstrip("/") + "/.well-known/openid-configuration")
    if found.get("issuer") != issuer.issuer:
        raise IssuerFault(f"discovery names the issuer {found.get('issuer')!r}")
    uri = found.get("jwks_uri")
    if not isinstance(uri, str):
        raise IssuerFault("discovery names no jwks_uri")
    return uri


def _fetched(client: httpx2.Client, url: str) -> dict[str, Any]:
    """Return the JSON object at a URL; raises ValueError for anything else."""
    with client.stream("GET", url, headers={"accept": "application/json"}) as answer:
        if answer.status_code != httpx2.codes.OK:
            raise IssuerFault(f"{url} answers {answer.status_code}")
        body = b""
        for part in answer.iter_bytes():
            body += part
            if len(body) > LARGEST_ANSWER:
                raise IssuerFault(f"{url} answers more than {LARGEST_ANSWER} bytes")
    return parsed_object(body)
