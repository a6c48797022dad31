"""What subscriptions owe, over the API: reading, previews, terms of payment, strangers."""

import pytest

from farebox.billing.flows.begin_subscription import begin_subscription
from tests.support.prices import per_unit
from tests.support.renewals import Renewals
from tests.support.services import run

pytestmark = pytest.mark.usefixtures("billing")
PATH = "/v1/subscription-payments"


@pytest.fixture
def who(consumer, hear):
    """A consumer of whom billing has heard: id and calls."""
    found = consumer("Ada")
    hear()
    return found


@pytest.fixture
def stage(billing, clock, who):
    made = Renewals(billing, clock, at="2027-03-01", customer=who[0])
    made.card()
    return made


def code(answer):
    return answer.status_code, answer.json()["code"]


def test_a_consumer_reads_what_their_subscription_has_paid_and_owes_next(stage, who):
    one = stage.subscribe("basic")
    seen = who[1].get(f"{PATH}/{one}")
    assert (seen["state"], seen["plan"], seen["currency"]) == ("active", "basic", "USD")
    assert seen["last_payment_at"] == "2027-03-01T00:00:00Z"
    assert seen["next_payment_at"] == "2027-04-01T00:00:00Z"
    assert seen["payment_method"]["gateway"] == "sandbox"
    [invoice] = seen["invoice_history"]
    assert (invoice["state"], invoice["total"]) == ("paid", 1000)
    assert [each["subscription"] for each in who[1].get(PATH)["items"]] == [one]
    [charge] = who[1].get(f"{PATH}/{one}/charges")["items"]
    assert (charge["amount"], charge["invoice"]) == (1000, invoice["invoice"])


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "", None),
        ("GET", "/charges", None),
        ("GET", "/next", None),
        ("POST", "/preview", {"change": "cancel"}),
    ],
)
def test_a_strangers_subscription_is_not_there(stage, consumer, method, path, body):
    one = stage.subscribe("basic")
    _, stranger = consumer("Eve")
    assert code(stranger.call(method, f"{PATH}/{one}{path}", json=body)) == (
        404, "subscription_unknown",
    )  # fmt: skip
    assert code(stranger.call(method, f"{PATH}/sub_none{path}", json=body)) == (
        404, "subscription_unknown",
    )  # fmt: skip
    assert stranger.get(PATH)["items"] == []


def test_a_preview_shows_documents_and_changes_nothing(stage, who, billing):
    one = stage.subscribe("basic")
    stage.at("2027-03-15")
    seen = who[1].post(f"{PATH}/{one}/preview", {"change": "plan", "plan": "pro"})
    assert (seen["plan"], seen["invoice"]["total"], seen["invoice"]["due"]) == ("pro", 1097, 549)
    assert seen["credit_note"]["credit"] == 548
    gone = who[1].post(f"{PATH}/{one}/preview", {"change": "cancel", "at": "period_end"})
    assert (gone["effective_at"], gone["invoice"], gone["credit_note"]) == (
        "2027-04-01T00:00:00Z", None, None,
    )  # fmt: skip
    assert len(who[1].get(f"{PATH}/{one}/charges")["items"]) == 1
    refused = who[1].call("POST", f"{PATH}/{one}/preview", json={"change": "plan", "plan": "none"})
    assert code(refused) == (409, "schedule_change_refused")


def test_the_next_invoice_is_shown(stage, who):
    one = stage.subscribe("basic")
    seen = who[1].get(f"{PATH}/{one}/next")
    assert (seen["bills_at"], seen["period"]["total"]) == ("2027-04-01T00:00:00Z", 1000)
    assert seen["usage"] is None
    stage.wish(one, "cancel")
    assert code(who[1].call("GET", f"{PATH}/{one}/next")) == (409, "nothing_to_pay")


@pytest.mark.parametrize(
    ("path", "state"),
    [("void", "active"), ("credit-notes", "active"), ("write-off", "canceled")],
)
def test_who_ends_a_late_invoice_by_hand_decides_on_the_subscription(
    stage, who, caller, path, state
):
    one = stage.subscribe("basic")
    stage.card("sandbox_decline")
    stage.live("2027-04-01")
    assert who[1].get(f"{PATH}/{one}")["state"] == "past_due"
    late = stage.invoices(one)[-1].id
    said = {"reason": "a gift"} if path == "credit-notes" else None
    answer = caller("billing").call("POST", f"/v1/invoices/{late}/{path}", json=said)
    assert answer.is_success, answer.text
    assert who[1].get(f"{PATH}/{one}")["state"] == state


def test_terms_of_payment_are_set_by_who_bills_and_read_by_operators(caller, who):
    bills = caller("billing")
    wished = {"retry_days": [1, 3], "at_end": "suspend", "grace_days": 5}
    made = bills.put("/v1/payment-terms/pro", wished)
    assert (made["retry_days"], made["due_days"], made["on_cancel"]) == ([1, 3], 0, "credit")
    assert caller("viewer").get("/v1/payment-terms/pro") == made
    assert caller("viewer").get("/v1/payment-terms/other")["retry_days"] == [2, 5, 7, 7]
    assert bills.put("/v1/payment-terms/*", {"retry_days": []})["retry_days"] == []
    assert [each["plan"] for each in bills.get("/v1/payment-terms")["items"]] == ["*", "pro"]
    assert caller("viewer").call("PUT", "/v1/payment-terms/pro", json={}).status_code == 403
    assert who[1].call("GET", "/v1/payment-terms/pro").status_code == 403


@pytest.mark.parametrize(
    "body",
    [
        {"retry_days": [0]},
        {"retry_days": [1] * 21},
        {"grace_days": 366},
        {"first_days": 0},
        {"at_end": "forgive"},
        {"proration": "guess"},
        {"unknown": 1},
    ],
)
def test_terms_out_of_bounds_are_refused_and_change_nothing(caller, body):
    bills = caller("billing")
    assert bills.call("PUT", "/v1/payment-terms/pro", json=body).status_code in {400, 422}
    assert bills.get("/v1/payment-terms")["items"] == []


def test_usage_that_was_held_is_rated_again(stage, caller, who):
    bills = caller("billing")
    stage.meter("api", per_unit("0.02"))
    stage.used("api", 100)
    stage.live("2027-03-02")
    [held] = bills.get("/v1/billed-usage", state="held")["items"]
    assert (held["product"], held["reason"]) == ("api", "no_subscription")
    assert who[1].get("/v1/billed-usage")["items"] == [held]
    one = stage.subscribe("basic")
    asked = {"customer": who[0], "period": "2027-03", "product": "api"}
    assert bills.post("/v1/billed-usage/rate-again", asked) == {"count": 1}
    assert bills.post("/v1/billed-usage/rate-again", asked) == {"count": 0}
    stage.work()
    assert [total for _, _, total, _ in stage.bills(one)] == [1000, 200]


def test_what_nobody_has_paid_for_yet_is_listed_by_state(stage, caller):
    run(stage.billing, begin_subscription, stage.created("nothing"))
    one = stage.subscribe("basic")
    seen = caller("viewer").get(PATH, state="unpriced")["items"]
    assert [(each["plan"], each["currency"]) for each in seen] == [("nothing", None)]
    active = caller("viewer").get(PATH, state="active")["items"]
    assert [each["subscription"] for each in active] == [one]
