"""Billing's copies of access's catalogue and consumers: whatever the order, the newest is held."""

import itertools
import random

import msgspec
import pytest

from farebox.access.catalog import service as catalog
from farebox.access.catalog import service_features as features
from farebox.access.catalog import service_plans as plans
from farebox.access.catalog.model import PlanTerms, Quota
from farebox.access.consumers import service as consumers
from farebox.access.consumers import service_groups as groups
from farebox.access.flows.snapshots import PROVIDERS
from farebox.access.flows.subscribe import subscribe
from farebox.access.marketplace import service as items
from farebox.access.marketplace.model import Draft, Offer
from farebox.billing.copies import service as copies
from farebox.billing.flows.handlers import COPIES, HANDLERS
from farebox.events.inbox import Inbox
from farebox.events.model import Position, PositionGone
from farebox.events.reader import Reader
from farebox.events.service import events_after
from farebox.events.transports.in_process import DatabaseLog
from farebox.platform.service_dead_letters import list_dead_letters
from farebox.platform.service_operators import create_operator
from farebox.workers.following import Following
from farebox.workers.retention import DAY_US, Retention
from tests.api.conftest import rows_of
from tests.support.services import ADA, run

HELD = (
    "product_copy", "feature_copy", "plan_copy", "plan_version_copy", "item_copy",
    "consumer_copy", "group_copy", "subscription_copy",
)  # fmt: skip
FILMS = Quota(product="films", limit=10, unit="month")
TERMS = PlanTerms(name="Pro", trial_days=14, quotas=(FILMS,))
OFFER = Offer(code="buy", kind="purchase")


@pytest.fixture
def new_billing(billing_urls, open_database_at):
    """Return a function that makes a database of billing."""
    return lambda: open_database_at(billing_urls(), name="billing")


@pytest.fixture
def story(database):
    """Let access make and change a catalogue and its consumers; returns the subscription's id."""
    run(database, catalog.create_product, ADA, code="films", name="Films", scale=2)
    run(database, catalog.update_product, ADA, "films", name="All films", billable=False)
    run(database, features.create_feature, ADA, code="sso", name="SSO")
    run(database, features.archive_feature, ADA, "sso")
    run(database, plans.create_plan, ADA, code="pro", terms=TERMS)
    ada = run(database, consumers.create_consumer, ADA, name="Ada", metadata={"vip": True}).id
    made = run(database, subscribe, ADA, plan="pro", holder_kind="consumer", holder=ada)
    run(database, plans.change_plan, ADA, "pro", PlanTerms(name="Pro 2"))
    run(database, consumers.update_consumer, ADA, ada, name="Ada L.")
    run(database, consumers.suspend_consumer, ADA, ada)
    owner = run(database, create_operator, ADA, name="Kino", roles=("owner",)).id
    draft = Draft(kind="film", title={"en": "Nosferatu"}, offers=(OFFER,))
    run(database, items.create_item, ADA, code="nosferatu", owner=owner, draft=draft)
    run(database, items.publish_item, ADA, "nosferatu")
    club = run(database, groups.create_group, ADA, name="Club").id
    run(database, groups.update_group, ADA, club, name="Cinema club")
    gone = run(database, groups.create_group, ADA, name="Gone").id
    run(database, groups.delete_group, ADA, gone)
    return made.id


def told(database):
    """Return all that access has told."""
    return run(database, events_after, Position(), 1_000).events


def read(billing, find, *key):
    """Return what a copy holds of something."""
    return run(billing, find, *key)


def held(billing):
    """Return every row of every copy."""
    found = rows_of(billing)
    return {name: found[name] for name in HELD}


def keep(billing, events):
    """Let the copies see events in this order."""
    for event in events:
        if handler := COPIES.get((event.source, event.type)):
            run(billing, handler, event)


def reader_of(database, billing):
    inbox = Inbox(billing, HANDLERS, copies=COPIES)
    log = DatabaseLog(database, name="access", reader="billing", providers=PROVIDERS)
    return Reader(log, inbox, page=3), inbox


def settle(*workers):
    while sum(worker.step() for worker in workers):
        pass


