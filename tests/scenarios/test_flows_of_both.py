"""Source 002, flows 1 to 4 with both services as they are, over their logs; nothing is played."""

import pytest

from farebox.kernel.clock import SECOND_US, parse_time
from tests.support.both_sides import API, NODE, open_catalogue, open_shop, show_card

HOUR = 3_600_000_000


@pytest.fixture
def ada(both):
    """Return Ada, who pays by a card that is good, before an open shop."""
    both.at("2027-01-10T09:00:00Z")
    open_catalogue(both.admin.post)
    both.settle()
    open_shop(both.admin.post, both.admin.put)
    return shopper(both)


def shopper(both, name="Ada", script="sandbox_ok"):
    made = both.customer(name)
    both.settle()
    show_card(both.admin.post, made.id, script)
    return made


def subscribed(both, customer, plan="pro"):
    made = str(customer.api.post("/v1/subscriptions", {"plan": plan})["id"])
    both.settle()
    return made


def state_of(customer, subscription):
    return customer.api.get(f"/v1/subscriptions/{subscription}")["state"]


def bought(customer, **more):
    """Return the id of a purchase that has begun."""
    body = {"item": NODE, "offer": "forever", **more}
    return str(customer.api.post("/v1/purchases", body)["id"])


def purchase(customer, purchase_id):
    return customer.api.get(f"/v1/purchases/{purchase_id}")["state"]


def said(both, *types):
    return [event.type for event in both.billing.money.told(*types)]


# -- flow 1 ----------------------------------------------------------------------------------------


def test_flow_1_who_subscribes_to_a_plan_is_charged_and_let_in(both, ada):
    made = ada.api.post("/v1/subscriptions", {"plan": "pro"})
    mine = made["id"]
    assert made["state"] == "pending_payment"
    assert both.decide(ada, API)["code"] == "subscription_pending_payment"
    both.settle()
    money = both.billing.money
    [asked] = both.billing.heard("subscription.created")
    wanted = {"subscriptionId": mine, "consumerId": ada.id, "planId": "pro"}
    assert wanted.items() <= asked.data.items()
    [told] = money.told("payment.succeeded")
    [invoice] = money.invoices(ada.id)
    assert told.data["subscriptionId"] == mine
    assert (told.data["orderId"], told.data["amount"]) == (invoice.id, 9_900)
    assert (invoice.total, invoice.state) == (9_900, "paid")
    assert money.paid(ada.id) == [(9_900, "succeeded")]
    assert money.trial() == {"cash:sandbox": -9_900, "sold": 9_900}
    assert state_of(ada, mine) == "active"
    allowed = both.decide(ada, API)
    assert (allowed["allowed"], allowed["remaining"]) == (True, 9_999)


# -- flow 2 ----------------------------------------------------------------------------------------


def test_flow_2_who_buys_an_item_is_charged_and_has_it(both, ada):
    mine = bought(ada)
    assert (purchase(ada, mine), both.decide(ada, item=NODE)["allowed"]) == ("initiated", False)
    both.settle()
    money = both.billing.money
    [asked] = both.billing.heard("marketplace.purchase.initiated")
    assert {"purchaseId": mine, "itemId": NODE, "consumerId": ada.id}.items() <= asked.data.items()
    [order] = money.orders(ada.id)
    assert (order.total, order.charged, order.state) == (4_999, 4_999, "fulfilled")
    [told] = money.told("order.completed")
    assert (told.data["orderId"], told.data["consumerId"]) == (order.id, ada.id)
    [granted] = both.billing.heard("marketplace.purchase.completed")
    assert (granted.data["purchaseId"], granted.data["orderId"]) == (mine, order.id)
    assert money.paid(ada.id) == [(4_999, "succeeded")]
    assert money.trial()["cash:sandbox"] == -4_999
    assert (purchase(ada, mine), both.decide(ada, item=NODE)["allowed"]) == ("fulfilled", True)
    assert ada.rights() == [NODE]


def test_whose_card_is_declined_buys_nothing_and_the_place_is_free(both, ada):
    bob = shopper(both, "Bob", "sandbox_decline")
    mine = bought(bob)
    both.settle()
    [failed] = both.billing.money.told("payment.failed")
    assert failed.data["consumerId"] == bob.id
    assert (purchase(bob, mine), bob.rights()) == ("released", [])
    assert both.billing.money.trial() == {}


# -- flow 3 ----------------------------------------------------------------------------------------


def test_flow_3_a_month_of_usage_is_aggregated_invoiced_charged_and_paid(both, ada):
    subscribed(both, ada)
    assert both.report(ada, API, 8_000)["quota"]["remaining"] == 2_000
    assert both.report(ada, API, 4_500)["quota"]["overage"] == 2_500
    both.settle()
    assert both.billing.heard("usage.aggregated") == []
    both.at("2027-02-10T11:30:00Z")
    both.at("2027-02-10T13:30:00Z")
    money = both.billing.money
    [told] = both.billing.heard("usage.aggregated")
    [line] = told.data["totals"]
    assert (told.data["consumerId"], line["productCode"], line["total"]) == (ada.id, API, 12_500)
    # The next month in advance; of the last one what the plan did not include: 2,500 at 0.001.
    assert money.bills(ada.id) == [(9_900, "paid"), (9_900, "paid"), (250, "paid")]
    usage = money.invoices(ada.id)[-1]
    assert money.told("invoice.ready")[-1].data["documentId"] == usage.id
    assert money.paid(ada.id) == [(9_900, "succeeded"), (9_900, "succeeded"), (250, "succeeded")]
    assert money.trial() == {"cash:sandbox": -20_050, "sold": 20_050}
    both.at("2027-02-11T13:30:00Z")
    assert len(both.billing.heard("usage.aggregated")) == 1
    assert len(money.bills(ada.id)) == 3


