"""The order of an invoice: fees, coupons, tax, credit notes, prepaid credits, and what is due.

One function for the cart, its preview, the order and the invoice, so that none can drift from the
others. 50 + 20 - 10 = 60, tax 10 % = 66, less 20 and 30 = 16 due (Lago, credit notes).

Credits are means of payment: they never reduce what is taxed. Who wants them to (`before_tax`) says
so; that is a discount on the base then, shared out over the lines by largest remainder.
"""

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction

import msgspec

from farebox.billing.pricing.model_money import (
    Discount,
    Level,
    Line,
    Rate,
    Redemption,
    Tax,
    TaxLine,
    Treatment,
)
from farebox.billing.pricing.rules_discounts import discount
from farebox.billing.pricing.rules_tax import tax
from farebox.kernel.refusals import ValueRefused
from farebox.kernel.rounding import Rounding, allocate


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """An invoice from its fees to what is due.

    `fees - discount.total - credits_before_tax = tax.net` for prices without tax in them, and
    `tax.gross - notes_used - prepaid_used = due`.
    """

    fees: int
    discount: Discount
    credits_before_tax: int
    tax: Tax
    notes_used: int
    prepaid_used: int
    due: int


def totals(
    lines: Sequence[Line],
    redemptions: Iterable[Redemption] = (),
    *,
    rates: Sequence[Rate] = (),
    own_rates: Mapping[str, tuple[Rate, ...]] | None = None,
    treatment: Treatment | None = None,
    inclusive: bool = False,
    level: Level = "line",
    places: int = 0,
    notes: int = 0,
    prepaid: int = 0,
    before_tax: int = 0,
    rounding: Rounding = "half_up",
) -> Totals:
    """Return what lines come to, step by step.

    `own_rates` are the rates of single lines; `notes`, `prepaid` and `before_tax` what there is of
    credit notes, wallets, and credits that count before tax. Each is used as far as something is
    owed. Refuses what `discount` and `tax` refuse, and (`value_invalid`) means below 0.
    """
    if min(notes, prepaid, before_tax) < 0:
        raise ValueRefused("what pays is not below 0")
    taken = discount(lines, redemptions, places=places, rounding=rounding)
    left = [line.amount - each.exactly for line, each in zip(lines, taken.lines, strict=True)]
    used = min(before_tax, max(0, int(sum(left))))
    reductions = _before_tax(used, left)
    own = own_rates or {}
    taxed = tax(
        [
            TaxLine(id=line.id, amount=each - reduction, rates=own.get(line.id))
            for line, each, reduction in zip(lines, left, reductions, strict=True)
        ],
        rates=rates,
        inclusive=inclusive,
        level=level,
        rounding=rounding,
        treatment=treatment,
    )
    notes_used, prepaid_used, due = settle(taxed.gross, notes=notes, prepaid=prepaid)
    return Totals(
        fees=sum(line.amount for line in lines),
        discount=taken,
        credits_before_tax=used,
        tax=taxed,
        notes_used=notes_used,
        prepaid_used=prepaid_used,
        due=due,
    )


def _before_tax(amount: int, left: Sequence[Fraction]) -> list[int]:
    if not amount:
        return [0 for _ in left]
    return allocate(amount, [max(each, Fraction(0)) for each in left])


def settle(total: int, *, notes: int, prepaid: int) -> tuple[int, int, int]:
    """Return what credit notes pay of a total, then prepaid credits, and what is due then.

    A total below 0 is not paid by anything: it is due to the customer.
    """
    notes_used = min(notes, max(total, 0))
    prepaid_used = min(prepaid, max(total - notes_used, 0))
    return notes_used, prepaid_used, total - notes_used - prepaid_used
