"""Tax: which rates a line has, how much tax they make, and who is charged none.

Exclusive tax is `net x r`; inclusive tax is contained in the price, `gross x r / (1 + R)` with R
the sum of a line's rates (12.00 at 20 % is 10.00 + 2.00). Several taxes do not compound: 6 % + 2 %
of 100 is 8. A line's own rates go before the customer's.

Where tax is rounded is a setting, `level`, and each gives another answer for the same invoice:

    line    each rate on each line, then summed: what every line shows is what is added up
    rate    each rate once, over all lines
    total   once, over everything

The lines always add up to the total: under `rate` and `total` what rounding leaves over goes to the
largest remainders. An invoice of eight discounted lines (Lago coupons_breakdown_spec) has 1887,
1890 and 1889 by `line`, `rate` and `total`.
"""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Final

import stdnum.exceptions
from stdnum.eu import vat

from farebox.billing.pricing.model_money import (
    Level,
    LineTax,
    PlaceRate,
    Rate,
    RateTotal,
    Tax,
    TaxedParty,
    TaxLine,
    TaxRefused,
    Treatment,
    VatNumber,
    VatNumberRefused,
)
from farebox.kernel.rounding import Rounding, exact, rounded, spread

_ALL: Final = 100
# ISO 3166 and the tax offices of Greece do not agree about its letters.
_ISO: Final = {"el": "gr"}
# Northern Ireland has VAT numbers of its own, for goods; what is sold here is a service.
_UNION: Final = frozenset(vat.MEMBER_STATES) - {"xi"}
REVERSE_CHARGE: Final = "Reverse charge: VAT is to be paid by the recipient (2006/112/EC, Art. 196)"
Cell = tuple[int, Rate]


def tax(
    lines: Sequence[TaxLine],
    *,
    rates: Sequence[Rate] = (),
    inclusive: bool = False,
    level: Level = "line",
    rounding: Rounding = "half_up",
    treatment: Treatment | None = None,
) -> Tax:
    """Return the taxes of lines, each rounded as `level` says, and what they add up to.

    `rates` are the customer's, for lines without their own. A treatment other than `taxed` charges
    none; a price that is inclusive is then what is owed, net. Refuses (`tax_invalid`) a rate that
    is not from 0 to 100, and two rates of one code on a line or of one code and two percentages.
    """
    free = treatment is not None and treatment.kind != "taxed"
    of = [() if free else tuple(rates) if line.rates is None else line.rates for line in lines]
    _check(of)
    amounts = [exact(line.amount) for line in lines]
    exactly = {
        (place, rate): _tax_of(amounts[place], rate, of[place], inclusive=inclusive)
        for place in range(len(lines))
        for rate in of[place]
    }
    cells = _rounded(exactly, level, rounding)
    whole = spread(rounded(sum(amounts), rounding="half_up"), amounts)
    made = []
    for place, line in enumerate(lines):
        by_rate = {rate.code: cells[place, rate] for rate in of[place]}
        amount = sum(by_rate.values())
        net = whole[place] - amount if inclusive else whole[place]
        made.append(LineTax(id=line.id, net=net, tax=amount, gross=net + amount, by_rate=by_rate))
    return Tax(
        lines=tuple(made),
        breakdown=_breakdown(cells, exactly, amounts, inclusive=inclusive),
        net=sum(line.net for line in made),
        tax=sum(line.tax for line in made),
        gross=sum(line.gross for line in made),
    )


def _tax_of(amount: Fraction, rate: Rate, rates: Sequence[Rate], *, inclusive: bool) -> Fraction:
    together = sum(Fraction(each.percent) for each in rates) if inclusive else 0
    return amount * Fraction(rate.percent) / (_ALL + together)


def _rounded(exactly: dict[Cell, Fraction], level: Level, rounding: Rounding) -> dict[Cell, int]:
    """Round the tax of each rate on each line so that the parts add up at the level named."""
    if level == "line":
        return {cell: rounded(each, rounding) for cell, each in exactly.items()}
    groups: dict[Rate | None, list[Cell]] = {}
    for cell in exactly:
        groups.setdefault(cell[1] if level == "rate" else None, []).append(cell)
    found: dict[Cell, int] = {}
    for members in groups.values():
        parts = [exactly[cell] for cell in members]
        found.update(zip(members, spread(rounded(sum(parts), rounding), parts), strict=True))
    return found


def _breakdown(
    cells: dict[Cell, int],
    exactly: dict[Cell, Fraction],
    amounts: Sequence[Fraction],
    *,
    inclusive: bool,
) -> tuple[RateTotal, ...]:
    bases: dict[Rate, Fraction] = {}
    sums: dict[Rate, int] = {}
    contained: dict[int, Fraction] = {}
    for (place, _), part in exactly.items():
        contained[place] = contained.get(place, Fraction(0)) + part
    for (place, rate), whole in cells.items():
        net = amounts[place] - contained[place] if inclusive else amounts[place]
        bases[rate] = bases.get(rate, Fraction(0)) + net
        sums[rate] = sums.get(rate, 0) + whole
    return tuple(
        RateTotal(code=rate.code, percent=rate.percent, base=bases[rate], tax=sums[rate])
        for rate in sorted(sums, key=lambda rate: (rate.code, rate.percent))
    )


def _check(of: Iterable[Sequence[Rate]]) -> None:
    known: dict[str, Decimal] = {}
    for rates in of:
        if len({rate.code for rate in rates}) != len(rates):
            raise TaxRefused("a line has each tax once")
        for rate in rates:
            if not rate.percent.is_finite() or not 0 <= rate.percent <= _ALL:
                raise TaxRefused
            if known.setdefault(rate.code, rate.percent) != rate.percent:
                raise TaxRefused(f"{rate.code} has two percentages on one invoice")


def rates_at(
    table: Iterable[PlaceRate], *, country: str, region: str | None, category: str | None = None
) -> tuple[Rate, ...]:
    """Return the rates of a place: those of its region before its country's, a category's first."""
    found = [
        each
        for each in table
        if each.country == country
        and each.region in {None, region}
        and each.category in {None, category}
    ]
    if not found:
        return ()
    return max(found, key=lambda each: (each.region is not None, each.category is not None)).rates


def vat_number(text: str, *, now: int) -> VatNumber:
    """Read a VAT number with its country's letters; refuses (`vat_number_invalid`) a wrong one.

    Its form and check digits are checked (python-stdnum); whether it is registered today is what
    VIES answers, and that is outside of a rule.
    """
    try:
        number = vat.validate(text)
    except stdnum.exceptions.ValidationError as error:
        raise VatNumberRefused from error
    letters = number[:2].lower()
    country = _ISO.get(letters, letters)
    return VatNumber(country=country.upper(), number=number, checked_at_us=now)


def treatment_of(customer: TaxedParty, *, seller_country: str) -> Treatment:
    """Return whether a customer is charged tax.

    Nobody exempt is. A business in another member state of the Union than the seller's, with a VAT
    number of its own country, owes the tax itself: none is charged, the invoice carries the note
    that the law requires, and number and time of check are kept.
    """
    if customer.exempt_because is not None:
        return Treatment(kind="exempt", note=customer.exempt_because, evidence=customer.vat)
    home, there = seller_country.lower(), customer.country.lower()
    if (
        customer.vat is not None
        and customer.vat.country.lower() == there
        and there != home
        and {home, there} <= _UNION
    ):
        return Treatment(kind="reverse_charge", note=REVERSE_CHARGE, evidence=customer.vat)
    return Treatment(kind="taxed", evidence=customer.vat)
