"""What usage costs by each charge model: tables of worked numbers, the amount last."""

from decimal import Decimal
from fractions import Fraction
from typing import Final

import pytest

from farebox.billing.pricing.model_charges import (
    Blocks,
    BlockTier,
    ByDimension,
    DimensionCharge,
    Dynamic,
    Flat,
    Graduated,
    GraduatedPercentage,
    Package,
    Percentage,
    PercentTier,
    PerUnit,
    Tier,
    Volume,
)
from farebox.billing.pricing.model_rating import ChargeTerms, Conversion, Usage, UsageNotPriced
from farebox.billing.pricing.rules_charges import billable, convert, pieces, rate
from farebox.billing.pricing.rules_tiers import graduated_prorated
from farebox.kernel.refusals import ValueRefused
from farebox.kernel.rounding import rounded_to

D = Decimal
ZERO_FLAT: Final = "first_tier_flat"


def tiers(*rows):
    return tuple(
        Tier(up_to=None if up_to is None else D(up_to), unit=D(unit), flat=D(flat))
        for up_to, unit, flat in rows
    )


def cost(charge, **usage):
    return rate(ChargeTerms(charge=charge), Usage(**usage))


LAGO = tiers(("10", "10", "2"), ("20", "5", "3"), (None, "5", "3"))
FLATS = tiers(("5", "0", "100"), ("10", "0", "50"), ("15", "5", "0"), (None, "1", "0"))
DECIMAL = tiers(("0.1", "10", "0"), ("1", "5", "0"), (None, "2", "0"))
FIRST_FLAT = tiers(("5", "0", "1"), ("10", "1", "2"), (None, "2", "0"))
VOLUME = tiers(("100", "2", "10"), ("200", "1", "0"), (None, "0.5", "50"))
POLAR = tiers(("10", "20000", "0"), (None, "6000", "0"))

# charge, quantity, amount
BY_QUANTITY = [
    (Flat(amount=D("9.99")), "0", "9.99"),
    (Flat(amount=D("9.99")), "1000", "9.99"),
    (PerUnit(unit=D("29.95")), "7", "209.65"),
    (PerUnit(unit=D("5.12345")), "10", "51.2345"),
    (PerUnit(unit=D("0.001")), "1", "0.001"),
    (PerUnit(unit=D("0.000000000001")), "999999999999999", "999.999999999999"),
    (Graduated(tiers=LAGO, at_zero=ZERO_FLAT), "0", "2"),
    (Graduated(tiers=LAGO), "0", "0"),
    (Graduated(tiers=LAGO), "1", "12"),
    (Graduated(tiers=LAGO), "10", "102"),
    (Graduated(tiers=LAGO), "11", "110"),
    (Graduated(tiers=LAGO), "12", "115"),
    (Graduated(tiers=LAGO), "21", "163"),
    (Graduated(tiers=DECIMAL), "0.05", "0.5"),
    (Graduated(tiers=DECIMAL), "0.5", "3.0"),
    (Graduated(tiers=FLATS, at_zero=ZERO_FLAT), "0", "100"),
    (Graduated(tiers=FLATS), "5", "100"),
    (Graduated(tiers=FLATS), "5.001", "150"),
    (Graduated(tiers=FLATS), "22", "182"),
    (Graduated(tiers=FIRST_FLAT), "0", "0"),
    (Graduated(tiers=FIRST_FLAT), "12", "12"),
    (Graduated(tiers=(Tier(unit=D(1), cap=D(3)),)), "5", "3"),
    (Graduated(tiers=(Tier(unit=D(1), cap=D(3)),)), "2", "2"),
    (Graduated(tiers=(Tier(unit=D(1), flat=D(2), cap=D(3)),)), "5", "3"),
    (Graduated(tiers=POLAR, least=D(10)), "15", "230000"),
    (Graduated(tiers=POLAR, least=D(10)), "3", "200000"),
    (Graduated(tiers=POLAR, least=D(10)), "0", "0"),
    (Volume(tiers=VOLUME, at_zero=ZERO_FLAT), "0", "10"),
    (Volume(tiers=VOLUME), "0", "0"),
    (Volume(tiers=VOLUME), "100", "210"),
    (Volume(tiers=VOLUME), "100.5", "100.5"),
    (Volume(tiers=VOLUME), "101", "101"),
    (Volume(tiers=VOLUME), "200", "200"),
    (Volume(tiers=VOLUME), "300", "200"),
    (Volume(tiers=POLAR, least=D(10)), "3", "200000"),
    (Package(size=D(10), price=D(100)), "0", "0"),
    (Package(size=D(10), price=D(100)), "121", "1300"),
    (Package(size=D(10), price=D(100), free=D(10)), "121", "1200"),
    (Package(size=D(10), price=D(100), free=D(200)), "121", "0"),
    (Package(size=D(100), price=D(1)), "250", "3"),
    (Package(size=D(100), price=D(1), rounding="down"), "250", "2"),
    (Package(size=D(100), price=D(1), rounding="down"), "99", "0"),
    (Package(size=D("0.5"), price=D(1)), "1.1", "3"),
    (Dynamic(), "40.2", "40.2"),
    (Dynamic(multiplier=D("1.33333")), "10", "13.3333"),
]  # fmt: skip


