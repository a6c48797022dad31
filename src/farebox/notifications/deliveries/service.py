"""Letters: queued by what happened, read by support, sent anew by hand, forgotten in the end."""

from collections.abc import Sequence
from typing import Final

import sqlalchemy as sa

from farebox.events.bell import BELL
from farebox.kernel.clock import SECOND_US
from farebox.kernel.ids import record_id
from farebox.notifications.deliveries import store
from farebox.notifications.deliveries.model import (
    Draft,
    LetterLog,
    LetterState,
    LetterUnderWay,
    LetterUnknown,
)
from farebox.notifications.letters.model import LetterKind
from farebox.notifications.preferences.model import Preference
from farebox.notifications.preferences.service import set_preference
from farebox.notifications.recipients.service import find_recipient
from farebox.platform.model import Actor, Page
from farebox.platform.rules import checked_limit, page_of
from farebox.platform.service_audit import record
from farebox.storage import Tx

PATIENCE_US: Final = 5 * SECOND_US
"""How long a letter waits for word of its recipient, whose own event may be a little behind."""


def begin(tx: Tx) -> None:
    """Say that this service hears from now on, once: of what was before nobody is told."""
    tx.insert_once(store.since, {"id": 1, "at": tx.now_us}, key=("id",))


def queue(tx: Tx, draft: Draft) -> bool:
    """Let a letter be due, once for its kind, recipient and `once`; tells whether it is new.

    What happened before this service has begun makes no letter.
    """
    row = tx.one(sa.select(store.since.c.at))
    if row is not None and draft.at < row.at:
        return False
    known = find_recipient(tx, draft.recipient) is not None
    made = {
        "id": record_id("ltr"),
        "kind": draft.kind,
        "recipient": draft.recipient,
        "once": draft.once,
        "event": draft.event,
        "facts": store.facts_row(draft.facts),
        "locale": draft.locale,
        "zone": None,
        "state": "waiting",
        "due_at": tx.now_us + (0 if known else PATIENCE_US),
        "until_at": draft.until_at,
        "round": 0,
        "created_at": tx.now_us,
    }
    is_new = tx.insert_once(store.letter, made, key=("kind", "recipient", "once"))
    if is_new:
        tx.after_commit(BELL.ring)
    return is_new


def choose(tx: Tx, actor: Actor, made: Preference) -> Preference:
    """Keep what somebody has chosen, and look at once at the letters that wait for another time.

    Whoever ends their quiet hours, or chooses another channel, does not wait for their old end. A
    letter that is being tried is left alone. Refuses what `set_preference` refuses.
    """
    kept = set_preference(tx, actor, made)
    table = store.letter
    here = (table.c.recipient == made.recipient, table.c.due_at > tx.now_us)
    waits = (*here, table.c.zone.is_not(None), table.c.claim.is_(None))
    tx.run(table.update().where(*waits).values(due_at=tx.now_us))
    tx.after_commit(BELL.ring)
    return kept


def list_letters(
    tx: Tx,
    *,
    recipient: str | None = None,
    state: LetterState | None = None,
    kind: LetterKind | None = None,
    before: str | None = None,
    limit: int = 100,
) -> Page[LetterLog]:
    """Return letters with what became of them, newest first; the cursor is the last id."""
    table = store.letter
    statement = sa.select(table).order_by(table.c.id.desc())
    for column, value in (
        (table.c.recipient, recipient), (table.c.state, state), (table.c.kind, kind),
    ):  # fmt: skip
        if value is not None:
            statement = statement.where(column == value)
    if before is not None:
        statement = statement.where(table.c.id < before)
    rows = tx.run(statement.limit(checked_limit(limit) + 1)).all()
    return page_of(_logs(tx, rows), limit, lambda one: one.letter.id)


def read_letter(tx: Tx, letter: str) -> LetterLog:
    """Return a letter with what became of it; refuses an unknown one (`letter_unknown`)."""
    row = tx.one(sa.select(store.letter).where(store.letter.c.id == letter))
    if row is None:
        raise LetterUnknown
    return _logs(tx, [row])[0]


def resend(tx: Tx, actor: Actor, letter: str) -> LetterLog:
    """Send a letter again, in its own language and zone, by the channel that is chosen now.

    Refuses `letter_unknown`, and (`letter_under_way`) one that has not ended.
    """
    table = store.letter
    row = tx.one(sa.select(table).where(table.c.id == letter).with_for_update())
    if row is None:
        raise LetterUnknown
    if row.state == "waiting":
        raise LetterUnderWay
    values = {
        "state": "waiting", "reason": None, "due_at": tx.now_us, "claim": None, "until_at": None,
        "ended_at": None, "round": row.round + 1,
    }  # fmt: skip
    tx.run(table.update().where(table.c.id == letter).values(values))
    again = {"state": "waiting", "tries": 0, "changed_at": tx.now_us}
    tx.run(store.delivery.update().where(store.delivery.c.letter == letter).values(again))
    record(tx, actor, "letter.resent", letter, before={"state": row.state})
    tx.after_commit(BELL.ring)
    return read_letter(tx, letter)


def forget_before(tx: Tx, before_us: int, *, rows: int = 1_000) -> int:
    """Forget up to so many letters that ended before an instant, with tries and notices."""
    table = store.letter
    old = sa.select(table.c.id).where(table.c.ended_at < before_us).order_by(table.c.id)
    ids = [row.id for row in tx.run(old.limit(rows).with_for_update())]
    for each in (store.attempt, store.delivery, store.notice):
        tx.run(each.delete().where(each.c.letter.in_(ids)))
    tx.run(table.delete().where(table.c.id.in_(ids)))
    return len(ids)


def _logs(tx: Tx, rows: Sequence[sa.Row[tuple[object, ...]]]) -> list[LetterLog]:
    ids = [row.id for row in rows]
    deliveries, attempts = store.delivery, store.attempt
    on = sa.select(deliveries).where(deliveries.c.letter.in_(ids))
    of = sa.select(attempts).where(attempts.c.letter.in_(ids))
    ways = [store.delivery_of(row) for row in tx.run(on.order_by(deliveries.c.channel))]
    tries = [store.attempt_of(row) for row in tx.run(of.order_by(attempts.c.number))]
    return [
        LetterLog(
            letter=store.letter_of(row),
            deliveries=tuple(each for each in ways if each.letter == row.id),
            attempts=tuple(each for each in tries if each.letter == row.id),
        )
        for row in rows
    ]
