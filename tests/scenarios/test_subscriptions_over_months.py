"""Subscriptions from the wish to the end, billing played by the events that it publishes."""

import msgspec
import pytest

from farebox.access.catalog.model import Quota
from farebox.access.entitlements.service_plan_rights import end_rights as really_end
from farebox.access.flows import subscription_changes
from farebox.access.flows.delete_group import delete_group
from farebox.access.subscriptions.model import (
    AlreadySubscribed,
    ChangeRefused,
    GroupHasSubscriptions,
    SubscriptionOver,
    SubscriptionUnknown,
)
from farebox.events.rests import RowsFailed
from tests.support.proof import faults
from tests.support.services import ADA, at_once
from tests.support.subscribers import Subscribers, when

FILMS = Quota(product="films", limit=10, unit="month")


@pytest.fixture
def story(database, clock):
    made = Subscribers(database, clock, "2027-01-15")
    made.plan("pro", FILMS, features={"hd": True, "screens": 4})
    made.plan("strict", FILMS, trial_days=14)
    made.plan("kind", FILMS, on_payment_failed="grace", grace_days=3, trial_days=14)
    made.plan("free", FILMS, on_payment_failed="ignore", trial_days=14)
    yield made
    assert faults(database) == []


def fail(*_: object, **__: object) -> None:
    raise RuntimeError("killed here")


def test_a_wish_gives_nothing_until_billing_says_that_it_is_paid(story):
    mine = story.subscribe("pro")
    assert (story.state(mine), story.use(), story.rights()) == ("pending_payment", False, [])
    [told] = story.told("subscription.created")
    assert (told["subscriptionId"], told["consumerId"], told["planId"]) == (mine, story.ada, "pro")
    story.billing("payment.succeeded", mine, orderId="ord_1")
    assert (story.state(mine), story.use()) == ("active", True)
    assert story.rights() == ["films", "hd", "screens"]


def test_a_failed_payment_suspends_and_a_paid_one_brings_all_back(story):
    mine = story.active("pro")
    story.use(4)
    story.billing("payment.failed", mine, reason="card_declined")
    assert (story.state(mine), story.use(), story.rights()) == ("suspended", False, [])
    [told] = story.told("access.suspended")
    assert (told["consumerId"], told["subscriptionId"]) == (story.ada, mine)
    story.billing("payment.succeeded", mine)
    assert (story.state(mine), story.left()) == ("active", 6)
    assert story.rights() == ["films", "hd", "screens"]


@pytest.mark.parametrize("worker", [True, False], ids=["worker", "no worker"])
def test_grace_ends_at_its_instant(story, worker):
    mine = story.active("kind")
    story.billing("payment.failed", mine)
    assert (story.state(mine), story.use()) == ("past_due", True)
    story.at("2027-01-16")
    story.billing("payment.failed", mine)
    story.at("2027-01-17T23:59:59.999999")
    assert (story.state(mine), story.use()) == ("past_due", True)
    story.at("2027-01-18")
    if worker:
        assert story.worker() == 1
        assert len(story.told("access.suspended")) == 1
    assert (story.state(mine), story.use()) == ("suspended", False)
    story.billing("payment.succeeded", mine)
    assert (story.state(mine), story.use()) == ("active", True)
    assert len(story.told("access.suspended")) == 1


def test_a_failed_payment_is_ignored_where_the_plan_says_so(story):
    mine = story.active("free")
    story.billing("payment.failed", mine)
    assert (story.state(mine), story.use()) == ("active", True)


@pytest.mark.parametrize(
    ("plan", "after", "later"),
    [
        ("strict", "expired", "expired"),
        ("kind", "past_due", "suspended"),
        ("free", "past_due", "past_due"),
    ],
)
def test_a_trial_that_nobody_pays_for_ends_as_the_plan_says(story, plan, after, later):
    mine = story.subscribe(plan)
    story.billing("subscription.trial_started", mine)
    assert (story.state(mine), story.use()) == ("trialing", True)
    story.at("2027-01-28T23:59:59.999999")
    assert story.state(mine) == "trialing"
    story.at("2027-01-29")
    assert (story.state(mine), story.use()) == (after, after == "past_due")
    story.at("2027-02-01")
    assert story.state(mine) == later
    story.worker()
    assert story.state(mine) == later
    story.billing("payment.succeeded", mine)
    assert (story.state(mine), story.use()) == ("active", True)


