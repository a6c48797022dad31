"""Source 002, flow 2 over HTTP: an item is bought, paid, granted, refunded, whatever the order."""

from itertools import permutations

import pytest

NODE = {
    "code": "premium-node-x",
    "kind": "node",
    "title": {"en": "Premium Node X"},
    "offers": [{"code": "forever", "kind": "purchase", "capacity": 1}],
}
BUY = {"item": "premium-node-x", "offer": "forever"}
INITIATED = "marketplace.purchase.initiated"


@pytest.fixture
def seller(flows):
    """Return a seller who has published an item of which there is one."""
    flows.at("2027-01-10T09:00:00Z")
    made = flows.operator("owner")
    made.post("/v1/items", NODE)
    made.post("/v1/items/premium-node-x/publish")
    return made


@pytest.fixture
def ada(flows, seller):
    return flows.customer()


def begun(flows, customer):
    """Return the id of a purchase that billing has heard of."""
    made = customer.api.post("/v1/purchases", BUY)
    flows.settle()
    return str(made["id"])


def state_of(customer, purchase):
    return customer.api.get(f"/v1/purchases/{purchase}")["state"]


def has_it(flows, customer):
    """Tell whether a gateway is told that the item is theirs, and they see the same."""
    decided = flows.decide(customer, item="premium-node-x")["allowed"]
    assert (customer.rights() == ["premium-node-x"]) == decided
    return decided


def refused(customer):
    answer = customer.api.call("POST", "/v1/purchases", json=BUY)
    return answer.status_code, answer.json()["code"]


@pytest.fixture
def order(ada):
    """Return what billing says of Ada's order in source 002's words: no field of ours beside it."""
    return {"orderId": "ord_1", "itemId": "premium-node-x", "consumerId": ada.id}


def test_flow_2_an_item_is_granted_when_its_order_is_completed_and_goes_by_a_refund(
    flows, ada, order
):
    assert not has_it(flows, ada)
    mine = begun(flows, ada)
    [asked] = flows.billing.heard(INITIATED)
    told = {"purchaseId": mine, "itemId": "premium-node-x", "consumerId": ada.id}
    assert told.items() <= asked.data.items()
    assert (state_of(ada, mine), has_it(flows, ada)) == ("initiated", False)

    flows.says("order.completed", "ord_1", **order)
    assert (state_of(ada, mine), has_it(flows, ada)) == ("fulfilled", True)
    [confirmed] = flows.billing.told("marketplace.purchase.completed")
    assert (confirmed["purchaseId"], confirmed["orderId"]) == (mine, "ord_1")
    assert refused(ada) == (409, "already_entitled")
    flows.settle()
    assert len(flows.billing.told(INITIATED)) == 1, "billing never hears of what is refused"

    flows.says("refund.issued", "ord_1", orderId="ord_1", itemId="premium-node-x")
    assert (state_of(ada, mine), has_it(flows, ada)) == ("refunded", False)
    [gone] = flows.billing.told("entitlement.revoked")
    assert (gone["consumerId"], gone["reason"]) == (ada.id, "refund")


def test_a_payment_alone_grants_no_item(flows, ada, order):
    mine = begun(flows, ada)
    flows.says("payment.succeeded", "pay_1", **order)
    assert (state_of(ada, mine), has_it(flows, ada)) == ("initiated", False)
    assert flows.admin.get("/v1/dead-letters")["items"] == []


def test_the_last_place_goes_back_when_its_order_ends_unpaid(flows, ada, order):
    mine = begun(flows, ada)
    bob = flows.customer("Bob")
    assert refused(bob) == (409, "sold_out")
    flows.says("order.expired", "ord_1", **order, purchaseId=mine)
    assert state_of(ada, mine) == "released"
    theirs = begun(flows, bob)
    flows.says("order.completed", "ord_2", orderId="ord_2", purchaseId=theirs)
    assert (has_it(flows, bob), has_it(flows, ada)) == (True, False)
    # Money that comes when the place is gone goes back in full, by an event.
    flows.says("order.completed", "ord_1", **order, purchaseId=mine)
    [failed] = flows.billing.told("order.fulfilment_failed")
    assert (failed["orderId"], failed["reason"]) == ("ord_1", "sold_out")
    assert not has_it(flows, ada)


def test_what_billing_says_again_changes_nothing_more(flows, ada, order):
    mine = begun(flows, ada)
    completed = flows.says("order.completed", "ord_1", **order)
    for said in (completed, flows.billing.say("order.completed", "ord_1", **order)):
        before = flows.facts()
        assert flows.inbox.take([said, said]) == ()
        flows.settle()
        assert flows.facts() == before
    refund = flows.says("refund.issued", "ord_1", **order)
    for said in (refund, flows.billing.say("refund.issued", "ord_1", **order), completed):
        before = flows.facts()
        assert flows.inbox.take([said, said]) == ()
        flows.settle()
        assert flows.facts() == before
    assert state_of(ada, mine) == "refunded"


FACTS = ("order.completed", "order.completed", "refund.issued")


@pytest.mark.parametrize(
    "places", sorted({tuple(FACTS[i] for i in p) for p in permutations(range(3))})
)
def test_facts_about_an_order_in_any_order_end_in_the_same(flows, ada, order, places):
    """Told by brokers of their own, as three subjects, so that nothing restores their order."""
    mine = begun(flows, ada)
    for number, type_ in enumerate(places):
        flows.says(type_, f"broker_{number}", **order, purchaseId=mine)
    assert (state_of(ada, mine), has_it(flows, ada)) == ("refunded", False)
    assert begun(flows, ada) != mine, "what was paid back may be bought again"


def test_an_order_of_things_in_one_broker_is_restored(flows, ada, order):
    mine = begun(flows, ada)
    said = [
        flows.billing.say("order.completed", "ord_1", **order),
        flows.billing.say("refund.issued", "ord_1", **order),
    ]
    for event in reversed(said):
        assert flows.inbox.take([event]) == ()
        while flows.inbox.step():
            pass
    flows.settle()
    assert (state_of(ada, mine), has_it(flows, ada)) == ("refunded", False)
    types = ("entitlement.created", "entitlement.revoked")
    assert [event.type for event in flows.billing.heard(*types)] == list(types)


def test_another_buyer_sees_nothing_of_it(flows, ada, order):
    mine = begun(flows, ada)
    bob = flows.customer("Bob")
    answer = bob.api.call("GET", f"/v1/purchases/{mine}")
    assert (answer.status_code, answer.json()["code"]) == (404, "purchase_unknown")
    assert bob.api.get("/v1/purchases")["items"] == []
