"""Secrets that the nodes of a deployment share: the peppers of credentials, the seal of answers.

They lie in the database, so that a new node needs nothing but the database's URL. Each has
versions; the newest is in use. A pepper may come from outside instead (`service_pepper`); then
those of the database are for reading what was hashed before.
"""

import secrets
from typing import Final

import sqlalchemy as sa

from farebox.kernel.refusals import SettingsRefused
from farebox.platform import store
from farebox.platform.model import Actor
from farebox.platform.service_audit import record
from farebox.storage import Tx

PEPPER: Final = "pepper"
_LENGTH: Final = 32


def ensure_secret(tx: Tx, name: str) -> bytes:
    """Return a secret, generating it at first; two nodes at once end with the same."""
    found = versions_of(tx, name)
    if not found:
        add_version(tx, name, 1, secrets.token_bytes(_LENGTH))
        found = versions_of(tx, name)
    return found[0]


def ensure_pepper(tx: Tx) -> bytes:
    """Return the pepper in use, generating the first one; two nodes at once end with the same."""
    told = tx.secrets.get(PEPPER)
    return told[0] if told else ensure_secret(tx, PEPPER)


def peppers(tx: Tx) -> tuple[bytes, ...]:
    """Return every pepper, the one in use first; digests under older ones are still found."""
    return tx.secrets.get(PEPPER, ()) + versions_of(tx, PEPPER)


def rotate_pepper(tx: Tx, actor: Actor) -> bytes:
    """Hash new credentials under a new pepper; older credentials go on working.

    Refuses (`settings_invalid`) where the pepper comes from outside: there it is rotated.
    """
    if tx.secrets.get(PEPPER):
        raise SettingsRefused(
            "the pepper comes from FAREBOX_PEPPER: set a new one there, "
            "and the one before as FAREBOX_PEPPER_OLD"
        )
    ensure_pepper(tx)
    version = newest_version(tx, PEPPER) + 1
    add_version(tx, PEPPER, version, secrets.token_bytes(_LENGTH))
    record(tx, actor, "pepper.rotated", PEPPER, after={"version": version})
    return versions_of(tx, PEPPER)[0]


def versions_of(tx: Tx, name: str) -> tuple[bytes, ...]:
    """Return the values of a secret, newest first."""
    statement = sa.select(store.secret.c.value).where(store.secret.c.name == name)
    rows = tx.run(statement.order_by(store.secret.c.version.desc()))
    return tuple(bytes(row.value) for row in rows)


def newest_version(tx: Tx, name: str) -> int:
    """Return the number of a secret's newest version; 0 if there is none."""
    newest = sa.select(sa.func.max(store.secret.c.version)).where(store.secret.c.name == name)
    return int(tx.run(newest).scalar_one() or 0)


def add_version(tx: Tx, name: str, version: int, value: bytes) -> bool:
    """Add a version unless another node was first; then theirs is the one. Tells whether it did."""
    row = {"name": name, "version": version, "value": value, "created_at": tx.now_us}
    return tx.insert_once(store.secret, row, key=("name", "version"))
