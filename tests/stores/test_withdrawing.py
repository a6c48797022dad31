"""Paying out of the prepaid account for what lies in the cart: the server's amount counts."""

from functools import partial

import pytest

from farebox.billing.flows.withdraw import withdraw
from farebox.billing.orders.model import CartLineUnknown, Order, PriceChanged
from farebox.billing.orders.service_carts import lines_of, open_cart, put_line
from farebox.billing.wallets.model import WalletShort
from tests.support.sales import ANNA, BORIS, HOUR, Sales, online
from tests.support.services import at_once, run


@pytest.fixture
def sales(billing, clock):
    """Let Anna have 1,000.00 and Mauser for 24 hours (360.00) in her cart."""
    found = Sales(billing, clock)
    found.fill(ANNA, 100_000)
    run(billing, put_line, run(billing, open_cart, ANNA, "RUB").id, online(24))
    return found


def pay(sales, summ, customer=ANNA, item="mauser"):
    return run(sales.database, withdraw, customer, item, summ)


def cart_lines(sales, customer):
    return run(sales.database, lines_of, run(sales.database, open_cart, customer, "RUB").id)


def pin(sales, order):
    """Let access pin the place of an order's line."""
    return sales.tell(
        "marketplace.purchase.initiated", "pur_1", purchaseId="pur_1", orderId=order.id,
        consumerId=ANNA, itemId="mauser", offer="online", periodHours=24,
    )  # fmt: skip


def test_the_amount_that_was_shown_buys_the_line(sales):
    order = pay(sales, 36_000)
    assert (order.total, order.state) == (36_000, "created")
    assert cart_lines(sales, ANNA) == ()
    pin(sales, order)
    assert sales.balance(ANNA) == 64_000
    assert sales.closings(order.id) == ["order.completed"]


@pytest.mark.parametrize("summ", [100, 0, 35_999])
def test_a_forged_amount_charges_nothing_and_tells_ours(sales, summ):
    with pytest.raises(PriceChanged) as refused:
        pay(sales, summ)
    assert refused.value.facts == {"total": 36_000, "shown_total": summ}
    assert sales.balance(ANNA) == 100_000
    assert len(cart_lines(sales, ANNA)) == 1
    assert sales.told("order.created") == []


def test_a_price_that_fell_in_the_guarantee_is_charged(sales):
    sales.reprice(sales.prices[24], "300")
    assert pay(sales, 36_000).total == 30_000


def test_a_price_that_fell_after_the_guarantee_is_shown_first(sales, clock):
    sales.reprice(sales.prices[24], "300")
    clock.move(HOUR)
    with pytest.raises(PriceChanged):
        pay(sales, 36_000)
    assert pay(sales, 30_000).total == 30_000


def test_too_little_leaves_the_cart_as_it_is(sales):
    cart = run(sales.database, open_cart, BORIS, "RUB")
    run(sales.database, put_line, cart.id, online(24))
    sales.fill(BORIS, 20_000)
    with pytest.raises(WalletShort) as refused:
        pay(sales, 36_000, BORIS)
    assert refused.value.facts == {"available": 20_000, "missing": 16_000}
    assert len(cart_lines(sales, BORIS)) == 1
    sales.fill(BORIS, 16_000)
    assert pay(sales, 36_000, BORIS).total == 36_000


def test_twice_at_once_is_one_order(sales):
    answers = at_once([partial(pay, sales, 36_000)] * 4)
    assert len({each.id if isinstance(each, Order) else each for each in answers}) == 1
    assert len(sales.told("order.created")) == 1


def test_what_was_paid_is_not_paid_again(sales):
    pin(sales, pay(sales, 36_000))
    with pytest.raises(CartLineUnknown):
        pay(sales, 36_000)
    assert sales.balance(ANNA) == 64_000


def test_what_is_in_nobodys_cart_is_not_bought(sales):
    for customer, item in ((BORIS, "mauser"), (ANNA, "seagull"), (ANNA, "unheard-of")):
        with pytest.raises(CartLineUnknown):
            pay(sales, 36_000, customer, item)
