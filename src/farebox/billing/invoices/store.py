"""The tables of invoices and credit notes; lists and details are JSON."""

from functools import partial
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from farebox.billing.invoices.model import (
    Buyer,
    CreditedLine,
    CreditNote,
    DocumentFile,
    Happened,
    Invoice,
    InvoiceLine,
    InvoicePayment,
    IssuedLine,
    Seller,
    Series,
    TaxNote,
    TaxPart,
)
from farebox.billing.pricing.model_money import Rate
from farebox.storage import table

metadata = sa.MetaData()
_table = partial(table, metadata)
_INT, _TEXT, _BYTES = sa.BigInteger, sa.Text, sa.LargeBinary
seller = _table("seller", version=_INT, details=_TEXT, at=_INT)
series = _table(
    "document_series", series=_TEXT, kind=_TEXT, prefix=_TEXT, yearly=_INT, digits=_INT,
    created_at=_INT,
)  # fmt: skip
counter = _table("document_counter", series=_TEXT, year=_INT, last=_INT, at=_INT)
closed_period = _table("closed_period", until=_INT, closed_at=_INT)
invoice = _table(
    "invoice", id=_TEXT, key=_TEXT, asked=_TEXT, series=_TEXT, customer=_TEXT, currency=_TEXT,
    language=_TEXT, subscription=_TEXT, order_id=_TEXT, period_start=_INT, period_end=_INT,
    due_days=_INT, priced=_INT, created_at=_INT, state=_TEXT, year=_INT, sequence=_INT,
    number=_TEXT, issued_at=_INT, due_at=_INT, seller=_TEXT, buyer=_TEXT, inclusive=_INT,
    treatment=_TEXT, fees=_INT, discount=_INT, net=_INT, tax=_INT, total=_INT, paid=_INT,
    canceled=_INT, written_off=_INT, closed_at=_INT,
)  # fmt: skip
line = _table(
    "invoice_line", invoice=_TEXT, line=_INT, description=_TEXT, product=_TEXT, plan=_TEXT,
    item=_TEXT, price=_TEXT, price_version=_INT, unit_price=_TEXT, quantity=_TEXT, unit=_TEXT,
    period_start=_INT, period_end=_INT, tax_category=_TEXT, inclusive=_INT, own_rates=_TEXT,
    amount=_INT, discount=_INT, net=_INT, tax=_INT, gross=_INT, taxes=_TEXT, discounts=_TEXT,
    deferred=_INT,
)  # fmt: skip
payment = _table(
    "invoice_payment", invoice=_TEXT, payment=_TEXT, amount=_INT, applied=_INT, at=_INT
)
note = _table(
    "credit_note", id=_TEXT, key=_TEXT, asked=_TEXT, invoice=_TEXT, customer=_TEXT, currency=_TEXT,
    series=_TEXT, year=_INT, sequence=_INT, number=_TEXT, issued_at=_INT, reason=_TEXT,
    seller=_TEXT, buyer=_TEXT, adjustment=_INT, subtotal=_INT, tax=_INT, tax_exactly=_TEXT,
    total=_INT, canceled=_INT, refund=_INT, credit=_INT,
)  # fmt: skip
note_line = _table(
    "credit_note_line", note=_TEXT, line=_INT, amount=_INT, net=_INT, tax=_INT, taxes=_TEXT,
    undeferred=_INT,
)  # fmt: skip
recognition = _table(
    "recognition", invoice=_TEXT, line=_INT, currency=_TEXT, deferred=_INT, earned=_INT,
    taken_back=_INT, due_at=_INT,
)  # fmt: skip
credit = _table("customer_credit", customer=_TEXT, currency=_TEXT, balance=_INT)
credit_entry = _table(
    "customer_credit_entry", seq=_INT, customer=_TEXT, currency=_TEXT, amount=_INT, invoice=_TEXT,
    note=_TEXT, payment=_TEXT, at=_INT,
)  # fmt: skip
history = _table(
    "invoice_history", seq=_INT, invoice=_TEXT, what=_TEXT, state=_TEXT, actor_kind=_TEXT,
    actor=_TEXT, reason=_TEXT, amount=_INT, reference=_TEXT, at=_INT,
)  # fmt: skip
file = _table(
    "document_file", document=_TEXT, form=_TEXT, language=_TEXT, media=_TEXT, content=_BYTES,
    digest=_TEXT, at=_INT,
)  # fmt: skip
delivery = _table(
    "document_delivery", document=_TEXT, invoice=_TEXT, due_at=_INT, tries=_INT, error=_TEXT,
    done_at=_INT,
)  # fmt: skip

LINE: Final = tuple(column.name for column in line.c)
_TAXES: Final = msgspec.json.Decoder(tuple[TaxPart, ...])
_RATES: Final = msgspec.json.Decoder(tuple[Rate, ...])
_DISCOUNTS: Final = msgspec.json.Decoder(dict[str, int])
_SELLER: Final = msgspec.json.Decoder(Seller)
_BUYER: Final = msgspec.json.Decoder(Buyer)
_TREATMENT: Final = msgspec.json.Decoder(TaxNote)


def text_of(value: object) -> str:
    """Return a value as the JSON that a column holds."""
    return msgspec.json.encode(value).decode()


