"""Invoices: drafting, reading, history. Issuing, paying and crediting are beside this file."""

from collections.abc import Sequence
from decimal import Decimal
from hashlib import sha256

import msgspec
import sqlalchemy as sa

from farebox.billing.customers.model import Customer
from farebox.billing.customers.service import ensure_by_id, find_customer, read_customer
from farebox.billing.customers.service_payer import payer_of
from farebox.billing.invoices import store
from farebox.billing.invoices.model import (
    INVOICES,
    Happened,
    Invoice,
    InvoiceBelowZero,
    InvoiceEmpty,
    InvoiceIssued,
    InvoiceKeyReused,
    InvoiceLine,
    InvoicePriced,
    InvoiceState,
    InvoiceUnknown,
    IssuedLine,
    TaxNote,
)
from farebox.billing.invoices.rules import (
    check_period,
    checked_due_days,
    checked_lines,
    priced_lines,
    quote_lines,
    with_deferred,
)
from farebox.billing.invoices.service_settings import find_series
from farebox.billing.pricing.model_taxes import Payer
from farebox.billing.pricing.service_credit import Quote
from farebox.billing.pricing.service_currency import scale_of
from farebox.billing.pricing.service_quotes import total_of
from farebox.kernel.ids import record_id
from farebox.kernel.refusals import TryAgain, ValueRefused
from farebox.platform.model import SYSTEM, Actor, Page
from farebox.platform.rules import checked_limit, page_of
from farebox.storage import Tx


def draft(
    tx: Tx,
    *,
    customer: str,
    currency: str,
    lines: Sequence[InvoiceLine],
    due_days: int,
    key: str,
    period: tuple[int, int] | None = None,
    subscription: str | None = None,
    order: str | None = None,
    quote: Quote | None = None,
    series: str = INVOICES,
    language: str | None = None,
    actor: Actor = SYSTEM,
) -> Invoice:
    """Draft an invoice; lines may be added until it is issued. Under a `key` it is made once.

    A `quote` that was shown (an order's) gives the totals, line by line, and no line is added;
    without it they are what the same code makes of the lines now, and again at issue. `language`
    None is the customer's. Refuses `customer_unknown`, `currency_unknown`, `series_unknown`,
    `value_invalid`, what `total_of` refuses, and (`invoice_key_reused`) another draft under the
    same key.
    """
    new = begun(
        tx, customer=customer, currency=currency, lines=lines, due_days=due_days, key=key,
        period=period, subscription=subscription, order=order, quote=quote, series=series,
        language=language,
    )  # fmt: skip
    if not new.is_first:
        return read_invoice(tx, new.invoice.id)
    note_down(tx, new.invoice, "drafted", actor)
    return new.invoice


class Begun(msgspec.Struct, frozen=True, kw_only=True):
    """A draft with its customer; `is_first` says that it was made, and not found under its key.

    `quote` is what it was priced by, where it has lines.
    """

    invoice: Invoice
    customer: Customer
    is_first: bool
    quote: Quote | None = None


def begun(
    tx: Tx,
    *,
    customer: str,
    currency: str,
    lines: Sequence[InvoiceLine],
    due_days: int,
    key: str,
    period: tuple[int, int] | None = None,
    subscription: str | None = None,
    order: str | None = None,
    quote: Quote | None = None,
    series: str = INVOICES,
    language: str | None = None,
) -> Begun:
    """Write a draft and its lines, once under a key, without a word in its history; see `draft`."""
    start, end = period or (None, None)
    asked = _digest(customer, currency, list(lines), due_days, period, subscription, order, series)
    known = tx.one(sa.select(store.invoice).where(store.invoice.c.key == key))
    if known is not None:
        if known.asked != asked:
            raise InvoiceKeyReused
        found = store.invoice_of(known)
        return Begun(invoice=found, customer=read_customer(tx, found.customer), is_first=False)
    checked_lines(lines)
    check_period(start, end)
    scale_of(currency)
    payer = ensure_by_id(tx, customer)
    if find_series(tx, series).kind != "invoice":
        raise ValueRefused("this series is of another kind of documents")
    made = Invoice(
        id=record_id("inv"), key=key, series=series, customer=payer.id, currency=currency,
        language=language, subscription=subscription, order=order, period_start=start,
        period_end=end, due_days=checked_due_days(due_days), priced=quote is not None,
        created_at=tx.now_us, state="draft", year=None, sequence=None, number=None, issued_at=None,
        due_at=None, seller=None, buyer=None, inclusive=False, treatment=None, fees=0, discount=0,
        net=0, tax=0, total=0, paid=0, canceled=0, written_off=0, closed_at=None,
    )  # fmt: skip
    by = quote or (quote_of(tx, made, lines, payer) if lines else None)
    made = _priced(made, lines, by)
    # As it is now: who issues at once has no line to change.
    made = msgspec.structs.replace(made, lines=with_deferred(made.lines, tx.now_us))
    if not tx.insert_once(store.invoice, store.invoice_row(made, asked), key=("key",)):
        raise TryAgain
    _write_lines(tx, made)
    return Begun(invoice=made, customer=payer, is_first=True, quote=by)


