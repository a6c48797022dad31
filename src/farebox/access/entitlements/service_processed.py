"""Events of billing systems, each dealt with once: by its source and its id."""

import hashlib

import sqlalchemy as sa

from farebox.access.entitlements import store
from farebox.access.entitlements.model import EventReused, Outcome
from farebox.kernel.refusals import TryAgain
from farebox.platform.rules import checked_text
from farebox.storage import Tx

LONGEST_WORD = 256


def note_processed(
    tx: Tx,
    source: str,
    event_id: str,
    type_: str,
    body: bytes,
    *,
    subject: str,
    occurred_at: int,
) -> Outcome | None:
    """Note that an event is dealt with by this transaction; None if it comes for the first time.

    Otherwise the outcome of the first time. Refuses another content under the same source and id
    (`event_id_reused`).
    """
    fingerprint = hashlib.blake2b(body, digest_size=16).digest()
    row = {
        "source": checked_text(source, "a source", longest=LONGEST_WORD),
        "event_id": checked_text(event_id, "an event's id", longest=LONGEST_WORD),
        "type": type_,
        "fingerprint": fingerprint,
        "subject": checked_text(subject, "a subject", longest=LONGEST_WORD),
        "occurred_at": occurred_at,
        "processed_at": tx.now_us,
        "outcome": "applied",
    }
    if tx.insert_once(store.processed, row, key=("source", "event_id")):
        return None
    table = store.processed
    here = sa.and_(table.c.source == source, table.c.event_id == event_id)
    found = tx.one(sa.select(table.c.fingerprint, table.c.outcome).where(here))
    if found is None:
        raise TryAgain
    if bytes(found.fingerprint) != fingerprint:
        raise EventReused(source=source, event_id=event_id)
    outcome: Outcome = found.outcome
    return outcome


def note_outcome(tx: Tx, source: str, event_id: str, outcome: Outcome) -> None:
    """Note that an event changed nothing, and why."""
    table = store.processed
    here = sa.and_(table.c.source == source, table.c.event_id == event_id)
    tx.run(table.update().where(here).values(outcome=outcome))
