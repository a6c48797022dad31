"""Sending in three steps, so that nobody outside is called while a transaction is open.

    claim   one transaction: the channel is chosen, the try is written down, the letter is ours
    send    no transaction: the server takes the letter, or does not
    note    one transaction: what came of it

Whoever dies before the sending leaves a letter that is due again after `CLAIM_US`: one more try,
none lost. Whoever dies after the server has taken it and before that is noted leaves the same: the
letter goes out a second time, under the same number. That is what "at least once" costs; the other
choice, noting it before it is sent, would lose letters instead.
"""

from collections.abc import Collection, Mapping
from typing import Final

import msgspec
import sqlalchemy as sa
import structlog

from farebox.kernel.clock import SECOND_US
from farebox.kernel.ids import record_id
from farebox.notifications.channels.model import NotSent, Sent
from farebox.notifications.channels.service import address_on
from farebox.notifications.copies.service import find_rental
from farebox.notifications.deliveries import store
from farebox.notifications.deliveries.model import Claimed, Delivery, Letter
from farebox.notifications.deliveries.rules import (
    End,
    Send,
    Standing,
    Wait,
    after_failure,
    hint_of,
    next_step,
)
from farebox.notifications.letters.model import Channel, Terms, Written
from farebox.notifications.letters.model_facts import Document, Facts, Reminder
from farebox.notifications.letters.service import write
from farebox.notifications.preferences.service import preference_of, wanted
from farebox.notifications.recipients.model import Recipient
from farebox.notifications.recipients.service import find_recipient
from farebox.storage import Tx

CLAIM_US: Final = 300 * SECOND_US
"""Longer than a try can last: a server that answers slowly, and the file that is fetched before."""
AT_ONCE: Final = 100
_log: Final = structlog.get_logger("farebox.letters")


def settle(tx: Tx, standard: Terms) -> int:
    """Give new letters their language and zone, and put their copies into the inbox.

    Both stay what they are then, whoever sends the letter again. Returns how many were settled.
    """
    table = store.letter
    new = sa.select(table).where(table.c.due_at <= tx.now_us, table.c.zone.is_(None))
    mine = new.order_by(table.c.due_at, table.c.id).limit(AT_ONCE)
    rows = tx.run(mine.with_for_update(skip_locked=True)).all()
    for row in rows:
        terms = _terms(tx, row.recipient, row.locale, standard)
        values = {"locale": terms.locale, "zone": terms.zone}
        tx.run(table.update().where(table.c.id == row.id).values(values))
        letter = store.letter_of(row)
        if _is_over(tx, letter):
            _end(tx, letter, "withdrawn", "no_longer_true")
            continue
        try:
            written = write(letter.kind, "inbox", letter.facts, terms, tx.now_us)
        except Exception:  # noqa: BLE001 - one that cannot be written must not keep the others
            _log.exception("letter_not_written", letter=letter.id, kind=letter.kind)
            _end(tx, letter, "failed", "not_written")
            continue
        _put_into_inbox(tx, letter, terms, written)
    return len(rows)


def anything_due(tx: Tx) -> bool:
    """Tell whether a letter is due; it changes nothing and waits for nobody."""
    table = store.letter
    return tx.one(sa.select(table.c.id).where(table.c.due_at <= tx.now_us).limit(1)) is not None


def claim(
    tx: Tx, channels: Collection[Channel], *, most: int = 1, busy: Collection[str] = ()
) -> list[Claimed | None]:
    """Take up to so many due letters for ourselves, each with the channel that is its now.

    `channels` are those that are set up, `busy` the letters that this process has in hand. None
    stands for a letter that was ended, or waits, instead of being sent.
    """
    table = store.letter
    due = sa.select(table).where(table.c.due_at <= tx.now_us, table.c.zone.is_not(None))
    if busy:
        due = due.where(table.c.id.not_in(busy))
    mine = due.order_by(table.c.due_at, table.c.id).limit(most)
    rows = tx.run(mine.with_for_update(skip_locked=True)).all()
    return [_claimed(tx, store.letter_of(row), channels) for row in rows]


def note(tx: Tx, mine: Claimed, outcome: Sent | NotSent, channels: Collection[Channel]) -> None:
    """Write what came of a try, and when the letter is due again if it was not sent."""
    table = store.letter
    row = tx.run(sa.select(table).where(table.c.id == mine.letter.id).with_for_update()).one()
    _note_attempt(tx, mine, outcome)
    letter = store.letter_of(row)
    if isinstance(outcome, Sent):
        _set_delivery(tx, letter.id, mine.channel, "sent")
        # Also where the claim had run out: it was sent, so nobody needs to send it.
        if letter.state == "waiting":
            _end(tx, letter, "sent", mine.channel)
        return
    if letter.claim != mine.attempt:
        return
    standing = _standing(tx, letter, channels)
    state, due_at = after_failure(standing, mine.channel, tx.now_us, for_good=outcome.for_good)
    _set_delivery(tx, letter.id, mine.channel, state)
    values = {"due_at": due_at, "claim": None}
    tx.run(table.update().where(table.c.id == letter.id).values(values))


def _claimed(tx: Tx, letter: Letter, channels: Collection[Channel]) -> Claimed | None:
    step = next_step(_standing(tx, letter, channels), tx.now_us)
    table = store.letter
    if isinstance(step, End):
        _end(tx, letter, step.state, step.reason)
        return None
    if isinstance(step, Wait):
        tx.run(table.update().where(table.c.id == letter.id).values(due_at=step.until))
        return None
    return _try(tx, letter, step)


