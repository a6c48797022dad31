"""What gateways tell us: stored once by its id, followed by the worker, whatever order it comes in.

A notice says only that something happened. What happened is read from the gateway then, so a notice
that is late, repeated or forged can say nothing that is not so.
"""

import secrets
from typing import Final

import sqlalchemy as sa

from farebox.billing.payments import store
from farebox.billing.payments.model_outcomes import Claimed, Notice
from farebox.billing.payments.rules import LEASE_US, REST_US, notice_due
from farebox.billing.payments.service import find_payment
from farebox.billing.payments.service_refunds import find_refund
from farebox.billing.payments.service_work import ask_of
from farebox.kernel.ids import record_id
from farebox.storage import Tx

_LONGEST: Final = 255


def note_notice(tx: Tx, gateway: str, notice: Notice) -> bool:
    """Keep a notice to be followed; tells whether it is a new one that concerns us.

    Of a payment or refund that this gateway does not have with us, nothing is kept.
    """
    if len(notice.event) > _LONGEST or len(notice.subject) > _LONGEST:
        return False
    if not _ours(tx, gateway, notice):
        return False
    row = {
        "id": record_id("ntc"), "gateway": gateway, "event": notice.event, "noun": notice.noun,
        "subject": notice.subject, "content": notice.content, "state": "waiting", "tries": 0,
        "due_at": tx.now_us, "received_at": tx.now_us,
    }  # fmt: skip
    if tx.insert_once(store.notice, row, key=("gateway", "event")):
        return True
    return notice.repeats and _again(tx, gateway, notice)


def _again(tx: Tx, gateway: str, notice: Notice) -> bool:
    """Let a notice that was followed a while ago be followed once more, for what it says now."""
    table = store.notice
    ended = sa.and_(
        table.c.gateway == gateway,
        table.c.event == notice.event,
        table.c.ended_at < tx.now_us - REST_US,
    )
    again = {
        "subject": notice.subject, "noun": notice.noun, "content": notice.content,
        "state": "waiting", "tries": 0, "due_at": tx.now_us, "ended_at": None,
    }  # fmt: skip
    done = table.update().where(ended).values(**again).returning(table.c.id)
    return tx.run(done).first() is not None


def _ours(tx: Tx, gateway: str, notice: Notice) -> bool:
    if notice.noun == "chargeback":
        return True
    found = (
        find_payment(tx, notice.subject)
        if notice.noun == "payment"
        else find_refund(tx, notice.subject)
    )
    return found is not None and found.gateway == gateway


def any_notice_due(tx: Tx) -> bool:
    """Tell whether there is a notice to follow; it changes nothing and waits for nobody."""
    table = store.notice
    return tx.one(sa.select(table.c.id).where(table.c.due_at <= tx.now_us).limit(1)) is not None


def claim_notices(tx: Tx, most: int) -> tuple[Claimed, ...]:
    """Take up to so many due notices for ourselves, longest due first."""
    table = store.notice
    due = sa.select(table).where(table.c.due_at <= tx.now_us).order_by(table.c.due_at, table.c.id)
    rows = tx.run(due.limit(most).with_for_update(skip_locked=True)).all()
    claimed = []
    for row in rows:
        claim = secrets.token_hex(8)
        taken = {"claim": claim, "due_at": tx.now_us + LEASE_US, "tries": row.tries + 1}
        tx.run(table.update().where(table.c.id == row.id).values(**taken))
        notice = Notice(event=row.event, noun=row.noun, subject=row.subject, content=row.content)
        ask = None if row.noun == "chargeback" else ask_of(tx, row.noun, row.subject)
        claimed.append(Claimed(id=row.id, gateway=row.gateway, notice=notice, claim=claim, ask=ask))
    return tuple(claimed)


def end_notice(tx: Tx, claimed: Claimed, *, applied: bool) -> bool:
    """Write down that a notice was followed, and whether it changed anything.

    Tells False, and changes nothing, where the claim on it has ended.
    """
    table = store.notice
    ours = sa.and_(table.c.id == claimed.id, table.c.claim == claimed.claim)
    ended = {
        "state": "applied" if applied else "skipped", "due_at": None, "claim": None,
        "ended_at": tx.now_us,
    }  # fmt: skip
    done = table.update().where(ours).values(**ended).returning(table.c.id)
    return tx.run(done).first() is not None


def put_off_notice(tx: Tx, claimed: Claimed, why: str) -> None:
    """Follow a notice later whose gateway did not answer; after the last try it is given up.

    What it was about is looked for all the same while that is not decided.
    """
    table = store.notice
    ours = sa.and_(table.c.id == claimed.id, table.c.claim == claimed.claim)
    row = tx.one(sa.select(table).where(ours).with_for_update())
    if row is None:
        return
    due = notice_due(row.tries, tx.now_us)
    state = "waiting" if due is not None else "failed"
    values = {"state": state, "due_at": due, "claim": None, "reason": why[:_LONGEST]}
    if due is None:
        values["ended_at"] = tx.now_us
    tx.run(table.update().where(ours).values(**values))