@pytest.mark.parametrize(("charge", "quantity", "amount"), BY_QUANTITY)
def test_a_quantity_costs_what_its_charge_says(charge, quantity, amount):
    assert cost(charge, quantity=D(quantity)) == Fraction(amount)


SINGLE = (
    BlockTier(size=D(1), blocks=10, price=D("1.5")),
    BlockTier(size=D(1), blocks=100, price=D("1.0")),
    BlockTier(size=D(1), blocks=1000, price=D("0.5")),
)
LARGE = (
    BlockTier(size=D(100), blocks=10, price=D(1)),
    BlockTier(size=D(1000), blocks=100, price=D(1)),
    BlockTier(size=D(1000), blocks=100, price=D("0.5")),
)
OPEN = (BlockTier(size=D(10), blocks=1, price=D(1)), BlockTier(size=D(100), price=D(2)))


@pytest.mark.parametrize(
    ("found", "scope", "quantity", "amount"),
    [
        (SINGLE, "all_tiers", "0", "0"),
        (SINGLE, "all_tiers", "10", "15"),
        (SINGLE, "all_tiers", "111", "115.5"),
        # Past the last tier's blocks the last tier goes on.
        (SINGLE, "all_tiers", "1111", "615.5"),
        (OPEN, "all_tiers", "111", "5"),
        (SINGLE, "top_tier", "0", "0"),
        (SINGLE, "top_tier", "10", "15"),
        (SINGLE, "top_tier", "111", "55.5"),
        # A capacity is inclusive; one unit more is in the next tier, whose last block is begun.
        (LARGE, "top_tier", "1000", "10"),
        (LARGE, "top_tier", "1001", "2"),
        (LARGE, "top_tier", "101000", "101"),
        (LARGE, "top_tier", "101001", "51.0"),
        (LARGE, "top_tier", "300000", "150"),
    ],
)
def test_blocks_are_whole(found, scope, quantity, amount):
    charge = Blocks(tiers=found, scope=scope)
    assert cost(charge, quantity=D(quantity)) == Fraction(amount)


# -- amounts of money ----------------------------------------------------------------------------


def events(*amounts):
    found = tuple(D(each) for each in amounts)
    return {"quantity": sum(found, D(0)), "count": len(found), "amounts": found}


FOUR = events("50", "100", "250", "400")
BOUNDED = {"percent": D("2.99"), "least": D("1.75"), "most": D(12)}
THREE = events("10", "80", "10000")


