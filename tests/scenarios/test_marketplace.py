"""Buying on the marketplace (source 002, flow 2), whatever order its events come in.

Billing is played by its events. Everything goes through the inbox, as it does in the service.
"""

from collections import Counter
from functools import partial
from typing import Any

import pytest

from farebox.access.marketplace import service as items
from farebox.access.marketplace.model import (
    AlreadyEntitled,
    ItemNotOnSale,
    Offer,
    OfferUnknown,
    PeriodRefused,
    PlaceEnded,
    PlaceUnknown,
    Purchase,
    PurchasePending,
    PurchaseTaken,
    SoldOut,
)
from farebox.access.marketplace.rules import PURCHASE_STEPS
from farebox.events.service_dead_letters import list_dead_letters
from farebox.kernel.refusals import Refusal, ValueRefused
from tests.support.market import H, Market
from tests.support.services import ADA, at_once, run
from tests.support.stall import FOR_GOOD


@pytest.fixture
def market(database, clock):
    return Market(database, clock)


# -- the flow ------------------------------------------------------------------------------------


def test_an_item_is_bought_paid_granted_and_confirmed(market):
    made = market.start(order="ord_1")
    (asked,) = market.billing.told("marketplace.purchase.initiated")
    assert (asked.id, asked.subject) == (made.event, made.id)
    assert asked.data == {
        "purchaseId": made.id, "orderId": "ord_1", "itemId": "mauser", "offer": "hall",
        "consumerId": market.bob, "periodHours": None, "startsAt": None, "placeId": made.place,
    }  # fmt: skip
    assert (market.rights(), market.left()) == ([], 4)
    # As source 002 writes it: order, item and consumer alone.
    market.billing.tell("order.completed", "ord_1", itemId="mauser", consumerId=market.bob)
    assert market.rights() == [("mauser", "hall")]
    (done,) = market.told("marketplace.purchase.completed")
    assert (done["purchaseId"], done["orderId"]) == (made.id, "ord_1")
    assert market.purchase(made).state == "fulfilled"
    assert market.left() == 4


def test_twenty_buyers_at_once_buy_five_places_and_no_more(market):
    buyers = [market.buyer(str(number)) for number in range(20)]
    answers = at_once(partial(market.start, buyer) for buyer in buyers)
    assert Counter(type(answer) for answer in answers) == {Purchase: 5, SoldOut: 15}
    for number, made in enumerate(each for each in answers if isinstance(each, Purchase)):
        market.complete(made, f"ord_{number}")
    assert len(market.told("marketplace.purchase.completed")) == 5
    assert (market.left(), market.told("order.fulfilment_failed")) == (0, [])


def test_the_same_id_is_the_same_purchase_also_twice_at_once(market):
    start = partial(market.start, own_id="pur_" + "a" * 16, order="ord_1")
    answers = at_once([start] * 5)
    assert answers == [answers[0]] * 5
    assert (len(market.told("marketplace.purchase.initiated")), market.left()) == (1, 4)
    market.complete(answers[0])
    assert start().state == "fulfilled"
    for other in ({"consumer": market.buyer("Eve")}, {"offer": "keep"}, {"order": "ord_2"}):
        with pytest.raises(PurchaseTaken):
            market.start(**{"own_id": "pur_" + "a" * 16, "order": "ord_1", **other})
    with pytest.raises(ValueRefused):
        market.start(own_id="mine")


def test_a_second_purchase_of_the_same_waits_for_the_first(market):
    first = market.start()
    with pytest.raises(PurchasePending):
        market.start()
    market.billing.tell("order.canceled", "ord_1", purchaseId=first.id)
    assert market.start().id != first.id


def test_what_the_buyer_has_is_not_sold_again(market, clock):
    market.buy("online")
    for again in ("online", "two"):
        with pytest.raises(AlreadyEntitled):
            market.start(offer=again, period_hours=48 if again == "online" else 720)
    market.buy("hall", order="ord_2")
    market.buy("keep", order="ord_3")
    clock.move(48 * H)
    with pytest.raises(AlreadyEntitled):
        market.start(offer="online", period_hours=48)  # it is theirs for good
    with pytest.raises(AlreadyEntitled):
        market.start(offer="hall")


