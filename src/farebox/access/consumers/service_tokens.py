"""Verifying the tokens of identity providers (OpenID Connect, RFC 7519, RFC 7517)."""

from collections.abc import Iterable
from typing import Self

from farebox.access.consumers.model import Identity, Issuer
from farebox.kernel.clock import Clock


class TokenVerifier:
    """Verifies tokens of the configured issuers; their keys are fetched in a thread of its own."""

    def __init__(self, issuers: Iterable[Issuer], clock: Clock) -> None:
        raise NotImplementedError

    def start(self) -> Self:
        """Begin to fetch the issuers' keys; returns at once."""
        raise NotImplementedError

    def close(self) -> None:
        """Stop fetching and wait for the thread."""
        raise NotImplementedError

    def verify(self, token: str) -> Identity:
        """Return what a token says; never waits for the network.

        Refuses `token_invalid`, `token_expired`, and `token_key_unknown` while keys are fetched.
        """
        raise NotImplementedError

    def verify_patiently(self, token: str, *, seconds: float = 2.0) -> Identity:
        """Verify, waiting once for a fetch of keys that is under way. Not for the event loop."""
        raise NotImplementedError

    def issuer(self, name: str) -> Issuer | None:
        """Return the settings of an issuer."""
        raise NotImplementedError