def test_copies_hold_what_access_told_last(database, billing, story):
    keep(billing, told(database))
    film = read(billing, copies.find_product, "films")
    assert (film.name, film.scale, film.billable, film.version) == ("All films", 2, False, 2)
    assert read(billing, copies.find_feature, "sso").state == "archived"
    assert read(billing, copies.find_plan, "pro").name == "Pro 2"
    first = read(billing, copies.find_plan, "pro", 1)
    assert (first.name, first.trial_days, first.quotas[0]["limit"]) == ("Pro", 14, 10)
    mine = read(billing, copies.find_subscription, story)
    assert (mine.plan_id, mine.plan_version, mine.period_unit) == ("pro", 1, "month")
    ada = read(billing, copies.find_consumer, mine.consumer_id)
    assert (ada.name, ada.state, ada.metadata) == ("Ada L.", "suspended", {"vip": True})
    film = read(billing, copies.find_item, "nosferatu")
    assert (film.title, film.offers[0].code) == ({"en": "Nosferatu"}, "buy")
    assert film.state == "published"
    [club] = held(billing)["group_copy"]
    assert "Cinema club" in club
    for find in (copies.find_item, copies.find_product, copies.find_group, copies.find_plan):
        assert read(billing, find, "unheard-of") is None


def test_repeated_and_shuffled_events_leave_the_same_copies(database, billing, story):
    events = told(database)
    keep(billing, events)
    once = held(billing)
    for seed in range(5):
        run(billing, copies.empty_copies)
        mixed = [*events, *events]
        random.Random(seed).shuffle(mixed)
        keep(billing, mixed)
        assert held(billing) == once, seed


def test_every_order_of_a_groups_events_leaves_it_deleted(database, billing):
    group = run(database, groups.create_group, ADA, name="One").id
    run(database, groups.update_group, ADA, group, name="Two")
    run(database, groups.delete_group, ADA, group)
    for order in itertools.permutations(told(database)):
        run(billing, copies.empty_copies)
        keep(billing, order)
        assert read(billing, copies.find_group, group) is None


def test_a_replay_fills_emptied_copies_with_the_same(database, billing, story):
    reader, inbox = reader_of(database, billing)
    settle(reader, inbox)
    before = held(billing)
    assert all(before[name] for name in HELD)
    run(billing, copies.empty_copies)
    reader.replay(Position())
    settle(reader, inbox)
    assert held(billing) == before


def test_a_snapshot_fills_copies_as_the_log_does(database, billing, new_billing, story):
    settle(*reader_of(database, billing))
    restored = new_billing()
    reader, inbox = reader_of(database, restored)
    reader.restore()
    settle(reader, inbox)
    assert held(restored) == held(billing)
    run(database, catalog.archive_product, ADA, "films")
    settle(reader, inbox)
    assert read(restored, copies.find_product, "films").state == "archived"


def test_where_the_log_is_gone_copies_begin_anew_and_go_on(
    database, billing, new_billing, story, clock
):
    keep(billing, told(database))
    clock.move(3 * DAY_US)
    settle(Retention(database, days=1))
    assert told_from_the_start_is_gone(database)
    late = new_billing()
    reader, inbox = reader_of(database, late)
    settle(Following(reader), inbox)
    assert held(late) == held(billing)
    run(database, catalog.create_product, ADA, code="books", name="Books")
    settle(Following(reader), inbox)
    assert read(late, copies.find_product, "books").name == "Books"


def told_from_the_start_is_gone(database):
    try:
        told(database)
    except PositionGone:
        return True
    return False


def test_what_cannot_be_read_is_a_dead_letter_and_changes_nothing(database, billing, story, clock):
    [made] = [event for event in told(database) if event.type == "product.created"]
    wrong = {**made.data, "scale": "two"}
    inbox = Inbox(billing, HANDLERS, copies=COPIES)
    inbox.take([msgspec.structs.replace(made, data=wrong)])
    for _ in range(3):
        settle(inbox)
        clock.move(11_000_000)
    letters = run(billing, list_dead_letters)
    assert [letter.event.type for letter in letters.items] == ["product.created"]
    assert held(billing)["product_copy"] == []
