"""Credit notes: what of an issued invoice is taken back, with the remainder rule.

A note credits lines, each at most what is left of it. Like every partial line it bills what is
credited **so far** less what was credited before, never the part alone: so the note that exhausts
an invoice absorbs what was rounded earlier, and all notes add up to the invoice to the last unit.

    adjustment = round(discount share of all credited so far) - adjustments before
    subtotal   = items - adjustment
    tax        = round(tax on all credited so far - taxes before), at most
                 round(subtotal + tax, both exact) - subtotal, and at most what is left of the tax
    total      = subtotal + tax

Two lines of 68.33 at 20 %: the invoice is 163.99, the notes 82.00 and then 81.99 (Lago
credit_note_spec). A line of 399.00 with 250.00 off, of which 262.60 is credited: adjustment 164.54,
subtotal 98.06, tax 19.61, total 117.67.

What a note is worth goes first against what is still owed, then to a refund as far as something
was paid and is not refunded yet, and the rest is credit.
"""

from collections.abc import Sequence
from fractions import Fraction
from typing import Final

from farebox.billing.pricing.model_money import (
    Billed,
    BilledLine,
    Note,
    NoteItem,
    NoteRefused,
    RefundRefused,
)
from farebox.kernel.rounding import exact, rounded

_ALL: Final = 100


def credit_note(
    billed: Billed, items: Sequence[NoteItem], earlier: Sequence[Note] = (), *, refund: int = 0
) -> Note:
    """Return the note that credits these items after those before it.

    `refund` is what shall be paid back. Refuses (`credit_exceeds_invoice`) an unknown line, an
    amount below 1 and more than is left of a line; (`refund_exceeds_payment`) a refund of more than
    the note leaves, or than was paid and not refunded yet.
    """
    lines = {line.id: line for line in billed.lines}
    after = _credited(earlier)
    for item in items:
        if item.line not in lines or item.amount < 1:
            raise NoteRefused
        after[item.line] = after.get(item.line, 0) + item.amount
        if after[item.line] > lines[item.line].amount:
            raise NoteRefused(f"more than is left of line {item.line}")
    wanted = sum(item.amount for item in items)
    adjustment = rounded(_discount(lines, after)) - sum(note.adjustment for note in earlier)
    worth = wanted - adjustment
    tax_exactly = _tax(billed, lines, after) - sum(note.tax for note in earlier)
    tax = billed.tax - sum(note.tax for note in earlier)
    if any(after.get(line.id, 0) < line.amount for line in billed.lines):
        tax = min(tax, rounded(tax_exactly))
        if not billed.inclusive:
            before = sum(note.subtotal for note in earlier)
            exactly = sum(after.values()) - _discount(lines, after) - before
            tax = max(min(tax, rounded(exactly + tax_exactly) - worth), 0)
    subtotal = worth - tax if billed.inclusive else worth
    if subtotal + tax > billed.total - sum(note.total for note in earlier):
        raise NoteRefused("more than is left of the invoice")
    return _paid_out(
        billed,
        earlier,
        Note(
            items=tuple(items),
            adjustment=adjustment,
            subtotal=subtotal,
            tax=tax,
            tax_exactly=tax_exactly,
            total=subtotal + tax,
            canceled=0,
            refund=refund,
            credit=0,
        ),
    )


def _credited(notes: Sequence[Note]) -> dict[str, int]:
    sums: dict[str, int] = {}
    for note in notes:
        for item in note.items:
            sums[item.line] = sums.get(item.line, 0) + item.amount
    return sums


def _share(line: BilledLine, amount: int) -> Fraction:
    """Return the share of a line's discount that so much of it has."""
    return exact(line.discount) * amount / line.amount if line.amount else Fraction(0)


def _discount(lines: dict[str, BilledLine], credited: dict[str, int]) -> Fraction:
    return sum((_share(lines[name], each) for name, each in credited.items()), Fraction(0))


def _tax(billed: Billed, lines: dict[str, BilledLine], credited: dict[str, int]) -> Fraction:
    total = Fraction(0)
    for name, amount in credited.items():
        percent = sum(Fraction(rate.percent) for rate in lines[name].rates)
        whole = _ALL + percent if billed.inclusive else _ALL
        total += (amount - _share(lines[name], amount)) * percent / whole
    return total


def _paid_out(billed: Billed, earlier: Sequence[Note], note: Note) -> Note:
    """Say where a note's worth goes: against the debt, then back, then to credit."""
    owed = max(0, billed.total - billed.paid - sum(each.canceled for each in earlier))
    canceled = min(note.total, owed)
    rest = note.total - canceled
    returned = sum(each.refund + each.credit for each in earlier)
    if not 0 <= note.refund <= min(rest, billed.paid - returned):
        raise RefundRefused
    return Note(
        items=note.items,
        adjustment=note.adjustment,
        subtotal=note.subtotal,
        tax=note.tax,
        tax_exactly=note.tax_exactly,
        total=note.total,
        canceled=canceled,
        refund=note.refund,
        credit=rest - note.refund,
    )
