"""Source 002, flows 1, 3 and 4 over HTTP: subscribe and pay, use and be counted, fail to pay."""

import pytest

API = "wayang-core-api"
PRO = {
    "code": "pro",
    "name": "Pro",
    "quotas": [{"product": API, "limit": 10_000, "unit": "month", "overage": True}],
    "features": [
        {"feature": "advanced-analytics", "value": True},
        {"feature": "priority-support", "value": True},
    ],
}
RIGHTS = ["advanced-analytics", "priority-support", API]


@pytest.fixture
def ada(flows):
    """Return Ada, before whom a catalogue lies: the API, its features and the plan `pro`."""
    flows.at("2027-01-10T09:00:00Z")
    body = {"code": API, "name": "Wayang Core API", "type": "api", "unit": "request"}
    flows.admin.post("/v1/products", body)
    for code in ("advanced-analytics", "priority-support"):
        flows.admin.post("/v1/features", {"code": code, "name": code, "kind": "switch"})
    flows.admin.post("/v1/plans", PRO)
    return flows.customer()


def subscribed(ada, plan="pro"):
    """Return the id of a new subscription, wished for by Ada's own key."""
    return str(ada.api.post("/v1/subscriptions", {"plan": plan})["id"])


def state_of(ada, subscription):
    found = ada.api.get(f"/v1/subscriptions/{subscription}")
    return found["state"], found["opens_access"]


@pytest.fixture
def paid(flows, ada):
    """Return the id of a subscription that billing has said is paid."""
    made = subscribed(ada)
    flows.settle()
    flows.says("payment.succeeded", made, subscriptionId=made, orderId="ord_1")
    assert state_of(ada, made) == ("active", True)
    return made


def entitled(flows, ada):
    """Return what introspection tells a gateway of Ada's key."""
    found = flows.introspect(ada)
    assert found["active"], "a key stays a key, whoever has paid"
    return sorted(right["key"] for right in found.get("entitlements", []))


# -- flow 1: subscribe and pay ---------------------------------------------------------------------


def test_flow_1_a_plan_gives_access_when_billing_says_that_it_is_paid(flows, ada):
    made = ada.api.post("/v1/subscriptions", {"plan": "pro"})
    mine = made["id"]
    assert (made["state"], made["opens_access"]) == ("pending_payment", False)
    denied = flows.decide(ada, API)
    assert (denied["allowed"], denied["code"]) == (False, "subscription_pending_payment")
    assert (ada.rights(), entitled(flows, ada)) == ([], [])

    flows.settle()
    [told] = flows.billing.heard("subscription.created")
    assert (told.subject, told.source) == (mine, "/farebox/access")
    asked = {"subscriptionId": mine, "consumerId": ada.id, "planId": "pro", "planVersion": 1}
    assert asked.items() <= told.data.items()

    flows.says("payment.succeeded", mine, subscriptionId=mine, orderId="ord_1")
    assert state_of(ada, mine) == ("active", True)
    # What a cache held of the denial is gone with the commit that opened access.
    allowed = flows.decide(ada, API)
    assert (allowed["allowed"], allowed["remaining"], allowed["limit"]) == (True, 9_999, 10_000)
    assert (ada.rights(), entitled(flows, ada)) == (RIGHTS, RIGHTS)
    assert flows.decide(ada, feature="priority-support")["value"] is True
    [now] = flows.billing.told("subscription.updated")
    assert (now["state"], now["previousState"]) == ("active", "pending_payment")


def test_a_payment_that_is_told_again_changes_nothing_more(flows, ada, paid):
    before = flows.facts()
    again = flows.says("payment.succeeded", paid, subscriptionId=paid, orderId="ord_1")
    assert flows.inbox.take([again, again]) == ()
    flows.settle()
    assert flows.facts() == before


def test_a_stranger_sees_and_changes_nothing_of_it(flows, ada, paid):
    bob = flows.customer("Bob")
    for method, path in (("GET", ""), ("GET", "/quotas"), ("POST", "/resume")):
        answer = bob.api.call(method, f"/v1/subscriptions/{paid}{path}")
        assert (answer.status_code, answer.json()["code"]) == (404, "subscription_unknown")
    assert bob.rights() == []
    assert flows.decide(bob, API)["allowed"] is False


