"""Invoices and credit notes on the wire: what is asked for, and how they are shown."""

from decimal import Decimal
from typing import Annotated, Literal

from msgspec import Meta

from farebox.billing.invoices.model import (
    LONGEST_TEXT,
    MOST_LINES,
    Buyer,
    CreditNote,
    Happened,
    Invoice,
    InvoiceLine,
    InvoicePayment,
    InvoiceState,
    IssuedLine,
    Seller,
    TaxNote,
    TaxPart,
)
from farebox.billing.pricing.model_money import Rate
from farebox.contracts.decisions import LARGEST_QUANTITY
from farebox.http.wire import ONE_LINE, Body, Id, Time, View, read_time, show_end, show_time

Currency = Annotated[str, Meta(pattern=r"^[A-Z]{3}$", description="ISO 4217")]
Signed = Annotated[int, Meta(ge=-LARGEST_QUANTITY, le=LARGEST_QUANTITY)]
Figure = Annotated[
    str, Meta(pattern=r"^(0|[1-9][0-9]{0,14})(\.[0-9]{1,12})?$", description="A decimal")
]
Percent = Annotated[str, Meta(pattern=r"^(100|[0-9]{1,2}(\.[0-9]{1,4})?)$")]
TaxCode = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[!-~]+$")]
Said = Annotated[str, Meta(min_length=1, max_length=LONGEST_TEXT, pattern=ONE_LINE)]
Unit = Annotated[str, Meta(min_length=1, max_length=32, pattern=ONE_LINE)]
Language = Literal["en", "ru"]


Quantity = Annotated[
    str,
    Meta(
        pattern=r"^(?=[0-9.]*[1-9])(0|[1-9][0-9]{0,14})(\.[0-9]{1,12})?$",
        description="A decimal above 0",
    ),
]


class LineRate(Body, frozen=True):
    """A tax of one line."""

    code: TaxCode
    percent: Percent


class NewLine(Body, frozen=True):
    """What is sold. Below 0 it is a credit; a period that is not over is earned day by day."""

    description: Said
    amount: Signed
    product: Id | None = None
    plan: Id | None = None
    item: Id | None = None
    unit_price: Figure | None = None
    quantity: Quantity = "1"
    unit: Unit | None = None
    period_start: Time | None = None
    period_end: Time | None = None
    inclusive: bool = False
    tax_category: Id | None = None
    rates: Annotated[list[LineRate], Meta(max_length=8)] | None = None


Lines = Annotated[list[NewLine], Meta(max_length=MOST_LINES)]


class TaxView(View, frozen=True):
    """One tax of a line."""

    code: str
    percent: str
    amount: int


class LineView(View, frozen=True):
    """A line: `amount - discount` is `net`, or `gross` where prices contain the tax."""

    line: int
    description: str
    product: str | None
    plan: str | None
    item: str | None
    price: str | None
    price_version: int | None
    unit_price: str | None
    quantity: str
    unit: str | None
    period_start: Time | None
    period_end: Time | None
    amount: int
    discount: int
    discounts: dict[str, int]
    net: int
    tax: int
    gross: int
    taxes: list[TaxView]
    deferred: int


class PlaceView(View, frozen=True):
    """A postal address."""

    lines: list[str]
    city: str | None
    postal_code: str | None
    region: str | None
    country: str | None


class PartyView(View, frozen=True):
    """Who sells or who bought, as the document says it."""

    name: str
    place: PlaceView
    tax_number: str | None
    email: str | None


class InvoiceView(View, frozen=True):
    """An invoice; its lines are shown where it is read alone. `due` is what is still owed."""

    id: str
    number: str | None
    state: InvoiceState
    customer: str
    currency: str
    series: str
    language: str | None
    subscription: str | None
    order: str | None
    period_start: Time | None
    period_end: Time | None
    inclusive: bool
    fees: int
    discount: int
    net: int
    tax: int
    total: int
    paid: int
    canceled: int
    written_off: int
    due: int
    tax_treatment: str | None
    tax_note: str | None
    created_at: Time
    issued_at: Time | None
    due_at: Time | None
    closed_at: Time | None
    seller: PartyView | None
    buyer: PartyView | None
    lines: list[LineView]


class PreviewView(View, frozen=True):
    """What an invoice would come to."""

    currency: str
    fees: int
    discount: int
    net: int
    tax: int
    total: int
    lines: list[LineView]


class CreditedView(View, frozen=True):
    """A credited line: `amount` is before the line's discount."""

    line: int
    amount: int
    net: int
    tax: int
    taxes: list[TaxView]


class CreditNoteView(View, frozen=True):
    """A credit note: `subtotal + tax = total = canceled + refund + credit`."""

    id: str
    number: str
    invoice: str
    customer: str
    currency: str
    reason: str
    issued_at: Time
    adjustment: int
    subtotal: int
    tax: int
    total: int
    canceled: int
    refund: int
    credit: int
    lines: list[CreditedView]


