"""Orders: completed once, paid once, closed by one event; the books always sum to nothing."""

from functools import partial

import pytest

from farebox.billing.flows import buy
from farebox.billing.flows.orders_due import DueOrders
from farebox.billing.orders import service as orders
from farebox.billing.orders import service_carts as carts
from farebox.billing.orders.model import (
    CartConverted,
    CartEmpty,
    NotForSale,
    OrderStateRefused,
    OrderTaken,
    PriceChanged,
)
from farebox.billing.orders.service import Terms
from farebox.billing.orders.service_paying import orders_to_pay
from farebox.billing.orders.service_policies import set_commission
from farebox.billing.wallets.model import WalletShort
from tests.support.sales import ANNA, BORIS, MINUTE, Sales, credits_, online
from tests.support.services import ADA, at_once, run

CREDITS_100 = 25000


@pytest.fixture
def sales(billing, clock):
    return Sales(billing, clock)


@pytest.fixture
def due(sales):
    return DueOrders(sales.database)


def cart_of(sales, *wishes, customer=ANNA):
    cart = run(sales.database, carts.open_cart, customer, "RUB")
    for wish in wishes:
        run(sales.database, carts.put_line, cart.id, wish)
    return cart


def open_cart_of(sales):
    found = run(sales.database, carts.find_open_cart, ANNA)
    return None if found is None else found.id


def complete(sales, cart, key="key_1", *, wait=False, **terms):
    return run(
        sales.database, buy.complete_cart, cart.id, key=key, terms=Terms(**terms),
        wait_for_funds=wait,
    )  # fmt: skip


def order(sales, made):
    return run(sales.database, orders.read_order, made.id)


def lines(sales, made):
    return run(sales.database, orders.lines_of, made.id)


def pin(sales, made):
    """Let access pin the places of an order's items."""
    for line in lines(sales, made):
        if line.wish.kind == "item":
            sales.tell(
                "marketplace.purchase.initiated", line.purchase, purchaseId=line.purchase,
                orderId=made.id, itemId=line.wish.code, offer=line.wish.offer,
                consumerId=made.customer, periodHours=line.wish.period_hours, startsAt=None,
            )  # fmt: skip


# -- completing a cart ---------------------------------------------------------------------------


def test_a_cart_of_credits_is_paid_at_once_from_the_wallet(sales):
    sales.fill(ANNA, 100_000)
    made = complete(sales, cart_of(sales, credits_(100)), shown_total=CREDITS_100)
    assert (made.state, made.total, made.charged, made.net) == ("paid", 25000, 25000, 25000)
    assert sales.balance(ANNA) == 75_000
    assert sales.trial() == {"cash:sandbox": -100_000, "wallet": 75_000, "revenue": 25_000}
    [told] = sales.told("order.completed")
    [line] = told.data["lines"]
    assert (line["bucketId"], line["credits"]) == ("bkt_0000000000000001", 100)


def test_money_moves_only_when_access_has_pinned_every_place(sales):
    sales.fill(ANNA, 100_000)
    made = complete(sales, cart_of(sales, online(24), online(24, "seagull")))
    assert (made.state, sales.balance(ANNA)) == ("created", 100_000)
    first, second = lines(sales, made)
    for line, state, left in ((first, "created", 100_000), (second, "paid", 14_000)):
        sales.tell(
            "marketplace.purchase.initiated", line.purchase, purchaseId=line.purchase,
            orderId=made.id, itemId=line.wish.code, offer="online", consumerId=ANNA,
            periodHours=24, startsAt=None,
        )  # fmt: skip
        assert (order(sales, made).state, sales.balance(ANNA)) == (state, left)
    assert sales.closings(made.id) == ["order.completed"]


def test_the_seller_is_owed_their_part_and_we_keep_the_commission(sales):
    run(sales.database, set_commission, ADA, "*", "15")
    sales.fill(ANNA, 100_000)
    pin(sales, complete(sales, cart_of(sales, online(24), online(24, "seagull"))))
    assert sales.trial() == {
        "cash:sandbox": -100_000, "wallet": 14_000, "commission": 12_900,
        "payable:opr_s1": 73_100,
    }  # fmt: skip


