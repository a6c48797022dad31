"""What usage costs by its charge: exact, piece by piece, before anything is rounded.

`rate` is the one door. It takes the usage of a period so far, never a part of it: tiers, packages
and free units are about the whole. A line for a part is the difference of two totals
(`rules_commitments.bill`). For example packages of 10 at 15: 17 units are 2 packages, 22 are 3, so
the 5 between them cost 15.
"""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

from farebox.billing.pricing.model_charges import (
    Blocks,
    ByDimension,
    Charge,
    Dynamic,
    Flat,
    Graduated,
    GraduatedPercentage,
    Package,
    Percentage,
    PerUnit,
    Volume,
    Windowed,
)
from farebox.billing.pricing.model_rating import (
    ChargeTerms,
    Conversion,
    Rated,
    Usage,
    UsageNotPriced,
)
from farebox.billing.pricing.rules_tiers import (
    NONE,
    PERCENT,
    blocks,
    graduated,
    graduated_percentage,
    packages,
    quantity_of,
    volume,
)
from farebox.billing.pricing.rules_windows import windows
from farebox.kernel.refusals import ValueRefused
from farebox.kernel.rounding import Exact, exact, rounded


def rate(terms: ChargeTerms, usage: Usage) -> Fraction:
    """Return what the usage of a period so far costs, exactly, without minimum and maximum.

    Refuses (`value_invalid`) a quantity below 0 and events that are missing, and
    (`usage_not_priced`) a part of the usage that has no charge.
    """
    return sum((piece.amount for piece in pieces(terms, usage)), NONE)


def pieces(terms: ChargeTerms, usage: Usage) -> list[Rated]:
    """Return the pieces that `rate` adds up: for each tier, event, window and part of the usage."""
    charge = terms.charge
    if not isinstance(charge, ByDimension):
        return _pieces(charge, usage, billable(terms, usage.quantity))
    found = []
    for part, of_part in usage.parts:
        own = [each.charge for each in charge.charges if each.part == part]
        simple = own[0] if own else charge.otherwise
        if simple is None:
            raise UsageNotPriced(f"there is no price for {', '.join(part)}")
        rated = _pieces(simple, of_part, of_part.quantity)
        found += [_of_part(piece, part) for piece in rated]
    return found


def billable(terms: ChargeTerms, quantity: Exact) -> Fraction:
    """Return the units to charge of those counted so far: converted, then less the free ones.

    A line of 15 after 5 used, with 10 free: 10 billable now and 0 before, so 10 (OpenMeter).
    """
    converted = convert(terms.conversion, quantity)
    return max(converted - exact(terms.free_units), NONE) if terms.free_units else converted


def convert(conversion: Conversion | None, quantity: Exact) -> Fraction:
    """Return counted units as units to charge; the rounding is the conversion's own.

    1400 divided by 1000 is 2 by ceiling, 1 by half_up, 1.4 by none. Convert the sum so far: 1400
    and then 1300 are 2700, so 3 and not 2 + 2.
    """
    counted = quantity_of(quantity)
    if conversion is None:
        return counted
    factor = exact(conversion.factor)
    converted = counted / factor if conversion.operation == "divide" else counted * factor
    if conversion.rounding == "none":
        return converted
    return Fraction(rounded(converted, conversion.rounding))


def _pieces(charge: Charge, usage: Usage, quantity: Exact) -> list[Rated]:
    match charge:
        case Flat():
            return [Rated(amount=exact(charge.amount), flat=exact(charge.amount))]
        case PerUnit():
            return _per_unit(charge.unit, quantity)
        case Package():
            return _package(charge, quantity)
        case Graduated():
            return graduated(charge, quantity)
        case Volume():
            return volume(charge, quantity)
        case Blocks():
            return blocks(charge, quantity)
        case GraduatedPercentage():
            return graduated_percentage(charge, quantity)
        case Percentage():
            return _percentage(charge, usage)
        case Dynamic():
            return _per_unit(charge.multiplier, quantity)
        case Windowed():
            rated = windows(charge, usage.windows)
            return [Rated(amount=each, place=at) for at, each in enumerate(rated.amounts, 1)]
        case ByDimension():
            raise AssertionError("the parts of a charge by dimension are simple")


def _of_part(piece: Rated, part: tuple[str, ...]) -> Rated:
    return Rated(
        amount=piece.amount,
        quantity=piece.quantity,
        place=piece.place,
        unit=piece.unit,
        flat=piece.flat,
        part=part,
    )


def _per_unit(unit: Decimal, value: Exact) -> list[Rated]:
    quantity = quantity_of(value)
    if not quantity:
        return []
    return [Rated(amount=quantity * exact(unit), quantity=quantity, unit=unit)]


def _package(charge: Package, value: Exact) -> list[Rated]:
    charged = max(quantity_of(value) - exact(charge.free), NONE)
    size = exact(charge.size)
    count = packages(charge.size, charged) if charge.rounding == "up" else charged // size
    if not count:
        return []
    return [Rated(amount=count * exact(charge.price), quantity=charged, unit=charge.price)]


# -- percentages ---------------------------------------------------------------------------------


def _percentage(charge: Percentage, usage: Usage) -> list[Rated]:
    total = quantity_of(usage.quantity)
    if not usage.count and not total:
        return []
    free = _free(charge, usage)
    if charge.least is not None or charge.most is not None:
        return _bounded(charge, usage, free)
    free_amount = sum(free, NONE)
    free_events = sum(1 for each, whole in zip(free, usage.amounts, strict=False) if each == whole)
    due = (total - free_amount) * exact(charge.percent) * PERCENT
    due += (usage.count - free_events) * exact(charge.per_event)
    return [Rated(amount=due, quantity=total - free_amount, unit=charge.percent)]


def _free(charge: Percentage, usage: Usage) -> list[Fraction]:
    """Return what is free of each of the first events, until one of the allowances is used up."""
    if charge.free_events is None and charge.free_amount is None:
        return []
    left = None if charge.free_amount is None else exact(charge.free_amount)
    most = usage.count if charge.free_events is None else min(charge.free_events, usage.count)
    free: list[Fraction] = []
    for amount in usage.amounts[:most]:
        whole = quantity_of(amount)
        if left is not None and whole > left:
            # Free in part: its percent is due on the rest, and its fee in full.
            return [*free, left]
        free.append(whole)
        left = None if left is None else left - whole
    if len(free) < most:
        raise ValueRefused("the amounts of the events that may be free are missing")
    return free


def _bounded(charge: Percentage, usage: Usage, free: Sequence[Fraction]) -> list[Rated]:
    if len(usage.amounts) != usage.count:
        raise ValueRefused("the least and most of an event need the amount of each event")
    rated = []
    for place, amount in enumerate(usage.amounts, 1):
        whole = quantity_of(amount)
        charged = whole - (free[place - 1] if place <= len(free) else 0)
        if place <= len(free) and not charged:
            continue
        due = charged * exact(charge.percent) * PERCENT + exact(charge.per_event)
        if charge.least is not None:
            due = max(due, exact(charge.least))
        if charge.most is not None:
            due = min(due, exact(charge.most))
        rated.append(Rated(amount=due, quantity=charged, place=place, unit=charge.percent))
    return rated
