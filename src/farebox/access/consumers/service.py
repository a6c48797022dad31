"""Consumers: made, found, changed, suspended; their keys.

Every change is in the audit log and, as `consumer.updated`, in the outbox. What decisions depend
on advances the consumer's revision in the same transaction, so that no remembered state outlives
it.
"""

from typing import Any

import msgspec
import sqlalchemy as sa

from farebox.access.consumers import store
from farebox.access.consumers.model import (
    LONGEST_NAME,
    Consumer,
    ConsumerState,
    ConsumerTaken,
    ConsumerUnknown,
    Metadata,
    OwnerRefused,
)
from farebox.access.consumers.rules import checked_identity, checked_metadata
from farebox.events.service import publish
from farebox.kernel.clock import show_time
from farebox.kernel.ids import record_id
from farebox.ledger.service import Ledger
from farebox.platform.model import Actor, Credential, NewCredential, Page
from farebox.platform.rules import checked_limit, checked_text, page_of
from farebox.platform.service_audit import record
from farebox.platform.service_credentials import create_credential, import_credential
from farebox.storage import Tx

_ledger = Ledger()


def create_consumer(
    tx: Tx,
    actor: Actor,
    *,
    name: str,
    issuer: str | None = None,
    subject: str | None = None,
    owner: str | None = None,
    metadata: Metadata | None = None,
) -> Consumer:
    """Create an active consumer.

    Refuses an issuer's subject that is somebody already (`consumer_taken`) and an owner who is
    unknown or a device (`owner_refused`).
    """
    issuer, subject = checked_identity(issuer, subject)
    if owner is not None:
        found = find_consumer(tx, owner)
        if found is None or found.owner is not None:
            raise OwnerRefused
    made = Consumer(
        id=record_id("con"),
        name=checked_text(name, "a name", longest=LONGEST_NAME),
        state="active",
        issuer=issuer,
        subject=subject,
        owner=owner,
        metadata=checked_metadata(metadata),
        created_at=tx.now_us,
    )
    if not tx.insert_once(store.consumer, store.row_of(made), key=("issuer", "subject")):
        raise ConsumerTaken
    record(tx, actor, "consumer.created", made.id, after=made)
    _tell(tx, made)
    return made


def find_consumer(tx: Tx, consumer_id: str) -> Consumer | None:
    """Return a consumer or None."""
    row = tx.one(sa.select(store.consumer).where(store.consumer.c.id == consumer_id))
    return None if row is None else store.consumer_of(row)


def read_consumer(tx: Tx, consumer_id: str) -> Consumer:
    """Return a consumer; refuses an unknown one (`consumer_unknown`)."""
    found = find_consumer(tx, consumer_id)
    if found is None:
        raise ConsumerUnknown
    return found


def list_consumers(
    tx: Tx,
    *,
    state: ConsumerState | None = None,
    owner: str | None = None,
    after: str | None = None,
    limit: int = 100,
) -> Page[Consumer]:
    """Return consumers in the order of their ids."""
    table = store.consumer
    statement = sa.select(table).order_by(table.c.id)
    for column, value in ((table.c.state, state), (table.c.owner, owner)):
        if value is not None:
            statement = statement.where(column == value)
    if after is not None:
        statement = statement.where(table.c.id > after)
    rows = tx.run(statement.limit(checked_limit(limit) + 1))
    return page_of([store.consumer_of(row) for row in rows], limit, lambda one: one.id)


def consumer_of_identity(tx: Tx, issuer: str, subject: str) -> Consumer | None:
    """Return the consumer that an issuer's subject is, or None."""
    table = store.consumer
    here = sa.and_(table.c.issuer == issuer, table.c.subject == subject)
    row = tx.one(sa.select(table).where(here))
    return None if row is None else store.consumer_of(row)


