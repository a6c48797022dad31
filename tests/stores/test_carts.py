"""Carts: what is in them, at which price, for how long."""

import pytest

from farebox.billing.customers.model import CustomerUnknown
from farebox.billing.orders import service_carts as carts
from farebox.billing.orders.model import (
    MOST_LINES,
    CartFull,
    CartLineUnknown,
    CartUnknown,
    NotForSale,
    RenewalsUsedUp,
    Wish,
    WishRefused,
)
from farebox.billing.pricing.model_coupons import CouponUnknown
from farebox.billing.pricing.model_money import CurrenciesMixed, CurrencyUnknown
from farebox.kernel.refusals import ValueRefused
from tests.support.sales import ANNA, MINUTE, Sales, credits_, online
from tests.support.services import at_once, run


@pytest.fixture
def sales(billing, clock):
    return Sales(billing, clock)


@pytest.fixture
def cart(sales):
    return run(sales.database, carts.open_cart, ANNA, "RUB")


def put(sales, cart, wish):
    return run(sales.database, carts.put_line, cart.id, wish)


def see(sales, cart):
    return run(sales.database, lambda tx: carts.see_cart(tx, carts.read_cart(tx, cart.id)))


def fees(sales, cart):
    return [(each.fee, each.problems) for each in see(sales, cart).lines]


def test_a_customer_has_one_open_cart_also_when_two_ask_at_once(sales):
    made = at_once([lambda: run(sales.database, carts.open_cart, ANNA, "RUB").id] * 4)
    assert len(set(made)) == 1


def test_who_is_unknown_has_no_cart_and_what_is_no_currency_none(sales):
    with pytest.raises(CustomerUnknown):
        run(sales.database, carts.open_cart, "con_nobody", "RUB")
    with pytest.raises(CurrencyUnknown):
        run(sales.database, carts.open_cart, ANNA, "ZZZ")
    with pytest.raises(CartUnknown):
        run(sales.database, carts.read_cart, "crt_none")


def test_a_cart_shows_what_its_lines_come_to(sales, cart):
    put(sales, cart, online(24))
    put(sales, cart, online(24, "seagull"))
    seen = see(sales, cart)
    assert [each.gross for each in seen.lines] == [36000, 50000]
    assert (seen.fees, seen.tax, seen.total) == (86000, 0, 86000)


def test_the_same_thing_is_one_line_and_another_period_changes_it(sales, cart):
    first = put(sales, cart, online(24))
    sales.clock.move(5 * MINUTE)
    assert put(sales, cart, online(24)) == first
    moved = put(sales, cart, online(24, starts_at=first.added_at + 1))
    assert (moved.id, moved.guaranteed_until) == (first.id, first.guaranteed_until)
    longer = put(sales, cart, online(48))
    assert (longer.id, longer.fee) == (first.id, 48000)
    assert longer.guaranteed_until == first.guaranteed_until + 5 * MINUTE
    assert len(see(sales, cart).lines) == 1


@pytest.mark.parametrize(
    ("after", "price", "seen"),
    [
        (20, "400", (36000, ())),
        (20, "300", (30000, ())),
        (30, "400", (40000, ("guarantee_over", "price_changed"))),
        (31, "300", (30000, ("guarantee_over", "price_changed"))),
        (31, None, (36000, ("guarantee_over",))),
    ],
)
def test_a_price_is_guaranteed_for_half_an_hour_and_the_lower_one_wins(
    sales, cart, after, price, seen
):
    put(sales, cart, online(24))
    sales.clock.move(10 * MINUTE)
    if price is not None:
        sales.reprice(sales.prices[24], price)
    sales.clock.move((after - 10) * MINUTE)
    assert fees(sales, cart) == [seen]


def test_a_guarantee_is_renewed_ten_times_and_takes_todays_price_once_it_is_over(sales, cart):
    line = put(sales, cart, online(24))
    sales.reprice(sales.prices[24], "400")
    sales.clock.move(29 * MINUTE)
    assert run(sales.database, carts.renew_line, cart.id, line.id).fee == 36000
    sales.clock.move(31 * MINUTE)
    assert run(sales.database, carts.renew_line, cart.id, line.id).fee == 40000
    for _ in range(8):
        run(sales.database, carts.renew_line, cart.id, line.id)
    with pytest.raises(RenewalsUsedUp):
        run(sales.database, carts.renew_line, cart.id, line.id)


