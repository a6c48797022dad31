"""Signing in at an identity provider: OpenID Connect, code flow with PKCE.

The provider's answer carries an id token; whose it is, is asked where every token is: its issuer
must be among the trusted issuers, and that issuer's setting says whether somebody new becomes a
consumer. What must come back with the answer (state, verifier, nonce) waits in a cookie of ten
minutes that scripts cannot read.
"""

import base64
import secrets
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import httpx2
import msgspec
from anyio import to_thread
from authlib.integrations.httpx_client import AsyncOAuth2Client

from farebox.platform.model import Principal

CALLBACK: Final = "/store/sign-in/done"
COOKIE: Final = "farebox_sign_in"
COOKIE_S: Final = 600
_PATIENCE_S: Final = 10.0


class SignInFailed(Exception):
    """The provider did not answer, or not with what was asked for."""


class Attempt(msgspec.Struct, frozen=True):
    """What must come back, and where the visitor wants to go on to."""

    state: str
    verifier: str
    nonce: str
    after: str


class Provider:
    """The identity provider at which visitors sign in."""

    def __init__(
        self,
        *,
        issuer: str,
        client: str,
        secret: str | None,
        name: str,
        home: str,
        authenticate: Callable[[str], Principal | None],
    ) -> None:
        self.name = name
        self._issuer = issuer.rstrip("/")
        self._client = client
        self._secret = secret
        self._callback = home.rstrip("/") + CALLBACK
        self._authenticate = authenticate
        self._metadata: dict[str, Any] | None = None

    async def begin(self, after: str) -> tuple[str, str]:
        """Return the provider's address to go to, and what the cookie must hold."""
        metadata = await self._described()
        verifier, nonce = secrets.token_urlsafe(48), secrets.token_urlsafe(16)
        async with self._session() as session:
            address, state = session.create_authorization_url(
                metadata["authorization_endpoint"],
                code_verifier=verifier,
                nonce=nonce,
            )
        kept = msgspec.json.encode(Attempt(state, verifier, nonce, after)).hex()
        return str(address), kept

    async def finish(self, kept: str | None, location: str) -> tuple[str, str]:
        """Return the consumer who has signed in, and where they wanted to go on to.

        Raises `SignInFailed`.
        """
        attempt = _attempt(kept)
        if "code" not in parse_qs(urlsplit(location).query):
            # Without one the library would ask for a token of our own.
            raise SignInFailed("the provider sent no code: whoever was there has not agreed")
        metadata = await self._described()
        try:
            async with self._session() as session:
                tokens = await session.fetch_token(
                    metadata["token_endpoint"],
                    authorization_response=location,
                    code_verifier=attempt.verifier,
                    state=attempt.state,
                )
        except Exception as error:
            raise SignInFailed(str(error)) from error
        shown = str(tokens.get("id_token", ""))
        principal = await to_thread.run_sync(self._authenticate, shown)
        if principal is None or principal.kind != "consumer":
            raise SignInFailed("the provider's token is of nobody who is known here")
        if _nonce_of(shown) != attempt.nonce:
            raise SignInFailed("the provider's token was not made for this sign-in")
        return principal.id, attempt.after

    def _session(self) -> Any:  # noqa: ANN401 - Authlib has no types
        return AsyncOAuth2Client(
            self._client,
            self._secret,
            scope="openid profile email",
            redirect_uri=self._callback,
            code_challenge_method="S256",
            token_endpoint_auth_method="client_secret_post" if self._secret else "none",
            timeout=_PATIENCE_S,
        )

    async def _described(self) -> dict[str, Any]:
        """Return what the provider says of itself, asked once."""
        if self._metadata is None:
            address = f"{self._issuer}/.well-known/openid-configuration"
            try:
                async with httpx2.AsyncClient(timeout=_PATIENCE_S) as client:
                    answer = await client.get(address)
                    answer.raise_for_status()
                    self._metadata = answer.json()
            except (httpx2.HTTPError, ValueError) as error:
                raise SignInFailed(f"{address}: {error}") from error
        return self._metadata


def _attempt(kept: str | None) -> Attempt:
    try:
        return msgspec.json.decode(bytes.fromhex(kept or ""), type=Attempt)
    except (ValueError, msgspec.MsgspecError) as error:
        raise SignInFailed("this sign-in was begun elsewhere, or too long ago") from error


def _nonce_of(token: str) -> object:
    """Return the nonce of a token whose signature has been checked."""
    payload = token.split(".")[1]
    said = msgspec.json.decode(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return said.get("nonce")
