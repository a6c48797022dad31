"""Caps: how much of a group's bucket one member may draw.

A cap is a second ledger bucket of the same asset; whatever the member draws from the group's bucket
is drawn from it as well, in the same step. It stays when the member leaves, so that nobody gets a
fresh one by coming back.
"""

import sqlalchemy as sa

from farebox.access.buckets import store
from farebox.access.buckets.model import Bucket, CapRefused, CapUnknown, MemberCap
from farebox.access.buckets.rules import applied
from farebox.access.buckets.service import known_bucket
from farebox.access.buckets.service_commands import command_once
from farebox.access.consumers.service_groups import is_member
from farebox.kernel import ids
from farebox.kernel.amounts import checked_amount
from farebox.ledger import reading
from farebox.ledger.model import Grant, Void
from farebox.ledger.service import Ledger
from farebox.platform.model import Actor
from farebox.platform.service_audit import record
from farebox.storage import Tx

_ledger = Ledger()


def set_cap(tx: Tx, actor: Actor, *, bucket_id: int, consumer: str, amount: int) -> MemberCap:
    """Let a member draw `amount` of a group's bucket in all; what was drawn under it counts.

    An amount of 0 stops the member. What is held under a larger cap stays held, and if it is
    released it may be used once more. Refuses a bucket of a consumer, and a consumer who is not in
    the group (`cap_refused`).
    """
    checked_amount(amount, least=0)
    bucket = known_bucket(tx, bucket_id)
    if bucket.holder_kind != "group" or not is_member(tx, group=bucket.holder, consumer=consumer):
        raise CapRefused
    cap_bucket, before, given = _locked(tx, bucket, consumer)
    given += _give(tx, cap_bucket, amount - given, actor.reason)
    values = {"amount": amount, "given": given}
    tx.run(store.cap.update().where(_here(bucket_id, consumer)).values(values))
    if before != amount:
        _ledger.advance_revision(tx, consumer)
        shown = ids.show("bkt", bucket_id)
        old = None if before is None else {"consumer": consumer, "amount": before}
        new = {"consumer": consumer, "amount": amount}
        record(tx, actor, "cap.set", shown, before=old, after=new)
    return _shown(tx, bucket_id, consumer, cap_bucket, amount)


def remove_cap(tx: Tx, actor: Actor, *, bucket_id: int, consumer: str) -> None:
    """Let a member draw as much as there is; refuses where no cap is (`cap_unknown`)."""
    known_bucket(tx, bucket_id)
    here = _here(bucket_id, consumer)
    row = tx.one(sa.select(store.cap).where(here).with_for_update())
    if row is None:
        raise CapUnknown
    tx.run(store.cap.delete().where(here))
    _ledger.advance_revision(tx, consumer)
    gone = {"consumer": consumer, "amount": row.amount}
    record(tx, actor, "cap.removed", ids.show("bkt", bucket_id), before=gone)


def caps_of_bucket(tx: Tx, bucket_id: int) -> tuple[MemberCap, ...]:
    """Return the caps on a bucket, by consumer; refuses an unknown bucket (`bucket_unknown`)."""
    known_bucket(tx, bucket_id)
    statement = sa.select(store.cap).where(store.cap.c.bucket == bucket_id)
    rows = tx.run(statement.order_by(store.cap.c.consumer)).all()
    return tuple(_shown(tx, row.bucket, row.consumer, row.cap_bucket, row.amount) for row in rows)


def _here(bucket_id: int, consumer: str) -> sa.ColumnElement[bool]:
    return sa.and_(store.cap.c.bucket == bucket_id, store.cap.c.consumer == consumer)


def _locked(tx: Tx, bucket: Bucket, consumer: str) -> tuple[int, int | None, int]:
    """Return a cap's bucket, its amount (None: it is new) and what was given, locked."""
    row = {"bucket": bucket.id, "consumer": consumer, "cap_bucket": 0, "amount": 0, "given": 0}
    new = tx.insert_once(store.cap, row, key=("bucket", "consumer"))
    here = _here(bucket.id, consumer)
    if new:
        number = _ledger.open_bucket(tx, _ledger.asset(tx, bucket.product))
        tx.run(store.cap.update().where(here).values(cap_bucket=number))
        return number, None, 0
    found = tx.run(sa.select(store.cap).where(here).with_for_update()).one()
    return found.cap_bucket, found.amount, found.given


def _give(tx: Tx, cap_bucket: int, change: int, reason: str | None) -> int:
    """Grant on a cap's bucket, or take back what is unused; returns what came of it, signed."""
    if change > 0:
        applied(command_once(tx, Grant(bucket=cap_bucket, amount=change, reason=reason)))
        return change
    left = -change
    for grant in reading.bucket_view(_ledger, tx, cap_bucket).grants:
        if left and grant.available:
            part = min(left, grant.available)
            command = Void(grant=grant.id, amount=part, reason=reason)
            left -= applied(command_once(tx, command)).amount
    return change + left


def _shown(tx: Tx, bucket_id: int, consumer: str, cap_bucket: int, amount: int) -> MemberCap:
    view = reading.bucket_view(_ledger, tx, cap_bucket)
    return MemberCap(bucket=bucket_id, consumer=consumer, amount=amount, available=view.available)
