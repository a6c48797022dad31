"""What holds for every charge: parts add up to the whole, tiers join, nothing is rounded inside."""

import math
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from farebox.billing.pricing.model_charges import (
    Blocks,
    BlockTier,
    Charge,
    Dynamic,
    Flat,
    Graduated,
    Package,
    Percentage,
    PerUnit,
    Tier,
    Volume,
    Windowed,
    WindowTerms,
)
from farebox.billing.pricing.model_rating import ChargeTerms, Conversion, Usage, Window
from farebox.billing.pricing.rules_charges import pieces, rate
from farebox.billing.pricing.rules_commitments import bill, minor
from farebox.billing.pricing.rules_terms import read_terms, write_terms
from farebox.billing.pricing.rules_tiers import graduated_prorated
from farebox.billing.pricing.rules_windows import windows

prices = st.decimals(0, 10_000, places=6)
quantities = st.decimals(0, 100_000, places=3)
sizes = st.decimals("0.1", 1_000, places=1)
bounds = st.lists(st.integers(1, 50_000), max_size=5, unique=True).map(sorted)


@st.composite
def tiers(draw: st.DrawFn, *, flats: bool = True, caps: bool = True) -> tuple[Tier, ...]:
    ends = [*(Decimal(each) for each in draw(bounds)), None]
    return tuple(
        Tier(
            up_to=end,
            unit=draw(prices),
            flat=draw(prices) if flats else Decimal(0),
            cap=draw(st.none() | prices) if caps else None,
        )
        for end in ends
    )


at_zero = st.sampled_from(["nothing", "first_tier_flat"])
block_tiers = st.lists(
    st.builds(BlockTier, size=sizes, price=prices, blocks=st.integers(1, 100)),
    min_size=1,
    max_size=4,
).map(tuple)
by_quantity: st.SearchStrategy[Charge] = st.one_of(
    st.builds(PerUnit, unit=prices),
    st.builds(Graduated, tiers=tiers(), at_zero=at_zero),
    st.builds(Volume, tiers=tiers(), at_zero=at_zero),
    st.builds(
        Package,
        size=sizes,
        price=prices,
        free=quantities,
        rounding=st.sampled_from(["up", "down"]),
    ),
    st.builds(Blocks, tiers=block_tiers, scope=st.sampled_from(["all_tiers", "top_tier"])),
)
charges: st.SearchStrategy[Charge] = st.one_of(
    by_quantity, st.builds(Flat, amount=prices), st.builds(Dynamic, multiplier=prices)
)
conversions = st.builds(
    Conversion,
    operation=st.sampled_from(["divide", "multiply"]),
    factor=sizes,
    rounding=st.sampled_from(["none", "ceiling", "half_up", "floor"]),
)


@dataclass
class Agreed:
    terms: ChargeTerms
    percent_off: Decimal
    places: int


@st.composite
def agreed(draw: st.DrawFn) -> Agreed:
    least, most = sorted([draw(prices), draw(prices)])
    shaped: dict[str, Any] = {}
    charge = draw(charges)
    if not isinstance(charge, Flat | Dynamic):
        shaped = {"conversion": draw(st.none() | conversions), "free_units": draw(quantities)}
    terms = ChargeTerms(
        charge=charge,
        minimum=draw(st.none() | st.just(least)),
        maximum=draw(st.none() | st.just(most)),
        **shaped,
    )
    off = draw(st.sampled_from([Decimal(0), Decimal("33.33"), Decimal(100)]) | prices)
    return Agreed(terms, min(off, Decimal(100)), draw(st.integers(0, 3)))


def used(quantity: Decimal) -> Usage:
    return Usage(quantity=quantity)


@given(agreed(), st.lists(quantities, min_size=1, max_size=6))
def test_the_lines_of_a_period_add_up_to_one_bill_for_the_whole(found, totals):
    # Not sorted: usage may be corrected downward between two lines.
    once = bill(found.terms, used(totals[-1]), places=found.places, percent_off=found.percent_off)
    befores = [None, *(used(each) for each in totals[:-1])]
    lines = [
        bill(
            found.terms,
            used(total),
            before=before,
            places=found.places,
            percent_off=found.percent_off,
            last=place == len(totals),
        )
        for place, (before, total) in enumerate(zip(befores, totals, strict=True), 1)
    ]
    assert sum(line.gross for line in lines) == once.gross
    assert sum(line.discount for line in lines) == once.discount
    assert sum(line.net for line in lines) == once.net
    assert sum(line.total for line in lines) == once.total
    assert sum((line.exact for line in lines), Fraction(0)) == once.exact
    assert all(line.gross - line.discount - line.over_maximum == line.net for line in lines)


@given(agreed(), quantities)
def test_a_period_costs_its_minimum_at_least_and_its_maximum_at_most(found, total):
    billed = bill(found.terms, used(total), places=found.places, percent_off=found.percent_off)
    terms = found.terms
    assert 0 <= billed.net <= billed.gross
    if terms.maximum is not None:
        assert billed.total <= minor(terms.maximum, found.places)
    if terms.minimum is not None:
        assert billed.total >= minor(terms.minimum, found.places)