def add_lines(
    tx: Tx, invoice_id: str, lines: Sequence[InvoiceLine], *, actor: Actor = SYSTEM
) -> Invoice:
    """Add lines to a draft, and price it anew.

    Refuses `invoice_unknown`, `invoice_issued`, `invoice_priced`, `value_invalid`, and what
    `total_of` refuses.
    """
    found = draft_of(tx, invoice_id)
    if found.priced:
        raise InvoicePriced
    together = [*(each.sold for each in found.lines), *lines]
    checked_lines(together)
    changed = price_draft(tx, found, together)
    note_down(tx, changed, "lines_added", actor, amount=len(lines))
    return changed


def preview(
    tx: Tx,
    *,
    customer: str,
    currency: str,
    lines: Sequence[InvoiceLine],
    subscription: str | None = None,
) -> tuple[IssuedLine, ...]:
    """Return what an invoice of these lines would say of each; it changes nothing.

    Of whom nothing was billed yet, only the id counts. Refuses `invoice_empty`, `value_invalid`,
    and what `total_of` refuses.
    """
    if not lines:
        raise InvoiceEmpty
    checked_lines(lines)
    known = find_customer(tx, customer)
    payer = Payer(id=customer) if known is None else payer_of(known)
    asked = quote_lines(lines, currency)
    return priced_lines(lines, total_of(tx, asked, payer, tx.now_us, subscription=subscription))


def discard(tx: Tx, invoice_id: str) -> None:
    """Throw a draft away; refuses `invoice_unknown` and `invoice_issued`."""
    found = draft_of(tx, invoice_id)
    tx.run(store.line.delete().where(store.line.c.invoice == found.id))
    tx.run(store.invoice.delete().where(store.invoice.c.id == found.id))


def price_draft(
    tx: Tx, found: Invoice, lines: Sequence[InvoiceLine], quote: Quote | None = None
) -> Invoice:
    """Write what lines come to now, by the one code of quotes, or as a quote says it."""
    priced = _priced(found, lines, quote or (quote_of(tx, found, lines) if lines else None))
    tx.run(store.line.delete().where(store.line.c.invoice == found.id))
    _write_lines(tx, priced)
    here = store.invoice.c.id == found.id
    names = ("inclusive", "treatment", "fees", "discount", "net", "tax", "total")
    row = store.invoice_row(priced, "")
    tx.run(store.invoice.update().where(here).values({name: row[name] for name in names}))
    return priced


def _priced(found: Invoice, lines: Sequence[InvoiceLine], quote: Quote | None) -> Invoice:
    """Return a draft with lines as a quote says them; without a quote it comes to nothing."""
    made: tuple[IssuedLine, ...] = ()
    if quote is not None and lines:
        if quote.currency != found.currency:
            raise ValueRefused("the quote is in another currency")
        made = priced_lines(lines, quote)
        treatment = TaxNote(kind=quote.treatment.kind, note=quote.treatment.note)
        found = msgspec.structs.replace(found, inclusive=quote.inclusive, treatment=treatment)
    return msgspec.structs.replace(
        found,
        lines=made,
        fees=sum(each.sold.amount for each in made),
        discount=sum(each.discount for each in made),
        net=sum(each.net for each in made),
        tax=sum(each.tax for each in made),
        total=sum(each.gross for each in made),
    )


def _write_lines(tx: Tx, found: Invoice) -> None:
    rows = (store.line_row(found.id, each) for each in found.lines)
    tx.insert_many(store.line, store.LINE, [tuple(map(row.get, store.LINE)) for row in rows])


