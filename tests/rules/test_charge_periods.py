"""Minimums, maximums, parts of a period and windows: worked numbers, in smallest units."""

from decimal import Decimal
from fractions import Fraction

import pytest

from farebox.billing.pricing.model_charges import (
    Dynamic,
    Flat,
    Graduated,
    HourTerms,
    Package,
    PerUnit,
    Tier,
    Volume,
    Windowed,
    WindowTerms,
)
from farebox.billing.pricing.model_rating import (
    ChargeTerms,
    Conversion,
    Thresholds,
    Usage,
    Window,
)
from farebox.billing.pricing.rules_charges import rate
from farebox.billing.pricing.rules_commitments import (
    bill,
    commitment_true_up,
    due_at_threshold,
    final_credit,
    minor,
    over_maximum,
    true_up,
)
from farebox.billing.pricing.rules_windows import windows
from farebox.kernel.refusals import ValueRefused

D = Decimal
GRADUATED = Graduated(
    tiers=(
        Tier(up_to=D(5), flat=D(100)),
        Tier(up_to=D(10), flat=D(50)),
        Tier(up_to=D(15), unit=D(5)),
        Tier(unit=D(1)),
    )
)
PACKAGE = Package(size=D(10), price=D(15))
DYNAMIC = Dynamic(multiplier=D("1.33333"))
THOUSANDS = Conversion(operation="divide", factor=D(1000), rounding="ceiling")


def used(quantity):
    return Usage(quantity=D(quantity))


def line(charge, before, after, **terms):
    """Return a line's gross, what is off it by discount and maximum, and its net."""
    percent_off = terms.pop("percent_off", 0)
    billed = bill(
        ChargeTerms(charge=charge, **terms),
        used(after),
        before=None if before is None else used(before),
        places=2,
        percent_off=percent_off,
    )
    return billed.gross, billed.discount, billed.over_maximum, billed.net


# charge, billed before, usage so far, terms, gross, discount, over the maximum, net
LINES = [
    (GRADUATED, 12, 22, {}, 22_00, 0, 0, 22_00),
    (GRADUATED, 12, 22, {"maximum": D(170)}, 22_00, 0, 12_00, 10_00),
    # A unit inside a tier that is paid by its flat costs nothing.
    (GRADUATED, 7, 8, {}, 0, 0, 0, 0),
    (PACKAGE, 17, 22, {}, 15_00, 0, 0, 15_00),
    (PACKAGE, 60, 110, {"maximum": D(100)}, 75_00, 0, 65_00, 10_00),
    (DYNAMIC, None, 10, {}, 13_33, 0, 0, 13_33),
    (DYNAMIC, 70, 120, {"maximum": D(100)}, 66_67, 0, 60_00, 6_67),
    (PerUnit(unit=D(10)), 7, 12, {"maximum": D(100)}, 50_00, 0, 20_00, 30_00),
    (PerUnit(unit=D(10)), 7, 27, {"maximum": D(100), "percent_off": 50}, 200_00, 100_00, 35_00,
     65_00),
    (PerUnit(unit=D(10)), 15, 20, {"maximum": D(100)}, 50_00, 0, 50_00, 0),
    # A correction from 15 to 12 still lies above the maximum: nothing is given back.
    (PerUnit(unit=D(10)), 15, 12, {"maximum": D(100)}, -30_00, 0, -30_00, 0),
    (PerUnit(unit=D(10)), 15, 8, {"maximum": D(100)}, -70_00, 0, -50_00, -20_00),
    (PerUnit(unit=D(1)), 1400, 2700, {"conversion": THOUSANDS}, 1_00, 0, 0, 1_00),
    (PerUnit(unit=D(1)), 5, 20, {"free_units": D(10)}, 10_00, 0, 0, 10_00),
    # Due at the first line, and once.
    (Flat(amount=D("9.99")), None, 0, {}, 9_99, 0, 0, 9_99),
    (Flat(amount=D("9.99")), 0, 5, {}, 0, 0, 0, 0),
    (PerUnit(unit=D("0.005")), None, 1, {}, 1, 0, 0, 1),
    # The discount is taken off what a line shows: half of 0.03, not of 0.025.
    (PerUnit(unit=D("0.025")), None, 1, {"percent_off": 50}, 3, 2, 0, 1),
    (PerUnit(unit=D("0.005")), 1, 2, {}, 0, 0, 0, 0),
]  # fmt: skip


