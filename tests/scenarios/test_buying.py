"""Buying across access and billing: pinned, paid, granted, changed, given back."""

import pytest

from farebox.access.rentals import service as rentals
from farebox.billing.flows import buy
from farebox.billing.orders.model import OrderStateRefused, Wish
from farebox.billing.orders.model_refunds import NothingToRefund, RefundExceeds, RefundRule
from farebox.billing.orders.service import Terms
from farebox.billing.orders.service_policies import set_commission, write_policy
from farebox.billing.orders.service_refunds import allow, quote_returns
from farebox.platform.model import SYSTEM
from tests.support.sales import HOUR, MINUTE
from tests.support.services import ADA, run
from tests.support.two_sides import ONLINE, SEAGULL, cinema


@pytest.fixture
def sides(database, billing, clock):
    return cinema(database, billing, clock)


@pytest.fixture
def rich(sides):
    sides.fill(100_000)
    return sides


# -- the saga ------------------------------------------------------------------------------------


def test_a_purchase_that_names_no_order_is_paid_and_granted(rich):
    made = rich.market.start(offer="online", period_hours=24)
    rich.settle()
    [order] = rich.orders()
    assert (order.state, order.total, rich.balance) == ("fulfilled", 36_000, 64_000)
    assert rich.market.purchase(made).state == "fulfilled"
    assert rich.market.rights() == [("mauser", "online")]
    assert rich.trial() == {
        "cash:sandbox": -100_000, "wallet": 64_000, f"payable:{rich.market.owner}": 36_000,
    }  # fmt: skip


def test_a_cart_of_two_is_one_order_and_two_rentals(rich):
    order = rich.complete(rich.cart(ONLINE, SEAGULL), shown_total=86_000)
    assert (order.state, order.total, rich.balance) == ("fulfilled", 86_000, 14_000)
    assert [line.state for line in rich.lines(order.id)] == ["granted", "granted"]
    assert sorted(rich.market.rights()) == [("mauser", "online"), ("seagull", "online")]


def test_what_has_no_price_gives_its_place_back(rich):
    made = rich.market.start(offer="keep")
    rich.settle()
    assert rich.market.purchase(made).state == "released"
    assert rich.orders() == ()
    [told] = rich.told("order.canceled")
    assert (told.data["purchaseId"], told.data["reason"]) == (made.id, "not_for_sale")


def test_a_purchase_waits_for_its_wallet_to_be_filled_and_is_then_granted(sides):
    sides.fill(20_000)
    made = sides.market.start(offer="online", period_hours=24)
    sides.settle()
    [order] = sides.orders()
    assert (order.state, sides.market.purchase(made).state) == ("awaiting_funds", "initiated")
    sides.fill(16_000)
    sides.settle()
    assert (sides.balance, sides.market.purchase(made).state) == (0, "fulfilled")


def test_a_purchase_that_is_not_paid_in_time_gives_its_place_back(sides):
    made = sides.market.start(offer="hall")
    sides.settle()
    assert sides.market.left() == 4
    sides.clock.move(30 * MINUTE)
    sides.settle()
    assert (sides.market.purchase(made).state, sides.market.left()) == ("released", 5)
    sides.fill(200_000)
    sides.settle()
    assert sides.balance == 200_000
    [order] = sides.orders()
    assert order.state == "expired"


def test_a_purchase_for_an_order_that_never_comes_is_let_go(sides):
    made = sides.market.start(offer="hall", order="ord_never")
    sides.settle()
    sides.clock.move(30 * MINUTE - 1)
    sides.settle()
    assert sides.market.purchase(made).state == "initiated"
    sides.clock.move(1)
    sides.settle()
    assert (sides.market.purchase(made).state, sides.market.left()) == ("released", 5)


def test_a_purchase_that_comes_before_its_order_is_taken_up_by_it(rich):
    made = rich.market.start(offer="online", period_hours=24, order="ord_minted")
    rich.settle()
    cart = rich.cart(ONLINE)
    run(
        rich.billing, buy.complete_cart, cart, key="k", terms=Terms(), order_id="ord_minted"
    )  # fmt: skip
    rich.settle()
    assert rich.market.purchase(made).state == "fulfilled"
    assert rich.balance == 64_000


def test_an_order_that_ends_before_its_places_are_pinned_leaves_other_purchases_alone(sides):
    order = run(
        sides.billing, buy.complete_cart, sides.cart(ONLINE), key="k", terms=Terms(),
        wait_for_funds=True,
    )  # fmt: skip
    run(sides.billing, buy.cancel_order, order.id)
    other = sides.market.start(offer="online", period_hours=24)
    sides.settle()
    assert sides.market.purchase(other).state == "initiated"
    [line] = sides.lines(order.id)
    late = sides.market.start(offer="keep", own_id=line.purchase, order=order.id)
    sides.settle()
    assert sides.market.purchase(late).state == "released"
    assert {one.state for one in sides.orders()} == {"canceled", "awaiting_funds"}


