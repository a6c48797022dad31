"""Prices in tiers: what a quantity owes in each tier that it enters.

A tier ends at its bound, inclusive: with bounds at 5 and 10, a quantity of 5 is in the first tier
and 5.001 enters the second, whose flat fee is then due in full. Amounts are exact; nothing here
rounds. For example up to 10 at 10 and a flat 2, then at 5 and a flat 3: 12 units owe
10 x 10 + 2 + 2 x 5 + 3 = 115.
"""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Final

from farebox.billing.pricing.model_charges import (
    AtZero,
    Blocks,
    BlockTier,
    Graduated,
    GraduatedPercentage,
    PercentTier,
    Tier,
    Volume,
)
from farebox.billing.pricing.model_rating import Rated
from farebox.kernel.refusals import ValueRefused
from farebox.kernel.rounding import Exact, exact

NONE: Final = Fraction(0)
PERCENT: Final = Fraction(1, 100)


def quantity_of(value: Exact) -> Fraction:
    """Return a quantity exactly; refuses (`value_invalid`) what is below 0."""
    quantity = exact(value)
    if quantity < 0:
        raise ValueRefused("a quantity is not below 0")
    return quantity


def graduated(charge: Graduated, value: Exact) -> list[Rated]:
    """Rate each tier that a quantity enters."""
    quantity = _at_least(quantity_of(value), charge.least)
    if not quantity:
        return _nothing(charge.at_zero, charge.tiers[0].flat)
    insides = _inside(quantity, _bounds(charge.tiers))
    return [
        _tier(tier, inside, place)
        for place, (tier, inside) in enumerate(zip(charge.tiers, insides, strict=False), 1)
    ]


def volume(charge: Volume, value: Exact) -> list[Rated]:
    """Rate a quantity as a whole by the one tier that holds it."""
    quantity = _at_least(quantity_of(value), charge.least)
    if not quantity:
        return _nothing(charge.at_zero, charge.tiers[0].flat)
    for place, tier in enumerate(charge.tiers, 1):
        if tier.up_to is None or quantity <= tier.up_to:
            return [_tier(tier, quantity, place)]
    raise AssertionError("the last tier is open")


def graduated_percentage(charge: GraduatedPercentage, value: Exact) -> list[Rated]:
    """Rate each tier that an amount of money enters, by percent."""
    amount = quantity_of(value)
    if not amount:
        return _nothing(charge.at_zero, charge.tiers[0].flat)
    insides = _inside(amount, _bounds(charge.tiers))
    return [
        _percent_tier(tier, inside, place)
        for place, (tier, inside) in enumerate(zip(charge.tiers, insides, strict=False), 1)
    ]


def graduated_prorated(charge: Graduated, changes: Sequence[tuple[Exact, Exact]]) -> list[Rated]:
    """Rate changes of a quantity within a period, each with its full and its prorated units.

    The prorated units of a change are spread over the tiers as its full units cross them, also
    downward; the flat of every tier that was ever entered is due in full. Full units +5, +5 with
    3.5 and 2.66667 prorated, over five at 10, then at 5: 35 + 13.33335, and both flats. Refuses
    (`value_invalid`) a quantity that falls below 0 and a change of nothing that has prorated
    units. (Lago, prorated graduated.)
    """
    bounds = _bounds(charge.tiers)
    spread = [NONE for _ in bounds]
    standing = highest = NONE
    for full, prorated in ((exact(full), exact(part)) for full, part in changes):
        after = quantity_of(standing + full)
        if not full and prorated:
            raise ValueRefused("a change of nothing has no prorated units")
        for place, crossed in _crossed(bounds, standing, after):
            spread[place] += prorated * crossed / full
        standing, highest = after, max(highest, after)
    if not highest:
        return _nothing(charge.at_zero, charge.tiers[0].flat)
    entered = len(_inside(highest, bounds))
    return [
        _tier(tier, units, place)
        for place, (tier, units) in enumerate(zip(charge.tiers, spread, strict=True), 1)
        if place <= entered
    ]


def blocks(charge: Blocks, value: Exact) -> list[Rated]:
    """Rate whole blocks, tier by tier or all of them at the price of the tier reached."""
    quantity = quantity_of(value)
    if not quantity:
        return []
    below, reached = NONE, []
    for place, tier in enumerate(charge.tiers, 1):
        last = place == len(charge.tiers)
        holds = None if last or tier.blocks is None else tier.blocks * exact(tier.size)
        inside = quantity - below if holds is None else min(quantity - below, holds)
        reached.append((tier, inside, place))
        below += inside
        if below == quantity:
            break
    if charge.scope == "top_tier":
        tier, _, place = reached[-1]
        return [_blocks(tier, quantity, place)]
    return [_blocks(tier, inside, place) for tier, inside, place in reached]


def packages(size: Decimal, quantity: Fraction) -> int:
    """Return how many packages hold a quantity, the last one perhaps in part."""
    return -(-quantity // exact(size))


def _blocks(tier: BlockTier, quantity: Fraction, place: int) -> Rated:
    due = packages(tier.size, quantity) * exact(tier.price)
    return Rated(amount=due, quantity=quantity, place=place, unit=tier.price)


def _at_least(quantity: Fraction, least: Decimal) -> Fraction:
    return max(quantity, exact(least)) if quantity else quantity


def _nothing(at_zero: AtZero, flat: Decimal) -> list[Rated]:
    if at_zero == "nothing" or not flat:
        return []
    return [Rated(amount=exact(flat), flat=exact(flat))]


def _tier(tier: Tier, inside: Fraction, place: int) -> Rated:
    flat = exact(tier.flat)
    due = inside * exact(tier.unit) + flat
    if tier.cap is not None:
        due = min(due, exact(tier.cap))
    return Rated(amount=due, quantity=inside, place=place, unit=tier.unit, flat=flat)


def _percent_tier(tier: PercentTier, inside: Fraction, place: int) -> Rated:
    flat = exact(tier.flat)
    due = inside * exact(tier.percent) * PERCENT + flat
    return Rated(amount=due, quantity=inside, place=place, unit=tier.percent, flat=flat)


def _bounds(tiers: Sequence[Tier] | Sequence[PercentTier]) -> list[Decimal | None]:
    return [tier.up_to for tier in tiers]


def _inside(quantity: Fraction, bounds: Sequence[Decimal | None]) -> list[Fraction]:
    """Return what of a quantity lies in each tier that it enters."""
    below, parts = NONE, []
    for bound in bounds:
        upper = quantity if bound is None else min(quantity, exact(bound))
        parts.append(upper - below)
        below = upper
        if below == quantity:
            break
    return parts


def _crossed(
    bounds: Sequence[Decimal | None], before: Fraction, after: Fraction
) -> Iterator[tuple[int, Fraction]]:
    """Yield the tiers between two quantities, and how far each is crossed: below 0 downward."""
    lower = NONE
    for place, bound in enumerate(bounds):
        upper = max(before, after) if bound is None else exact(bound)
        crossed = _clamp(after, lower, upper) - _clamp(before, lower, upper)
        if crossed:
            yield place, crossed
        lower = upper


def _clamp(value: Fraction, lower: Fraction, upper: Fraction) -> Fraction:
    return max(lower, min(value, upper))