def test_a_trial_that_is_paid_goes_on_with_what_is_left_of_its_quota(story):
    mine = story.subscribe("strict")
    story.billing("subscription.trial_started", mine, trialEndsAt="2027-01-20T00:00:00Z")
    story.use(3)
    story.at("2027-01-19")
    story.billing("payment.succeeded", mine)
    story.at("2027-01-21")
    assert (story.state(mine), story.left()) == ("active", 7)


@pytest.mark.parametrize("worker", [True, False], ids=["worker", "no worker"])
def test_a_cancellation_at_period_end_is_exact(story, worker):
    mine = story.active("pro")
    assert story.ask(mine, "cancel", at="period_end").requested == "cancel:period_end"
    [told] = story.told("subscription.change_requested")
    assert (told["change"], told["at"]) == ("cancel", "period_end")
    assert told["periodEnd"] == "2027-02-15T00:00:00.000000Z"
    assert story.state(mine) == "active"
    story.billing("subscription.canceled", mine, effectiveAt="2027-02-15T00:00:00Z")
    assert (story.state(mine), story.use()) == ("active", True)
    story.at("2027-02-14T23:59:59.999999")
    assert (story.state(mine), story.use(), len(story.rights())) == ("active", True, 3)
    story.at("2027-02-15")
    if worker:
        story.worker()
    assert (story.state(mine), story.use(), story.rights()) == ("canceled", False, [])
    story.worker()
    assert story.worker() == 0
    ended = [each for each in story.told("subscription.updated") if each["state"] == "canceled"]
    assert [each["endedAt"] for each in ended] == ["2027-02-15T00:00:00.000000Z"]
    assert len(story.told("entitlement.revoked")) == 3


def test_a_cancellation_is_taken_back_before_its_day(story):
    mine = story.active("pro")
    story.billing("subscription.canceled", mine, effectiveAt="2027-02-15T00:00:00Z")
    story.ask(mine, "resume")
    story.billing("subscription.changed", mine, change="resume")
    story.at("2027-03-01")
    assert (story.state(mine), story.use(), story.read(mine).cancel_at) == ("active", True, None)


def test_a_cancellation_now_ends_all_at_once(story):
    mine = story.active("pro")
    story.billing("subscription.canceled", mine)
    assert (story.state(mine), story.use(), story.rights()) == ("canceled", False, [])
    for change in ("cancel", "resume", "pause", "plan"):
        with pytest.raises(SubscriptionOver):
            story.ask(mine, change, plan="kind")
    story.billing("payment.succeeded", mine)
    assert story.state(mine) == "canceled"


def test_a_paused_one_gives_access_and_its_last_quota_but_no_new_one(story):
    mine = story.active("pro")
    story.use(4)
    story.ask(mine, "pause")
    assert story.state(mine) == "active"
    story.billing("subscription.changed", mine, change="pause")
    assert (story.state(mine), story.left()) == ("paused", 6)
    assert "hd" in story.rights()
    story.at("2027-02-15")
    assert (story.left(), story.use()) == (-1, False)
    assert "hd" in story.rights()
    story.at("2027-03-20")
    story.billing("subscription.changed", mine, change="resume")
    assert (story.state(mine), story.left()) == ("active", 10)
    assert story.quota().resets_at == when("2027-04-20")


def test_all_members_have_the_subscription_of_their_group_and_lose_it_at_once(story):
    bob = story.consumer("Bob")
    family = story.family(story.ada, bob)
    theirs = story.active("pro", holder=family, kind="group")
    assert story.use(6)
    assert story.use(4, consumer=bob)
    assert not story.use(1)
    assert story.rights(bob) == ["films", "hd", "screens"]
    story.at("2027-02-15")
    story.billing("payment.failed", theirs)
    assert not story.use(1)
    assert not story.use(1, consumer=bob)
    [told] = story.told("access.suspended")
    assert (told["consumerId"], told["groupId"]) == (None, family)