def test_what_is_sold_no_more_stays_in_the_cart_and_does_not_count(sales, cart):
    line = put(sales, cart, online(24))
    put(sales, cart, online(24, "seagull"))
    sales.tell_item("mauser", state="archived")
    assert fees(sales, cart) == [(0, ("not_for_sale",)), (50000, ())]
    assert see(sales, cart).total == 50000
    with pytest.raises(NotForSale):
        run(sales.database, carts.renew_line, cart.id, line.id)
    run(sales.database, carts.remove_line, cart.id, line.id)
    with pytest.raises(CartLineUnknown):
        run(sales.database, carts.remove_line, cart.id, line.id)


@pytest.mark.parametrize(
    ("wish", "refusal"),
    [
        (online(13), NotForSale),
        (online(24, "nothing"), NotForSale),
        (Wish(kind="item", code="mauser", offer="nothing"), NotForSale),
        (Wish(kind="item", code="mauser", offer="keep", period_hours=24), NotForSale),
        (Wish(kind="product", code="nothing"), NotForSale),
        (credits_(0), WishRefused),
        (credits_(-5), WishRefused),
        (credits_(10**12), WishRefused),
    ],
)
def test_what_cannot_be_bought_is_not_put_in_a_cart(sales, cart, wish, refusal):
    with pytest.raises(refusal):
        put(sales, cart, wish)
    assert see(sales, cart).lines == ()


def test_a_total_that_nobody_could_read_exactly_is_refused(sales, cart):
    sales.reprice(sales.credits, "99999999999.9")
    put(sales, cart, credits_(900))
    for too_much in (credits_(1, bucket="bkt_0000000000000002"), credits_(1_000_000_000)):
        with pytest.raises(ValueRefused):
            put(sales, cart, too_much)
    assert see(sales, cart).total == 900 * 9_999_999_999_990


def test_a_showing_is_sold_until_it_begins(sales, cart):
    hall = Wish(kind="item", code="mauser", offer="hall")
    put(sales, cart, hall)
    sales.clock.set(sales.begins_at)
    assert fees(sales, cart) == [(0, ("not_for_sale",))]


def test_currencies_are_not_mixed_in_a_cart(sales, cart):
    assert run(sales.database, carts.open_cart, ANNA, "USD").currency == "USD"
    with pytest.raises(NotForSale):
        put(sales, cart, online(24))
    run(sales.database, carts.open_cart, ANNA, "RUB")
    put(sales, cart, online(24))
    with pytest.raises(CurrenciesMixed):
        run(sales.database, carts.open_cart, ANNA, "USD")


def test_a_cart_is_full_at_a_hundred_lines(sales, cart):
    for number in range(MOST_LINES):
        put(sales, cart, credits_(1, bucket=f"bkt_{number:016x}"))
    with pytest.raises(CartFull):
        put(sales, cart, credits_(1, bucket=f"bkt_{MOST_LINES:016x}"))


def test_a_coupon_that_is_none_is_refused(sales, cart):
    with pytest.raises(CouponUnknown):
        run(sales.database, carts.set_coupons, cart.id, ["none"])


def test_what_an_item_costs_is_told_from_the_cart_or_from_its_price(sales, cart):
    assert run(sales.database, carts.line_of, ANNA, "mauser", 24)[1].gross == 36000
    assert run(sales.database, carts.line_of, ANNA, "mauser", 48)[1].gross == 48000
    put(sales, cart, online(24))
    sales.reprice(sales.prices[24], "400")
    wish, total = run(sales.database, carts.line_of, ANNA, "mauser")
    assert (wish.period_hours, total.gross) == (24, 36000)
    with pytest.raises(NotForSale):
        run(sales.database, carts.line_of, ANNA, "mauser", 13)
    with pytest.raises(NotForSale):
        run(sales.database, carts.line_of, ANNA, "nothing", None)
