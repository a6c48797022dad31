"""Source 003 over HTTP: products, another system's events, rights by JWT, updates, dead letters."""

import json

import pytest

from farebox.events.transports.sns_sqs import Aws, make_queue
from farebox.wiring.settings import load_settings
from farebox.wiring.transports import Transports, make_queues
from farebox.workers.relay import Relay
from tests.support.aws import AwsServer, bodies, show_again

UPDATES = ("entitlement.created", "entitlement.updated", "entitlement.revoked")
SCHOOL = {
    "code": "school",
    "name": "School",
    "type": "subscription",
    "entitlements": [
        {"key": "quizzes", "roles": ["learner"]},
        {"key": "grading", "roles": ["teacher"]},
        {"key": "tokens", "limit": 100, "period": "month"},
    ],
    "add_ons": ["more"],
}
MORE = {
    "code": "more",
    "name": "More tokens",
    "type": "add_on",
    "entitlements": [{"key": "tokens", "limit": 50, "period": "month"}],
}
EXAM = {
    "code": "exam",
    "name": "Exam",
    "type": "one_off",
    "entitlements": [{"key": "certificate", "days": 30}],
}


class School:
    """A school's catalogue by the literal paths, a user who shows a JWT, and another system."""

    def __init__(self, flows):
        self.flows = flows
        flows.at("2027-01-10T09:00:00Z")
        self.vendor, self.stripe = flows.operator("vendor"), flows.operator("billing")
        for code in ("quizzes", "grading", "certificate"):
            self.vendor.post("/v1/features", {"code": code, "name": code, "kind": "switch"})
        self.vendor.post("/products", {"code": "tokens", "name": "Tokens", "unit": "token"})
        for product in (MORE, SCHOOL, EXAM):
            self.vendor.post("/products", product)
        identity = {"issuer": "https://idp", "subject": "user-1"}
        self.user = flows.customer("Ada", identity=identity)
        self._count = self._seen = 0

    def message(self, type_, *, event=None, at=None, **payload):
        """Return an event in the words of source 003, the next one that happened."""
        self._count += 1
        said = {
            "userId": "user-1",
            "productId": "school",
            "subscriptionId": "sub_1",
            "currentPeriodEnd": "2027-02-10T09:00:00Z",
            **payload,
        }
        meta = {
            "eventId": event or f"evt_{self._count}",
            "occurredAt": at or f"2027-01-10T08:00:{self._count:02}Z",
            "source": "stripe",
        }
        given = {name: value for name, value in said.items() if value is not None}
        return {"type": type_, "payload": given, "meta": meta}

    def say(self, type_, **named):
        return self.stripe.post("/v1/billing-events", self.message(type_, **named))

    def mine(self, role=None):
        """Return the user's active rights as `GET /access/entitlements` shows them to their JWT."""
        params = {} if role is None else {"role": role}
        own = self.flows.signed_in("user-1")
        return own.get("/access/entitlements", **params)["items"]

    def rights(self, role=None):
        return sorted(right["key"] for right in self.mine(role))

    def updates(self):
        """Return what was told of entitlements since the last time, without its first word."""
        self.flows.settle()
        told = self.flows.billing.heard(*UPDATES)
        news, self._seen = told[self._seen :], len(told)
        return [event.type.removeprefix("entitlement.") for event in news]


@pytest.fixture
def school(flows):
    return School(flows)


WHOLE = ["grading", "quizzes", "tokens", "tokens"]


def test_products_are_made_read_changed_listed_found_and_deleted_by_their_literal_paths(school):
    vendor = school.vendor
    assert vendor.get("/products/school")["add_ons"] == ["more"]
    found = vendor.get("/products", limit=2)
    assert len(found["items"]) == 2
    assert vendor.get("/products", limit=100, cursor=found["next"])["items"]
    assert [one["code"] for one in vendor.get("/products/search", q="TOKENS")["items"]] == [
        "more", "tokens",
    ]  # fmt: skip
    changed = vendor.put("/products/exam", {"name": "Final exam", "type": "one_off"})
    assert (changed["name"], changed["entitlements"]) == ("Final exam", [])
    assert vendor.delete("/products/exam")["state"] == "archived"