@given(charges, quantities, st.integers(1, 6))
def test_nothing_is_rounded_inside(charge, quantity, places):
    """Prices that are 10^n times smaller make an amount that is exactly 10^n times smaller."""
    whole = rate(ChargeTerms(charge=charge), used(quantity))
    assert rate(ChargeTerms(charge=scaled(charge, places)), used(quantity)) * 10**places == whole


def scaled(term: Any, places: int) -> Any:
    """Return terms with every price, no bound and no size, divided by 10^places."""
    changes: dict[str, Any] = {}
    for name in term.__struct_fields__:
        value = getattr(term, name)
        if name == "tiers":
            changes[name] = tuple(scaled(each, places) for each in value)
        elif name in {"amount", "unit", "flat", "cap", "price", "multiplier"} and value is not None:
            changes[name] = Decimal(value).scaleb(-places)
    return msgspec.structs.replace(term, **changes)


# -- tiers ---------------------------------------------------------------------------------------


@given(tiers(caps=False), quantities, quantities)
def test_graduated_grows_with_the_quantity(found, one, other):
    less, more = sorted([one, other])
    terms = ChargeTerms(charge=Graduated(tiers=found))
    assert rate(terms, used(less)) <= rate(terms, used(more))


@given(tiers(flats=False, caps=False), quantities, st.decimals("0.001", 1, places=3))
def test_graduated_without_flats_never_jumps(found, quantity, step):
    terms = ChargeTerms(charge=Graduated(tiers=found))
    grown = rate(terms, used(quantity + step)) - rate(terms, used(quantity))
    dearest = max(tier.unit for tier in found)
    assert 0 <= grown <= Fraction(step) * Fraction(dearest)


@given(tiers(), quantities)
def test_every_unit_is_in_one_tier(found, quantity):
    for charge in (Graduated(tiers=found), Volume(tiers=found)):
        rated = pieces(ChargeTerms(charge=charge), used(quantity))
        assert sum((piece.quantity for piece in rated), Fraction(0)) == quantity


@given(prices, quantities)
def test_one_tier_is_a_price_per_unit(unit, quantity):
    one = (Tier(unit=unit),)
    plain = rate(ChargeTerms(charge=PerUnit(unit=unit)), used(quantity))
    for charge in (Graduated(tiers=one), Volume(tiers=one)):
        assert rate(ChargeTerms(charge=charge), used(quantity)) == plain


@given(prices, quantities)
def test_blocks_and_packages_of_one_unit_are_prices_of_units_begun(unit, quantity):
    expected = Fraction(unit) * math.ceil(quantity)
    block = (BlockTier(size=Decimal(1), price=unit),)
    for charge in (
        Package(size=Decimal(1), price=unit),
        Blocks(tiers=block),
        Blocks(tiers=block, scope="top_tier"),
    ):
        assert rate(ChargeTerms(charge=charge), used(quantity)) == expected


@given(tiers(caps=False), st.lists(quantities.filter(bool), max_size=5))
def test_changes_that_are_not_prorated_cost_what_their_sum_costs(found, changes):
    charge = Graduated(tiers=found, at_zero="first_tier_flat")
    rated = graduated_prorated(charge, [(each, each) for each in changes])
    whole = rate(ChargeTerms(charge=charge), used(sum(changes, Decimal(0))))
    assert sum((piece.amount for piece in rated), Fraction(0)) == whole


# -- events and windows --------------------------------------------------------------------------


@given(
    st.lists(quantities, max_size=8),
    st.none() | st.integers(0, 8),
    st.none() | quantities,
    prices,
)
def test_events_cost_together_what_each_adds(amounts, free_events, free_amount, per_event):
    charge = Percentage(
        percent=Decimal("1.3"),
        per_event=per_event,
        free_events=free_events,
        free_amount=free_amount,
    )
    unbounded = ChargeTerms(charge=charge)
    bounded = ChargeTerms(charge=msgspec.structs.replace(charge, least=Decimal(0)))
    costs = []
    for count in range(len(amounts) + 1):
        first = tuple(amounts[:count])
        usage = Usage(quantity=sum(first, Decimal(0)), count=count, amounts=first)
        costs.append(rate(unbounded, usage))
        # A bound that binds nothing: event by event it is what the totals are.
        assert rate(bounded, usage) == costs[-1]
    assert costs == sorted(costs)


@given(prices, st.none() | prices, st.booleans(), st.lists(quantities, max_size=6))
def test_windows_are_made_up_of_what_is_agreed_used_above_it_and_missing(
    unit, commitment, true_up, quantities_of_windows
):
    terms = WindowTerms(
        unit=unit, commitment=commitment, true_up=true_up and commitment is not None
    )
    used_in = [Window(0, each) for each in quantities_of_windows]
    found = windows(Windowed(otherwise=terms), used_in)
    assert sum(found.amounts, Fraction(0)) == found.utilised + found.overage + found.true_up
    if terms.true_up and commitment is not None:
        assert all(amount >= commitment for amount in found.amounts)


@given(agreed())
def test_terms_read_back_as_they_were_written(found):
    assert read_terms(write_terms(found.terms)) == found.terms
