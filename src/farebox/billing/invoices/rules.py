"""What an invoice may become, what it comes to, and what of it stands in the books.

A draft is issued once. What is issued is owed until it is settled (paid, or canceled by credit
notes), voided as if it had never been owed, or given up; what was given up may still be paid:

    draft -> issued -> past_due -> paid | void | uncollectible -> paid

Worked example: 100.00 and 50.00 with 10 % off and 20 % tax are 135.00 and 27.00 of tax; 162.00 are
receivable, 135.00 are revenue (deferred, where the service's period is not over), 27.00 tax.
"""

from collections.abc import Sequence
from fractions import Fraction
from typing import Final, Protocol

import msgspec

from farebox.billing.books.model import (
    BAD_DEBT,
    CREDIT,
    DEFERRED,
    RECEIVABLE,
    REVENUE,
    SUSPENSE,
    TAX,
    Line,
)
from farebox.billing.invoices.model import (
    LONGEST_DUE_DAYS,
    LONGEST_TEXT,
    MOST_LINES,
    InvoiceLine,
    InvoiceState,
    InvoiceTermsRefused,
    IssuedLine,
    Step,
    TaxPart,
    TransitionRefused,
)
from farebox.billing.pricing.model_money import (
    Discount,
    Rate,
    Tax,
)
from farebox.billing.pricing.model_quotes import QuoteLine
from farebox.kernel.amounts import MAX_AMOUNT
from farebox.kernel.clock import LAST_US, SECOND_US
from farebox.kernel.refusals import ValueRefused
from farebox.kernel.rounding import rounded

DAY_US: Final = 86_400 * SECOND_US
STEPS: Final[dict[tuple[InvoiceState, Step], InvoiceState]] = {
    ("draft", "issue"): "issued",
    ("issued", "settle"): "paid",
    ("past_due", "settle"): "paid",
    ("uncollectible", "settle"): "paid",
    ("issued", "fall_due"): "past_due",
    ("issued", "void"): "void",
    ("past_due", "void"): "void",
    ("issued", "write_off"): "uncollectible",
    ("past_due", "write_off"): "uncollectible",
}
"""The only table of what follows what; the database has its copy in a trigger."""
OVER: Final[frozenset[InvoiceState]] = frozenset({"paid", "void", "uncollectible"})
"""Nobody waits for money any more; of one that was given up it is still taken."""


class Quoted(Protocol):
    """What an invoice takes from a quote."""

    @property
    def fees(self) -> int:
        """Return the sum of the lines."""
        ...

    @property
    def discount(self) -> Discount:
        """Return what coupons take off each line."""
        ...

    @property
    def tax(self) -> Tax:
        """Return the taxes of each line."""
        ...

    @property
    def inclusive(self) -> bool:
        """Tell whether the lines contain their taxes."""
        ...


def after(state: InvoiceState, step: Step) -> InvoiceState:
    """Return the state after a step; refuses (`invoice_transition_refused`) what is not there."""
    following = STEPS.get((state, step))
    if following is None:
        raise TransitionRefused(f"an invoice that is {state} does not take the step {step}")
    return following


def checked_lines(lines: Sequence[InvoiceLine]) -> None:
    """Refuse (`value_invalid`) lines that no document can show."""
    if len(lines) > MOST_LINES:
        raise ValueRefused(f"an invoice has at most {MOST_LINES} lines")
    for line in lines:
        if not 1 <= len(line.description) <= LONGEST_TEXT:
            raise ValueRefused(f"a description has 1 to {LONGEST_TEXT} characters")
        if type(line.amount) is not int or abs(line.amount) > MAX_AMOUNT:
            raise ValueRefused(f"an amount is a whole number of at most {MAX_AMOUNT}")
        check_period(line.period_start, line.period_end)
    _check_rates(lines)


def _check_rates(lines: Sequence[InvoiceLine]) -> None:
    """Refuse (`invoice_terms_refused`) two rates of one code, on a line or over all of them."""
    known: dict[str, Rate] = {}
    for line in lines:
        rates = line.rates or ()
        if len({rate.code for rate in rates}) != len(rates):
            raise InvoiceTermsRefused("a line has each tax once")
        for rate in rates:
            if known.setdefault(rate.code, rate) != rate:
                raise InvoiceTermsRefused(f"the tax {rate.code} has one percentage")


def check_period(start: int | None, end: int | None) -> None:
    """Refuse (`invoice_terms_refused`) half a period, and one that ends before it begins."""
    if (start is None) != (end is None):
        raise InvoiceTermsRefused("a period has a start and an end")
    if start is not None and end is not None and not 0 <= start < end <= LAST_US:
        raise InvoiceTermsRefused("a period ends after it begins")