def test_a_group_is_deleted_after_its_subscriptions_have_ended(story):
    story.plan("open", msgspec.structs.replace(FILMS, hard=False, overage=True))
    family = story.family(story.ada)
    theirs = story.active("open", holder=family, kind="group")
    story.use(12)
    with pytest.raises(GroupHasSubscriptions):
        delete_group(story.database, ADA, family)
    story.billing("subscription.canceled", theirs)
    delete_group(story.database, ADA, family)


def test_what_fails_in_the_middle_has_not_happened_and_may_come_again(story, monkeypatch):
    mine = story.subscribe("pro")
    before = (story.read(mine), story.told("subscription.updated"), story.revision())
    with monkeypatch.context() as broken:
        broken.setattr(subscription_changes, "begin_rights", fail)
        with pytest.raises(RuntimeError):
            story.billing("payment.succeeded", mine, id_="evt_again")
    after = (story.read(mine), story.told("subscription.updated"), story.revision())
    assert (after, story.left(), story.rights()) == (before, -1, [])
    story.billing("payment.succeeded", mine, id_="evt_again")
    assert (story.state(mine), story.left()) == ("active", 10)


def test_one_that_cannot_be_written_down_keeps_no_other_waiting(story, monkeypatch):
    bob = story.consumer("Bob")
    ends = {"effectiveAt": "2027-02-15T00:00:00Z"}
    mine, bobs = story.active("pro"), story.active("pro", holder=bob)
    for each in (mine, bobs):
        story.billing("subscription.canceled", each, **ends)
    story.at("2027-02-15")

    def end_rights(tx, actor, subscription, reason):
        if subscription == mine:
            raise RuntimeError("poison")
        really_end(tx, actor, subscription, reason)

    with monkeypatch.context() as broken:
        broken.setattr(subscription_changes, "end_rights", end_rights)
        with pytest.raises(RowsFailed, match="poison"):
            story.worker()
    ended = [each["subscriptionId"] for each in story.told("subscription.updated")]
    assert (ended[-1], story.worker(), story.worker()) == (bobs, 1, 0)


def test_workers_at_once_write_down_once(story):
    mine = story.active("pro")
    story.billing("subscription.canceled", mine, effectiveAt="2027-02-15T00:00:00Z")
    story.at("2027-02-15")
    answers = at_once([story.worker] * 3)
    assert not any(isinstance(each, Exception) for each in answers), answers
    states = [each["state"] for each in story.told("subscription.updated")]
    assert states.count("canceled") == 1
    assert len(story.told("entitlement.revoked")) == 3


def test_every_change_makes_remembered_states_old(story):
    mine = story.subscribe("kind")
    steps = [
        ("payment.succeeded", {}),
        ("payment.failed", {}),
        ("payment.succeeded", {}),
        ("subscription.changed", {"change": "plan", "plan": "pro"}),
        ("subscription.changed", {"change": "pause"}),
        ("subscription.changed", {"change": "resume"}),
        ("subscription.canceled", {"effectiveAt": "2027-02-01T00:00:00Z"}),
        ("subscription.canceled", {}),
    ]
    seen = [story.revision()]
    for type_, data in steps:
        story.billing(type_, mine, **data)
        seen.append(story.revision())
    assert seen == sorted(set(seen))


def test_the_same_event_twice_is_applied_once(story):
    mine = story.subscribe("pro")
    event = story.billing("payment.succeeded", mine)
    told, before = len(story.told("subscription.updated")), story.read(mine)
    story.deliver(event)
    assert (story.read(mine), len(story.told("subscription.updated"))) == (before, told)