def quote_of(
    tx: Tx, found: Invoice, lines: Sequence[InvoiceLine], customer: Customer | None = None
) -> Quote:
    """Return what lines come to for the invoice's customer now; refuses what `total_of` refuses."""
    payer = payer_of(customer or read_customer(tx, found.customer))
    asked = quote_lines(lines, found.currency)
    return total_of(tx, asked, payer, tx.now_us, subscription=found.subscription)


def check_issuable(found: Invoice) -> None:
    """Refuse (`invoice_empty`, `invoice_below_zero`) a draft that no document can be made of."""
    if not found.lines:
        raise InvoiceEmpty
    if found.total < 0 or found.net < 0:
        raise InvoiceBelowZero


def read_invoice(tx: Tx, invoice_id: str) -> Invoice:
    """Return an invoice; refuses an unknown one (`invoice_unknown`)."""
    return _read(tx, sa.select(store.invoice).where(store.invoice.c.id == invoice_id))


def lock_invoice(tx: Tx, invoice_id: str) -> Invoice:
    """Return an invoice that nobody else changes before this transaction ends."""
    here = sa.select(store.invoice).where(store.invoice.c.id == invoice_id)
    return _read(tx, here.with_for_update())


def draft_of(tx: Tx, invoice_id: str) -> Invoice:
    """Return a draft, locked; refuses `invoice_unknown` and `invoice_issued`."""
    found = lock_invoice(tx, invoice_id)
    if found.state != "draft":
        raise InvoiceIssued
    return found


def _read(tx: Tx, statement: sa.Select[tuple[object, ...]]) -> Invoice:
    row = tx.one(statement)
    if row is None:
        raise InvoiceUnknown
    lines = sa.select(store.line).where(store.line.c.invoice == row.id).order_by(store.line.c.line)
    return store.invoice_of(row, tuple(store.line_of(each) for each in tx.run(lines)))


def list_invoices(
    tx: Tx,
    *,
    customer: str | None = None,
    state: InvoiceState | None = None,
    subscription: str | None = None,
    order: str | None = None,
    issued_only: bool = False,
    after: str | None = None,
    limit: int = 100,
) -> Page[Invoice]:
    """Return invoices without their lines, newest first; `after` is the page's cursor."""
    table = store.invoice
    statement = sa.select(table).order_by(table.c.id.desc()).limit(checked_limit(limit) + 1)
    wanted = {"customer": customer, "state": state, "subscription": subscription, "order_id": order}
    for name, value in wanted.items():
        if value is not None:
            statement = statement.where(table.c[name] == value)
    if issued_only:
        statement = statement.where(table.c.state != "draft")
    if after is not None:
        statement = statement.where(table.c.id < after)
    found = [store.invoice_of(row) for row in tx.run(statement)]
    return page_of(found, limit, lambda each: each.id)


def due_invoices(tx: Tx, *, limit: int) -> list[str]:
    """Return the ids of issued invoices whose day has passed, the oldest first."""
    table = store.invoice
    late = sa.select(table.c.id).where(table.c.state == "issued", table.c.due_at <= tx.now_us)
    return [row.id for row in tx.run(late.order_by(table.c.due_at).limit(limit))]


def history_of(tx: Tx, invoice_id: str) -> list[Happened]:
    """Return what became of an invoice, oldest first."""
    table = store.history
    rows = tx.run(sa.select(table).where(table.c.invoice == invoice_id).order_by(table.c.seq))
    return [store.happened_of(row) for row in rows]


def note_down(
    tx: Tx,
    found: Invoice,
    what: str,
    actor: Actor,
    *,
    amount: int | None = None,
    reference: str | None = None,
) -> None:
    """Write an entry of an invoice's history, as it stands after it."""
    row = {
        "invoice": found.id,
        "what": what,
        "state": found.state,
        "actor_kind": actor.kind,
        "actor": actor.id,
        "reason": actor.reason,
        "amount": amount,
        "reference": reference,
        "at": tx.now_us,
    }
    tx.insert_many(store.history, tuple(row), [tuple(row.values())])


def _digest(*asked: object) -> str:
    return sha256(msgspec.json.encode(asked, order="sorted", enc_hook=_decimals)).hexdigest()


def _decimals(value: object) -> str:
    assert isinstance(value, Decimal)
    return str(value)
