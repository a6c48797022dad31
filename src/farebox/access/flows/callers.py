"""Callers in memory: whose credential was shown.

Keys are looked up by their HMAC, and remembered by a quicker digest under a secret that no other
process has; an unknown one is remembered for a second, so that a stranger's tries cost the
database little and a new key works soon. What is kept here is never trusted alone:
each decision compares the revision of whoever the credential belongs to.
"""

import asyncio
import hashlib
import secrets
import time
from collections.abc import Callable
from typing import Any, Final

import msgspec

from farebox.access.decisions.model import Principal, Rate
from farebox.access.decisions.service import find_credential
from farebox.access.decisions.service_rates import rates_of
from farebox.kernel.refusals import Refusal
from farebox.ledger.model import FOREVER
from farebox.platform.model import Permission
from farebox.platform.rules import checksum_ok, hash_credential, may
from farebox.platform.service_pepper import renew_digest
from farebox.platform.service_secrets import peppers
from farebox.storage import Database

MOST_REMEMBERED: Final = 100_000
UNKNOWN_KEY_SECONDS: Final = 1.0
_DOTS: Final = 2  # a JWT has three parts


class CredentialInvalid(Refusal):
    """The credential is unknown, expired or revoked."""

    code = "credential_invalid"


class Caller(msgspec.Struct, frozen=True):
    """A known credential's owner, prepared for deciding. `guard` is the owner's id and revision.

    One that `speaks` may name any consumer. `scopes` are the codes that a consumer's key is good
    for (None: all), `rates` the key's own limits.
    """

    kind: str
    guard: tuple[str, int]
    decides: bool
    resolves: bool
    speaks: bool
    expires_at: int
    scopes: frozenset[str] | None = None
    rates: tuple[Rate, ...] = ()
    key_id: str | None = None


class Callers:
    """The credentials that one process has seen."""

    def __init__(
        self,
        database: Database,
        pepper: bytes,
        principal_of_token: Callable[[str], Principal | None] | None = None,
    ) -> None:
        self._database = database
        self._pepper = pepper
        self._marked = hashlib.blake2b(key=secrets.token_bytes(32), digest_size=32)
        self._principal_of_token = principal_of_token
        self._kept: dict[bytes, Caller] = {}
        self._unknown: dict[bytes, float] = {}

    def _mark(self, key: str) -> bytes:
        """Return the digest that a key is remembered under."""
        mark = self._marked.copy()
        mark.update(key.encode("utf-8", "surrogatepass"))
        return mark.digest()

    def known(self, key: str) -> Caller | None:
        """Return whose credential this is if it is remembered and not expired."""
        found = self._kept.get(self._mark(key))
        if found is None or found.expires_at == FOREVER:
            return found
        return found if found.expires_at > self._database.now_us() else None

    async def find(self, key: str) -> Caller:
        """Return whose credential this is; refuses (`credential_invalid`) what is not known."""
        mark = self._mark(key)
        if not checksum_ok(key) or self._unknown.get(mark, 0.0) > time.monotonic():
            raise CredentialInvalid
        found, rates = await asyncio.to_thread(self._load, key)
        if found is None:
            make_room(self._unknown)
            self._unknown[mark] = time.monotonic() + UNKNOWN_KEY_SECONDS
            raise CredentialInvalid
        make_room(self._kept)
        decides = may(found, Permission.DECIDE)
        made = self._kept[mark] = Caller(
            kind=found.kind,
            guard=(found.id, found.revision),
            decides=found.kind == "consumer" or decides,
            resolves=may(found, Permission.RESOLVE),
            speaks=found.kind == "operator" and decides,
            scopes=found.scopes,
            rates=rates,
            key_id=found.key_id,
            expires_at=FOREVER if found.expires_at is None else found.expires_at,
        )
        return made

    def forget(self, key: str) -> None:
        """Forget one credential."""
        self._kept.pop(self._mark(key), None)

    def _load(self, key: str) -> tuple[Principal | None, tuple[Rate, ...]]:
        aged, rates = False, tuple[Rate, ...]()
        with self._database.read() as tx:
            found = find_credential(tx, hash_credential(self._pepper, key))
            # Keys made under an older pepper, or under one that another node has just begun.
            for age, pepper in enumerate(peppers(tx) if found is None else ()):
                if found is None:
                    found = find_credential(tx, hash_credential(pepper, key))
                    aged = found is not None and age > 0
            if found is not None and found.kind == "consumer" and found.key_id is not None:
                rates = rates_of(tx, (found.key_id,))
        if aged:
            renew_digest(self._database, key)
        if found is not None:
            return found, rates
        if self._principal_of_token is not None and key.count(".") == _DOTS:
            found = self._principal_of_token(key)
        return found, ()


def make_room(kept: dict[Any, Any]) -> None:
    """Keep a memory bounded: forget the oldest half when it is full."""
    if len(kept) >= MOST_REMEMBERED:
        for key in list(kept)[: MOST_REMEMBERED // 2]:
            del kept[key]
