"""Groups and their members.

A change of a group advances the group's revision, a change of who is in it the consumer's too:
decisions carry both, so a member who was taken out is denied at the next decision.
"""

from typing import Any

import msgspec
import sqlalchemy as sa

from farebox.access.consumers import store
from farebox.access.consumers.model import (
    LONGEST_NAME,
    MOST_GROUPS,
    ConsumerUnknown,
    DeviceRefused,
    Group,
    GroupUnknown,
    Member,
    MemberUnknown,
    TooManyGroups,
)
from farebox.events.service import publish
from farebox.kernel.ids import record_id
from farebox.ledger.service import Ledger
from farebox.platform.model import Actor, Page
from farebox.platform.rules import checked_limit, checked_priority, checked_text, page_of
from farebox.platform.service_audit import record
from farebox.storage import Tx

_ledger = Ledger()


def create_group(tx: Tx, actor: Actor, *, name: str, priority: int = 0) -> Group:
    """Create an empty group."""
    made = Group(
        id=record_id("grp"),
        name=checked_text(name, "a name", longest=LONGEST_NAME),
        priority=checked_priority(priority),
        created_at=tx.now_us,
    )
    tx.run(store.group.insert(), msgspec.structs.asdict(made))
    record(tx, actor, "group.created", made.id, after=made)
    _tell(tx, "updated", made)
    return made


def find_group(tx: Tx, group_id: str) -> Group | None:
    """Return a group or None."""
    row = tx.one(sa.select(store.group).where(store.group.c.id == group_id))
    return None if row is None else store.group_of(row)


def read_group(tx: Tx, group_id: str) -> Group:
    """Return a group; refuses an unknown one (`group_unknown`)."""
    found = find_group(tx, group_id)
    if found is None:
        raise GroupUnknown
    return found


def list_groups(tx: Tx, *, after: str | None = None, limit: int = 100) -> Page[Group]:
    """Return groups in the order of their ids."""
    statement = sa.select(store.group).order_by(store.group.c.id)
    if after is not None:
        statement = statement.where(store.group.c.id > after)
    rows = tx.run(statement.limit(checked_limit(limit) + 1))
    return page_of([store.group_of(row) for row in rows], limit, lambda group: group.id)


def update_group(
    tx: Tx, actor: Actor, group_id: str, *, name: str | None = None, priority: int | None = None
) -> Group:
    """Change what is given."""
    old = _locked(tx, group_id)
    new = msgspec.structs.replace(
        old,
        name=old.name if name is None else checked_text(name, "a name", longest=LONGEST_NAME),
        priority=old.priority if priority is None else checked_priority(priority),
    )
    if new == old:
        return old
    values = {"name": new.name, "priority": new.priority}
    tx.run(store.group.update().where(store.group.c.id == group_id).values(values))
    _ledger.advance_revision(tx, group_id)
    record(tx, actor, "group.updated", group_id, before=old, after=new)
    _tell(tx, "updated", new)
    return new


def delete_group(tx: Tx, actor: Actor, group_id: str) -> None:
    """Remove a group and its memberships; the flow of this name sees to its buckets."""
    old = _locked(tx, group_id)
    tx.run(store.member.delete().where(store.member.c.consumer_group == group_id))
    tx.run(store.group.delete().where(store.group.c.id == group_id))
    # The members' remembered states carry the group's revision, so this reaches every one.
    _ledger.advance_revision(tx, group_id)
    record(tx, actor, "group.deleted", group_id, before=old)
    _tell(tx, "deleted", old)


def lock_group(tx: Tx, group_id: str) -> Group:
    """Return a group that nobody else changes, fills or deletes until the commit."""
    return _locked(tx, group_id)


def add_member(tx: Tx, actor: Actor, *, group: str, consumer: str) -> Member:
    """Add a consumer to a group; adding a member again changes nothing.

    Refuses unknown ones, a device (`device_draws_as_owner`), and one group too many
    (`too_many_groups`).
    """
    _locked(tx, group)
    here = store.consumer.c.id == consumer
    row = tx.one(sa.select(store.consumer).where(here).with_for_update())
    if row is None:
        raise ConsumerUnknown
    if row.owner is not None:
        raise DeviceRefused
    made = Member(group=group, consumer=consumer, added_at=tx.now_us)
    values = {"consumer": consumer, "consumer_group": group, "added_at": made.added_at}
    if not tx.insert_once(store.member, values, key=("consumer", "consumer_group")):
        found = _member(tx, group, consumer)
        assert found is not None
        return found
    if len(groups_of(tx, consumer)) > MOST_GROUPS:
        raise TooManyGroups
    _changed(tx, actor, "group.member_added", made)
    return made


def remove_member(tx: Tx, actor: Actor, *, group: str, consumer: str) -> None:
    """Take a consumer out of a group, from the next decision on.

    Refuses an unknown group and somebody who is not in it (`member_unknown`).
    """
    _locked(tx, group)
    found = _member(tx, group, consumer)
    if found is None:
        raise MemberUnknown
    here = sa.and_(store.member.c.consumer == consumer, store.member.c.consumer_group == group)
    tx.run(store.member.delete().where(here))
    _changed(tx, actor, "group.member_removed", found)


def is_member(tx: Tx, *, group: str, consumer: str) -> bool:
    """Tell whether a consumer is in a group."""
    return _member(tx, group, consumer) is not None


def list_members(
    tx: Tx, group_id: str, *, after: str | None = None, limit: int = 100
) -> Page[Member]:
    """Return a group's members in the order of their ids; refuses an unknown group."""
    read_group(tx, group_id)
    table = store.member
    statement = sa.select(table).where(table.c.consumer_group == group_id)
    if after is not None:
        statement = statement.where(table.c.consumer > after)
    rows = tx.run(statement.order_by(table.c.consumer).limit(checked_limit(limit) + 1))
    return page_of([store.member_of(row) for row in rows], limit, lambda member: member.consumer)


def groups_of(tx: Tx, consumer_id: str) -> tuple[Group, ...]:
    """Return a consumer's groups in the order in which they are drawn: by priority, then id."""
    statement = (
        sa.select(store.group)
        .join(store.member, store.member.c.consumer_group == store.group.c.id)
        .where(store.member.c.consumer == consumer_id)
        .order_by(store.group.c.priority, store.group.c.id)
    )
    return tuple(store.group_of(row) for row in tx.run(statement))


def facts_of(group: Group) -> dict[str, Any]:
    """Return what copies of a group hold. Who is in it stays here."""
    return {"groupId": group.id, "name": group.name}


def _tell(tx: Tx, what: str, group: Group) -> None:
    publish(tx, type=f"group.{what}", subject=group.id, data=facts_of(group))


def _member(tx: Tx, group: str, consumer: str) -> Member | None:
    here = sa.and_(store.member.c.consumer == consumer, store.member.c.consumer_group == group)
    row = tx.one(sa.select(store.member).where(here))
    return None if row is None else store.member_of(row)


def _locked(tx: Tx, group_id: str) -> Group:
    here = store.group.c.id == group_id
    row = tx.one(sa.select(store.group).where(here).with_for_update())
    if row is None:
        raise GroupUnknown
    return store.group_of(row)


def _changed(tx: Tx, actor: Actor, action: str, member: Member) -> None:
    _ledger.advance_revision(tx, member.consumer)
    _ledger.advance_revision(tx, member.group)
    record(tx, actor, action, member.group, after=member)
