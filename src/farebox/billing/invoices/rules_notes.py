"""Credit notes of an invoice: which lines they credit, what each of them is, and its entries.

What a note is worth is decided by `pricing.rules_credit`; here it is shared out over the lines, so
that they add up to the note, and written into the books: what was not earned yet is taken back
before what was.
"""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Final

from farebox.billing.books.model import (
    CREDIT,
    DEFERRED,
    RECEIVABLE,
    REVENUE,
    ROUNDING,
    SUSPENSE,
    TAX,
    Line,
)
from farebox.billing.invoices.model import (
    LONGEST_TEXT,
    CreditedLine,
    CreditLine,
    CreditNote,
    Invoice,
    InvoicePayment,
    InvoiceTermsRefused,
    IssuedLine,
    TaxPart,
)
from farebox.billing.pricing.model_money import (
    Billed,
    BilledLine,
    Note,
    NoteItem,
    NoteRefused,
    Rate,
)
from farebox.kernel.rounding import allocate
from farebox.platform.rules import checked_text

ROUNDED: Final = "rounded"


def billed_of(invoice: Invoice) -> Billed:
    """Return an invoice as the rules of credit notes see it.

    Lines of less than nothing are left out: nothing of them can be credited.
    """
    return Billed(
        lines=tuple(
            BilledLine(
                id=str(each.line),
                amount=each.sold.amount,
                discount=each.discount,
                rates=tuple(Rate(part.code, Decimal(part.percent)) for part in each.taxes),
            )
            for each in invoice.lines
            if each.sold.amount > 0
        ),
        tax=invoice.tax,
        total=invoice.total,
        paid=invoice.paid,
        inclusive=invoice.inclusive,
    )


def items_of(
    invoice: Invoice, earlier: Iterable[Note], lines: Sequence[CreditLine], amount: int | None
) -> list[NoteItem]:
    """Return what a note credits: the lines named, an amount over all, or all that is left.

    An amount is before discounts, shared out by what is left of each line. Refuses
    (`invoice_terms_refused`) both at once and a line named twice, and (`credit_exceeds_invoice`) an
    amount beyond what is left, and a note when nothing is.
    """
    if lines and amount is not None:
        raise InvoiceTermsRefused("a note credits either lines or an amount")
    if len({each.line for each in lines}) != len(lines):
        raise InvoiceTermsRefused("a note credits each line once")
    if lines:
        return [NoteItem(line=str(each.line), amount=each.amount) for each in lines]
    left = {str(each.line): each.sold.amount for each in invoice.lines if each.sold.amount > 0}
    for note in earlier:
        for item in note.items:
            left[item.line] -= item.amount
    shares = list(left.values())
    if amount is not None:
        if type(amount) is not int or not 1 <= amount <= sum(shares):
            raise NoteRefused(f"an amount is from 1 to what is left, {sum(shares)}")
        shares = allocate(amount, shares)
    pairs = zip(left, shares, strict=True)
    found = [NoteItem(line=line, amount=share) for line, share in pairs if share]
    if not found:
        raise NoteRefused("nothing is left of the invoice")
    return found


def credited_lines(
    invoice: Invoice, note: Note, undeferrable: dict[int, int]
) -> tuple[CreditedLine, ...]:
    """Return a note's lines, which add up to it. `undeferrable` of each is not earned yet.

    What was not earned is taken back before what was.
    """
    of = {each.line: each for each in invoice.lines}
    lines = [of[int(item.line)] for item in note.items]
    worth = [
        item.amount * Fraction(line.sold.amount - line.discount, line.sold.amount)
        for item, line in zip(note.items, lines, strict=True)
    ]
    percents = [sum(Fraction(part.percent) for part in line.taxes) for line in lines]
    whole = note.total if invoice.inclusive else note.subtotal
    shares = allocate(whole, worth) if any(worth) else [0 for _ in worth]
    weights = [each * percent for each, percent in zip(worth, percents, strict=True)]
    taxes = allocate(note.tax, weights if any(weights) else [Fraction(1) for _ in worth])
    made = []
    for item, line, share, tax in zip(note.items, lines, shares, taxes, strict=True):
        net = share - tax if invoice.inclusive else share
        made.append(
            CreditedLine(
                line=line.line,
                amount=item.amount,
                net=net,
                tax=tax,
                taxes=_tax_parts(line, tax),
                undeferred=min(max(net, 0), undeferrable.get(line.line, 0)),
            )
        )
    return tuple(made)


def _tax_parts(line: IssuedLine, tax: int) -> tuple[TaxPart, ...]:
    percents = [Fraction(part.percent) for part in line.taxes]
    if not any(percents):
        # What rounding left over of an invoice may end on a line that has no tax of its own.
        over = (TaxPart(ROUNDED, "0", tax),) if tax else ()
        return (*(TaxPart(part.code, part.percent, 0) for part in line.taxes), *over)
    return tuple(
        TaxPart(part.code, part.percent, share)
        for part, share in zip(line.taxes, allocate(tax, percents), strict=True)
    )


def note_entries(
    lines: Sequence[CreditedLine], *, canceled: int, refund: int, credit: int
) -> list[Line]:
    """Return what a note brings into the books: revenue and tax back, to whom it is due.

    What is refunded waits in suspense for the payment that gives it back.
    """
    sides = [(RECEIVABLE, canceled), (SUSPENSE, refund), (CREDIT, credit)]
    parts: list[tuple[str, int]] = []
    for line in lines:
        parts += [(DEFERRED, line.undeferred), (REVENUE, line.net - line.undeferred)]
        parts += [
            (ROUNDING if part.code == ROUNDED else f"{TAX}:{part.code}", part.amount)
            for part in line.taxes
        ]
    entries: list[Line] = []
    for account, amount in parts:
        left = amount
        for place, (side, open_) in enumerate(sides):
            taken = min(left, open_)
            entries.append(Line(account, side, taken))
            sides[place] = (side, open_ - taken)
            left -= taken
    return entries


def checked_reason(reason: str) -> str:
    """Return why something is credited; refuses (`value_invalid`) nothing and what is too long."""
    return checked_text(reason, "a reason", longest=LONGEST_TEXT)


def rules_note(note: CreditNote) -> Note:
    """Return a credit note as the rules of later ones see it."""
    return Note(
        items=tuple(NoteItem(line=str(each.line), amount=each.amount) for each in note.lines),
        adjustment=note.adjustment,
        subtotal=note.subtotal,
        tax=note.tax,
        tax_exactly=Fraction(note.tax_exactly),
        total=note.total,
        canceled=note.canceled,
        refund=note.refund,
        credit=note.credit,
    )


def money_paid(payments: Iterable[InvoicePayment], earlier: Iterable[Note]) -> int:
    """Return what of the money that paid an invoice was not sent back yet."""
    return sum(each.applied for each in payments) - sum(each.refund for each in earlier)


def refundable(billed: Billed, note: Note, earlier: Iterable[Note], money: int) -> int:
    """Return how much of a note can go back by the way it was paid.

    Credit that paid is given again as credit: it was never money of this invoice.
    """
    returned = sum(each.refund + each.credit for each in earlier)
    return max(0, min(note.total - note.canceled, billed.paid - returned, money))