def test_the_same_event_at_once_from_two_sides_is_applied_once(story):
    mine = story.subscribe("pro")
    event = story.billing("subscription.renewed", mine)
    paid = msgspec.structs.replace(event, id="evt_once", type="payment.succeeded")
    answers = at_once([lambda: story.deliver(paid)] * 4)
    assert answers == [None] * 4
    assert story.left() == 10
    states = [each["state"] for each in story.told("subscription.updated")]
    assert states == ["active"]


def test_an_event_of_before_what_was_heard_changes_nothing(story):
    mine = story.subscribe("pro")
    story.billing("payment.succeeded", mine, time="2027-01-15T00:05")
    story.billing("payment.failed", mine, time="2027-01-15T00:00")
    assert story.state(mine) == "active"
    story.billing("payment.failed", mine, time="2027-01-15T00:06")
    assert story.state(mine) == "suspended"


def test_what_names_no_subscription_is_not_ours_and_an_unknown_one_is_refused(story):
    event = story.billing("payment.succeeded", story.subscribe("pro"))
    story.deliver(msgspec.structs.replace(event, id="evt_2", data={"orderId": "ord_1"}))
    with pytest.raises(SubscriptionUnknown):
        story.billing("payment.succeeded", "sub_nobody")


def test_a_plan_is_subscribed_to_once(story):
    story.subscribe("pro")
    with pytest.raises(AlreadySubscribed):
        story.subscribe("pro")
    answers = at_once([lambda: story.subscribe("kind")] * 4)
    assert sum(isinstance(each, AlreadySubscribed) for each in answers) == 3


def test_a_plan_may_be_subscribed_to_again_after_the_end(story):
    mine = story.active("pro")
    story.billing("subscription.canceled", mine, effectiveAt="2027-02-01T00:00:00Z")
    with pytest.raises(AlreadySubscribed):
        story.subscribe("pro")
    story.at("2027-02-01")
    again = story.active("pro")
    assert (story.state(again), story.left()) == ("active", 10)


def test_a_plan_that_is_coming_is_had_already(story):
    mine = story.active("pro")
    story.billing(
        "subscription.changed", mine, change="plan", plan="kind", effectiveAt="2027-02-15T00:00:00Z"
    )
    with pytest.raises(AlreadySubscribed):
        story.subscribe("kind")


def test_a_wish_that_is_under_way_is_sent_once(story):
    mine = story.active("pro")
    at_once([lambda: story.ask(mine, "cancel", at="period_end")] * 3)
    assert len(story.told("subscription.change_requested")) == 1
    story.ask(mine, "plan", plan="kind")
    assert len(story.told("subscription.change_requested")) == 2
    story.billing("subscription.changed", mine, change="plan", plan="kind")
    assert story.read(mine).requested is None


@pytest.mark.parametrize(
    ("change", "named"), [("resume", {}), ("plan", {"plan": "pro"}), ("plan", {})]
)
def test_a_wish_without_sense_is_refused(story, change, named):
    mine = story.active("pro")
    with pytest.raises(ChangeRefused):
        story.ask(mine, change, **named)


def test_a_cancellation_wins_over_a_change_of_the_same_instant(story):
    mine = story.active("pro")
    at = {"effectiveAt": "2027-02-15T00:00:00Z"}
    story.billing("subscription.changed", mine, change="plan", plan="kind", **at)
    story.billing("subscription.canceled", mine, **at)
    story.at("2027-02-15")
    assert (story.state(mine), story.read(mine).plan, story.use()) == ("canceled", "pro", False)
    story.worker()
    assert (story.state(mine), story.rights()) == ("canceled", [])


def test_a_suspended_one_gets_its_planned_plan_and_has_it_when_paid(story):
    mine = story.active("pro")
    at = {"effectiveAt": "2027-02-15T00:00:00Z"}
    story.billing("subscription.changed", mine, change="plan", plan="kind", **at)
    story.billing("payment.failed", mine)
    story.at("2027-02-16")
    story.worker()
    assert (story.state(mine), story.use()) == ("suspended", False)
    story.billing("payment.succeeded", mine)
    assert (story.read(mine).plan, story.left(), story.rights()) == ("kind", 10, ["films"])