def seller_of(text: str) -> Seller:
    """Return who sells, of a column's JSON."""
    return _SELLER.decode(text)


def series_of(row: sa.Row[Any]) -> Series:
    """Return a row of `document_series`."""
    return Series(
        series=row.series,
        kind=row.kind,
        prefix=row.prefix,
        yearly=bool(row.yearly),
        digits=row.digits,
    )


def line_row(invoice_id: str, one: IssuedLine) -> dict[str, Any]:
    """Return a line as a row."""
    sold = msgspec.structs.asdict(one.sold)
    rates = sold.pop("rates")
    return {
        **sold,
        "inclusive": int(one.sold.inclusive),
        "invoice": invoice_id,
        "line": one.line,
        "own_rates": None if rates is None else text_of(rates),
        "discount": one.discount,
        "net": one.net,
        "tax": one.tax,
        "gross": one.gross,
        "taxes": text_of(one.taxes),
        "discounts": text_of(one.discounts),
        "deferred": one.deferred,
    }


def line_of(row: sa.Row[Any]) -> IssuedLine:
    """Return a row of `invoice_line`."""
    return IssuedLine(
        line=row.line,
        sold=InvoiceLine(
            description=row.description,
            amount=row.amount,
            product=row.product,
            plan=row.plan,
            item=row.item,
            price=row.price,
            price_version=row.price_version,
            unit_price=row.unit_price,
            quantity=row.quantity,
            unit=row.unit,
            period_start=row.period_start,
            period_end=row.period_end,
            inclusive=bool(row.inclusive),
            tax_category=row.tax_category,
            rates=None if row.own_rates is None else _RATES.decode(row.own_rates),
        ),
        discount=row.discount,
        net=row.net,
        tax=row.tax,
        gross=row.gross,
        taxes=_TAXES.decode(row.taxes),
        discounts=_DISCOUNTS.decode(row.discounts),
        deferred=row.deferred,
    )


def invoice_row(one: Invoice, asked: str) -> dict[str, Any]:
    """Return an invoice, without its lines, as a row."""
    facts = msgspec.structs.asdict(one)
    del facts["lines"]
    facts["order_id"] = facts.pop("order")
    for name in ("seller", "buyer", "treatment"):
        facts[name] = None if facts[name] is None else text_of(facts[name])
    return {
        **facts,
        "asked": asked,
        "priced": int(one.priced),
        "inclusive": int(one.inclusive),
    }


def invoice_of(row: sa.Row[Any], lines: tuple[IssuedLine, ...] = ()) -> Invoice:
    """Return a row of `invoice` with its lines."""
    facts = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's own name for a row as a mapping
    del facts["asked"]
    facts["order"] = facts.pop("order_id")
    return Invoice(
        **{
            **facts,
            "priced": bool(row.priced),
            "inclusive": bool(row.inclusive),
            "seller": None if row.seller is None else _SELLER.decode(row.seller),
            "buyer": None if row.buyer is None else _BUYER.decode(row.buyer),
            "treatment": None if row.treatment is None else _TREATMENT.decode(row.treatment),
            "lines": lines,
        }
    )


def note_row(one: CreditNote, asked: str) -> dict[str, Any]:
    """Return a credit note, without its lines, as a row."""
    facts = msgspec.structs.asdict(one)
    del facts["lines"]
    return {**facts, "asked": asked, "seller": text_of(one.seller), "buyer": text_of(one.buyer)}


def note_line_row(note_id: str, one: CreditedLine) -> dict[str, Any]:
    """Return a line of a credit note as a row."""
    return {**msgspec.structs.asdict(one), "note": note_id, "taxes": text_of(one.taxes)}


def note_line_of(row: sa.Row[Any]) -> CreditedLine:
    """Return a row of `credit_note_line`."""
    return CreditedLine(
        line=row.line,
        amount=row.amount,
        net=row.net,
        tax=row.tax,
        taxes=_TAXES.decode(row.taxes),
        undeferred=row.undeferred,
    )


def note_of(row: sa.Row[Any], lines: tuple[CreditedLine, ...]) -> CreditNote:
    """Return a row of `credit_note` with its lines."""
    facts = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's own name for a row as a mapping
    del facts["asked"]
    facts["seller"] = _SELLER.decode(row.seller)
    facts["buyer"] = _BUYER.decode(row.buyer)
    return CreditNote(**facts, lines=lines)


def payment_of(row: sa.Row[Any]) -> InvoicePayment:
    """Return a row of `invoice_payment`."""
    return InvoicePayment(**row._mapping)  # noqa: SLF001 - as above


def file_of(row: sa.Row[Any]) -> DocumentFile:
    """Return a row of `document_file`."""
    return DocumentFile(
        document=row.document,
        form=row.form,
        language=row.language,
        media=row.media,
        content=bytes(row.content),
        digest=row.digest,
        at=row.at,
    )


def happened_of(row: sa.Row[Any]) -> Happened:
    """Return a row of `invoice_history`."""
    return Happened(
        what=row.what,
        state=row.state,
        actor_kind=row.actor_kind,
        actor=row.actor,
        reason=row.reason,
        amount=row.amount,
        reference=row.reference,
        at=row.at,
    )