@pytest.mark.parametrize(
    ("charge", "before", "after", "terms", "gross", "discount", "over", "net"), LINES
)
def test_a_line_bills_what_the_total_has_grown(
    *, charge, before, after, terms, gross, discount, over, net
):
    assert line(charge, before, after, **terms) == (gross, discount, over, net)


def test_the_gross_is_exact_beside_what_is_rounded():
    billed = bill(ChargeTerms(charge=DYNAMIC), Usage(quantity=D(120)), before=used(70), places=2)
    assert billed.exact == Fraction("66.6665")


@pytest.mark.parametrize(
    ("before", "after", "last", "due"),
    [
        (None, "0", True, 1000_00),
        (None, "2", True, 900_00),
        ("2", "2", True, 900_00),
        ("2", "2", False, 0),
        # What lies above the minimum by itself needs nothing.
        (None, "2000", True, 0),
    ],
)
def test_the_minimum_belongs_to_the_last_line(before, after, last, due):
    terms = ChargeTerms(charge=GRADUATED, minimum=D(1000))
    billed = bill(
        terms,
        used(after),
        before=None if before is None else used(before),
        places=2,
        last=last,
    )
    assert billed.true_up == due
    assert billed.total == billed.net + due


def test_nothing_used_owes_the_flat_of_the_first_tier_and_the_rest_of_the_minimum():
    charge = Volume(
        tiers=(Tier(up_to=D(5), flat=D(100)), Tier(unit=D(5))), at_zero="first_tier_flat"
    )
    billed = bill(ChargeTerms(charge=charge, minimum=D(150)), Usage(), places=2)
    assert (billed.net, billed.true_up) == (100_00, 50_00)


def test_a_minimum_is_due_for_the_share_of_the_period_that_is_billed():
    terms = ChargeTerms(charge=PerUnit(unit=D(8)), minimum=D(10))
    billed = bill(terms, used(1), places=2, ratio=Fraction(25, 28))
    assert (billed.net, billed.true_up) == (800, 93)


@pytest.mark.parametrize(
    ("commitment", "fee", "usage", "days", "period", "due"),
    [
        # Rounded once it would be 823,562.
        (1_000_000, 100_000, 0, 334, 365, 823_561),
        (1_000_000, 100_000, 0, 5, 7, 642_857),
        (1_000_000, 100_000, 0, 25, 28, 803_571),
        (1_000_000, 100_000, 0, 56, 90, 560_000),
        (1_000_000, 100_000, 0, 1, 1, 900_000),
        (1_000_000, 100_000, 950_000, 1, 1, 0),
    ],
)
def test_a_commitment_lacks_what_fee_and_usage_leave_of_it(
    *, commitment, fee, usage, days, period, due
):
    share = Fraction(days, period)
    assert commitment_true_up(commitment, fee=fee, usage=usage, ratio=share) == due


def test_the_parts_of_a_charge_share_one_minimum():
    assert true_up(10_000, billed=0 + 2_000 + 5_000, ratio=Fraction(25, 28)) == 1_929


@pytest.mark.parametrize(
    ("amounts", "room", "taken"),
    [([15, 7], 10, [5, 7]), ([15, 7], 30, [0, 0]), ([15, 7], 0, [15, 7]), ([], 5, [])],
)
def test_what_does_not_fit_is_taken_off_the_last_tiers(amounts, room, taken):
    assert over_maximum([Fraction(each) for each in amounts], room) == taken


@pytest.mark.parametrize("percent_off", [-1, 101])
def test_a_discount_beyond_everything_is_refused(percent_off):
    with pytest.raises(ValueRefused):
        bill(ChargeTerms(charge=PACKAGE), used(1), places=2, percent_off=percent_off)


@pytest.mark.parametrize(
    ("amount", "places", "rounding", "units"),
    [
        ("10.275", 2, "half_up", 1028),
        ("-10.125", 2, "half_up", -1013),
        ("1000.5", 0, "half_up", 1001),
        ("1.0005", 3, "half_up", 1001),
        ("10.275", 2, "half_even", 1028),
        ("10.265", 2, "half_even", 1026),
        ("10.279", 2, "down", 1027),
    ],
)
def test_an_amount_is_rounded_to_the_smallest_unit(amount, places, rounding, units):
    assert minor(D(amount), places, rounding) == units


