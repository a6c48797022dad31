"""Terms are checked when they are made: whatever exists can be rated, and reads back the same."""

from decimal import Decimal

import msgspec
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
    HourTerms,
    Package,
    Percentage,
    PercentTier,
    PerUnit,
    Tier,
    Volume,
    Windowed,
    WindowTerms,
)
from farebox.billing.pricing.model_rating import ChargeTerms, Conversion, Thresholds
from farebox.billing.pricing.rules_terms import read_terms, show_terms, write_terms
from farebox.kernel.refusals import ValueRefused

D = Decimal
ONE = PerUnit(unit=D(1))
HOURLY = WindowTerms(unit=D(1))


def bounds(*up_to):
    return tuple(Tier(up_to=None if each is None else D(each)) for each in up_to)


REFUSED = {
    "a price below 0": lambda: Flat(amount=D(-1)),
    "no number": lambda: Flat(amount=D("NaN")),
    "no end": lambda: PerUnit(unit=D("Infinity")),
    "a float": lambda: PerUnit(unit=0.1),  # type: ignore[arg-type] # which is what must not be
    "too large": lambda: PerUnit(unit=D(10**15)),
    "too fine": lambda: PerUnit(unit=D("0.0000000000001")),
    "no tier": lambda: Graduated(tiers=()),
    "too many tiers": lambda: Graduated(tiers=bounds(*range(1, 101), None)),
    "no open end": lambda: Graduated(tiers=bounds(10)),
    "two open ends": lambda: Graduated(tiers=bounds(None, None)),
    "an open end in the middle": lambda: Volume(tiers=bounds(10, None, 20)),
    "descending": lambda: Volume(tiers=bounds(10, 5, None)),
    "the same bound twice": lambda: Volume(tiers=bounds(10, 10, None)),
    "an empty first tier": lambda: Volume(tiers=bounds(0, None)),
    "percent tiers descending": lambda: GraduatedPercentage(
        tiers=(PercentTier(up_to=D(2)), PercentTier(up_to=D(1)), PercentTier())
    ),
    "a minimum beyond the first tier": lambda: Graduated(tiers=bounds(10, None), least=D(11)),
    "an empty package": lambda: Package(size=D(0), price=D(1)),
    "an empty block": lambda: BlockTier(size=D(0), price=D(1)),
    "a tier of no blocks": lambda: BlockTier(size=D(1), price=D(1), blocks=0),
    "no block tier": lambda: Blocks(tiers=()),
    "an endless block tier before the last": lambda: Blocks(
        tiers=(BlockTier(size=D(1), price=D(1)), BlockTier(size=D(1), price=D(1)))
    ),
    "free events below 0": lambda: Percentage(percent=D(1), free_events=-1),
    "least above most": lambda: Percentage(percent=D(1), least=D(2), most=D(1)),
    "true-up of no commitment": lambda: WindowTerms(unit=D(1), true_up=True),
    "overage of no commitment": lambda: WindowTerms(unit=D(1), overage_factor=D(2)),
    "an hour that is none": lambda: HourTerms(from_hour=24, to_hour=1, terms=HOURLY),
    "no hours": lambda: HourTerms(from_hour=9, to_hour=9, terms=HOURLY),
    "two terms at one hour": lambda: Windowed(
        otherwise=HOURLY,
        hours=(
            HourTerms(from_hour=22, to_hour=6, terms=HOURLY),
            HourTerms(from_hour=5, to_hour=9, terms=HOURLY),
        ),
    ),
    "no dimension": lambda: ByDimension(dimensions=(), charges=()),
    "a dimension twice": lambda: ByDimension(dimensions=("a", "a"), charges=()),
    "a part twice": lambda: ByDimension(
        dimensions=("a",), charges=(DimensionCharge(part=("x",), charge=ONE),) * 2
    ),
    "a part of another shape": lambda: ByDimension(
        dimensions=("a", "b"), charges=(DimensionCharge(part=("x",), charge=ONE),)
    ),
    "a factor of 0": lambda: Conversion(operation="divide", factor=D(0)),
    "free units of a percentage": lambda: ChargeTerms(charge=Dynamic(), free_units=D(1)),
    "units of a percentage": lambda: ChargeTerms(
        charge=Percentage(percent=D(1)), conversion=Conversion(operation="divide", factor=D(2))
    ),
    "a minimum above the maximum": lambda: ChargeTerms(charge=ONE, minimum=D(2), maximum=D(1)),
    "no threshold": Thresholds,
    "thresholds descending": lambda: Thresholds(amounts=(D(2), D(1))),
    "a threshold at 0": lambda: Thresholds(amounts=(D(0),)),
    "a recurring threshold of 0": lambda: Thresholds(recurring=D(0)),
}