def test_a_wish_to_cancel_takes_effect_when_billing_confirms(flows, ada, paid):
    asked = ada.api.post(f"/v1/subscriptions/{paid}/cancel", {"at": "period_end"})
    assert (asked["state"], asked["requested"]) == ("active", "cancel:period_end")
    flows.settle()
    [wish] = flows.billing.told("subscription.change_requested")
    assert (wish["change"], wish["at"], wish["periodEnd"][:10]) == (
        "cancel", "period_end", "2027-02-10",
    )  # fmt: skip
    flows.says("subscription.canceled", paid, subscriptionId=paid, effectiveAt=wish["periodEnd"])
    assert flows.decide(ada, API)["allowed"] is True
    flows.clock.set(flows.clock.now_us() + 31 * 86_400_000_000)
    assert flows.decide(ada, API)["allowed"] is False, "at the instant, whether a worker ran or not"
    flows.settle()
    assert state_of(ada, paid) == ("canceled", False)


# -- flow 3: use, count, tell ----------------------------------------------------------------------


def test_flow_3_usage_is_counted_against_the_quota_and_told_once_at_the_periods_end(
    flows, ada, paid
):
    assert flows.report(ada, API, 7_000)["quota"]["remaining"] == 3_000
    answer = flows.report(ada, API, 1_000)
    assert (answer["accepted"], answer["drawn"], answer["late"]) == (True, 1_000, False)
    assert answer["quota"] == {"limit": 10_000, "used": 8_000, "remaining": 2_000, "overage": 0}
    [quota] = ada.api.get(f"/v1/subscriptions/{paid}/quotas")["items"]
    assert (quota["used"], quota["limit"]) == (8_000, 10_000)
    flows.settle()
    [near] = flows.billing.told("quota.threshold")
    assert (near["percent"], near["used"], near["consumerId"]) == (80, 8_000, ada.id)

    flows.at("2027-02-10T08:59:59Z")
    assert flows.billing.told("usage.aggregated") == []
    flows.at("2027-02-10T10:30:00Z")
    [told] = flows.billing.told("usage.aggregated")
    assert (told["consumerId"], told["interim"]) == (ada.id, False)
    assert (told["from"][:16], told["to"][:16]) == ("2027-01-10T09:00", "2027-02-10T09:00")
    [line] = told["totals"]
    assert (line["productCode"], line["total"], line["count"]) == (API, 8_000, 2)

    flows.settle()
    assert flows.report(ada, API, 1)["quota"]["used"] == 1, "a new period, a new quota"
    flows.at("2027-02-20T09:00:00Z")
    assert len(flows.billing.told("usage.aggregated")) == 1


def test_what_is_used_above_the_quota_is_stored_counted_apart_and_told_once(flows, ada, paid):
    flows.report(ada, API, 9_500)
    above = flows.report(ada, API, 1_000)
    assert above["quota"] == {"limit": 10_000, "used": 10_000, "remaining": 0, "overage": 500}
    flows.report(ada, API, 10)
    flows.settle()
    [told] = flows.billing.told("quota.exceeded")
    assert (told["subscriptionId"], told["productCode"], told["percent"]) == (paid, API, 100)
    flows.at("2027-02-10T10:30:00Z")
    [line] = flows.billing.told("usage.aggregated")[0]["totals"]
    assert line["total"] == 10_510


def test_consuming_decisions_and_reports_are_told_together(flows, ada, paid):
    assert flows.decide(ada, API, quantity=40)["remaining"] == 9_960
    used = flows.report(ada, API, 60)["quota"]
    assert used["used"] == 100
    flows.at("2027-02-10T10:30:00Z")
    [line] = flows.billing.told("usage.aggregated")[0]["totals"]
    assert (line["total"], line["count"]) == (100, 2)


# -- flow 4: a payment fails -----------------------------------------------------------------------


