"""What comes after an order: another period, gateways, credits, repeats and deaths."""

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
from farebox.billing.orders.model import Wish
from farebox.billing.orders.model_automatic import AutomaticPurchase
from farebox.billing.orders.model_refunds import NothingToRefund, RefundRule
from farebox.billing.orders.service import lock_order
from farebox.billing.orders.service_automatic import set_automatic
from farebox.billing.orders.service_changes import (
    begin_change,
    finish_change,
    pending_change,
    quote_change,
    undo_change,
)
from farebox.billing.orders.service_paying import end_order
from farebox.billing.orders.service_policies import write_policy
from farebox.billing.orders.service_refunds import return_lines
from farebox.billing.payments.model import PaymentNotSo
from farebox.billing.payments.service import payments_of
from farebox.events.model import Event, Position
from farebox.kernel import ids
from farebox.ledger.verify import verify
from tests.support.sales import HOUR, MINUTE
from tests.support.services import ADA, run
from tests.support.two_sides import ONLINE, cinema


@pytest.fixture
def sides(database, billing, clock):
    return cinema(database, billing, clock)


@pytest.fixture
def rich(sides):
    sides.fill(100_000)
    return sides


# -- another period ------------------------------------------------------------------------------


def extend(sides, line, hours):
    run(sides.access, ask_extension, line.rental, hours)


def test_a_longer_rental_costs_the_difference_once(rich):
    order, line = rich.bought()
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
    _, line = sides.bought()
    extend(sides, line, 48)
    sides.settle()
    [told] = sides.told("rental.change_refused")
    assert (told.data["reason"], told.data["missing"]) == ("wallet_short", 12_000)
    assert run(sides.access, rentals.read_rental, line.rental).rental.period_hours == 24


def test_a_longer_rental_that_access_cannot_give_is_paid_back(rich):
    order, line = rich.bought()
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
    order, line = rich.bought(wish=wish)
    extend(rich, line, 12)
    rich.settle()
    assert (rich.balance, rich.order(order.id).net) == (76_000, 24_000)
    rich.clock.move(6 * HOUR)
    assert run(rich.billing, quote_change, line.rental, 24).amount == 12_000
    assert run(rich.access, rentals.read_rental, line.rental).rental.period_hours == 12


def returned_while_changed(sides, hours, to_hours, percent):
    """Return a rental's order and line that went back between the money and access's word on it."""
    run(sides.billing, write_policy, ADA, "online_rental", [RefundRule(percent=percent)])
    start = sides.clock.now_us() + 5 * HOUR
    wish = Wish(kind="item", code="mauser", offer="online", period_hours=hours, starts_at=start)
    order, line = sides.bought(wish=wish)
    run(
        sides.billing, begin_change, line.rental, change_id="evt_1", from_hours=hours,
        to_hours=to_hours,
    )  # fmt: skip
    run(sides.billing, return_lines, ADA, order.id, None, accept_nothing=True)
    return order, line


@pytest.mark.parametrize(("percent", "net"), [("100", 0), ("50", 24_000)])
def test_a_shorter_rental_that_was_returned_meanwhile_gives_back_nothing_more(rich, percent, net):
    order, line = returned_while_changed(rich, 48, 12, percent)
    run(rich.billing, finish_change, line.rental, 12)
    assert rich.order(order.id).net == net
    assert run(rich.billing, pending_change, line.id) is None
    rich.trial()


@pytest.mark.parametrize(("percent", "net"), [("100", 0), ("50", 18_000), ("0", 36_000)])
def test_a_longer_rental_that_was_returned_and_cannot_be_is_paid_back_in_part(rich, percent, net):
    """Half of 480 went back with the line: of the 120 for the change the other half goes now."""
    order, line = returned_while_changed(rich, 24, 48, percent)
    run(rich.billing, undo_change, line.rental, "rental_window")
    assert rich.order(order.id).net == net
    assert run(rich.billing, pending_change, line.id) is None
    rich.trial()


# -- gateways ------------------------------------------------------------------------------------


def test_an_order_is_paid_by_card(sides):
    sides.settle()
    order, _ = sides.bought(pay_by="gateway", gateway="sandbox")
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
    # A transfer has three days.
    sides.clock.move(3 * 24 * 60 * MINUTE)
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
    inbox = rich.inboxes[side]
    died: list[Event] = []
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
