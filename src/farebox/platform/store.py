"""The platform's tables, and how rows become values."""

from functools import partial
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from farebox.platform.model import AuditEntry, Credential, Operator, SigningKey
from farebox.platform.rules import checked_roles
from farebox.storage import table

metadata = sa.MetaData()
_table = partial(table, metadata)
_INT, _TEXT, _BYTES = sa.BigInteger, sa.Text, sa.LargeBinary
operator = _table("operator", id=_TEXT, name=_TEXT, roles=_TEXT, state=_TEXT, created_at=_INT)
credential = _table(
    "credential", digest=_BYTES, id=_TEXT, subject_kind=_TEXT, subject=_TEXT, label=_TEXT,
    hint=_TEXT, created_at=_INT, expires_at=_INT, revoked_at=_INT, scopes=_TEXT,
)  # fmt: skip
secret = _table("secret", name=_TEXT, version=_INT, value=_BYTES, created_at=_INT)
signing_key = _table("signing_key", kid=_TEXT, private=_TEXT, created_at=_INT, retired_at=_INT)
audit = _table(
    "audit", seq=_INT, at=_INT, actor_kind=_TEXT, actor=_TEXT, action=_TEXT, subject=_TEXT,
    reason=_TEXT, before=_TEXT, after=_TEXT,
)  # fmt: skip
expiry = _table("expiry", log=_TEXT, until=_INT)
test_clock = _table("test_clock", id=_INT, movable=_INT, offset_us=_INT)
posted = _table("posted", digest=_BYTES, fingerprint=_BYTES, answer=_BYTES, at=_INT)

CREDENTIAL: Final = tuple(column for column in credential.c if column.name != "digest")


def operator_of(row: sa.Row[Any]) -> Operator:
    """Return a row of `operator`."""
    return Operator(
        id=row.id,
        name=row.name,
        roles=checked_roles(row.roles.split(",") if row.roles else ()),
        state=row.state,
        created_at=row.created_at,
    )


def credential_of(row: sa.Row[Any]) -> Credential:
    """Return a row of `credential`, without its digest."""
    fields = {str(name): value for name, value in row._asdict().items()}
    return Credential(**{**fields, "scopes": tuple(row.scopes.split())})


def signing_key_of(row: sa.Row[Any]) -> SigningKey:
    """Return a row of `signing_key`."""
    return msgspec.convert(row, SigningKey, from_attributes=True)


def audit_entry_of(row: sa.Row[Any]) -> AuditEntry:
    """Return a row of `audit`."""
    return msgspec.convert(row, AuditEntry, from_attributes=True)