def test_flow_4_a_failed_payment_suspends_at_once_and_a_paid_one_lets_on(flows, ada, paid):
    flows.report(ada, API, 4_000)
    assert flows.decide(ada, API)["allowed"] is True
    flows.says("payment.failed", paid, subscriptionId=paid, orderId="ord_2", reason="card_declined")
    assert state_of(ada, paid) == ("suspended", False)
    [told] = flows.billing.told("access.suspended")
    assert (told["consumerId"], told["subscriptionId"]) == (ada.id, paid)
    denied = flows.decide(ada, API)
    assert (denied["allowed"], denied["code"]) == (False, "subscription_suspended")
    assert flows.decide(ada, feature="priority-support")["allowed"] is False
    assert (ada.rights(), entitled(flows, ada)) == ([], [])

    flows.says("payment.succeeded", paid, subscriptionId=paid, orderId="ord_2")
    assert state_of(ada, paid) == ("active", True)
    again = flows.decide(ada, API)
    assert (again["allowed"], again["remaining"]) == (True, 10_000 - 4_000 - 2)
    assert entitled(flows, ada) == RIGHTS
    assert len(flows.billing.told("access.suspended")) == 1


def test_usage_of_a_suspended_consumer_is_still_stored(flows, ada, paid):
    flows.says("payment.failed", paid, subscriptionId=paid, reason="card_declined")
    late = flows.report(ada, API, 5)
    assert (late["accepted"], late["drawn"]) == (True, 0)


def test_what_billing_said_before_does_not_undo_what_it_said_after(flows, ada, paid):
    failed = flows.billing.say("payment.failed", "pay_1", subscriptionId=paid, reason="declined")
    flows.clock.move(1_000_000)
    flows.inbox.take([flows.billing.say("payment.succeeded", "pay_2", subscriptionId=paid)])
    while flows.inbox.step():
        pass
    assert flows.inbox.take([failed]) == ()
    flows.settle()
    assert state_of(ada, paid) == ("active", True)
    assert flows.billing.told("access.suspended") == []


@pytest.mark.parametrize("order", [(2, 1, 0), (1, 2, 0), (0, 2, 1)])
def test_a_broker_that_doubles_and_disorders_changes_nothing_in_the_end(flows, ada, order):
    mine = subscribed(ada)
    flows.settle()
    said = [
        flows.billing.say("payment.succeeded", mine, subscriptionId=mine),
        flows.billing.say("payment.failed", mine, subscriptionId=mine, reason="declined"),
        flows.billing.say("payment.succeeded", mine, subscriptionId=mine),
    ]
    for place in order:
        assert flows.inbox.take([said[place]]) == ()
        while flows.inbox.step():
            pass
    flows.settle()
    assert flows.inbox.take(said) == ()
    flows.settle()
    assert state_of(ada, mine) == ("active", True)
    states = [told["state"] for told in flows.billing.told("subscription.updated")]
    assert states == ["active", "suspended", "active"]
    assert len(flows.billing.told("access.suspended")) == 1


def test_an_unheard_of_subscription_is_set_aside_and_holds_up_nobody_else(flows, ada, paid):
    flows.billing.say("payment.failed", "sub_nobody", subscriptionId="sub_nobody")
    flows.says("payment.failed", paid, subscriptionId=paid)
    assert state_of(ada, paid) == ("suspended", False)
    for _ in range(2):
        flows.clock.move(20_000_000)
        flows.settle()
    [letter] = flows.admin.get("/v1/dead-letters")["items"]
    assert (letter["event"]["subject"], letter["tries"]) == ("sub_nobody", 3)
    assert "SubscriptionUnknown" in letter["error"]


def test_what_changes_of_a_consumer_is_told_in_source_002s_words(flows, ada):
    flows.settle()
    flows.admin.patch(f"/v1/consumers/{ada.id}", {"name": "Ada Lovelace"})
    flows.admin.post(f"/v1/consumers/{ada.id}/suspend", params={"reason": "asked by the bank"})
    flows.settle()
    _, renamed, suspended = flows.billing.told("consumer.updated")
    assert (renamed["consumerId"], renamed["changes"]) == (ada.id, {"name": "Ada Lovelace"})
    assert (suspended["consumerId"], suspended["changes"]) == (ada.id, {"state": "suspended"})
    [told] = flows.billing.told("access.suspended")
    assert (told["consumerId"], told["reason"]) == (ada.id, "asked by the bank")
    assert flows.decide(ada, API)["code"] == "consumer_suspended"