# -- windows -------------------------------------------------------------------------------------

PLAIN = WindowTerms(unit=D(2), commitment=D(10), overage_factor=D(2), true_up=True)
DAY = WindowTerms(unit=D(2), commitment=D(5), overage_factor=D(2))
NIGHT = WindowTerms(unit=D(1), commitment=D(10), overage_factor=D(2), true_up=True)
BY_HOUR = Windowed(otherwise=NIGHT, hours=(HourTerms(from_hour=9, to_hour=12, terms=DAY),))
MANY = Windowed(
    otherwise=WindowTerms(unit=D(1)),
    hours=(HourTerms(from_hour=9, to_hour=12, terms=WindowTerms(unit=D(5), commitment=D(50))),),
)


@pytest.mark.parametrize(
    ("charge", "used_in", "amounts", "utilised", "overage", "due"),
    [
        (Windowed(otherwise=PLAIN), [(0, 2), (0, 8)], [10, 22], 14, 12, 6),
        (Windowed(otherwise=PLAIN), [(0, 0)], [10], 0, 0, 10),
        (BY_HOUR, [(9, 10), (10, 1), (18, 3)], [35, 2, 10], 10, 30, 7),
        # From 9 until 12: the window that begins at 12 has the other terms.
        (BY_HOUR, [(8, 3), (11, 1), (12, 3)], [10, 2, 10], 8, 0, 14),
        (MANY, [(9, 60), (10, 40), (0, 30)], [300, 200, 30], 130, 400, 0),
        (MANY, [], [], 0, 0, 0),
    ],
)
def test_each_window_has_the_commitment_of_its_hour(
    *, charge, used_in, amounts, utilised, overage, due
):
    given = tuple(Window(hour, D(quantity)) for hour, quantity in used_in)
    found = windows(charge, given)
    assert list(found.amounts) == amounts
    assert (found.utilised, found.overage, found.true_up) == (utilised, overage, due)
    assert rate(ChargeTerms(charge=charge), Usage(windows=given)) == sum(amounts)
    assert utilised + overage + due == sum(amounts)


def test_hours_go_over_midnight():
    night = HourTerms(from_hour=22, to_hour=6, terms=PLAIN)
    assert [hour for hour in range(24) if night.holds(hour)] == [0, 1, 2, 3, 4, 5, 22, 23]


@pytest.mark.parametrize("hour", [-1, 24])
def test_a_window_begins_in_an_hour_of_the_day(hour):
    with pytest.raises(ValueRefused):
        windows(BY_HOUR, [Window(hour, D(1))])


# -- thresholds ----------------------------------------------------------------------------------

STEPS = Thresholds(amounts=(D(100), D(200)), recurring=D(50))


@pytest.mark.parametrize(
    ("thresholds", "usage", "billed", "due"),
    [
        (Thresholds(amounts=(D(200),)), 199_99, 0, 0),
        (Thresholds(amounts=(D(200),)), 200_00, 0, 200_00),
        # Found late, all of it is billed, and the threshold counts as passed.
        (Thresholds(amounts=(D(200),)), 230_00, 0, 230_00),
        (Thresholds(amounts=(D(200),)), 400_00, 230_00, 0),
        (STEPS, 150_00, 100_00, 0),
        (STEPS, 249_99, 200_00, 0),
        (STEPS, 250_00, 200_00, 50_00),
        (STEPS, 420_00, 250_00, 170_00),
        (Thresholds(recurring=D(50)), 49_99, 0, 0),
        (Thresholds(recurring=D(50)), 120_00, 50_00, 70_00),
    ],
)
def test_a_threshold_bills_all_usage_so_far(thresholds, usage, billed, due):
    assert due_at_threshold(thresholds, usage, billed=billed, places=2) == due


def test_the_final_bill_credits_what_was_billed_before_it():
    fees = 3_100 + 40_000
    assert fees - final_credit(fees, progressive=20_000) == 23_100
    assert final_credit(500, progressive=20_000) == 500
