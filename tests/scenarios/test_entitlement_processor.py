"""The entitlement processor (source 003): every type, add-ons, repeats, disorder, refusals."""

import pytest

from farebox.access.catalog.model import ProductEntitlement, ProductUnknown
from farebox.access.catalog.service import create_product
from farebox.access.catalog.service_features import create_feature
from farebox.access.consumers.model import ConsumerUnknown
from farebox.access.consumers.service import create_consumer
from farebox.access.entitlements.model import EventRefused, EventReused, EventStale, Processed
from farebox.access.entitlements.service import list_entitlements
from farebox.access.entitlements.service_limits import consumption_of
from farebox.access.flows.process_external import process_external
from farebox.events.model import Position
from farebox.events.service import events_after
from tests.support.proof import faults
from tests.support.services import ADA, at_once, run
from tests.support.subscribers import when


class Processor:
    """A school's products, a user of its identity provider, and its billing system's messages."""

    def __init__(self, database, clock):
        self.database, self.clock = database, clock
        clock.set(when("2027-01-10"))
        self.count = 0
        for code in ("quizzes", "videos"):
            run(database, create_feature, ADA, code=code, name=code, kind="switch")
        self.product("tokens", unit="token")
        self.product("more", "add_on", [ProductEntitlement(key="tokens", limit=50, period="month")])
        self.product("clips", "add_on", [ProductEntitlement(key="videos")])
        self.product(
            "school",
            "subscription",
            [
                ProductEntitlement(key="quizzes", roles=("learner",)),
                ProductEntitlement(key="tokens", limit=100, period="month"),
            ],
            add_ons=("more",),
        )
        self.product("basic", "subscription", [ProductEntitlement(key="quizzes")])
        self.product("exam", "one_off", [ProductEntitlement(key="videos", days=30)])
        self.ada = run(
            database, create_consumer, ADA, name="Ada", issuer="https://idp", subject="user-1"
        ).id

    def product(self, code, type_="service", entitlements=(), **named):
        run(
            self.database, create_product, ADA, code=code, name=code, type=type_,
            entitlements=tuple(entitlements), **named,
        )  # fmt: skip

    def message(self, type_, *, id_=None, at=None, source="stripe", **payload):
        self.count += 1
        said = {
            "userId": "user-1",
            "productId": "school",
            "subscriptionId": "sub_1",
            "currentPeriodEnd": "2027-02-10T00:00:00Z",
            "priceId": "price_1",
        }
        said = {key: value for key, value in {**said, **payload}.items() if value is not None}
        meta = {
            "eventId": id_ or f"evt_{self.count}",
            "occurredAt": at or f"2027-01-10T00:00:{self.count:02}Z",
            "source": source,
        }
        return {"type": type_, "payload": said, "meta": meta, "version": 1}

    def take(self, message):
        return run(self.database, process_external, message)

    def say(self, type_, **named):
        return self.take(self.message(type_, **named))

    def rights(self, role=None):
        found = run(self.database, list_entitlements, [self.ada], role=role)
        return sorted(each.key for each in found)

    def tokens(self):
        found = run(self.database, list_entitlements, [self.ada], key="tokens")
        uses = [run(self.database, consumption_of, each) for each in found]
        return sum(each.remaining for each in uses if each is not None)

    def told(self):
        with self.database.read() as tx:
            found = events_after(tx, Position(), 1000).events
        return [each.type.removeprefix("entitlement.") for each in found if "entitle" in each.type]


@pytest.fixture
def school(database, clock):
    yield Processor(database, clock)
    assert faults(database) == []


def test_a_created_subscription_brings_what_product_and_add_ons_bring(school):
    done = school.say("subscription.created")
    assert (done.outcome, done.repeated, len(done.entitlements)) == ("applied", False, 3)
    assert school.rights() == ["quizzes", "tokens", "tokens"]
    assert school.rights("teacher") == ["tokens", "tokens"]
    assert school.tokens() == 150
    assert school.told() == ["created"] * 3
    school.clock.set(when("2027-02-10"))
    assert school.rights() == []