def test_what_cannot_be_granted_any_more_is_paid_back_in_full(rich):
    run(rich.billing, set_commission, ADA, rich.market.owner, "15")
    order = run(rich.billing, buy.complete_cart, rich.cart(ONLINE, SEAGULL), key="k", terms=Terms())
    first, second = rich.lines(order.id)
    for line in (first, second):
        rich.market.start(
            offer="online", own_id=line.purchase, item=line.wish.code, order=order.id,
            period_hours=24,
        )  # fmt: skip
    rich.readers[1].step()
    rich.inboxes[1].step()
    assert (rich.order(order.id).state, rich.balance) == ("paid", 14_000)
    # The item goes before access hears that it was paid.
    rich.market.change("seagull", offers=rich.market.read("mauser").offers[:1])
    rich.settle()
    done = rich.orders()[0]
    assert (done.state, done.total, done.refunded, done.net) == (
        "fulfilled",
        86_000,
        50_000,
        36_000,
    )
    assert [line.state for line in rich.lines(order.id)] == ["granted", "failed"]
    assert rich.balance == 64_000
    assert rich.trial() == {
        "cash:sandbox": -100_000, "wallet": 64_000, "commission": 5_400,
        f"payable:{rich.market.owner}": 30_600,
    }  # fmt: skip


# -- giving back ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("starts_in", "back"), [(2, 36_000), (None, 18_000)], ids=["before", "after"]
)
def test_a_rental_goes_back_by_its_policy(rich, starts_in, back):
    starts = None if starts_in is None else rich.clock.now_us() + starts_in * HOUR
    wish = Wish(kind="item", code="mauser", offer="online", period_hours=24, starts_at=starts)
    order, line = rich.bought(wish=wish)
    rich.clock.move(HOUR)
    [quote] = run(rich.billing, quote_returns, order.id, None, "own_wish")
    assert quote.amount == back
    refund = rich.give_back(order.id)
    assert (refund.amount, rich.balance) == (back, 64_000 + back)
    [done] = rich.orders()
    assert (done.total, done.net) == (36_000, 36_000 - back)
    assert rich.market.rights() == []
    with pytest.raises(OrderStateRefused):
        rich.give_back(order.id, line.id)


def test_what_was_played_brings_nothing_back_unless_it_was_our_fault(rich):
    order, line = rich.bought()
    run(rich.access, rentals.play_rental, SYSTEM, line.rental)
    rich.settle()
    with pytest.raises(NothingToRefund):
        rich.give_back(order.id)
    assert rich.market.rights() == [("mauser", "online")]
    assert rich.give_back(order.id, reason="our_fault").amount == 36_000
    assert rich.market.rights() == []


def test_one_of_two_lines_goes_back_and_the_other_stays(rich):
    order = rich.complete(rich.cart(ONLINE, SEAGULL))
    second = rich.lines(order.id)[1]
    rich.give_back(order.id, second.id, reason="our_fault")
    done = rich.order(order.id)
    assert (done.total, done.refunded, done.net, done.refund_state) == (
        86_000, 50_000, 36_000, "partial",
    )  # fmt: skip
    assert rich.market.rights() == [("mauser", "online")]
    assert rich.balance == 64_000


def test_an_allowance_leaves_the_right_and_never_exceeds_what_was_charged(rich):
    order, _ = rich.bought()
    run(rich.billing, allow, ADA, order.id, 30_000)
    rich.settle()
    assert rich.market.rights() == [("mauser", "online")]
    for amount in (6_001, 10**15, 0, -5):
        with pytest.raises(RefundExceeds):
            run(rich.billing, allow, ADA, order.id, amount)
    run(rich.billing, allow, ADA, order.id, 6_000)
    assert (rich.balance, rich.order(order.id).refund_state) == (100_000, "full")
    assert rich.trial() == {"cash:sandbox": -100_000, "wallet": 100_000}


def test_a_later_policy_changes_nothing_for_what_was_sold(rich):
    order, _ = rich.bought()
    run(rich.billing, write_policy, ADA, "online_rental", (RefundRule(percent="0"),))
    assert rich.give_back(order.id).amount == 18_000
    later, _ = rich.bought(key="key_2")
    with pytest.raises(NothingToRefund):
        rich.give_back(later.id)
