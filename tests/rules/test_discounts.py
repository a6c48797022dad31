"""Coupons: their one order, how they are shared out, when they apply, and that nothing is lost."""

from decimal import Decimal
from fractions import Fraction

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from farebox.billing.pricing.model_money import (
    Coupon,
    CouponInvalid,
    CouponNotForThis,
    CouponNotValidNow,
    CouponUsedUp,
    Line,
    Redemption,
)
from farebox.billing.pricing.rules_discounts import (
    check_coupon,
    check_redeemable,
    discount,
    in_order,
)
from farebox.kernel.refusals import ValueRefused
from farebox.kernel.rounding import allocate


def amount(code, value, **limits):
    return Redemption(coupon=Coupon(code=code, amount=value, currency="EUR", **limits))


def percent(code, value, **limits):
    return Redemption(coupon=Coupon(code=code, percent=Decimal(value), **limits))


def lines(*amounts):
    return [Line(id=str(place), amount=each) for place, each in enumerate(amounts)]


def taken(found):
    return [line.amount for line in found.lines]


@pytest.mark.parametrize(
    ("amounts", "coupons", "wanted"),
    [
        # A fixed amount by largest remainder; equal remainders go to the first.
        ([10000, 20000], [amount("a", 100)], [33, 67]),
        ([1000, 1000], [amount("a", 1500)], [750, 750]),
        ([333, 333, 334], [amount("a", 100)], [33, 33, 34]),
        ([100, 100, 100], [amount("a", 100)], [34, 33, 33]),
        ([0, 100], [amount("a", 50)], [0, 50]),
        # A percentage is rounded on each line.
        ([100, 100], [percent("a", "33.33")], [33, 33]),
        ([10000], [percent("a", 10), percent("b", 25)], [3250]),
        ([10000], [percent("a", 10), percent("b", 10)], [1900]),
        # A percentage before a fixed amount, whichever is given first.
        ([10000], [percent("a", 10), amount("b", 5000)], [6000]),
        ([10000], [amount("a", 5000), percent("b", 10)], [6000]),
        # Never below zero.
        ([10000], [amount("a", 8000), amount("b", 5000)], [10000]),
        ([1000, 1000], [amount("a", 2500)], [1000, 1000]),
        ([10000], [percent("a", 100), amount("b", 1)], [10000]),
        # A credit on an invoice is not discounted.
        ([1000, -500], [amount("a", 2000)], [1000, 0]),
        ([1000], [], [0]),
    ],
)
def test_coupons_take_off_what_they_say(amounts, coupons, wanted):
    found = discount(lines(*amounts), coupons)
    assert taken(found) == wanted
    assert found.total == sum(wanted)


def test_narrow_coupons_go_before_wide_ones_and_the_oldest_first():
    coupons = [
        amount("rest", 1),
        amount("plan", 1, plans=frozenset({"p"})),
        amount("product", 1, products=frozenset({"m"})),
        percent("rest in percent", 1),
        percent("item in percent", 1, items=frozenset({"i"})),
        msgspec.structs.replace(amount("older rest", 1), redeemed_at_us=-1),
    ]
    assert [each.coupon.code for each in in_order(coupons)] == [
        "item in percent", "product", "plan", "rest in percent", "older rest", "rest",
    ]  # fmt: skip


def test_a_coupon_takes_off_only_what_it_is_limited_to():
    each = [
        Line(id="a", amount=100, product="m"),
        Line(id="b", amount=100, plan="p"),
        Line(id="c", amount=100, item="i"),
        Line(id="d", amount=100),
    ]
    limits = {"products": frozenset({"m"}), "items": frozenset({"i"})}
    assert taken(discount(each, [percent("x", 50, **limits)])) == [50, 0, 50, 0]
    assert taken(discount(each, [amount("x", 90, plans=frozenset({"p"}))])) == [0, 90, 0, 0]


@pytest.mark.parametrize(
    ("periods", "used", "applies"),
    [(1, 0, True), (1, 1, False), (3, 2, True), (3, 3, False), (None, 99, True)],
)
def test_a_coupon_applies_once_several_times_or_for_ever(periods, used, applies):
    coupon = Coupon(code="a", amount=10, currency="EUR", periods=periods)
    found = discount(lines(100), [Redemption(coupon=coupon, periods_used=used)])
    assert found.total == (10 if applies else 0)


