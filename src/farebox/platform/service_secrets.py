"""Secrets that the nodes of a deployment share: the peppers of credentials."""

from farebox.platform.model import Actor
from farebox.storage import Tx


def ensure_pepper(tx: Tx) -> bytes:
    """Return the pepper in use, generating the first one; two nodes at once end with the same."""
    raise NotImplementedError


def peppers(tx: Tx) -> tuple[bytes, ...]:
    """Return every pepper, the one in use first; digests under older ones are still found."""
    raise NotImplementedError


def rotate_pepper(tx: Tx, actor: Actor) -> bytes:
    """Hash new credentials under a new pepper; older credentials go on working."""
    raise NotImplementedError
