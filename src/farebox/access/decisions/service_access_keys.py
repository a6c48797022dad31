"""Access keys: signed, verified, introspected, redeemed once."""

from farebox.access.decisions.model import AccessKey, Introspection, Redemption
from farebox.platform.model import Actor
from farebox.storage import Tx


def sign_access_key(tx: Tx, key: AccessKey) -> str:
    """Return the EdDSA JWT of an access key. The same key gives the same text while the signing key stays."""
    raise NotImplementedError


def verify_access_key(tx: Tx, token: str, *, issuer: str) -> AccessKey:
    """Return what an access key says; refuses forged (`access_key_invalid`) and expired ones (`access_key_expired`)."""
    raise NotImplementedError


def redeem_access_key(tx: Tx, actor: Actor, token: str, *, issuer: str) -> Redemption:
    """Redeem an access key; it succeeds once, also for two at once (`already_redeemed`)."""
    raise NotImplementedError


def introspect(tx: Tx, token: str, *, issuer: str) -> Introspection:
    """Tell whether an access key or a consumer's API key is good now (RFC 7662)."""
    raise NotImplementedError