def test_an_event_says_which_add_ons_are_taken(school):
    school.say("subscription.created", addonProductIds=[])
    assert school.tokens() == 100
    school.say("subscription.updated", addonProductIds=["more", "clips"])
    assert (school.tokens(), "videos" in school.rights()) == (150, True)
    school.say("subscription.updated", addonProductIds=["clips"])
    assert (school.tokens(), "videos" in school.rights()) == (100, True)


def test_a_renewal_prolongs_what_is_there(school):
    school.say("subscription.created")
    school.say("subscription.updated", currentPeriodEnd="2027-03-10T00:00:00Z")
    school.clock.set(when("2027-03-09"))
    assert school.rights() == ["quizzes", "tokens", "tokens"]
    assert school.told() == ["created"] * 3 + ["updated"] * 3


def test_a_renewal_that_comes_late_brings_it_back(school):
    school.say("subscription.created")
    school.clock.set(when("2027-02-11"))
    assert school.rights() == []
    school.say("subscription.updated", currentPeriodEnd="2027-03-10T00:00:00Z")
    assert school.rights() == ["quizzes", "tokens", "tokens"]
    assert school.told().count("created") == 3


@pytest.mark.parametrize("named", [{}, {"subscriptionId": None}], ids=["with id", "without id"])
def test_another_product_takes_the_place_of_the_old_one(school, named):
    school.say("subscription.created", **named)
    school.say("subscription.updated", productId="basic", previousProductId="school", **named)
    assert school.rights() == ["quizzes"]
    assert school.rights("teacher") == ["quizzes"]
    school.say("subscription.expired", productId="basic", **named)
    assert school.rights() == []


def test_canceled_at_once_revokes_now(school):
    school.say("subscription.created")
    assert len(school.say("subscription.canceled", cancelAtPeriodEnd=False).entitlements) == 3
    assert school.rights() == []
    assert school.told()[-3:] == ["revoked"] * 3


@pytest.mark.parametrize("end", [None, "2027-02-05T00:00:00Z"], ids=["known end", "named end"])
def test_canceled_at_period_end_holds_until_then(school, end):
    school.say("subscription.created")
    school.say("subscription.canceled", cancelAtPeriodEnd=True, currentPeriodEnd=end)
    ends = end or "2027-02-10"
    school.clock.set(when(ends.replace("Z", "")) - 1)
    assert school.rights() == ["quizzes", "tokens", "tokens"]
    school.clock.set(when(ends.replace("Z", "")))
    assert school.rights() == []


def test_expired_revokes_and_resumed_brings_it_back(school):
    school.say("subscription.created")
    school.say("subscription.expired")
    assert school.rights() == []
    school.say("subscription.resumed")
    assert school.rights() == ["quizzes", "tokens", "tokens"]


def test_paused_is_noted_and_leaves_all(school):
    school.say("subscription.created")
    assert school.say("subscription.paused").outcome == "skipped"
    assert school.rights() == ["quizzes", "tokens", "tokens"]


def test_a_one_off_purchase_brings_its_days(school):
    bought = {"productId": "exam", "subscriptionId": None, "currentPeriodEnd": None}
    school.say("payment.successful", **bought, paymentId="pay_1")
    assert school.say("payment.successful", **bought, paymentId="pay_1").entitlements == ()
    assert school.rights() == ["videos"]
    school.clock.set(when("2027-02-09") - 1)
    assert school.rights() == ["videos"]
    school.clock.set(when("2027-02-09"))
    assert school.rights() == []


