"""Buying across access and billing: pinned, paid, granted, changed, given back."""

import msgspec
import pytest

from farebox.access.buckets import service as buckets
from farebox.access.catalog.service import create_product
from farebox.access.flows.change_rental import ask_extension
from farebox.access.rentals import service as rentals
from farebox.access.usage.service_notices import set_low_mark
from farebox.billing.customers.service import ensure_customer
from farebox.billing.flows import buy
from farebox.billing.flows.say_by_hand import say_payment
from farebox.billing.orders.model import OrderStateRefused, Wish
from farebox.billing.orders.model_automatic import AutomaticPurchase
from farebox.billing.orders.model_refunds import NothingToRefund, RefundExceeds, RefundRule
from farebox.billing.orders.service import lock_order
from farebox.billing.orders.service_automatic import set_automatic
from farebox.billing.orders.service_changes import quote_change
from farebox.billing.orders.service_paying import end_order
from farebox.billing.orders.service_policies import set_commission, write_policy
from farebox.billing.orders.service_refunds import allow, quote_returns
from farebox.billing.payments.model import PaymentNotSo
from farebox.billing.payments.service import payments_of
from farebox.events.model import Position
from farebox.kernel import ids
from farebox.ledger.verify import verify
from farebox.platform.model import SYSTEM
from tests.support.sales import HOUR, MINUTE
from tests.support.services import ADA, run
from tests.support.two_sides import TwoSides

ONLINE = Wish(kind="item", code="mauser", offer="online", period_hours=24)
SEAGULL = Wish(kind="item", code="seagull", offer="online", period_hours=24)


@pytest.fixture
def sides(database, billing, clock):
    made = TwoSides(database, billing, clock)
    for hours, rub in ((12, "240"), (24, "360"), (48, "480")):
        made.sell("item", "mauser", rub, offer="online", period_hours=hours)
    made.sell("item", "mauser", "1500", offer="hall")
    made.sell("item", "seagull", "500")
    return made


@pytest.fixture
def rich(sides):
    sides.fill(100_000)
    return sides


def bought(sides, **more):
    """Return Bob's order of Mauser for 24 hours, and its line."""
    made = sides.complete(sides.cart(more.pop("wish", ONLINE)), **more)
    return made, sides.lines(made.id)[0]


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
        rich.billing, buy.complete_cart, cart, key="k", terms=buy.Terms(), order_id="ord_minted"
    )  # fmt: skip
    rich.settle()
    assert rich.market.purchase(made).state == "fulfilled"
    assert rich.balance == 64_000