@pytest.mark.parametrize(
    ("charge", "usage", "amount"),
    [
        ({"percent": D("1.3")}, events(), "0"),
        ({"percent": D(0), "per_event": D(2)}, FOUR, "8"),
        ({"percent": D("1.3"), "per_event": D(2)}, FOUR, "18.4"),
        # The third event passes the free amount: it is free in part, its fee is due.
        ({"percent": D("1.3"), "per_event": D(2), "free_events": 3, "free_amount": D(250)}, FOUR,
         "11.15"),
        ({"percent": D("1.3"), "per_event": D(2), "free_events": 3}, FOUR, "7.2"),
        ({"percent": D("1.3"), "per_event": D(2), "free_events": 3, "free_amount": D(500)}, FOUR,
         "7.2"),
        ({"percent": D("1.3"), "per_event": D(2), "free_amount": D(150)}, FOUR, "12.45"),
        ({"percent": D("1.3"), "per_event": D(2), "free_events": 9}, FOUR, "0"),
        ({"percent": D(1), "free_events": 0}, FOUR, "8"),
        (BOUNDED, THREE, "16.142"),
        (BOUNDED | {"per_event": D(2)}, THREE, "18.691"),
        (BOUNDED | {"free_events": 2}, THREE, "12"),
        (BOUNDED | {"free_events": 3, "free_amount": D(10000)}, THREE, "2.691"),
    ],
)  # fmt: skip
def test_a_percentage_of_events_costs_what_its_terms_say(charge, usage, amount):
    assert cost(Percentage(**charge), **usage) == Fraction(amount)


def test_a_percentage_without_bounds_needs_the_events_that_may_be_free_only():
    charge = Percentage(percent=D("1.3"), per_event=D(2), free_events=2)
    whole = cost(charge, **FOUR)
    first = FOUR | {"amounts": FOUR["amounts"][:2]}
    assert cost(charge, **first) == whole == Fraction("12.45")


@pytest.mark.parametrize("charge", [{"free_events": 3}, {"free_amount": D(300)}, {"most": D(1)}])
def test_events_that_are_missing_are_refused(charge):
    with pytest.raises(ValueRefused):
        cost(Percentage(percent=D(1), **charge), quantity=D(800), count=4, amounts=(D(50), D(100)))


PERCENTS = tuple(
    PercentTier(up_to=up_to, percent=D(percent), flat=D(flat))
    for up_to, percent, flat in ((D(10), 1, 200), (D(20), 2, 300), (None, 3, 400))
)


@pytest.mark.parametrize(
    ("at_zero", "amount_of_money", "amount"),
    [
        ("first_tier_flat", "0", "200"),
        ("nothing", "0", "0"),
        ("nothing", "10", "200.1"),
        ("nothing", "11", "500.12"),
        ("nothing", "12", "500.14"),
        ("nothing", "21", "900.33"),
    ],
)
def test_percent_tiers_cost_their_percents_and_flats(at_zero, amount_of_money, amount):
    charge = GraduatedPercentage(tiers=PERCENTS, at_zero=at_zero)
    assert cost(charge, quantity=D(amount_of_money)) == Fraction(amount)


# -- by dimension --------------------------------------------------------------------------------

EU, US = ("eu", "ssd"), ("us", "ssd")
MATRIX = ByDimension(
    dimensions=("region", "disk"),
    charges=(
        DimensionCharge(part=EU, charge=PerUnit(unit=D("0.10"))),
        DimensionCharge(part=US, charge=Graduated(tiers=LAGO)),
    ),
)


def test_each_part_of_the_usage_has_its_own_charge():
    parts = ((EU, Usage(quantity=D(30))), (US, Usage(quantity=D(12))))
    terms = ChargeTerms(charge=MATRIX)
    assert rate(terms, Usage(parts=parts)) == 3 + 115
    found = [(piece.part, piece.place) for piece in pieces(terms, Usage(parts=parts))]
    assert found == [(EU, 1), (US, 1), (US, 2)]


