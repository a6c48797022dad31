"""Refunds with taxes, coupons and commission: what goes back adds up to what was charged."""

from decimal import Decimal

import pytest

from farebox.billing.flows import buy
from farebox.billing.orders import service as orders
from farebox.billing.orders import service_carts as carts
from farebox.billing.orders.model import CartConverted
from farebox.billing.orders.model_refunds import LineUnknown, RefundExceeds
from farebox.billing.orders.rules_changes import difference
from farebox.billing.orders.service import Terms
from farebox.billing.orders.service_policies import set_commission
from farebox.billing.orders.service_refunds import allow, refunds_of, return_lines
from farebox.billing.pricing.model_coupons import CouponUnknown
from farebox.billing.pricing.model_money import Coupon, CouponUsedUp
from farebox.billing.pricing.service_coupons import create_coupon
from farebox.billing.pricing.service_tax import create_tax_rate, set_tax_settings
from farebox.ledger.verify import verify
from tests.support.sales import ANNA, Sales, credits_, online
from tests.support.services import ADA, at_once, run

OPEN_LINE = 36_000


@pytest.fixture
def sales(billing, clock):
    made = Sales(billing, clock)
    made.fill(ANNA, 200_000)
    return made


@pytest.fixture
def taxed(sales):
    run(
        sales.database, create_tax_rate, ADA, code="vat", percent=Decimal(20), country="RU",
        valid_from=0,
    )  # fmt: skip
    run(sales.database, set_tax_settings, ADA, country="RU", level="line")
    run(sales.database, set_commission, ADA, "*", "15")
    return sales


def bought(sales, *wishes, key="key_1", coupons=()):
    """Return a paid order of what is wished; access has pinned its items."""
    cart = run(sales.database, carts.open_cart, ANNA, "RUB")
    for wish in wishes:
        run(sales.database, carts.put_line, cart.id, wish)
    run(sales.database, carts.set_coupons, cart.id, coupons)
    made = run(sales.database, buy.complete_cart, cart.id, key=key, terms=Terms())
    for line in run(sales.database, orders.lines_of, made.id):
        if line.wish.kind == "item":
            sales.tell(
                "marketplace.purchase.initiated", line.purchase, purchaseId=line.purchase,
                orderId=made.id, itemId=line.wish.code, offer=line.wish.offer, consumerId=ANNA,
                periodHours=line.wish.period_hours, startsAt=None,
            )  # fmt: skip
    return run(sales.database, orders.read_order, made.id)


def allow_(sales, order, amount, **more):
    return run(sales.database, allow, ADA, order.id, amount, **more)


def test_the_worked_order_of_the_docs(taxed):
    order = bought(taxed, credits_(120), online(24))
    assert (order.state, order.total, order.tax) == ("paid", 79_200, 13_200)
    assert taxed.trial() == {
        "cash:sandbox": -200_000, "wallet": 120_800, "revenue": 30_000, "commission": 5_400,
        "payable:opr_s1": 30_600, "tax:vat": 13_200,
    }  # fmt: skip


def test_refunds_in_odd_parts_end_with_nothing_left_anywhere(taxed):
    order = bought(taxed, credits_(7), online(24))
    left = order.total
    for amount in (1, 333, 7_777, 1_111):
        allow_(taxed, order, amount)
        left -= amount
    with pytest.raises(RefundExceeds):
        allow_(taxed, order, left + 1)
    allow_(taxed, order, left)
    assert taxed.trial() == {
        "cash:sandbox": -200_000, "wallet": 200_000, "revenue": 1_750, "refunds": -1_750,
    }  # fmt: skip
    done = run(taxed.database, orders.read_order, order.id)
    assert (done.total, done.net, done.refund_state) == (order.total, 0, "full")
    made = run(taxed.database, refunds_of, order.id)
    assert sum(each.amount for each in made) == order.total
    assert [fault for report in verify(taxed.database) for fault in report.faults] == []


def test_refunds_at_once_never_give_back_more_than_was_charged(taxed):
    order = bought(taxed, credits_(100))
    made = at_once([lambda: allow_(taxed, order, 20_000)] * 3)
    assert [type(each).__name__ for each in made].count("Refund") == 1
    assert sum(isinstance(each, RefundExceeds) for each in made) == 2
    assert taxed.balance(ANNA) == 200_000 - 30_000 + 20_000


def test_returns_at_once_are_one_return(taxed):
    order = bought(taxed, credits_(100))
    back = [lambda: run(taxed.database, return_lines, ADA, order.id, None, reason="our_fault")] * 3
    made = at_once(back)
    assert [type(each).__name__ for each in made].count("Refund") == 1
    assert taxed.balance(ANNA) == 200_000


def test_a_line_of_another_order_is_not_returned(taxed):
    order = bought(taxed, credits_(100))
    with pytest.raises(LineUnknown):
        run(taxed.database, return_lines, ADA, order.id, ["orl_none"])


def test_a_coupon_is_used_once_and_goes_on_in_the_price_of_a_longer_rental(sales):
    coupon = Coupon(code="FIFTH", percent=Decimal(20), most_uses=1)
    run(sales.database, create_coupon, ADA, coupon)
    order = bought(sales, online(24), coupons=("FIFTH",))
    assert (order.fees, order.discount, order.total) == (36_000, 7_200, 28_800)
    [line] = run(sales.database, orders.lines_of, order.id)
    assert difference(line, from_hours=24, to_hours=48).gross == 9_600
    with pytest.raises(CouponUsedUp):
        bought(sales, credits_(100), key="key_2", coupons=("FIFTH",))
    with pytest.raises((CouponUnknown, CartConverted)):
        bought(sales, credits_(100), key="key_3", coupons=("NONE",))


def test_a_coupon_of_an_order_that_was_not_paid_is_there_for_the_next(sales):
    coupon = Coupon(code="FIFTH", percent=Decimal(20), most_uses=1)
    run(sales.database, create_coupon, ADA, coupon)
    cart = run(sales.database, carts.open_cart, ANNA, "RUB")
    run(sales.database, carts.put_line, cart.id, online(24))
    run(sales.database, carts.set_coupons, cart.id, ("FIFTH",))
    first = run(sales.database, buy.complete_cart, cart.id, key="k1", terms=Terms())
    run(sales.database, buy.cancel_order, first.id)
    second = run(sales.database, buy.complete_cart, cart.id, key="k2", terms=Terms())
    assert (second.id != first.id, second.total) == (True, 28_800)


def opened(sales, *wishes, key, coupons=()):
    """Return an order that waits for its places."""
    cart = run(sales.database, carts.open_cart, ANNA, "RUB")
    for wish in wishes:
        run(sales.database, carts.put_line, cart.id, wish)
    run(sales.database, carts.set_coupons, cart.id, coupons)
    return run(sales.database, buy.complete_cart, cart.id, key=key, terms=Terms())


def test_a_coupon_makes_one_of_two_open_orders_cheaper_and_is_free_when_that_ends(sales):
    run(sales.database, create_coupon, ADA, Coupon(code="FIFTH", percent=Decimal(20)))
    first = opened(sales, online(24), key="k1", coupons=("FIFTH",))
    second = opened(sales, online(24, "seagull"), key="k2")
    assert (first.total, second.total, second.coupons) == (28_800, 50_000, ())
    run(sales.database, buy.cancel_order, second.id)
    run(sales.database, buy.cancel_order, first.id)
    third = opened(sales, online(24, "seagull"), key="k3")
    assert (third.total, third.coupons) == (40_000, ("FIFTH",))