def test_after_a_rental_the_same_can_be_rented_again(market, clock):
    market.buy()
    clock.move(48 * H)
    assert market.buy(order="ord_2").state == "fulfilled"


def test_what_cannot_be_bought_is_refused_and_holds_nothing(market, clock):
    now = clock.now_us()
    wrong: dict[str, tuple[dict[str, Any], type[Refusal]]] = {
        "no such offer": ({"offer": "box"}, OfferUnknown),
        "a rental without a period": ({"offer": "online"}, PeriodRefused),
        "a period that is not offered": ({"offer": "online", "period_hours": 13}, PeriodRefused),
        "a ticket with a period": ({"period_hours": 12}, PeriodRefused),
        "a start in the past": (
            {"offer": "online", "period_hours": 12, "starts_at": now - 1}, PeriodRefused,
        ),
        "a stranger's place": ({"place": market.hold(market.buyer(), "mauser").id}, PlaceUnknown),
        "a place of another offer": (
            {"place": market.hold(market.bob, "mauser", "keep").id}, PlaceUnknown,
        ),
    }  # fmt: skip
    left = market.left()
    for case, refusal in wrong.values():
        with pytest.raises(refusal):
            market.start(**case)
    lapsed = market.hold(market.bob, "mauser")
    clock.move(H)
    with pytest.raises(PlaceEnded):
        market.start(place=lapsed.id)
    run(market.database, items.withdraw_item, ADA, "mauser")
    with pytest.raises(ItemNotOnSale):
        market.start()
    assert market.left() == left + 1  # what others held has lapsed
    assert market.told("marketplace.purchase.initiated") == []


def test_a_showing_is_sold_until_it_begins(market, clock):
    showing = Offer(code="hall", kind="theatre_ticket", starts_at=clock.now_us() + H, capacity=5)
    market.change("mauser", offers=(showing,))
    made = market.start()
    market.complete(made)
    clock.move(H)
    with pytest.raises(ItemNotOnSale):
        market.start(market.buyer())
    market.refund(made)
    assert market.left() == 4  # it has begun: nobody else can use the place


# -- what the end of an order means -------------------------------------------------------------


@pytest.mark.parametrize("end", ["order.canceled", "order.expired", "payment.failed"])
def test_an_order_that_comes_to_nothing_gives_the_place_back(market, clock, end):
    made = market.start(order="ord_1")
    clock.move(100 * H)
    assert market.left() == 4  # pinned, however long money takes
    for _ in range(2):
        market.billing.tell(end, "ord_1", reason="card_declined")
        assert (market.purchase(made).state, market.left()) == ("released", 5)
    assert market.rights() == []


def test_a_refund_takes_the_right_and_gives_the_place_back_once(market):
    made = market.buy("hall")
    for _ in range(2):
        market.refund(made)
        assert (market.rights(), market.left()) == ([], 5)
    assert market.purchase(made).state == "refunded"
    assert market.buy("hall", order="ord_2").state == "fulfilled"


def test_a_refund_before_its_order_leaves_nothing(market):
    made = market.start(order="ord_1")
    market.refund(made)
    market.complete(made)
    assert (market.rights(), market.left(), market.purchase(made).state) == ([], 5, "refunded")
    market.billing.tell("refund.issued", "ord_9", itemId="mauser", consumerId=market.bob)
    market.billing.tell(
        "order.completed", "ord_9", itemId="mauser", offer="hall", consumerId=market.bob
    )
    assert (market.rights(), market.left()) == ([], 5)


