"""Coupons: redeemed within their limits, used once for each bill."""

from decimal import Decimal
from functools import partial
from typing import Any

import msgspec
import pytest

from farebox.billing.pricing import service_coupons as coupons
from farebox.billing.pricing.model_coupons import (
    CouponArchived,
    CouponLimits,
    CouponTaken,
    CouponUnknown,
    Redeemed,
)
from farebox.billing.pricing.model_money import (
    Coupon,
    CouponInvalid,
    CouponNotForThis,
    CouponNotValidNow,
    CouponUsedUp,
    CurrencyUnknown,
    Line,
)
from farebox.billing.pricing.model_prices import VersionPassed
from farebox.kernel.refusals import Refusal, ValueRefused
from farebox.platform import service_audit as audit
from tests.support.services import ADA, at_once, now, run

TENTH = Coupon(code="TENTH", percent=Decimal(10))
PRO = Line(id="1", amount=1000, plan="pro")


def make(billing, coupon=TENTH, **terms):
    made = msgspec.structs.replace(coupon, **terms)
    return run(billing, coupons.create_coupon, ADA, made)


def redeem(billing, code="TENTH", customer="con_1", *, claim="ord_1", lines=(PRO,), **more):
    wanted = {"currency": "USD", **more}
    return run(billing, coupons.redeem, code, customer, lines=lines, claim=claim, **wanted)


def held(billing, customer="con_1", subscription=None):
    found = run(billing, coupons.discounts_for, customer, subscription)
    return [(one.coupon.code, one.subscription, one.periods_used) for one in found]


def test_a_coupon_is_read_as_it_was_made(billing):
    made = make(
        billing, code="fixed", percent=None, amount=500, currency="USD", periods=None,
        products=frozenset({"films"}), plans=frozenset({"pro", "lite"}), items=frozenset({"a"}),
        valid_from_us=1, valid_until_us=2, most_uses=3, most_uses_each=1,
    )  # fmt: skip
    assert run(billing, coupons.find_coupon, "fixed") == made
    with pytest.raises(CouponTaken):
        make(billing, code="fixed")
    with pytest.raises(CouponUnknown):
        run(billing, coupons.find_coupon, "FIXED")