def update_consumer(
    tx: Tx,
    actor: Actor,
    consumer_id: str,
    *,
    name: str | None = None,
    metadata: Metadata | None = None,
) -> Consumer:
    """Change what is given; `metadata` replaces the whole of it."""
    old = _locked(tx, consumer_id)
    new = msgspec.structs.replace(
        old,
        name=old.name if name is None else checked_text(name, "a name", longest=LONGEST_NAME),
        metadata=old.metadata if metadata is None else checked_metadata(metadata),
    )
    if new.name != old.name:
        _ledger.advance_revision(tx, old.id)  # backends are told it with each decision
    return _change(tx, actor, "consumer.updated", old, new)


def suspend_consumer(tx: Tx, actor: Actor, consumer_id: str) -> Consumer:
    """Deny a consumer, and the devices that draw as it, from the next decision on.

    Tells it by the event `access.suspended`. Repeating changes nothing.
    """
    old = _locked(tx, consumer_id)
    if old.state == "suspended":
        return old
    new = msgspec.structs.replace(old, state="suspended")
    _ledger.advance_revision(tx, old.id)
    _change(tx, actor, "consumer.suspended", old, new)
    why = {"consumer": old.id, "consumerId": old.id, "reason": actor.reason}
    publish(tx, type="access.suspended", subject=old.id, data=why)
    return new


def activate_consumer(tx: Tx, actor: Actor, consumer_id: str) -> Consumer:
    """Take a suspension back. Repeating changes nothing."""
    old = _locked(tx, consumer_id)
    if old.state == "active":
        return old
    _ledger.advance_revision(tx, old.id)
    new = msgspec.structs.replace(old, state="active")
    return _change(tx, actor, "consumer.activated", old, new)


def create_key(
    tx: Tx, actor: Actor, consumer_id: str, *, label: str = "", expires_at: int | None = None
) -> NewCredential:
    """Generate a key for a consumer; refuses an unknown one (`consumer_unknown`)."""
    subject = read_consumer(tx, consumer_id).id
    return create_credential(
        tx, actor, kind="consumer", subject=subject, label=label, expires_at=expires_at
    )


def import_key(
    tx: Tx,
    actor: Actor,
    consumer_id: str,
    *,
    key: str,
    label: str = "",
    expires_at: int | None = None,
) -> Credential:
    """Take a consumer's key from elsewhere; refuses one in use (`credential_taken`)."""
    subject = read_consumer(tx, consumer_id).id
    return import_credential(
        tx, actor, kind="consumer", subject=subject, key=key, label=label, expires_at=expires_at
    )


def lock_consumer(tx: Tx, consumer_id: str) -> Consumer:
    """Return a consumer that nobody else changes until the commit."""
    return _locked(tx, consumer_id)


def _locked(tx: Tx, consumer_id: str) -> Consumer:
    """Return a consumer whose row nobody else changes until the commit."""
    here = store.consumer.c.id == consumer_id
    row = tx.one(sa.select(store.consumer).where(here).with_for_update())
    if row is None:
        raise ConsumerUnknown
    return store.consumer_of(row)


def _change(tx: Tx, actor: Actor, action: str, old: Consumer, new: Consumer) -> Consumer:
    if new == old:
        return old
    here = store.consumer.c.id == old.id
    tx.run(store.consumer.update().where(here).values(store.row_of(new)))
    record(tx, actor, action, old.id, before=old, after=new)
    _tell(tx, new, old)
    return new


def facts_of(consumer: Consumer) -> dict[str, Any]:
    """Return what copies of a consumer hold. Its identity at the issuer stays here."""
    return {
        "consumer": consumer.id,
        "consumerId": consumer.id,
        "name": consumer.name,
        "state": consumer.state,
        "owner": consumer.owner,
        "metadata": consumer.metadata,
        "created_at": show_time(consumer.created_at),
    }


def _tell(tx: Tx, consumer: Consumer, before: Consumer | None = None) -> None:
    """Tell how a consumer stands, and what of it is new (`consumerId`, `changes`: source 002)."""
    facts = facts_of(consumer)
    known = {} if before is None else facts_of(before)
    changes = {name: value for name, value in facts.items() if (name, value) not in known.items()}
    data = {**facts, "changes": changes}
    publish(tx, type="consumer.updated", subject=consumer.id, data=data)