def test_money_that_comes_after_the_release_takes_a_new_place_or_comes_back(market):
    late, later = market.start(), market.start(market.buyer("Eve"))
    market.billing.tell("order.expired", "ord_1", purchaseId=late.id)
    market.billing.tell("order.expired", "ord_2", purchaseId=later.id)
    for number in range(4):
        market.hold(market.buyer(str(number)), "mauser")
    market.complete(late, "ord_1")
    assert (market.purchase(late).state, market.left()) == ("fulfilled", 0)
    market.complete(later, "ord_2")
    (failed,) = market.billing.told("order.fulfilment_failed")
    assert (failed.subject, failed.data["reason"]) == ("ord_2", "sold_out")
    assert (failed.data["purchaseId"], failed.data["consumerId"]) == (later.id, later.consumer)
    assert market.purchase(later).state == "failed"
    assert market.rights(later.consumer) == []


def test_a_late_payment_for_what_was_bought_again_comes_back(market):
    late = market.start()
    market.billing.tell("order.canceled", "ord_1", purchaseId=late.id)
    market.buy("hall", order="ord_2")
    market.complete(late, "ord_1")
    assert [data["reason"] for data in market.told("order.fulfilment_failed")] == [
        "already_entitled"
    ]
    assert market.rights() == [("mauser", "hall")]


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"itemId": "nothing", "consumerId": "con_x"}, "item_unknown"),
        ({"itemId": "mauser", "offer": "box", "consumerId": "con_x"}, "offer_unknown"),
        ({"itemId": "mauser", "consumerId": "con_x"}, "offer_unknown"),  # it has several
        ({"itemId": "mauser", "offer": "hall", "consumerId": "con_x"}, "consumer_unknown"),
    ],
)
def test_an_order_that_nobody_began_here_is_granted_or_refunded(market, said, reason):
    market.billing.tell("order.completed", "ord_1", **said)
    assert [data["reason"] for data in market.told("order.fulfilment_failed")] == [reason]
    market.billing.tell(
        "order.completed", "ord_2", itemId="mauser", offer="hall", consumerId=market.bob
    )
    assert (market.rights(), market.left()) == ([("mauser", "hall")], 4)


def test_an_order_of_several_lines_is_granted_line_by_line(market):
    market.item("play", "Пьеса", offers=(FOR_GOOD,))
    first = market.start(order="ord_1")
    second = market.start(item="play", offer="keep", order="ord_1")
    market.billing.tell(
        "order.completed",
        "ord_1",
        consumerId=market.bob,
        lines=[{"itemId": "mauser", "offer": "hall"}, {"purchaseId": second.id}],
    )
    assert market.rights() == [("mauser", "hall"), ("play", "keep")]
    market.billing.tell("refund.issued", "ord_1", itemId="play", consumerId=market.bob)
    assert market.rights() == [("mauser", "hall")]
    # Without a line it is about the whole order.
    market.billing.tell("refund.issued", "ord_1")
    assert (market.rights(), market.purchase(first).state) == ([], "refunded")


@pytest.mark.parametrize(
    "said",
    [
        {"purchaseId": "pur_" + "0" * 16},
        {"itemId": "mauser"},
        {"itemId": 5},
        {"lines": [{"itemId": []}]},
        {"itemId": "mauser", "consumerId": 7},
    ],
)
def test_an_order_that_says_too_little_is_set_aside_and_changes_nothing(market, said):
    event = market.billing.tell("order.completed", "ord_1", **said)
    for _ in range(4):
        market.clock.move(H)
        market.billing.inbox.step()
    assert [one.event.id for one in run(market.database, list_dead_letters)] == [event.id]
    assert (market.rights(), market.left()) == ([], 5)
    # Another order is not held up by it.
    market.buy("hall", order="ord_2")


def test_every_fact_has_its_meaning_in_every_state(market):
    states = ("initiated", "released", "fulfilled", "failed", "refunded")
    facts = ("completed", "ended", "refunded")
    assert set(PURCHASE_STEPS) == {(state, fact) for state in states for fact in facts}


def test_orders_of_something_else_are_passed_by(market):
    market.billing.tell("order.completed", "ord_1", subscriptionId="sub_1")
    market.billing.tell("order.canceled", "ord_2", itemId="mauser", consumerId=market.bob)
    assert market.told("order.fulfilment_failed") == []
    assert run(market.database, list_dead_letters) == ()