def _try(tx: Tx, letter: Letter, step: Send) -> Claimed:
    """Write a try down before it is made."""
    recipient = _addressee(tx, letter)
    address = address_on(step.channel, recipient)
    assert address is not None, "a channel without an address is not chosen"
    attempt = record_id("att")
    _set_delivery(tx, letter.id, step.channel, "waiting", more=1)
    table = store.attempt
    before = sa.select(sa.func.count()).where(table.c.letter == letter.id)
    number = int(tx.run(before).scalar_one()) + 1
    row = {
        "id": attempt, "letter": letter.id, "channel": step.channel, "number": number,
        "address": hint_of(address), "at": tx.now_us, "outcome": None, "error": None,
    }  # fmt: skip
    tx.run(store.attempt.insert(), row)
    values = {"due_at": tx.now_us + CLAIM_US, "claim": attempt}
    tx.run(store.letter.update().where(store.letter.c.id == letter.id).values(values))
    return Claimed(
        letter=letter, channel=step.channel, attempt=attempt, address=address, name=recipient.name
    )


def _standing(tx: Tx, letter: Letter, channels: Collection[Channel]) -> Standing:
    assert letter.terms is not None, "a letter is settled before it is sent"
    recipient = _addressee(tx, letter)
    chosen = wanted(tx, letter.recipient, letter.kind, letter.terms.zone)
    usable = {each for each in channels if address_on(each, recipient) is not None}
    return Standing(
        order=chosen.order,
        usable=frozenset(usable),
        deliveries=_deliveries(tx, letter.id),
        ringing=chosen.ringing,
        off=chosen.off,
        void=_is_void(tx, letter.facts),
        until_at=letter.until_at,
        quiet_until=chosen.quiet_until,
    )


def _is_over(tx: Tx, letter: Letter) -> bool:
    """Tell whether a new letter is not even worth a place in the inbox."""
    too_late = letter.until_at is not None and tx.now_us >= letter.until_at
    return too_late or _is_void(tx, letter.facts)


def _is_void(tx: Tx, facts: Facts) -> bool:
    """Tell whether what a letter says has been overtaken: a rental that was taken back or moved."""
    if not isinstance(facts, Reminder):
        return False
    rental = find_rental(tx, facts.rental)
    return rental is not None and (rental.revoked or rental.version > facts.version)


def _addressee(tx: Tx, letter: Letter) -> Recipient:
    """Return whom a letter goes to: an invoice to the address that was named for it."""
    found = _recipient(tx, letter.recipient)
    if isinstance(letter.facts, Document) and letter.facts.address is not None:
        return msgspec.structs.replace(found, email=letter.facts.address)
    return found


def _recipient(tx: Tx, recipient: str) -> Recipient:
    """Return somebody with the number that they have chosen themselves, if they have."""
    found = find_recipient(tx, recipient) or Recipient(
        id=recipient, name="", email=None, phone=None, locale=None, zone=None
    )
    phone = preference_of(tx, recipient).phone or found.phone
    return msgspec.structs.replace(found, phone=phone)


def _terms(tx: Tx, recipient: str, locale: str | None, standard: Terms) -> Terms:
    chosen = preference_of(tx, recipient)
    known = _recipient(tx, recipient)
    return Terms(
        locale=locale or chosen.locale or known.locale or standard.locale,
        zone=chosen.zone or known.zone or standard.zone,
    )


def _put_into_inbox(tx: Tx, letter: Letter, terms: Terms, written: Written) -> None:
    row = {
        "id": record_id("ntc"), "letter": letter.id, "recipient": letter.recipient,
        "kind": letter.kind, "locale": terms.locale, "title": written.subject,
        "text": written.text, "at": letter.created_at, "read_at": None,
    }  # fmt: skip
    tx.insert_once(store.notice, row, key=("letter",))


def _deliveries(tx: Tx, letter: str) -> Mapping[Channel, Delivery]:
    table = store.delivery
    found = [
        store.delivery_of(row) for row in tx.run(sa.select(table).where(table.c.letter == letter))
    ]
    return {each.channel: each for each in found}


def _set_delivery(tx: Tx, letter: str, channel: Channel, state: str, *, more: int = 0) -> None:
    """Write how a letter stands on a channel, and that it is tried there once more."""
    table = store.delivery
    row = {
        "letter": letter,
        "channel": channel,
        "state": state,
        "tries": 0,
        "changed_at": tx.now_us,
    }
    tx.insert_once(table, row, key=("letter", "channel"))
    here = (table.c.letter == letter, table.c.channel == channel)
    values = {"state": state, "tries": table.c.tries + more, "changed_at": tx.now_us}
    tx.run(table.update().where(*here).values(values))


def _note_attempt(tx: Tx, mine: Claimed, outcome: Sent | NotSent) -> None:
    error = outcome.error if isinstance(outcome, NotSent) else None
    values = {"outcome": "sent" if error is None else "failed", "error": error}
    tx.run(store.attempt.update().where(store.attempt.c.id == mine.attempt).values(values))


def _end(tx: Tx, letter: Letter, state: str, reason: str) -> None:
    if state in {"failed", "no_channel"}:
        _log.warning("letter_not_sent", letter=letter.id, kind=letter.kind, why=state)
    values = {
        "state": state, "reason": reason, "due_at": None, "claim": None, "ended_at": tx.now_us,
    }  # fmt: skip
    tx.run(store.letter.update().where(store.letter.c.id == letter.id).values(values))
