"""Secrets that the nodes of a deployment share: the peppers of credentials, the seal of answers.

They lie in the database, so that a new node needs nothing but the database's URL. Each has
versions; the newest is in use.
"""

import secrets
from typing import Final

import sqlalchemy as sa

from farebox.platform import store
from farebox.platform.model import Actor
from farebox.platform.service_audit import record
from farebox.storage import Tx

_PEPPER: Final = "pepper"
_LENGTH: Final = 32


def ensure_secret(tx: Tx, name: str) -> bytes:
    """Return a secret, generating it at first; two nodes at once end with the same."""
    found = _versions(tx, name)
    if not found:
        _add(tx, name, 1)
        found = _versions(tx, name)
    return found[0]


def ensure_pepper(tx: Tx) -> bytes:
    """Return the pepper in use, generating the first one; two nodes at once end with the same."""
    return ensure_secret(tx, _PEPPER)


def peppers(tx: Tx) -> tuple[bytes, ...]:
    """Return every pepper, the one in use first; digests under older ones are still found."""
    return _versions(tx, _PEPPER)


def rotate_pepper(tx: Tx, actor: Actor) -> bytes:
    """Hash new credentials under a new pepper; older credentials go on working."""
    ensure_pepper(tx)
    newest = sa.select(sa.func.max(store.secret.c.version)).where(store.secret.c.name == _PEPPER)
    version = int(tx.run(newest).scalar_one()) + 1
    _add(tx, _PEPPER, version)
    record(tx, actor, "pepper.rotated", _PEPPER, after={"version": version})
    return _versions(tx, _PEPPER)[0]


def _versions(tx: Tx, name: str) -> tuple[bytes, ...]:
    """Return the values of a secret, newest first."""
    statement = sa.select(store.secret.c.value).where(store.secret.c.name == name)
    rows = tx.run(statement.order_by(store.secret.c.version.desc()))
    return tuple(bytes(row.value) for row in rows)


def _add(tx: Tx, name: str, version: int) -> None:
    """Add a version unless another node was first; then theirs is the one."""
    row = {
        "name": name,
        "version": version,
        "value": secrets.token_bytes(_LENGTH),
        "created_at": tx.now_us,
    }
    tx.insert_once(store.secret, row, key=("name", "version"))