def test_a_part_without_a_price_is_refused_unless_there_is_another_for_it():
    usage = Usage(parts=((("asia", "ssd"), Usage(quantity=D(4))),))
    with pytest.raises(UsageNotPriced, match="asia, ssd"):
        rate(ChargeTerms(charge=MATRIX), usage)
    otherwise = ByDimension(
        dimensions=MATRIX.dimensions, charges=MATRIX.charges, otherwise=PerUnit(unit=D(2))
    )
    assert rate(ChargeTerms(charge=otherwise), usage) == 8


# -- prorated graduated --------------------------------------------------------------------------

PRORATED = Graduated(tiers=tiers(("5", "10", "100"), (None, "5", "50")), at_zero=ZERO_FLAT)


@pytest.mark.parametrize(
    ("changes", "amount"),
    [
        ([], "100"),
        ([("1", "0.7")], "107"),
        ([("5", "3.5"), ("-2", "-1")], "125"),
        ([("5", "3.5"), ("5", "2.66667"), ("10", "2"), ("-6", "-2.2")], "197.33"),
        # One change over both tiers: its prorated units are halved.
        ([("10", "4")], "180"),
        # A tier that was entered and left owes its flat.
        ([("6", "6"), ("-6", "-6")], "150"),
    ],
)
def test_prorated_units_lie_in_the_tiers_that_their_full_units_cross(changes, amount):
    found = graduated_prorated(PRORATED, [(D(full), D(part)) for full, part in changes])
    assert rounded_to(2, sum((piece.amount for piece in found), Fraction(0))) == D(amount)


@pytest.mark.parametrize("changes", [[("1", "1"), ("-2", "-2")], [("0", "1")]])
def test_changes_that_cannot_be_are_refused(changes):
    with pytest.raises(ValueRefused):
        graduated_prorated(PRORATED, [(D(full), D(part)) for full, part in changes])


# -- units ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("counted", "operation", "factor", "rounding", "charged"),
    [
        ("1400", "divide", "1000", "ceiling", "2"),
        ("1400", "divide", "1000", "half_up", "1"),
        ("1500", "divide", "1000", "half_up", "2"),
        ("1900", "divide", "1000", "floor", "1"),
        ("1400", "divide", "1000", "none", "1.4"),
        ("1.5", "multiply", "60", "none", "90"),
        ("0", "divide", "1000", "ceiling", "0"),
    ],
)
def test_counted_units_become_charged_ones(counted, operation, factor, rounding, charged):
    conversion = Conversion(operation=operation, factor=D(factor), rounding=rounding)
    assert convert(conversion, D(counted)) == Fraction(charged)


def test_a_third_stays_a_third_until_the_amount_is_rounded():
    terms = ChargeTerms(
        charge=PerUnit(unit=D(3)), conversion=Conversion(operation="divide", factor=D(3))
    )
    assert rate(terms, Usage(quantity=D(1))) == 1


def test_free_units_are_taken_off_once_in_a_period():
    terms = ChargeTerms(charge=PerUnit(unit=D(1)), free_units=D(10))
    assert [billable(terms, D(used)) for used in (5, 10, 20)] == [0, 0, 10]


def test_free_units_are_units_that_are_charged():
    terms = ChargeTerms(
        charge=PerUnit(unit=D(5)),
        conversion=Conversion(operation="divide", factor=D(1000), rounding="ceiling"),
        free_units=D(1),
    )
    assert rate(terms, Usage(quantity=D(1400))) == 5


@pytest.mark.parametrize(
    "charge",
    [
        PerUnit(unit=D(1)),
        Graduated(tiers=LAGO),
        Volume(tiers=LAGO),
        Package(size=D(1), price=D(1)),
        Blocks(tiers=SINGLE),
        GraduatedPercentage(tiers=PERCENTS),
        Percentage(percent=D(1)),
        Dynamic(),
    ],
)
@pytest.mark.parametrize("quantity", [D(-1), D("NaN"), D("Infinity"), 1.5, "1", None])
def test_what_is_no_quantity_is_refused(charge, quantity):
    with pytest.raises(ValueRefused):
        cost(charge, quantity=quantity)