def test_the_payment_flow_of_source_003(school):
    done = school.say("subscription.created")
    assert (done["outcome"], done["repeated"], len(done["entitlements"])) == ("applied", False, 4)
    assert school.updates() == ["created"] * 4
    assert school.rights() == WHOLE
    assert school.rights("learner") == ["quizzes", "tokens", "tokens"]
    assert school.rights("teacher") == ["grading", "tokens", "tokens"]
    limits = [right["usage"] for right in school.mine() if right["usage"]]
    assert sorted((one["limit"], one["used"], one["remaining"]) for one in limits) == [
        (50, 0, 50), (100, 0, 100),
    ]  # fmt: skip


def test_what_is_used_of_a_right_shows_beside_its_limit(school):
    school.say("subscription.created")
    taken = school.flows.decide(school.user, "tokens", quantity=120)
    assert (taken["allowed"], taken["remaining"]) == (True, 30)
    used = [right["usage"]["used"] for right in school.mine() if right["usage"]]
    assert sum(used) == 120
    assert school.flows.decide(school.user, "tokens", quantity=31)["allowed"] is False


def test_without_a_jwt_of_a_known_issuer_nobody_sees_rights(school, flows):
    answer = flows.client.get("/access/entitlements")
    assert (answer.status_code, answer.json()["code"]) == (401, "credential_missing")
    forged = flows.signed_in("user-1")
    forged.headers = {"Authorization": forged.headers["Authorization"][:-4] + "AAAA"}
    answer = forged.call("GET", "/access/entitlements")
    assert (answer.status_code, answer.json()["code"]) == (401, "credential_invalid")
    other = flows.customer("Bob", identity={"issuer": "https://idp", "subject": "user-2"})
    school.say("subscription.created")
    assert flows.signed_in("user-2").get("/access/entitlements")["items"] == []
    assert other.rights() == []


END = "2027-02-10T09:00:00Z"


@pytest.mark.parametrize(
    ("type_", "payload", "outcome", "keys", "told", "keys_later"),
    [
        ("subscription.updated", {"currentPeriodEnd": "2027-03-10T09:00:00Z"},
            "applied", WHOLE, ["updated"] * 4, WHOLE),
        ("subscription.updated", {"addonProductIds": []},
            "applied", ["grading", "quizzes", "tokens"], ["revoked"], []),
        ("subscription.canceled", {}, "applied", [], ["revoked"] * 4, []),
        ("subscription.canceled", {"cancelAtPeriodEnd": True}, "applied", WHOLE, [], []),
        ("subscription.expired", {}, "applied", [], ["revoked"] * 4, []),
        ("subscription.paused", {}, "skipped", WHOLE, [], []),
        ("subscription.resumed", {"currentPeriodEnd": "2027-03-10T09:00:00Z"},
            "applied", WHOLE, ["updated"] * 4, WHOLE),
        ("payment.successful", {"productId": "exam", "subscriptionId": None, "paymentId": "pay_1"},
            "applied", ["certificate", *WHOLE], ["created"], []),
        ("payment.successful", {}, "skipped", WHOLE, [], []),
        ("payment.failed", {}, "skipped", WHOLE, [], []),
        ("payment.action_required", {}, "skipped", WHOLE, [], []),
    ],
)  # fmt: skip
def test_each_type_does_what_source_003_says(
    school, type_, payload, *, outcome, keys, told, keys_later
):
    """And again by the same event: nothing more. Later is a day after the paid period's end."""
    school.say("subscription.created")
    school.updates()
    message = school.message(type_, **payload)
    assert school.stripe.post("/v1/billing-events", message)["outcome"] == outcome
    assert (school.rights(), school.updates()) == (keys, told)
    before = school.flows.facts()
    again = school.stripe.post("/v1/billing-events", message)
    assert (again["repeated"], again["outcome"]) == (True, outcome)
    assert (school.flows.facts(), school.updates()) == (before, [])
    school.flows.at("2027-02-11T09:00:00Z")
    assert school.rights() == keys_later


def test_a_revoked_subscription_comes_back_when_it_is_resumed(school):
    school.say("subscription.created")
    school.say("subscription.expired")
    assert school.rights() == []
    school.say("subscription.resumed")
    assert school.rights() == WHOLE


def test_a_late_word_is_refused_and_changes_nothing(school):
    late = school.message("subscription.canceled", at="2027-01-10T07:00:00Z")
    school.say("subscription.created")
    before = school.flows.facts()
    answer = school.stripe.call("POST", "/v1/billing-events", json=late)
    assert (answer.status_code, answer.json()["code"]) == (409, "event_stale")
    assert school.flows.facts() == before