# -- flow 4 ----------------------------------------------------------------------------------------


def test_flow_4_whose_card_fails_is_suspended_until_it_is_paid(both, ada):
    mine = subscribed(both, ada)
    money = both.billing.money
    show_card(both.admin.post, ada.id, "sandbox_decline")
    both.at("2027-02-10T09:00:00Z")
    [failed] = money.told("payment.failed")
    assert (failed.data["subscriptionId"], failed.data["reason"]) == (mine, "card_declined")
    [suspended] = both.billing.heard("access.suspended")
    assert suspended.data["consumerId"] == ada.id
    assert (state_of(ada, mine), both.decide(ada, API)["allowed"]) == ("suspended", False)
    assert money.bills(ada.id) == [(9_900, "paid"), (9_900, "past_due")]
    show_card(both.admin.post, ada.id)
    both.at("2027-02-12T09:00:00Z")
    assert (state_of(ada, mine), both.decide(ada, API)["allowed"]) == ("active", True)
    assert money.bills(ada.id) == [(9_900, "paid"), (9_900, "paid")]
    assert money.trial() == {"cash:sandbox": -19_800, "sold": 19_800}


# -- what the customer wishes ----------------------------------------------------------------------


def test_who_cancels_is_not_charged_again(both, ada):
    mine = subscribed(both, ada)
    ada.api.post(f"/v1/subscriptions/{mine}/cancel", {"at": "period_end"})
    both.settle()
    [told] = both.billing.money.told("subscription.canceled")
    assert told.data["effectiveAt"][:10] == "2027-02-10"
    both.at("2027-02-10T08:59:59Z")
    assert both.decide(ada, API)["allowed"] is True
    for moment in ("2027-02-10T09:00:00Z", "2027-03-10T09:00:00Z"):
        both.at(moment)
    assert (state_of(ada, mine), both.decide(ada, API)["allowed"]) == ("canceled", False)
    assert both.billing.money.paid(ada.id)[:1] == [(9_900, "succeeded")]
    assert [each for each in both.billing.money.bills(ada.id) if each[0] == 9_900] == [
        (9_900, "paid")
    ]


def test_who_changes_plan_pays_the_new_price(both, ada):
    mine = subscribed(both, ada)
    ada.api.post(f"/v1/subscriptions/{mine}/change-plan", {"plan": "basic", "at": "period_end"})
    both.settle()
    assert both.billing.money.bills(ada.id) == [(9_900, "paid")]
    both.at("2027-02-10T09:00:00Z")
    assert both.billing.money.bills(ada.id) == [(9_900, "paid"), (900, "paid")]
    found = ada.api.get(f"/v1/subscriptions/{mine}")
    assert (found["state"], found["plan"]) == ("active", "basic")


def test_who_changes_to_a_dearer_plan_now_pays_the_difference_and_has_it(both, ada):
    mine = subscribed(both, ada, "basic")
    ada.api.post(f"/v1/subscriptions/{mine}/change-plan", {"plan": "pro", "at": "now"})
    both.settle()
    money = both.billing.money
    assert money.paid(ada.id) == [(900, "succeeded"), (9_000, "succeeded")]
    assert ada.api.get(f"/v1/subscriptions/{mine}")["plan"] == "pro"
    both.at("2027-02-10T09:00:00Z")
    assert money.paid(ada.id)[2:] == [(9_900, "succeeded")]
    assert money.trial()["cash:sandbox"] == -19_800


def test_who_pauses_is_not_charged_until_they_go_on(both, ada):
    mine = subscribed(both, ada)
    ada.api.post(f"/v1/subscriptions/{mine}/pause")
    both.settle()
    assert state_of(ada, mine) == "paused"
    both.at("2027-05-10T09:00:00Z")
    assert both.billing.money.paid(ada.id) == [(9_900, "succeeded")]
    ada.api.post(f"/v1/subscriptions/{mine}/resume")
    both.settle()
    assert (state_of(ada, mine), both.decide(ada, API)["allowed"]) == ("active", True)
    # A new month begins on the day they go on, and is paid for.
    assert both.billing.money.paid(ada.id) == [(9_900, "succeeded")] * 2
    both.at("2027-06-10T09:00:00Z")
    assert both.billing.money.paid(ada.id) == [(9_900, "succeeded")] * 3


# -- a place that is paid for in its last second ---------------------------------------------------


def test_a_place_paid_for_in_its_last_second_is_the_buyers_though_access_hears_it_late(both, ada):
    bob = shopper(both, "Bob")
    both.admin.patch(f"/v1/items/{NODE}", {"offers": [
        {"code": "forever", "kind": "purchase", "capacity": 1}
    ]})  # fmt: skip
    place = ada.api.post("/v1/places", {"item": NODE, "offer": "forever"})
    last = parse_time(place["expires_at"]) - SECOND_US
    both.clock.set(last)
    mine = bought(ada, place=place["id"])
    # Billing hears, charges and tells; access hears nothing for an hour.
    both.billing.work()
    both.clock.move(HOUR)
    for worker in both.due:
        worker.step()
    both.billing.work()
    [order] = both.billing.money.orders(ada.id)
    assert (order.state, order.charged) == ("paid", 4_999)
    assert purchase(ada, mine) == "initiated"
    answer = bob.api.call("POST", "/v1/purchases", json={"item": NODE, "offer": "forever"})
    assert (answer.status_code, answer.json()["code"]) == (409, "sold_out")
    both.settle()
    assert (purchase(ada, mine), ada.rights()) == ("fulfilled", [NODE])
    assert both.billing.money.paid(ada.id) == [(4_999, "succeeded")]
    assert both.billing.money.told("refund.issued") == []
