"""Invoices: what was sold to whom, for how much, with which tax, and what became of it.

Amounts are whole numbers of the currency's smallest unit, times microseconds UTC. An invoice is a
draft until it is issued; from then on only its state and what was paid of it change.
"""

from typing import Final, Literal

import msgspec

from farebox.billing.pricing.model_money import Rate
from farebox.kernel.refusals import Refusal

InvoiceState = Literal["draft", "issued", "paid", "past_due", "void", "uncollectible"]
DocumentKind = Literal["invoice", "credit_note"]
Step = Literal["issue", "settle", "fall_due", "void", "write_off"]
Form = Literal["pdf", "ubl", "cii"]
Settling = Literal["refund", "credit"]

INVOICES: Final = "invoices"
CREDIT_NOTES: Final = "credit_notes"
LANGUAGES: Final = ("en", "ru")
MOST_LINES: Final = 1_000
LONGEST_TEXT: Final = 512
LONGEST_DUE_DAYS: Final = 366


class InvoiceLine(msgspec.Struct, frozen=True, kw_only=True):
    """What is sold: an amount before discounts and tax, and what it is for.

    `amount` may be below 0: what was not used of something paid before. `quantity` and
    `unit_price` (of the currency's main unit) are decimals as text. An `inclusive` amount contains
    its taxes; all lines of an invoice are alike in it. `rates` are the line's own taxes, before the
    customer's, which are those of `tax_category`. A line with a period that is not over is earned
    day by day.
    """

    description: str
    amount: int
    product: str | None = None
    plan: str | None = None
    item: str | None = None
    price: str | None = None
    price_version: int | None = None
    unit_price: str | None = None
    quantity: str = "1"
    unit: str | None = None
    period_start: int | None = None
    period_end: int | None = None
    inclusive: bool = False
    tax_category: str | None = None
    rates: tuple[Rate, ...] | None = None


class TaxPart(msgspec.Struct, frozen=True):
    """One tax of a line: its code, its percentage then, and what it came to."""

    code: str
    percent: str
    amount: int


class IssuedLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line with everything that was decided about it; once issued it never changes.

    `net + tax = gross`. `discount` is all that was taken off `amount`, `discounts` says it by
    coupon. `deferred` is the part of `net` that was not earned at issue.
    """

    line: int
    sold: InvoiceLine
    discount: int
    net: int
    tax: int
    gross: int
    taxes: tuple[TaxPart, ...] = ()
    discounts: dict[str, int] = {}
    deferred: int = 0


class Place(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A postal address; `country` is an ISO 3166 code of two letters."""

    lines: tuple[str, ...] = ()
    city: str | None = None
    postal_code: str | None = None
    region: str | None = None
    country: str | None = None


