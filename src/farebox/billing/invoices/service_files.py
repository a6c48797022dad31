"""The files of documents, kept as they were first made, and what is still to be handed over."""

from hashlib import sha256
from typing import Final

import sqlalchemy as sa

from farebox.billing.invoices import store
from farebox.billing.invoices.model import DocumentFile, Due, Form, Invoice
from farebox.kernel.clock import SECOND_US
from farebox.storage import Tx

_PAUSE_US: Final = 60 * SECOND_US
_LONGEST_PAUSE_US: Final = 6 * 60 * _PAUSE_US
_LONGEST_ERROR: Final = 512


def find_file(tx: Tx, document: str, form: Form, language: str) -> DocumentFile | None:
    """Return a document's file, or None while it was not made."""
    table = store.file
    here = (table.c.document == document, table.c.form == form, table.c.language == language)
    row = tx.one(sa.select(table).where(*here))
    return None if row is None else store.file_of(row)


def keep_file(
    tx: Tx, document: str, form: Form, language: str, *, media: str, content: bytes
) -> DocumentFile:
    """Keep a file unless there is one; returns the one that is kept."""
    row = {
        "document": document,
        "form": form,
        "language": language,
        "media": media,
        "content": content,
        "digest": sha256(content).hexdigest(),
        "at": tx.now_us,
    }
    tx.insert_once(store.file, row, key=("document", "form", "language"))
    kept = find_file(tx, document, form, language)
    assert kept is not None
    return kept


def plan_delivery(tx: Tx, document: str, found: Invoice) -> None:
    """Let a document be made and handed over, also if it was before."""
    row = {"document": document, "invoice": found.id, "due_at": tx.now_us, "tries": 0}
    tx.upsert(store.delivery, {**row, "error": None, "done_at": None}, key=("document",))


def due_deliveries(tx: Tx, *, limit: int) -> list[Due]:
    """Return the documents that are due to be handed over, the oldest first."""
    table = store.delivery
    due = sa.select(table).where(table.c.due_at <= tx.now_us).order_by(table.c.due_at)
    return [
        Due(document=row.document, invoice=row.invoice, tries=row.tries)
        for row in tx.run(due.limit(limit))
    ]


def claim_delivery(tx: Tx, due: Due) -> bool:
    """Say that a document is handed over in this transaction; False where somebody else did."""
    table = store.delivery
    here = sa.and_(table.c.document == due.document, table.c.due_at.is_not(None))
    done = table.update().where(here).values(due_at=None, done_at=tx.now_us, error=None)
    return tx.one(done.returning(table.c.document)) is not None


def put_off(tx: Tx, due: Due, error: str) -> None:
    """Try a document again later, each time after twice the pause, of 6 hours at most."""
    table = store.delivery
    pause = min(_PAUSE_US << min(due.tries, 20), _LONGEST_PAUSE_US)
    here = sa.and_(table.c.document == due.document, table.c.due_at.is_not(None))
    changed = {"tries": due.tries + 1, "due_at": tx.now_us + pause, "error": error[:_LONGEST_ERROR]}
    tx.run(table.update().where(here).values(**changed))