def test_the_same_key_returns_the_same_order_and_charges_once(sales):
    sales.fill(ANNA, 100_000)
    cart = cart_of(sales, credits_(100))
    first = complete(sales, cart)
    sales.reprice(sales.credits, "9.99")
    assert complete(sales, cart).id == first.id
    assert sales.balance(ANNA) == 75_000
    with pytest.raises(OrderTaken):
        complete(sales, cart, shown_total=1)
    with pytest.raises(CartConverted):
        complete(sales, cart, key="key_2")


@pytest.mark.parametrize("keys", [("same",) * 4, ("a", "b", "c", "d")], ids=["one", "four"])
def test_clicks_at_once_are_one_order_and_one_charge(sales, keys):
    sales.fill(ANNA, 100_000)
    cart = cart_of(sales, credits_(100))
    made = at_once([partial(complete, sales, cart, key) for key in keys])
    good = {each.id for each in made if not isinstance(each, Exception)}
    assert len(good) == 1
    assert all(isinstance(each, CartConverted) for each in made if isinstance(each, Exception))
    assert sales.balance(ANNA) == 75_000
    assert len(run(sales.database, orders.list_orders).items) == 1


def test_two_carts_at_once_never_spend_the_same_money(sales):
    sales.fill(ANNA, 70_000)
    made = [
        complete(sales, cart_of(sales, online(24)), "k1", wait=True),
        complete(sales, cart_of(sales, online(24, "seagull")), "k2", wait=True),
    ]
    at_once([partial(pin, sales, each) for each in made])
    states = sorted(order(sales, each).state for each in made)
    assert states == ["awaiting_funds", "paid"]
    assert sales.balance(ANNA) in {20_000, 34_000}
    sales.trial()


@pytest.mark.parametrize(
    ("minutes", "price", "charged"), [(20, "5", 25000), (20, "2", 20000), (31, "2", None)]
)
def test_a_total_that_was_not_shown_is_refused_unless_a_guaranteed_price_fell(
    sales, minutes, price, charged
):
    sales.fill(ANNA, 100_000)
    cart = cart_of(sales, credits_(100))
    sales.reprice(sales.credits, price)
    sales.clock.move(minutes * MINUTE)
    if charged is None:
        with pytest.raises(PriceChanged) as refusal:
            complete(sales, cart, shown_total=CREDITS_100)
        assert refusal.value.facts["total"] == 20000
        assert sales.balance(ANNA) == 100_000
        assert complete(sales, cart, shown_total=20000).total == 20000
    else:
        assert complete(sales, cart, shown_total=CREDITS_100).total == charged


def test_what_is_not_there_is_not_completed_and_nothing_changes(sales):
    sales.fill(ANNA, 100_000)
    with pytest.raises(CartEmpty):
        complete(sales, cart_of(sales))
    cart = cart_of(sales, credits_(100), online(24))
    sales.tell_item("mauser", state="archived")
    with pytest.raises(NotForSale):
        complete(sales, cart)
    assert sales.balance(ANNA) == 100_000
    assert run(sales.database, orders.list_orders).items == ()


def test_a_wallet_that_is_short_is_told_what_is_missing_and_the_cart_stays(sales):
    sales.fill(ANNA, 20_000)
    cart = cart_of(sales, credits_(100))
    with pytest.raises(WalletShort) as refusal:
        complete(sales, cart)
    assert refusal.value.facts == {"available": 20_000, "missing": 5_000}
    assert open_cart_of(sales) == cart.id
    sales.fill(ANNA, 5_000)
    assert complete(sales, cart).state == "paid"
    assert sales.balance(ANNA) == 0


# -- waiting, ending -----------------------------------------------------------------------------