def checked_due_days(days: int) -> int:
    """Return how long an invoice may take to be paid; refuses (`value_invalid`) beyond a year."""
    if type(days) is not int or not 0 <= days <= LONGEST_DUE_DAYS:
        raise ValueRefused(f"an invoice is due within 0 to {LONGEST_DUE_DAYS} days")
    return days


def deferred_of(sold: InvoiceLine, net: int, at: int) -> int:
    """Return how much of a line is earned later: all, while its period is not over."""
    return net if sold.period_end is not None and sold.period_end > at and net > 0 else 0


def with_deferred(lines: Sequence[IssuedLine], at: int) -> tuple[IssuedLine, ...]:
    """Return lines that say how much of them is earned after an instant."""
    return tuple(
        msgspec.structs.replace(each, deferred=deferred_of(each.sold, each.net, at))
        for each in lines
    )


def move(debit: str, credit: str, amount: int) -> Line:
    """Return an amount between two accounts; below 0 it goes the other way."""
    return Line(debit, credit, amount) if amount >= 0 else Line(credit, debit, -amount)


def issue_entries(line: IssuedLine) -> list[Line]:
    """Return what a line brings into the books when it is issued."""
    return [
        move(RECEIVABLE, REVENUE, line.net - line.deferred),
        move(RECEIVABLE, DEFERRED, line.deferred),
        *(move(RECEIVABLE, f"{TAX}:{part.code}", part.amount) for part in line.taxes),
    ]


def void_entries(line: IssuedLine, recognised: int) -> list[Line]:
    """Return what takes a line out of the books; `recognised` of what was deferred is earned."""
    left = line.deferred - recognised
    return [
        move(REVENUE, RECEIVABLE, line.net - left),
        move(DEFERRED, RECEIVABLE, left),
        *(move(f"{TAX}:{part.code}", RECEIVABLE, part.amount) for part in line.taxes),
    ]


def payment_entries(*, applied: int, over: int, recovered: int) -> list[Line]:
    """Return what a payment brings: it pays the debt, or one given up, and the rest is credit."""
    return [
        Line(SUSPENSE, RECEIVABLE, applied - recovered),
        Line(SUSPENSE, BAD_DEBT, recovered),
        Line(SUSPENSE, CREDIT, over),
    ]


def quote_lines(lines: Sequence[InvoiceLine], currency: str) -> list[QuoteLine]:
    """Return lines as the code of quotes takes them; each is named by its place, from 1."""
    return [
        QuoteLine(
            id=str(place),
            amount=sold.amount,
            currency=currency,
            product=sold.product,
            plan=sold.plan,
            item=sold.item,
            inclusive=sold.inclusive,
            tax_category=sold.tax_category,
            rates=sold.rates,
        )
        for place, sold in enumerate(lines, 1)
    ]


def priced_lines(sold: Sequence[InvoiceLine], totals: Quoted) -> tuple[IssuedLine, ...]:
    """Return lines with what a quote says of each, in its order.

    Refuses (`value_invalid`) a quote of other lines, and one that keeps parts of smallest units.
    """
    taxed, taken = totals.tax.lines, totals.discount.lines
    if len(taxed) != len(sold) or totals.fees != sum(each.amount for each in sold):
        raise ValueRefused("the quote is of other lines")
    percents = {row.code: f"{row.percent:f}" for row in totals.tax.breakdown}
    made = []
    for place, (line, tax, off) in enumerate(zip(sold, taxed, taken, strict=True), 1):
        left = tax.gross if totals.inclusive else tax.net
        if off.places:
            raise ValueRefused("discounts on an invoice are whole smallest units")
        made.append(
            IssuedLine(
                line=place,
                sold=line,
                discount=line.amount - left,
                net=tax.net,
                tax=tax.tax,
                gross=tax.gross,
                taxes=tuple(
                    TaxPart(code, percents[code], amount) for code, amount in tax.by_rate.items()
                ),
                discounts=dict(off.by_code),
            )
        )
    return tuple(made)


def earned_of(line: IssuedLine, taken_back: int, now: int) -> int:
    """Return how much of a line's deferred part is earned by now: in equal parts a day.

    A day (of UTC) is earned when it begins; `taken_back` by credit notes is earned never.
    """
    start, end = line.sold.period_start, line.sold.period_end
    if start is None or end is None or now >= end:
        return line.deferred - taken_back
    days = max(-(-end // DAY_US) - start // DAY_US, 1)
    passed = min(max(now // DAY_US - start // DAY_US + (now >= start), 0), days)
    return rounded(Fraction((line.deferred - taken_back) * passed, days))


def next_day(line: IssuedLine, now: int) -> int:
    """Return when the next part of a line is earned: when a day begins, at the latest its end."""
    start, end = line.sold.period_start or now, line.sold.period_end or now
    return start if now < start else min((now // DAY_US + 1) * DAY_US, end)