def test_an_order_that_ends_before_its_places_are_pinned_leaves_other_purchases_alone(sides):
    order = run(
        sides.billing, buy.complete_cart, sides.cart(ONLINE), key="k", terms=buy.Terms(),
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
    order = run(
        rich.billing, buy.complete_cart, rich.cart(ONLINE, SEAGULL), key="k", terms=buy.Terms()
    )
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
    order, line = bought(rich, wish=wish)
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
    order, line = bought(rich)
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
    order, _ = bought(rich)
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
    order, _ = bought(rich)
    run(rich.billing, write_policy, ADA, "online_rental", (RefundRule(percent="0"),))
    assert rich.give_back(order.id).amount == 18_000
    later, _ = bought(rich, key="key_2")
    with pytest.raises(NothingToRefund):
        rich.give_back(later.id)


# -- another period ------------------------------------------------------------------------------


def extend(sides, line, hours):
    run(sides.access, ask_extension, line.rental, hours)


def test_a_longer_rental_costs_the_difference_once(rich):
    order, line = bought(rich)
    rich.sell("item", "mauser", "900", offer="online", period_hours=48)
    quote = run(rich.billing, quote_change, line.rental, 48)
    assert (quote.fee_before, quote.fee_after, quote.amount) == (36_000, 48_000, 12_000)
    extend(rich, line, 48)
    extend(rich, line, 48)
    rich.settle()
    assert rich.balance == 52_000
    assert run(rich.access, rentals.read_rental, line.rental).rental.period_hours == 48
    done = rich.order(order.id)
    assert (done.total, done.charged) == (36_000, 48_000)
    assert rich.give_back(order.id).amount == 24_000
    assert rich.balance == 76_000
    rich.trial()
    rich.orders()


def test_a_longer_rental_that_cannot_be_paid_is_refused(sides):
    sides.fill(36_000)
    _, line = bought(sides)
    extend(sides, line, 48)
    sides.settle()
    [told] = sides.told("rental.change_refused")
    assert (told.data["reason"], told.data["missing"]) == ("wallet_short", 12_000)
    assert run(sides.access, rentals.read_rental, line.rental).rental.period_hours == 24


def test_a_longer_rental_that_access_cannot_give_is_paid_back(rich):
    order, line = bought(rich)
    extend(rich, line, 48)
    rich.clock.move(30 * HOUR)
    rich.settle()
    assert rich.balance == 64_000
    done = rich.order(order.id)
    assert (done.charged, done.refunded, done.net) == (48_000, 12_000, 36_000)


def test_a_shorter_rental_brings_the_difference_back_before_it_starts(rich):
    wish = Wish(
        kind="item", code="mauser", offer="online", period_hours=48,
        starts_at=rich.clock.now_us() + 5 * HOUR,
    )  # fmt: skip
    order, line = bought(rich, wish=wish)
    extend(rich, line, 12)
    rich.settle()
    assert (rich.balance, rich.order(order.id).net) == (76_000, 24_000)
    rich.clock.move(6 * HOUR)
    assert run(rich.billing, quote_change, line.rental, 24).amount == 12_000
    assert run(rich.access, rentals.read_rental, line.rental).rental.period_hours == 12


# -- gateways ------------------------------------------------------------------------------------


def test_an_order_is_paid_by_card(sides):
    sides.settle()
    order, _ = bought(sides, pay_by="gateway", gateway="sandbox")
    assert order.state == "fulfilled"
    assert sides.trial() == {"cash:sandbox": -36_000, f"payable:{sides.market.owner}": 36_000}
    sides.give_back(order.id, reason="our_fault")
    assert sides.trial() == {}
    sides.orders()


def test_a_card_that_is_declined_ends_the_order_and_gives_the_place_back(sides):
    run(sides.billing, ensure_customer, "consumer", sides.market.bob)
    method = sides.till.method("sandbox_decline_final", sides.market.bob)
    cart = sides.cart(ONLINE)
    order = sides.complete(cart, pay_by="gateway", method=method)
    assert order.state == "failed"
    assert sides.orders()[0].ended_by == "payment.failed"
    assert sides.market.rights() == []
    assert sides.cart() == cart, "the cart is open again"
    assert sides.trial() == {}


def test_an_unknown_payment_keeps_the_place_and_its_order_waits(sides):
    run(sides.billing, ensure_customer, "consumer", sides.market.bob)
    method = sides.till.method("sandbox_unknown", sides.market.bob)
    hall = Wish(kind="item", code="mauser", offer="hall")
    order = sides.complete(sides.cart(hall), pay_by="gateway", method=method)
    sides.clock.move(31 * MINUTE)
    sides.settle()
    assert (sides.order(order.id).state, sides.market.left()) == ("created", 4)
    with pytest.raises(PaymentNotSo):
        run(sides.billing, buy.cancel_order, order.id)


def test_a_payment_that_comes_when_its_order_has_ended_goes_back(sides):
    run(sides.billing, ensure_customer, "consumer", sides.market.bob)
    order = sides.complete(sides.cart(ONLINE), pay_by="gateway", gateway="manual")
    run(sides.billing, end, order.id)
    sides.settle()
    [payment] = run(sides.billing, payments_of, "order", order.id)
    run(sides.billing, say_payment, ADA, payment.id, reference="bank 1")
    sides.settle()
    assert sides.order(order.id).state == "canceled"
    [payment] = run(sides.billing, payments_of, "order", order.id)
    assert (payment.state, payment.refunding + payment.refunded) == ("succeeded", 36_000)
    assert sides.market.rights() == []


def test_a_payment_that_waits_for_its_customer_is_called_off_when_the_time_is_over(sides):
    order = sides.complete(sides.cart(ONLINE), pay_by="gateway", gateway="manual")
    sides.clock.move(30 * MINUTE)
    sides.settle()
    [payment] = run(sides.billing, payments_of, "order", order.id)
    assert (payment.state, sides.orders()[0].ended_by) == ("failed", "payment.failed")


def end(tx, order):
    """End an order while its payment is under way, as an operator's mistake would."""
    return end_order(tx, lock_order(tx, order), "canceled")


# -- credits -------------------------------------------------------------------------------------


@pytest.fixture
def bucket(rich):
    run(rich.access, create_product, ADA, code="films", name="Films", unit="film")
    made = run(
        rich.access, buckets.create_bucket, ADA, product="films", holder_kind="consumer",
        holder=rich.market.bob,
    ).id  # fmt: skip
    rich.settle()
    rich.sell("product", "films", "2.50")
    return made


def credits_into(bucket, quantity=100, product="films"):
    return Wish(kind="credits", code=product, quantity=quantity, bucket=ids.show("bkt", bucket))


def left(sides, bucket):
    return run(sides.access, buckets.read_bucket, bucket).balance.available


def test_credits_that_were_bought_are_in_the_bucket_once_and_the_unused_go_back(rich, bucket):
    order = rich.complete(rich.cart(credits_into(bucket)))
    assert (order.state, left(rich, bucket), rich.balance) == ("fulfilled", 100, 75_000)
    run(rich.access, buckets.consume, ADA, bucket, 30)
    with pytest.raises(NothingToRefund):
        rich.give_back(order.id)
    rich.give_back(order.id, reason="our_fault")
    assert (left(rich, bucket), rich.balance) == (0, 100_000)
    assert rich.trial() == {
        "cash:sandbox": -100_000, "wallet": 100_000, "revenue": 25_000, "refunds": -25_000,
    }  # fmt: skip


def test_credits_of_another_product_are_paid_back(rich, bucket):
    run(rich.access, create_product, ADA, code="sms", name="SMS", unit="sms")
    rich.settle()
    rich.sell("product", "sms", "0.01")
    order = rich.complete(rich.cart(credits_into(bucket, 1_000, "sms")))
    assert (order.state, order.reason, order.net) == ("failed", "bucket_differs", 0)
    assert (left(rich, bucket), rich.balance) == (0, 100_000)


def test_a_refund_of_credits_takes_no_rental_of_the_same_order(rich, bucket):
    order = rich.complete(rich.cart(ONLINE, credits_into(bucket)))
    assert order.state == "fulfilled"
    rich.give_back(order.id, rich.lines(order.id)[1].id, reason="our_fault")
    assert rich.market.rights() == [("mauser", "online")]
    assert left(rich, bucket) == 0


def test_a_low_bucket_is_filled_by_itself_within_a_limit(rich, bucket):
    shown = ids.show("bkt", bucket)
    wanted = AutomaticPurchase(
        bucket=shown, customer=rich.market.bob, product="films", quantity=10, currency="RUB",
        most=5_000, unit="day", unit_count=1, anchor_at=0,
    )  # fmt: skip
    run(rich.billing, set_automatic, ADA, wanted)
    run(rich.access, set_low_mark, ADA, bucket, 2)

    def low(number):
        event = rich.market.billing.event(
            "bucket.low", shown, bucketId=shown, consumerId=rich.market.bob, available=0
        )
        rich.inboxes[1].take([as_of_access(event, number)])
        rich.settle()

    for number in (1, 1, 2, 3):
        low(number)
    assert left(rich, bucket) == 20, "the third would be beyond the limit of the day"
    [told] = rich.told("automatic_purchase.refused")
    assert told.data["reason"] == "limit_reached"
    rich.clock.move(24 * HOUR)
    low(4)
    assert (left(rich, bucket), rich.balance) == (30, 92_500)


def as_of_access(event, number):
    return msgspec.structs.replace(
        event, source="/farebox/access", id=f"evt_low_{number}", subjectversion=number
    )


# -- repeats and deaths --------------------------------------------------------------------------


def test_everything_told_once_more_changes_nothing(rich, bucket):
    order = rich.complete(rich.cart(ONLINE, credits_into(bucket)))
    rich.give_back(order.id, rich.lines(order.id)[1].id, reason="our_fault")
    before = (rich.trial(), rich.orders(), rich.market.rights(), left(rich, bucket))
    for reader, inbox in zip(rich.readers, rich.inboxes, strict=True):
        feed = reader._log.after(Position(), 1_000)
        assert inbox.take(feed.events) == ()
    rich.settle()
    assert (rich.trial(), rich.orders(), rich.market.rights(), left(rich, bucket)) == before


STEPS = (
    (1, "marketplace.purchase.initiated"),
    (0, "order.completed"),
    (1, "marketplace.purchase.completed"),
    (1, "order.fulfilment_completed"),
    (1, "rental.created"),
    (0, "refund.issued"),
    (1, "rental.change_requested"),
    (0, "rental.change_paid"),
    (1, "rental.changed"),
)


@pytest.mark.parametrize(("side", "type_"), STEPS)
def test_whoever_dies_in_a_step_does_it_again_and_the_end_is_the_same(rich, bucket, side, type_):
    inbox, died = rich.inboxes[side], []
    source = "/farebox/billing" if side == 0 else "/farebox/access"
    handlers = dict(inbox._handlers)
    handle = handlers[source, type_]

    def dies_once(tx, event):
        handle(tx, event)
        if not died:
            died.append(event)
            raise RuntimeError("the process is gone before the commit")

    handlers[source, type_] = dies_once
    inbox._handlers = handlers
    order = rich.complete(rich.cart(ONLINE, credits_into(bucket)))
    patience(rich)
    extend(rich, rich.lines(order.id)[0], 48)
    patience(rich)
    rich.give_back(order.id, rich.lines(order.id)[1].id, reason="our_fault")
    patience(rich)
    assert died
    [done] = rich.orders()
    assert (done.state, done.charged, done.refunded) == ("fulfilled", 73_000, 25_000)
    assert (rich.balance, left(rich, bucket)) == (52_000, 0)
    assert rich.market.rights() == [("mauser", "online")]
    rich.trial()
    for database in (rich.access, rich.billing):
        assert [fault for report in verify(database) for fault in report.faults] == []


def patience(sides):
    """Let what failed once be tried again."""
    sides.settle()
    sides.clock.move(2_000_000)
    sides.settle()
