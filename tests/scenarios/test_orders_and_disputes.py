"""Orders that meet a dispute, a return, a begun showing, a gift or another buyer on their way."""

from functools import partial

import pytest

from farebox.access.flows.change_rental import ask_extension
from farebox.access.marketplace.model import Offer
from farebox.access.rentals import service as rentals
from farebox.billing.flows import buy
from farebox.billing.flows.say_by_hand import refund_by_hand, say_chargeback, say_payment
from farebox.billing.orders.model import Wish
from farebox.billing.orders.service import Terms
from farebox.billing.orders.service_refunds import allow, return_lines
from farebox.billing.payments.model import RefundElsewhere
from farebox.billing.payments.model_outcomes import Disputed
from farebox.billing.payments.service import payments_of
from farebox.billing.payments.service_refunds import refunds_of
from tests.scenarios.test_one_row_and_the_others import open_events
from tests.support.payments import Till
from tests.support.sales import HOUR, MINUTE
from tests.support.services import ADA, run
from tests.support.two_sides import ONLINE, cinema

HALL = Wish(kind="item", code="mauser", offer="hall")
CARD = {"pay_by": "gateway", "gateway": "sandbox"}


@pytest.fixture
def sides(database, billing, clock):
    return cinema(database, billing, clock)


def disputed(payment, amount=0):
    return Disputed(payment=payment, reference="dp_1", state="opened", amount=amount)


def payment_of(sides, order):
    [found] = run(sides.billing, payments_of, "order", order.id)
    return found


def patience(sides):
    for _ in range(4):
        sides.settle()
        sides.clock.move(MINUTE)


def show_at(sides, hours):
    """Let the film be shown in the hall in so many hours."""
    at = sides.clock.now_us() + hours * HOUR
    hall = Offer(code="hall", kind="theatre_ticket", capacity=5, starts_at=at, zone="UTC")
    sides.market.change("mauser", offers=(hall, *sides.market.read("mauser").offers[1:]))
    sides.settle()


def begun(sides, wish):
    """Return an order that is paid, of which access has not heard."""
    order = run(sides.billing, buy.complete_cart, sides.cart(wish), key="k", terms=Terms())
    [line] = sides.lines(order.id)
    sides.market.start(
        offer=wish.offer, own_id=line.purchase, item=wish.code, order=order.id,
        period_hours=wish.period_hours,
    )  # fmt: skip
    sides.readers[1].step()
    sides.inboxes[1].step()
    assert sides.order(order.id).state == "paid"
    return order


def test_what_a_bank_took_back_by_letter_is_taken_from_who_had_it(sides):
    order, _ = sides.bought(**CARD)
    run(sides.billing, say_chargeback, ADA, disputed(payment_of(sides, order).id))
    sides.settle()
    assert sides.market.rights() == []


@pytest.mark.parametrize(("amount", "by_card"), [(100, 35_900), (36_000, 0)])
def test_a_return_goes_back_as_far_as_a_bank_has_not_taken_it_first(sides, amount, by_card):
    order, _ = sides.bought(**CARD)
    run(sides.billing, return_lines, ADA, order.id, None, reason="our_fault")
    run(sides.billing, say_chargeback, ADA, disputed(payment_of(sides, order).id, amount))
    sides.settle()
    assert payment_of(sides, order).refunded == by_card
    assert sides.trial() == {}


def test_a_return_that_a_bank_sends_back_is_asked_for_again_and_no_more_than_that(sides):
    order, _ = sides.bought(**CARD)
    refund = partial(run, sides.billing, refund_by_hand, ADA, payment_of(sides, order).id)
    with pytest.raises(RefundElsewhere):
        refund(1, key="too early")
    run(sides.billing, return_lines, ADA, order.id, None, reason="our_fault")
    sides.settle()
    [first] = run(sides.billing, refunds_of, payment_of(sides, order).id)
    sides.till.tell(id="evt_1", refund=first.id, outcome="declined")
    assert sides.trial()["suspense"] == order.total
    with pytest.raises(RefundElsewhere):
        refund(order.total + 1, key="too much")
    refund(order.total, key="again")
    with pytest.raises(RefundElsewhere):
        refund(1, key="once more")
    sides.settle()
    assert payment_of(sides, order).refunded == order.total
    assert sides.trial() == {}