REFUSED: dict[str, tuple[type[Refusal], dict[str, Any]]] = {
    "neither": (CouponInvalid, {"percent": None}),
    "both": (CouponInvalid, {"amount": 1, "currency": "USD"}),
    "more than all": (CouponInvalid, {"percent": Decimal("100.1")}),
    "nothing": (CouponInvalid, {"percent": Decimal(0)}),
    "too fine": (CouponInvalid, {"percent": Decimal("0.0000000000001")}),
    "an amount of no currency": (CouponInvalid, {"percent": None, "amount": 1}),
    "an amount of gold": (CurrencyUnknown, {"percent": None, "amount": 1, "currency": "XAU"}),
    "an amount below 0": (CouponInvalid, {"percent": None, "amount": -1, "currency": "USD"}),
    "2^53": (CouponInvalid, {"percent": None, "amount": 2**53, "currency": "USD"}),
    "a percentage in a currency": (CouponInvalid, {"currency": "USD"}),
    "for no period": (CouponInvalid, {"periods": 0}),
    "never": (CouponInvalid, {"valid_from_us": 2, "valid_until_us": 2}),
    "no uses": (CouponInvalid, {"most_uses": 0}),
    "a code of two words": (ValueRefused, {"code": "TEN TH"}),
    "an empty code": (ValueRefused, {"code": ""}),
    "a plan of two words": (ValueRefused, {"plans": frozenset({"a b"})}),
    "1,001 plans": (CouponInvalid, {"plans": frozenset(f"p{n}" for n in range(1001))}),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_coupon_is_refused(billing, name):
    refusal, wrong = REFUSED[name]
    with pytest.raises(refusal):
        make(billing, **wrong)
    assert run(billing, coupons.list_coupons).items == ()


# -- redeeming -----------------------------------------------------------------------------------


def test_a_coupon_is_redeemed_once_for_one_thing(billing):
    make(billing)
    first = redeem(billing)
    assert redeem(billing) == first
    assert redeem(billing, claim="ord_2").id != first.id
    assert run(billing, coupons.find_coupon, "TENTH").uses == 2
    listed = run(billing, coupons.list_redemptions, "TENTH").items
    assert {(one.customer, one.claim) for one in listed} == {("con_1", "ord_1"), ("con_1", "ord_2")}


def test_redeeming_one_thing_twice_at_once_is_one_redemption(billing):
    make(billing, most_uses=1)
    answers = at_once([partial(redeem, billing)] * 4)
    assert all(isinstance(answer, Redeemed) for answer in answers), answers
    assert len(run(billing, coupons.redemptions_of, "con_1")) == 1


def test_the_last_use_is_one_customers(billing):
    make(billing, most_uses=2)
    answers = at_once(partial(redeem, billing, customer=f"con_{n}") for n in range(4))
    kinds = sorted(type(answer).__name__ for answer in answers)
    assert kinds == ["CouponUsedUp", "CouponUsedUp", "Redeemed", "Redeemed"], answers
    assert run(billing, coupons.find_coupon, "TENTH").uses == 2


def test_a_customer_redeems_it_as_often_as_anybody_may(billing):
    make(billing, most_uses_each=1)
    redeem(billing)
    with pytest.raises(CouponUsedUp):
        redeem(billing, claim="ord_2")
    assert redeem(billing, customer="con_2")


def test_a_coupon_is_redeemed_within_its_time_only(billing, clock):
    at = now(billing)
    make(billing, valid_from_us=at + 5, valid_until_us=at + 10)
    with pytest.raises(CouponNotValidNow):
        redeem(billing)
    clock.set(at + 5)
    held_for = redeem(billing)
    clock.set(at + 10)
    with pytest.raises(CouponNotValidNow):
        redeem(billing, claim="ord_2")
    # Who has redeemed it in time has it.
    assert redeem(billing) == held_for
    assert held(billing) == [("TENTH", None, 0)]


def test_a_coupon_is_for_what_it_names(billing):
    make(billing, plans=frozenset({"lite"}))
    with pytest.raises(CouponNotForThis):
        redeem(billing)
    make(billing, code="EURO", percent=None, amount=1, currency="EUR")
    with pytest.raises(CouponNotForThis):
        redeem(billing, "EURO")
    with pytest.raises(CouponUnknown):
        redeem(billing, "NOBODY")
    assert run(billing, coupons.redemptions_of, "con_1") == []


# -- using ---------------------------------------------------------------------------------------


def test_a_coupon_of_a_subscription_is_for_its_bills_only(billing):
    make(billing, periods=None)
    make(billing, code="ALL", periods=None)
    redeem(billing, claim="sub_1", subscription="sub_1")
    redeem(billing, "ALL")
    assert held(billing) == [("ALL", None, 0)]
    both = held(billing, subscription="sub_1")
    assert sorted(both) == [("ALL", None, 0), ("TENTH", "sub_1", 0)]
    assert held(billing, subscription="sub_2") == [("ALL", None, 0)]
    assert held(billing, "con_2") == []


def test_of_a_coupon_held_twice_the_subscriptions_own_counts(billing):
    make(billing, periods=None)
    redeem(billing)
    redeem(billing, claim="sub_1", subscription="sub_1")
    assert held(billing, subscription="sub_1") == [("TENTH", "sub_1", 0)]


def test_a_bill_that_is_made_again_counts_once(billing):
    make(billing, periods=2)
    mine = redeem(billing)
    for bill in ("inv_1", "inv_1", "inv_2"):
        run(billing, coupons.use_discounts, [mine], bill=bill)
    assert held(billing) == []
    [used] = run(billing, coupons.redemptions_of, "con_1")
    assert used.periods_used == 2


def test_two_bills_at_once_do_not_use_one_period_twice(billing):
    make(billing)
    mine = redeem(billing)
    use = partial(run, billing, coupons.use_discounts, [mine])
    answers = at_once([partial(use, bill="inv_1"), partial(use, bill="inv_2")])
    assert sorted(type(answer).__name__ for answer in answers) == ["CouponUsedUp", "NoneType"]
    [used] = run(billing, coupons.redemptions_of, "con_1")
    assert used.periods_used == 1


# -- changing ------------------------------------------------------------------------------------


def test_limits_change_and_who_holds_it_keeps_it(billing):
    make(billing)
    redeem(billing)
    changed = run(billing, coupons.limit_coupon, ADA, "TENTH", CouponLimits(most_uses=1))
    assert (changed.coupon.most_uses, changed.uses, changed.version) == (1, 1, 2)
    with pytest.raises(CouponUsedUp):
        redeem(billing, customer="con_2")
    redeem_more = CouponLimits(most_uses=2)
    with pytest.raises(VersionPassed):
        run(billing, coupons.limit_coupon, ADA, "TENTH", redeem_more, expected_version=1)
    run(billing, coupons.limit_coupon, ADA, "TENTH", redeem_more, expected_version=2)
    redeem(billing, customer="con_2")
    with pytest.raises(CouponInvalid):
        run(billing, coupons.limit_coupon, ADA, "TENTH", CouponLimits(most_uses=1))


def test_an_archived_coupon_is_nobodys_any_more_and_stays_with_who_has_it(billing):
    make(billing)
    redeem(billing)
    gone = run(billing, coupons.archive_coupon, ADA, "TENTH")
    assert run(billing, coupons.archive_coupon, ADA, "TENTH") == gone
    with pytest.raises(CouponNotValidNow):
        redeem(billing, customer="con_2")
    with pytest.raises(CouponArchived):
        run(billing, coupons.limit_coupon, ADA, "TENTH", CouponLimits())
    assert held(billing) == [("TENTH", None, 0)]
    log = run(billing, audit.list_audit, subject="coupon:TENTH").items
    assert [entry.action for entry in log] == ["coupon.archived", "coupon.created"]


def test_coupons_are_listed_in_pages(billing):
    for code in ("a", "b", "c"):
        make(billing, code=code)
    run(billing, coupons.archive_coupon, ADA, "b")
    first = run(billing, coupons.list_coupons, limit=2)
    rest = run(billing, coupons.list_coupons, limit=2, after=first.next)
    assert [one.coupon.code for one in first.items + rest.items] == ["a", "b", "c"]
    active = run(billing, coupons.list_coupons, state="active").items
    assert [one.coupon.code for one in active] == ["a", "c"]