def test_an_order_waits_for_its_funds_until_it_is_confirmed(sales, due):
    sales.fill(ANNA, 20_000)
    made = complete(sales, cart_of(sales, credits_(100)), wait=True)
    assert made.state == "awaiting_funds"
    with pytest.raises(WalletShort):
        run(sales.database, buy.confirm_order, made.id)
    sales.fill(ANNA, 5_000)
    due.step()
    assert order(sales, made).state == "awaiting_funds", "nobody said: buy at once"
    with pytest.raises(PriceChanged):
        run(sales.database, buy.confirm_order, made.id, shown_total=1)
    for _ in range(2):
        paid = run(sales.database, buy.confirm_order, made.id, shown_total=CREDITS_100)
        assert (paid.state, sales.balance(ANNA)) == ("paid", 0)
    assert sales.closings(made.id) == ["order.completed"]


def test_an_order_buys_at_once_when_its_wallet_is_filled(sales, due):
    made = complete(sales, cart_of(sales, credits_(100)), wait=True, buy_at_once=True)
    due.step()
    assert order(sales, made).state == "awaiting_funds"
    sales.fill(ANNA, 25_000)
    at_once([due.step] * 2)
    assert order(sales, made).state == "paid"
    assert sales.balance(ANNA) == 0


def test_orders_of_empty_wallets_keep_no_later_one_from_being_paid(sales):
    terms = {"wait": True, "buy_at_once": True}
    for key in ("key_1", "key_2", "key_3"):
        complete(sales, cart_of(sales, credits_(100)), key, **terms)
    later = complete(sales, cart_of(sales, credits_(100), customer=BORIS), **terms)
    assert run(sales.database, orders_to_pay, 2) == []
    sales.fill(BORIS, 25_000)
    assert run(sales.database, orders_to_pay, 2) == [later.id]
    sales.fill(ANNA, 25_000)
    assert len(run(sales.database, orders_to_pay, 2)) == 2


def test_an_order_that_is_not_paid_in_time_expires_and_its_cart_is_open_again(sales, due):
    cart = cart_of(sales, credits_(100))
    made = complete(sales, cart, wait=True)
    sales.clock.move(30 * MINUTE - 1)
    due.step()
    assert order(sales, made).state == "awaiting_funds"
    sales.clock.move(1)
    at_once([due.step] * 3)
    assert order(sales, made).state == "expired"
    assert sales.closings(made.id) == ["order.expired"]
    assert open_cart_of(sales) == cart.id
    sales.fill(ANNA, 25_000)
    due.step()
    with pytest.raises(OrderStateRefused):
        run(sales.database, buy.confirm_order, made.id)
    assert sales.balance(ANNA) == 25_000, "late money stays on the balance"
    assert complete(sales, cart, "key_2").state == "paid"


def test_an_order_is_called_off_before_it_is_paid_and_not_after(sales):
    made = complete(sales, cart_of(sales, online(24)), wait=True)
    for _ in range(2):
        assert run(sales.database, buy.cancel_order, made.id).state == "canceled"
    assert sales.closings(made.id) == ["order.canceled"]
    sales.fill(ANNA, 25_000)
    paid = complete(sales, cart_of(sales, credits_(100), online(24)), "key_2", wait=True)
    assert paid.state == "created"
    run(sales.database, buy.cancel_order, paid.id)
    [line] = [each for each in lines(sales, paid) if each.wish.kind == "item"]
    sales.tell(
        "marketplace.purchase.initiated", line.purchase, purchaseId=line.purchase,
        orderId=paid.id, itemId="mauser", offer="online", consumerId=ANNA, periodHours=24,
        startsAt=None,
    )  # fmt: skip
    assert sales.balance(ANNA) == 25_000
    [late] = [event for event in sales.told("order.canceled") if event.subject == line.purchase]
    assert late.data["purchaseId"] == line.purchase, "access gives the place back"


def test_a_free_order_is_paid_without_money(sales):
    sales.reprice(sales.credits, "0")
    made = complete(sales, cart_of(sales, credits_(100)))
    assert (made.state, made.total) == ("paid", 0)
    assert sales.trial() == {}