def test_shares_can_be_kept_to_parts_of_the_smallest_unit():
    found = discount(lines(1000, 2000), [amount("a", 2000)], places=5)
    assert [line.exactly for line in found.lines] == [
        Fraction("666.66667"),
        Fraction("1333.33333"),
    ]
    assert found.total == 2000


@pytest.mark.parametrize(
    "broken",
    [
        {"percent": None}, {"amount": 5}, {"percent": Decimal(0)}, {"percent": Decimal(101)},
        {"percent": Decimal("NaN")}, {"percent": None, "amount": 5},
        {"percent": None, "amount": 0, "currency": "EUR"}, {"periods": 0}, {"most_uses": 0},
        {"most_uses_each": -1}, {"valid_from_us": 5, "valid_until_us": 5},
        {"percent": None, "amount": 2**53, "currency": "EUR"},
    ],
)  # fmt: skip
def test_a_coupon_that_could_never_apply_is_refused(broken):
    coupon = Coupon(code="a", percent=Decimal(10))
    check_coupon(coupon)
    with pytest.raises(CouponInvalid):
        check_coupon(msgspec.structs.replace(coupon, **broken))


@pytest.mark.parametrize(
    ("now", "uses", "each", "currency", "refusal"),
    [
        (10, 0, 0, "EUR", None), (19, 4, 1, "EUR", None),
        (9, 0, 0, "EUR", CouponNotValidNow), (20, 0, 0, "EUR", CouponNotValidNow),
        (10, 5, 0, "EUR", CouponUsedUp), (10, 2, 2, "EUR", CouponUsedUp),
        (10, 0, 0, "USD", CouponNotForThis),
    ],
)  # fmt: skip
def test_a_coupon_is_redeemed_within_its_limits(now, uses, each, currency, refusal):
    coupon = Coupon(
        code="a", amount=5, currency="EUR", valid_from_us=10, valid_until_us=20, most_uses=5,
        most_uses_each=2,
    )  # fmt: skip
    asked = {"currency": currency, "now": now, "uses": uses, "uses_each": each}
    if refusal is None:
        check_redeemable(coupon, lines(100), **asked)
    else:
        with pytest.raises(refusal):
            check_redeemable(coupon, lines(100), **asked)


def test_a_coupon_for_none_of_the_lines_is_refused():
    coupon = Coupon(code="a", percent=Decimal(5), plans=frozenset({"p"}))
    with pytest.raises(CouponNotForThis):
        check_redeemable(coupon, lines(100), currency="EUR", now=0, uses=0, uses_each=0)


@pytest.mark.parametrize("names", [("a", "a"), ("b", "b")])
def test_two_of_one_name_are_refused(names):
    twice = [amount(name, 5) for name in names]
    with pytest.raises(ValueRefused):
        discount(lines(100), twice)


COUPONS = st.lists(
    st.one_of(
        st.decimals("0.01", 100, places=2).map(lambda each: {"percent": each}),
        st.integers(1, 10**6).map(lambda each: {"amount": each, "currency": "EUR"}),
    ),
    max_size=5,
)


@given(
    amounts=st.lists(st.integers(-1000, 10**6), min_size=1, max_size=8),
    coupons=COUPONS,
    places=st.sampled_from([0, 5]),
)
def test_nothing_is_lost_between_lines_and_coupons(amounts, coupons, places):
    each = [
        Redemption(coupon=Coupon(code=str(place), **coupon)) for place, coupon in enumerate(coupons)
    ]
    found = discount(lines(*amounts), each, places=places)
    for line, before in zip(found.lines, amounts, strict=True):
        assert 0 <= line.exactly <= max(before, 0)
        assert sum(line.by_code.values()) == line.amount
    assert sum(found.by_code.values()) == found.total
    exactly = sum((line.exactly for line in found.lines), Fraction(0))
    assert abs(exactly - found.total) <= Fraction(1, 2)
    if not places:
        assert sum(taken(found)) == found.total
    assert discount(lines(*amounts), each[::-1], places=places) == found


@given(total=st.integers(0, 10**15), weights=st.lists(st.integers(0, 10**9), min_size=1))
def test_what_is_shared_out_adds_up_and_is_fair_to_a_unit(total, weights):
    if not sum(weights):
        if total:
            with pytest.raises(ValueRefused):
                allocate(total, weights)
        return
    parts = allocate(total, weights)
    assert sum(parts) == total
    for part, weight in zip(parts, weights, strict=True):
        assert abs(part - Fraction(total * weight, sum(weights))) < 1
        assert weight or not part