@pytest.mark.parametrize("made", REFUSED.values(), ids=REFUSED.keys())
def test_terms_that_nobody_could_rate_are_refused_when_they_are_made(made):
    with pytest.raises(ValueRefused):
        made()


ALLOWED = [
    Flat(amount=D("0.01")),
    PerUnit(unit=D("0.000000000001")),
    Graduated(tiers=bounds(*range(1, 100), None), at_zero="first_tier_flat", least=D("0.5")),
    Volume(tiers=(Tier(up_to=D("0.1"), unit=D(2), flat=D(3), cap=D(4)), Tier())),
    Package(size=D(10), price=D("1.5"), free=D(3), rounding="down"),
    Blocks(tiers=(BlockTier(size=D(1), blocks=1, price=D(1)), BlockTier(size=D(2), price=D(1)))),
    Percentage(percent=D("1.3"), per_event=D(2), free_events=0, free_amount=D(0), least=D(1)),
    GraduatedPercentage(tiers=(PercentTier(up_to=D(1), percent=D(1)), PercentTier())),
    Dynamic(multiplier=D("1.33333")),
    Windowed(otherwise=HOURLY, hours=(HourTerms(from_hour=22, to_hour=6, terms=HOURLY),)),
    ByDimension(
        dimensions=("region",),
        charges=(DimensionCharge(part=("eu",), charge=Package(size=D(1), price=D(1))),),
        otherwise=ONE,
    ),
]


@pytest.mark.parametrize("charge", ALLOWED, ids=lambda charge: type(charge).__name__)
def test_terms_read_back_as_they_were_written(charge):
    terms = ChargeTerms(charge=charge, minimum=D("0.5"), maximum=D(10**14))
    assert read_terms(write_terms(terms)) == terms
    assert msgspec.json.decode(msgspec.json.encode(terms), type=ChargeTerms) == terms


@pytest.mark.parametrize(
    ("unit", "shown"),
    [("1E+3", "1000"), ("5E-7", "0.0000005"), ("0.10", "0.10"), ("0E-7", "0.0000000")],
)
def test_prices_are_shown_as_plain_decimal_strings(unit, shown):
    found = show_terms(ChargeTerms(charge=PerUnit(unit=D(unit))))
    assert found["charge"] == {"model": "per_unit", "unit": shown}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "malformed|truncated"),
        ("[]", "Expected `object`"),
        ('{"charge":{"model":"unheard_of"}}', "unheard_of"),
        ('{"charge":{"model":"flat","amount":"1","surprise":"1"}}', "surprise"),
        ('{"charge":{"model":"flat"}}', "amount"),
        ('{"charge":{"model":"flat","amount":"1"},"surprise":"1"}', "surprise"),
        ('{"charge":{"model":"flat","amount":1}}', r"charge\.amount is a decimal string"),
        ('{"charge":{"model":"flat","amount":0.1}}', r"charge\.amount is a decimal string"),
        ('{"charge":{"model":"graduated","tiers":[{"unit":0.1}]}}', r"tiers\[0\]\.unit"),
        ('{"charge":{"model":"percentage","percent":"1","free_events":1.5}}', "free_events"),
        ('{"charge":{"model":"percentage","percent":"1","free_events":true}}', "free_events"),
        ('{"charge":{"model":"flat","amount":"1,50"}}', "amount"),
        ('{"charge":{"model":"package","size":"1","price":"1","rounding":"x"}}', "rounding"),
        ('{"charge":{"model":"package","size":"0","price":"1"}}', "a package holds something"),
        ('{"charge":' * 5000, "terms"),
    ],
)
def test_terms_that_are_not_understood_are_refused_with_the_place(text, told):
    with pytest.raises(ValueRefused, match=told):
        read_terms(text)


def test_terms_never_change():
    with pytest.raises(AttributeError):
        ONE.unit = D(2)  # type: ignore[misc] # which is what must not be
