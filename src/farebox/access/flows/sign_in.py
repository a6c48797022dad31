"""From a token of an identity provider to the consumer who calls."""

from farebox.access.consumers.service_tokens import TokenVerifier
from farebox.platform.model import Principal
from farebox.storage import Database


def principal_of_token(database: Database, verifier: TokenVerifier, token: str) -> Principal:
    """Return whose token this is, making the consumer at first sight where the issuer allows it.

    Opens its own transactions and may wait for the issuer's keys, so call it in a thread and
    outside of a transaction. Refuses `token_invalid`, `token_expired`, `token_key_unknown`.
    """
    raise NotImplementedError
