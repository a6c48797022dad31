"""Operators and their roles; every change is in the audit log."""

from collections.abc import Iterable
from typing import Final

import msgspec
import sqlalchemy as sa

from farebox.kernel.ids import record_id
from farebox.kernel.refusals import SettingsRefused
from farebox.ledger.service import Ledger
from farebox.platform import store
from farebox.platform.model import (
    FIRST_ADMIN,
    LONGEST_NAME,
    SHORTEST_ADMIN_KEY,
    SYSTEM,
    Actor,
    LastAdmin,
    Operator,
    OperatorUnknown,
    Page,
)
from farebox.platform.rules import checked_limit, checked_roles, checked_text, is_live, page_of
from farebox.platform.service_audit import record
from farebox.platform.service_credentials import (
    create_credential,
    find_by_key,
    import_credential,
    list_credentials,
    revoke_credential,
)
from farebox.storage import Tx

_ledger = Ledger()
_CONFIGURED: Final = "FAREBOX_ADMIN_KEY"


def first_admin(tx: Tx, configured_key: str | None) -> str | None:
    """Make the first admin at the first start; returns the key to print if one was generated.

    A configured key works from this start on, and an earlier configured one no more. Refuses
    (`settings_invalid`) one that is short, revoked or somebody else's.
    """
    row = {
        "id": FIRST_ADMIN,
        "name": "First admin",
        "roles": "admin",
        "state": "active",
        "created_at": tx.now_us,
    }
    first = tx.insert_once(store.operator, row, key=("id",))
    if first:
        record(tx, SYSTEM, "operator.created", FIRST_ADMIN, after=row)
    if configured_key is not None:
        _configure(tx, configured_key)
        return None
    if not first:
        return None
    made = create_credential(
        tx, SYSTEM, kind="operator", subject=FIRST_ADMIN, label="Made at the first start"
    )
    return made.key


def _configure(tx: Tx, key: str) -> None:
    """Let the configured key, and no configured key before it, be the first admin's."""
    if len(key) < SHORTEST_ADMIN_KEY:
        raise SettingsRefused(f"{_CONFIGURED} has at least {SHORTEST_ADMIN_KEY} characters")
    # Nodes that start at once with the same new key make it one after the other.
    here = store.operator.c.id == FIRST_ADMIN
    tx.run(sa.select(store.operator.c.id).where(here).with_for_update())
    known = find_by_key(tx, key)
    if known is not None and known.subject != FIRST_ADMIN:
        raise SettingsRefused(f"{_CONFIGURED} is already somebody else's credential")
    if known is not None and not is_live(known, tx.now_us):
        raise SettingsRefused(f"{_CONFIGURED} was revoked or has expired; set another one")
    for old in list_credentials(tx, FIRST_ADMIN, limit=1000).items:
        if old.label == _CONFIGURED and (known is None or old.id != known.id):
            revoke_credential(tx, SYSTEM, old.id)
    if known is None:
        import_credential(
            tx, SYSTEM, kind="operator", subject=FIRST_ADMIN, key=key, label=_CONFIGURED
        )


def create_operator(tx: Tx, actor: Actor, *, name: str, roles: Iterable[str]) -> Operator:
    """Create an operator without a key; refuses unknown roles (`value_invalid`)."""
    made = Operator(
        id=record_id("opr"),
        name=checked_text(name, "a name", longest=LONGEST_NAME),
        roles=checked_roles(roles),
        state="active",
        created_at=tx.now_us,
    )
    tx.run(store.operator.insert(), {**msgspec.structs.asdict(made), "roles": ",".join(made.roles)})
    record(tx, actor, "operator.created", made.id, after=made)
    return made


def find_operator(tx: Tx, operator_id: str) -> Operator | None:
    """Return an operator or None."""
    row = tx.one(sa.select(store.operator).where(store.operator.c.id == operator_id))
    return None if row is None else store.operator_of(row)


def read_operator(tx: Tx, operator_id: str) -> Operator:
    """Return an operator; refuses an unknown one (`operator_unknown`)."""
    found = find_operator(tx, operator_id)
    if found is None:
        raise OperatorUnknown
    return found


def list_operators(tx: Tx, *, after: str | None = None, limit: int = 100) -> Page[Operator]:
    """Return operators in the order of their ids."""
    statement = sa.select(store.operator).order_by(store.operator.c.id)
    if after is not None:
        statement = statement.where(store.operator.c.id > after)
    rows = tx.run(statement.limit(checked_limit(limit) + 1))
    return page_of([store.operator_of(row) for row in rows], limit, lambda operator: operator.id)


def update_operator(
    tx: Tx,
    actor: Actor,
    operator_id: str,
    *,
    name: str | None = None,
    roles: Iterable[str] | None = None,
) -> Operator:
    """Change an operator's name or roles; refuses to take the last admin away (`last_admin`)."""
    old = _locked(tx, operator_id)
    new = msgspec.structs.replace(
        old,
        name=old.name if name is None else checked_text(name, "a name", longest=LONGEST_NAME),
        roles=old.roles if roles is None else checked_roles(roles),
    )
    return _change(tx, actor, "operator.updated", old, new)


def suspend_operator(tx: Tx, actor: Actor, operator_id: str) -> Operator:
    """Stop every key of an operator at once; refuses the last admin (`last_admin`)."""
    old = _locked(tx, operator_id)
    return _change(
        tx, actor, "operator.suspended", old, msgspec.structs.replace(old, state="suspended")
    )


def activate_operator(tx: Tx, actor: Actor, operator_id: str) -> Operator:
    """Let an operator's keys work again."""
    old = _locked(tx, operator_id)
    return _change(
        tx, actor, "operator.activated", old, msgspec.structs.replace(old, state="active")
    )


def _locked(tx: Tx, operator_id: str) -> Operator:
    """Return an operator, with every operator locked: who is the last admin depends on all."""
    statement = sa.select(store.operator).order_by(store.operator.c.id).with_for_update()
    for row in tx.run(statement).all():
        if row.id == operator_id:
            return store.operator_of(row)
    raise OperatorUnknown


def _change(tx: Tx, actor: Actor, action: str, old: Operator, new: Operator) -> Operator:
    if new == old:
        return old
    values = {"name": new.name, "roles": ",".join(new.roles), "state": new.state}
    tx.run(store.operator.update().where(store.operator.c.id == old.id).values(values))
    if _is_admin(old) and not _admins(tx):
        raise LastAdmin
    _ledger.advance_revision(tx, old.id)
    record(tx, actor, action, old.id, before=old, after=new)
    return new


def _is_admin(operator: Operator) -> bool:
    return operator.state == "active" and "admin" in operator.roles


def _admins(tx: Tx) -> list[Operator]:
    rows = tx.run(sa.select(store.operator).where(store.operator.c.state == "active"))
    return [found for found in map(store.operator_of, rows) if _is_admin(found)]