class HappenedView(View, frozen=True):
    """An entry of the history, oldest first."""

    what: str
    state: InvoiceState
    actor_kind: str
    actor: str
    reason: str | None
    amount: int | None
    reference: str | None
    at: Time


class PaidView(View, frozen=True):
    """A payment of an invoice; what it was more than `applied` became credit."""

    payment: str
    amount: int
    applied: int
    at: Time


class CreditView(View, frozen=True):
    """What a customer has of credit, by currency."""

    customer: str
    credit: dict[str, int]


def line_of(new: NewLine) -> InvoiceLine:
    """Return a line that was asked for."""
    return InvoiceLine(
        description=new.description,
        amount=new.amount,
        product=new.product,
        plan=new.plan,
        item=new.item,
        unit_price=new.unit_price,
        quantity=new.quantity,
        unit=new.unit,
        period_start=None if new.period_start is None else read_time(new.period_start),
        period_end=None if new.period_end is None else read_time(new.period_end),
        inclusive=new.inclusive,
        tax_category=new.tax_category,
        rates=None
        if new.rates is None
        else tuple(Rate(each.code, Decimal(each.percent)) for each in new.rates),
    )


def show_line(line: IssuedLine) -> LineView:
    """Return a line as the API shows it."""
    sold = line.sold
    return LineView(
        line=line.line,
        description=sold.description,
        product=sold.product,
        plan=sold.plan,
        item=sold.item,
        price=sold.price,
        price_version=sold.price_version,
        unit_price=sold.unit_price,
        quantity=sold.quantity,
        unit=sold.unit,
        period_start=show_end(sold.period_start),
        period_end=show_end(sold.period_end),
        amount=sold.amount,
        discount=line.discount,
        discounts=line.discounts,
        net=line.net,
        tax=line.tax,
        gross=line.gross,
        taxes=_taxes(line.taxes),
        deferred=line.deferred,
    )


def _taxes(parts: tuple[TaxPart, ...]) -> list[TaxView]:
    return [TaxView(code=part.code, percent=part.percent, amount=part.amount) for part in parts]


def show_party(party: Seller | Buyer | None) -> PartyView | None:
    """Return a party as the API shows it."""
    if party is None:
        return None
    place = party.place
    return PartyView(
        name=party.name,
        place=PlaceView(
            lines=list(place.lines),
            city=place.city,
            postal_code=place.postal_code,
            region=place.region,
            country=place.country,
        ),
        tax_number=party.tax_number,
        email=party.email,
    )


def show_invoice(found: Invoice) -> InvoiceView:
    """Return an invoice as the API shows it."""
    treatment = found.treatment or TaxNote()
    return InvoiceView(
        id=found.id,
        number=found.number,
        state=found.state,
        customer=found.customer,
        currency=found.currency,
        series=found.series,
        language=found.language,
        subscription=found.subscription,
        order=found.order,
        period_start=show_end(found.period_start),
        period_end=show_end(found.period_end),
        inclusive=found.inclusive,
        fees=found.fees,
        discount=found.discount,
        net=found.net,
        tax=found.tax,
        total=found.total,
        paid=found.paid,
        canceled=found.canceled,
        written_off=found.written_off,
        due=0 if found.state == "void" else found.due,
        tax_treatment=treatment.kind,
        tax_note=treatment.note,
        created_at=show_time(found.created_at),
        issued_at=show_end(found.issued_at),
        due_at=show_end(found.due_at),
        closed_at=show_end(found.closed_at),
        seller=show_party(found.seller),
        buyer=show_party(found.buyer),
        lines=[show_line(line) for line in found.lines],
    )


def show_note(note: CreditNote) -> CreditNoteView:
    """Return a credit note as the API shows it."""
    return CreditNoteView(
        id=note.id,
        number=note.number,
        invoice=note.invoice,
        customer=note.customer,
        currency=note.currency,
        reason=note.reason,
        issued_at=show_time(note.issued_at),
        adjustment=note.adjustment,
        subtotal=note.subtotal,
        tax=note.tax,
        total=note.total,
        canceled=note.canceled,
        refund=note.refund,
        credit=note.credit,
        lines=[
            CreditedView(
                line=line.line,
                amount=line.amount,
                net=line.net,
                tax=line.tax,
                taxes=_taxes(line.taxes),
            )
            for line in note.lines
        ],
    )


def show_happened(entry: Happened) -> HappenedView:
    """Return an entry of the history as the API shows it."""
    return HappenedView(
        what=entry.what,
        state=entry.state,
        actor_kind=entry.actor_kind,
        actor=entry.actor,
        reason=entry.reason,
        amount=entry.amount,
        reference=entry.reference,
        at=show_time(entry.at),
    )


def show_paid(paid: InvoicePayment) -> PaidView:
    """Return a payment as the API shows it."""
    return PaidView(
        payment=paid.payment, amount=paid.amount, applied=paid.applied, at=show_time(paid.at)
    )