class Bank(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where to pay to: an IBAN or another account, the bank's name and its code (BIC)."""

    account: str
    name: str | None = None
    code: str | None = None
    correspondent: str | None = None


class Seller(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who sells, as documents say it.

    `tax_number` is the VAT number (with its country's letters) or the like, `registration` the
    number in the register of companies, `terms` a text at the foot of every invoice.
    """

    name: str
    place: Place
    tax_number: str | None = None
    registration: str | None = None
    email: str | None = None
    phone: str | None = None
    bank: Bank | None = None
    terms: str | None = None
    language: str = "en"


class Buyer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who bought, as a document says it; frozen at issue."""

    id: str
    name: str
    place: Place
    email: str | None = None
    tax_number: str | None = None


class TaxNote(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why no tax is charged, where none is: the note that the document carries."""

    kind: Literal["taxed", "exempt", "reverse_charge"] = "taxed"
    note: str | None = None


class Invoice(msgspec.Struct, frozen=True, kw_only=True):
    """An invoice with its lines. Totals of a draft are what they would be now.

    `number` is what people call it, `sequence` its place in the series of `year` (0: a series that
    goes on over years). `due = total - paid - canceled - written_off`: `canceled` was taken back by
    credit notes before it was paid, `written_off` was given up.
    """

    id: str
    key: str
    series: str
    customer: str
    currency: str
    language: str | None
    subscription: str | None
    order: str | None
    period_start: int | None
    period_end: int | None
    due_days: int
    priced: bool
    created_at: int
    state: InvoiceState
    year: int | None
    sequence: int | None
    number: str | None
    issued_at: int | None
    due_at: int | None
    seller: Seller | None
    buyer: Buyer | None
    inclusive: bool
    treatment: TaxNote | None
    fees: int
    discount: int
    net: int
    tax: int
    total: int
    paid: int
    canceled: int
    written_off: int
    closed_at: int | None
    lines: tuple[IssuedLine, ...] = ()

    @property
    def due(self) -> int:
        """Return what is still owed."""
        return self.total - self.paid - self.canceled - self.written_off


class CreditLine(msgspec.Struct, frozen=True):
    """How much of a line, before its discount, is credited."""

    line: int
    amount: int


class CreditedLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line of a credit note. `undeferred` is the part of `net` that was not earned yet."""

    line: int
    amount: int
    net: int
    tax: int
    taxes: tuple[TaxPart, ...] = ()
    undeferred: int = 0


class CreditNote(msgspec.Struct, frozen=True, kw_only=True):
    """What was taken back of an invoice: `subtotal + tax = total = canceled + refund + credit`.

    `canceled` was not paid yet and is owed no more, `refund` goes back by the way it was paid,
    `credit` is kept for later invoices.
    """

    id: str
    key: str
    invoice: str
    customer: str
    currency: str
    series: str
    year: int
    sequence: int
    number: str
    issued_at: int
    reason: str
    seller: Seller
    buyer: Buyer
    adjustment: int
    subtotal: int
    tax: int
    tax_exactly: str
    total: int
    canceled: int
    refund: int
    credit: int
    lines: tuple[CreditedLine, ...] = ()


class InvoicePayment(msgspec.Struct, frozen=True, kw_only=True):
    """A payment of an invoice; what was more than owed became the customer's credit."""

    invoice: str
    payment: str
    amount: int
    applied: int
    at: int


class Happened(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of an invoice's history."""

    what: str
    state: InvoiceState
    actor_kind: str
    actor: str
    reason: str | None
    amount: int | None
    reference: str | None
    at: int


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """How documents of a series are numbered: `INV-2026-000001` is prefix, year, sequence."""

    series: str
    kind: DocumentKind
    prefix: str
    yearly: bool = True
    digits: int = 6


class DocumentFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file of a document, as it was made first. `digest` is SHA-256, `language` none for XML."""

    document: str
    form: Form
    language: str
    media: str
    content: bytes
    digest: str
    at: int


class Due(msgspec.Struct, frozen=True, kw_only=True):
    """A document that is to be made and handed over; `tries` have failed so far."""

    document: str
    invoice: str
    tries: int


class InvoiceUnknown(Refusal):
    """There is no such invoice."""

    code = "invoice_unknown"


class CreditNoteUnknown(Refusal):
    """There is no such credit note."""

    code = "credit_note_unknown"


class InvoiceKeyReused(Refusal):
    """Another document was asked for under the same key."""

    code = "invoice_key_reused"


class InvoiceIssued(Refusal):
    """An issued invoice is not changed."""

    code = "invoice_issued"


class InvoiceNotIssued(Refusal):
    """The invoice is still a draft."""

    code = "invoice_not_issued"


class InvoicePaidAlready(Refusal):
    """Nothing is owed of this invoice."""

    code = "invoice_paid_already"


class InvoiceEmpty(Refusal):
    """An invoice has at least one line."""

    code = "invoice_empty"


class InvoiceTermsRefused(Refusal):
    """What is asked for does not go together."""

    code = "invoice_terms_refused"


class InvoiceBelowZero(Refusal):
    """An invoice does not come to less than nothing; what is given back is a credit note."""

    code = "invoice_below_zero"


class InvoicePriced(Refusal):
    """The totals of this invoice were given with its lines, so no line is added alone."""

    code = "invoice_priced"


class TransitionRefused(Refusal):
    """An invoice in this state does not take this step."""

    code = "invoice_transition_refused"


class PeriodClosed(Refusal):
    """The period is closed: nothing is dated in it any more."""

    code = "period_closed"


class SellerMissing(Refusal):
    """Say first who sells: no invoice is issued without the seller's details."""

    code = "seller_missing"


class SeriesUnknown(Refusal):
    """There is no such series of documents."""

    code = "series_unknown"


class SeriesTaken(Refusal):
    """Another series has this code or this prefix, or has numbered documents already."""

    code = "series_taken"


class PdfMissing(Refusal):
    """Documents as PDF need the extra `pdf` of Farebox."""

    code = "pdf_missing"


class PdfUnfit(Refusal):
    """No font here has a letter of the document: install one on the host that has."""

    code = "pdf_unfit"


class EinvoiceMissing(Refusal):
    """Electronic invoices need the extra `einvoice` of Farebox."""

    code = "einvoice_missing"


class EinvoiceUnfit(Refusal):
    """This document cannot be said in EN 16931."""

    code = "einvoice_unfit"