@pytest.mark.parametrize(
    ("type_", "payload"),
    [
        ("payment.failed", {}),
        ("payment.action_required", {}),
        ("payment.failed", {"userId": None, "productId": None}),
        ("payment.successful", {}),
        ("payment.successful", {"productId": None, "subscriptionId": None}),
    ],
)
def test_what_is_skipped_changes_nothing(school, type_, payload):
    school.say("subscription.created")
    assert school.say(type_, **payload).outcome == "skipped"
    assert (school.rights(), len(school.told())) == (["quizzes", "tokens", "tokens"], 3)


def test_an_event_is_dealt_with_once_also_from_many_sides(school):
    message = school.message("subscription.created")
    answers = at_once([lambda: school.take(message)] * 4)
    repeated = [each.repeated for each in answers if isinstance(each, Processed)]
    assert sorted(repeated) == [False, True, True, True]
    assert school.told() == ["created"] * 3
    assert school.take(message).outcome == "applied"


def test_the_same_id_of_another_source_is_another_event(school):
    school.say("subscription.created", id_="evt_same")
    done = school.say("subscription.created", id_="evt_same", source="paddle")
    assert not done.repeated
    assert school.rights() == sorted(["quizzes", "tokens", "tokens"] * 2)


def test_another_content_under_the_same_id_is_refused(school):
    school.say("subscription.created", id_="evt_same")
    with pytest.raises(EventReused):
        school.say("subscription.expired", id_="evt_same")
    assert school.rights() == ["quizzes", "tokens", "tokens"]


def test_what_happened_before_what_was_applied_is_refused(school):
    school.say("subscription.created", at="2027-01-10T00:00:00Z")
    school.say("subscription.expired", at="2027-01-10T02:00:00Z")
    late = school.message("subscription.updated", at="2027-01-10T01:00:00Z")
    for _ in range(2):
        with pytest.raises(EventStale):
            school.take(late)
    assert school.rights() == []
    school.say("subscription.updated", at="2027-01-10T03:00:00+00:00")
    assert school.rights() != []


def test_an_end_that_overtakes_the_beginning_wins(school):
    school.say("subscription.expired", at="2027-01-10T02:00:00Z")
    with pytest.raises(EventStale):
        school.say("subscription.created", at="2027-01-10T01:00:00Z")
    assert school.rights() == []


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ({"userId": "nobody"}, ConsumerUnknown),
        ({"userId": None}, EventRefused),
        ({"productId": "nothing"}, ProductUnknown),
        ({"productId": None}, EventRefused),
        ({"addonProductIds": ["nothing"]}, ProductUnknown),
        ({"addonProductIds": "more"}, EventRefused),
        ({"currentPeriodEnd": "soon"}, EventRefused),
        ({"userId": 7}, EventRefused),
        ({"at": "yesterday"}, EventRefused),
        ({"id_": "x\0"}, Exception),
        ({"type_": "subscription.melted"}, EventRefused),
    ],
)
def test_what_cannot_be_dealt_with_is_refused_and_may_come_again(school, change, refusal):
    before = school.told()
    with pytest.raises(refusal):
        school.say(**{"type_": "subscription.created", "id_": "evt_1", **change})
    assert (school.rights(), school.told()) == ([], before)
    school.say("subscription.created", id_="evt_1")
    assert school.rights() == ["quizzes", "tokens", "tokens"]


def test_a_name_that_two_issuers_use_is_nobodys(school):
    run(school.database, create_consumer, ADA, name="Eve", issuer="https://other", subject="user-1")
    with pytest.raises(ConsumerUnknown):
        school.say("subscription.created")
    school.say("subscription.created", userId=school.ada)
    assert school.rights() != []


def test_a_subscription_is_one_users(school):
    eve = run(school.database, create_consumer, ADA, name="Eve").id
    school.say("subscription.created")
    with pytest.raises(EventRefused):
        school.say("subscription.updated", userId=eve)


@pytest.mark.parametrize(
    "wrong", [{}, {"type": "x"}, {"type": "subscription.created", "payload": 1}]
)
def test_what_is_no_event_is_refused(school, wrong):
    with pytest.raises(EventRefused):
        school.take(wrong)