@pytest.mark.parametrize("amount", [100, 1000])
def test_a_top_up_whose_refund_a_chargeback_overtakes_is_given_back_once(billing, amount):
    till = Till(billing)
    paid = till.top_up()
    till.refund(paid, 1000)
    run(billing, say_chargeback, ADA, disputed(paid.id, amount))
    till.work()
    now = till.read(paid)
    assert till.wallet().available + now.refunded + now.charged_back == 1000


def test_nobody_has_what_somebody_elses_order_paid_for(sides):
    sides.fill(100_000)
    zoe = sides.market.buyer("Zoe")
    sides.settle()
    order = run(sides.billing, buy.complete_cart, sides.cart(ONLINE), key="k", terms=Terms())
    sides.market.start(zoe, offer="online", order=order.id, period_hours=24)
    sides.settle()
    assert (sides.market.rights(zoe), sides.balance) == ([], 100_000)


def test_a_wallet_filled_after_the_showing_has_begun_pays_no_ticket(sides):
    show_at(sides, 1)
    sides.clock.move(50 * MINUTE)
    sides.market.start(offer="hall")
    sides.settle()
    sides.clock.move(15 * MINUTE)
    sides.fill(150_000)
    sides.settle()
    assert (sides.market.rights(), sides.balance) == ([], 150_000)


def test_a_transfer_that_comes_after_the_showing_has_begun_goes_back(sides):
    show_at(sides, 24)
    order = sides.complete(sides.cart(HALL), pay_by="gateway", gateway="manual")
    sides.clock.move(25 * HOUR)
    sides.settle()
    run(sides.billing, say_payment, ADA, payment_of(sides, order).id, reference="bank 1")
    sides.settle()
    paid = payment_of(sides, order)
    assert (sides.market.rights(), paid.refunded + paid.refunding) == ([], 150_000)


@pytest.mark.parametrize("hours", [12, 48])
def test_an_allowance_stops_no_change_of_a_rental_that_is_on_its_way(sides, hours):
    sides.fill(100_000)
    start = sides.clock.now_us() + 5 * HOUR
    wish = Wish(kind="item", code="mauser", offer="online", period_hours=24, starts_at=start)
    order, line = sides.bought(wish)
    run(sides.access, ask_extension, line.rental, hours)
    sides.readers[1].step()
    sides.inboxes[1].step()
    run(sides.billing, allow, ADA, order.id, sides.order(order.id).net)
    if hours > 24:
        sides.clock.move(60 * HOUR)  # Access cannot do it any more.
    patience(sides)
    assert open_events(sides.billing) == []
    assert sides.balance == 100_000


def test_an_order_by_a_gateway_that_is_none_ends_without_a_dead_event(sides):
    terms = Terms(pay_by="gateway", gateway="nope")
    order = run(sides.billing, buy.complete_cart, sides.cart(ONLINE), key="k", terms=terms)
    [line] = sides.lines(order.id)
    sides.market.start(offer="online", own_id=line.purchase, order=order.id, period_hours=24)
    patience(sides)
    assert open_events(sides.billing) == []
    found = sides.order(order.id)
    assert (found.state, found.reason) == ("failed", "payment_gateway_unknown")


def test_what_was_returned_and_could_never_be_granted_is_paid_back_in_full(sides):
    sides.fill(150_000)
    show_at(sides, 100)
    order = begun(sides, HALL)
    sides.market.change("mauser", offers=sides.market.read("mauser").offers[1:])
    assert run(sides.billing, return_lines, ADA, order.id, None).amount == 45_000
    sides.settle()
    assert (sides.market.rights(), sides.balance) == ([], 150_000)


@pytest.mark.parametrize(("back_to", "net"), [(24, 36_000), (12, 24_000)])
def test_what_support_gave_for_nothing_brings_no_money_back(sides, back_to, net):
    sides.fill(36_000)
    start = sides.clock.now_us() + 5 * HOUR
    wish = Wish(kind="item", code="mauser", offer="online", period_hours=24, starts_at=start)
    order, line = sides.bought(wish)
    run(sides.access, rentals.extend_rental, ADA, line.rental, 48)
    sides.settle()
    run(sides.access, ask_extension, line.rental, back_to)
    sides.settle()
    assert sides.order(order.id).net == net