# -- by topic and queue ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def aws_server():
    made = AwsServer()
    yield made
    made.close()


@pytest.fixture
def queues(aws_server, database, engine, request, flows):
    """Return what `farebox serve` makes of the settings of a project with topics and queues."""
    settings = load_settings(
        {
            "FAREBOX_AWS_PROJECT": f"p{abs(hash(request.node.name)) % 10**8}",
            "FAREBOX_AWS_ENVIRONMENT": "test",
            "FAREBOX_AWS_REGION": "eu-central-1",
            "FAREBOX_AWS_ENDPOINT_URL": aws_server.url,
            "FAREBOX_AWS_ACCESS_KEY_ID": "x",
            "FAREBOX_AWS_SECRET_ACCESS_KEY": "y",
        }
    )
    make_queues(settings)
    made = Transports(settings, database, flows.inbox)
    yield made
    made.close()


def test_a_poisoned_message_is_a_dead_letter_after_three_tries_and_its_batch_is_done(
    school, queues, database
):
    """Topic, queue, processor, rights, updates; and after the fix the dead letter is sent again."""
    [worker] = [one for one in queues.receivers if one.name == "sqs:entitlement-queue"]
    aws: Aws = worker._aws
    make_queue(aws, "entitlement-updates", "others")
    show_again(aws, "entitlement-queue")
    batch = [
        school.message("subscription.created"),
        school.message("subscription.created", productId="nursery", subscriptionId="sub_2"),
        school.message("payment.successful", productId="exam", subscriptionId=None),
    ]
    for message in batch:
        aws.sns.publish(TopicArn=aws.topic("billing-events"), Message=json.dumps(message))
    assert worker.step() == 2, "one of a batch that fails does not fail the others"
    assert school.rights() == ["certificate", *WHOLE]
    for _ in range(3):
        assert worker.step() == 0
    [dead] = bodies(aws, "entitlement-queue-dlq")[:1]
    assert json.loads(dead) == batch[1]

    [sender] = [one for one in queues.senders if one.name == "sns:entitlement-updates"]
    relay = Relay(database, sender)
    while relay.step():
        pass
    told = [json.loads(body) for body in bodies(aws, "others")]
    assert [one["type"] for one in told] == ["entitlement.created"] * 5

    school.vendor.post("/products", {"code": "nursery", "name": "Nursery", "type": "subscription"})
    aws.sns.publish(TopicArn=aws.topic("billing-events"), Message=dead)
    assert worker.step() == 1
    assert "nursery" in school.rights()
    answer = school.stripe.post("/v1/billing-events", batch[0])
    assert answer["repeated"], "whichever way it came, it is the same event"


def test_a_poisoned_event_of_our_own_billing_waits_as_a_dead_letter_and_is_sent_again(flows):
    """3 tries, then set aside; its subject waits, its companions are applied."""
    flows.at("2027-01-10T09:00:00Z")
    ada, bob = flows.customer(), flows.customer("Bob")
    flows.admin.post("/v1/plans", {"code": "pro", "name": "Pro"})
    subs = [one.api.post("/v1/subscriptions", {"plan": "pro"})["id"] for one in (ada, bob)]
    flows.settle()
    for name in subs:
        flows.billing.say("payment.succeeded", name, subscriptionId=name)
    poisoned = {"subscriptionId": subs[0], "plan": "gold"}
    flows.billing.say("subscription.renewed", subs[0], **poisoned)
    flows.billing.say("payment.failed", subs[0], subscriptionId=subs[0])
    flows.says("subscription.renewed", subs[1], subscriptionId=subs[1])
    for _ in range(2):
        flows.clock.move(20_000_000)
        flows.settle()

    def states():
        return [flows.admin.get(f"/v1/subscriptions/{name}")["state"] for name in subs]

    [letter] = flows.admin.get("/v1/dead-letters")["items"]
    assert (letter["tries"], letter["waiting"], letter["event"]["data"]) == (3, 1, poisoned)
    assert states() == ["active", "active"]
    flows.admin.post("/v1/plans", {"code": "gold", "name": "Gold"})
    flows.admin.post(
        f"/v1/dead-letters/{letter['id']}/resend", params={"reason": "the plan is there"}
    )
    flows.settle()
    assert states() == ["suspended", "active"]
    assert flows.admin.get(f"/v1/subscriptions/{subs[0]}")["plan"] == "gold"
    assert flows.admin.get("/v1/dead-letters")["items"] == []
