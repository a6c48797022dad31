"""Ed25519 signing keys, their rotation, and the JWKS that others verify with."""

from typing import Any

from farebox.platform.model import Actor, SigningKey
from farebox.storage import Tx


def ensure_signing_key(tx: Tx) -> SigningKey:
    """Return the key that signs, generating the first one."""
    raise NotImplementedError


def signing_key(tx: Tx) -> SigningKey:
    """Return the key that signs: the newest one."""
    raise NotImplementedError


def rotate_signing_key(tx: Tx, actor: Actor) -> SigningKey:
    """Let a new key sign; the old ones stay in the JWKS until their last token has expired."""
    raise NotImplementedError


def jwks(tx: Tx) -> dict[str, Any]:
    """Return the public keys (RFC 7517) under which tokens of ours may still be valid."""
    raise NotImplementedError
