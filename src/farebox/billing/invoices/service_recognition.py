"""Earning what was deferred: each day its part, from the period's first to its last."""

import sqlalchemy as sa

from farebox.billing.books import service as books
from farebox.billing.books.model import DEFERRED, REVENUE, About, Line
from farebox.billing.invoices import store
from farebox.billing.invoices.model import Invoice
from farebox.billing.invoices.rules import earned_of, next_day
from farebox.storage import Tx


def begin_recognition(tx: Tx, found: Invoice) -> None:
    """Plan what of an invoice is earned later."""
    rows = [
        {
            "invoice": found.id,
            "line": each.line,
            "currency": found.currency,
            "deferred": each.deferred,
            "earned": 0,
            "taken_back": 0,
            "due_at": max(each.sold.period_start or 0, tx.now_us),
        }
        for each in found.lines
        if each.deferred
    ]
    if rows:
        tx.run(store.recognition.insert(), rows)


def earned_so_far(tx: Tx, invoice_id: str, line: int) -> int:
    """Return how much of what a line deferred stands in revenue."""
    row = tx.one(_line(invoice_id, line))
    return 0 if row is None else int(row.earned)


def undeferrable(tx: Tx, found: Invoice) -> dict[int, int]:
    """Return how much of each line is neither earned nor taken back."""
    here = sa.select(store.recognition).where(store.recognition.c.invoice == found.id)
    rows = tx.run(here.order_by(store.recognition.c.line).with_for_update())
    return {row.line: int(row.deferred - row.earned - row.taken_back) for row in rows}


def take_back(tx: Tx, found: Invoice, line: int, amount: int) -> None:
    """Take back what was not earned: it never will be."""
    table = store.recognition
    here = sa.and_(table.c.invoice == found.id, table.c.line == line)
    tx.run(table.update().where(here).values(taken_back=table.c.taken_back + amount))


def recognise_due(tx: Tx, *, limit: int = 100) -> int:
    """Earn what is due by now, line by line; returns how many lines were looked at.

    A line is due again when its next day begins, so a worker that was away catches up at once.
    """
    rows = tx.run(_due(tx, limit).with_for_update(skip_locked=True)).all()
    for row in rows:
        _recognise(tx, row.invoice, row.line, row, tx.now_us)
    return len(rows)


def recognise(tx: Tx, invoice_id: str, line: int) -> None:
    """Earn what is due by now of one line; where somebody else has, it changes nothing."""
    row = tx.one(_line(invoice_id, line).with_for_update())
    if row is not None and row.due_at is not None and row.due_at <= tx.now_us:
        _recognise(tx, invoice_id, line, row, tx.now_us)


def due_lines(tx: Tx, *, limit: int) -> list[tuple[str, int]]:
    """Return invoice and number of the lines that are due, longest first."""
    return [(row.invoice, int(row.line)) for row in tx.run(_due(tx, limit))]


def _due(tx: Tx, limit: int) -> sa.Select[tuple[object, ...]]:
    table = store.recognition
    due = sa.select(table).where(table.c.due_at <= tx.now_us)
    return due.order_by(table.c.due_at, table.c.invoice).limit(limit)


def _recognise(
    tx: Tx, invoice_id: str, number: int, row: sa.Row[tuple[object, ...]], now: int
) -> None:
    here = sa.and_(store.line.c.invoice == invoice_id, store.line.c.line == number)
    line = store.line_of(tx.run(sa.select(store.line).where(here)).one())
    head = tx.run(sa.select(store.invoice).where(store.invoice.c.id == invoice_id)).one()
    target = min(earned_of(line, row.taken_back, now), row.deferred - row.taken_back)
    part = max(target - row.earned, 0)
    earned = row.earned + part
    said = About(
        kind="recognition",
        customer=head.customer,
        invoice=invoice_id,
        subscription=head.subscription,
        order=head.order_id,
        product=line.sold.product,
        plan=line.sold.plan,
        item=line.sold.item,
    )
    key = f"{invoice_id}:earned:{number}:{earned}"
    books.post(tx, head.currency, [Line(DEFERRED, REVENUE, part)], said, key=key)
    over = earned + row.taken_back >= row.deferred or now >= (line.sold.period_end or 0)
    due_at = None if over else next_day(line, now)
    table = store.recognition
    place = sa.and_(table.c.invoice == invoice_id, table.c.line == number)
    tx.run(table.update().where(place).values(earned=earned, due_at=due_at))


def _line(invoice_id: str, line: int) -> sa.Select[tuple[object, ...]]:
    table = store.recognition
    return sa.select(table).where(table.c.invoice == invoice_id, table.c.line == line)
