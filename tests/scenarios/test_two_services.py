"""Access and billing as two real services, each with its own processes and its own database.

Either is killed (`kill -9`, its children too) while the other goes on; whatever was told meanwhile
is there once, when it is back.
"""

import pytest

from farebox.billing.copies import service as copies
from farebox.events.service import end_of_log, publish
from farebox.events.service_positions import find_standing
from farebox.kernel.clock import SystemClock
from farebox.platform.service_test_clock import follow_test_clock, read_test_clock
from farebox.workers.retention import Retention
from tests.api.conftest import rows_of
from tests.support.commands import Farebox, until
from tests.support.nats import NatsServer
from tests.support.ports import free_port
from tests.support.served import ADMIN, Service
from tests.support.services import run

HELD = (
    "product_copy", "plan_copy", "plan_version_copy", "item_copy", "consumer_copy", "group_copy",
    "subscription_copy",
)  # fmt: skip
A_DAY_S = 86_400


@pytest.fixture
def urls(engine):
    """Return the URLs of two empty databases: access's and billing's."""
    made = engine.empty(), engine.empty()
    yield made
    for url in made:
        engine.drop(url)


@pytest.fixture
def farebox(command_nursery, tmp_path, urls):
    """Return the command with these databases."""
    settings = {
        "FAREBOX_ACCESS_DATABASE_URL": urls[0],
        "FAREBOX_BILLING_DATABASE_URL": urls[1],
        "FAREBOX_ADMIN_KEY": ADMIN,
    }
    return Farebox(command_nursery, tmp_path, FAREBOX_PORT="0", **settings)


@pytest.fixture
def opened(urls, open_database_at):
    """Return a function that opens billing's database as its own processes do."""

    def open_billing():
        database = open_database_at(urls[1], SystemClock(), name="billing")
        follow_test_clock(database)
        return database

    return open_billing


@pytest.fixture
def nats():
    """Return a broker of the test's own, which may be killed."""
    made = NatsServer()
    yield made
    made.close()


def read(billing, find, *key):
    """Return what a copy holds of something."""
    return run(billing, find, *key)


def held(billing):
    """Return every row of every copy."""
    found = rows_of(billing)
    return {name: found[name] for name in HELD}


def heard(billing):
    """Return the ids of all events that billing has stored, and which of them are not over."""
    with billing.read() as tx:
        rows = tx.connection.exec_driver_sql("SELECT id, state FROM inbox").all()
    ids = [row[0] for row in rows]
    return sorted(ids), {row[1] for row in rows}


def told(access):
    """Return the ids of all events that access has published."""
    return sorted(event["id"] for event in access.get("/v1/events", limit=1_000)["items"])


def catches_up(access, billing):
    """Wait until billing has dealt with all that access told; it has it once and nothing else."""

    def is_through():
        ids, states = heard(billing)
        return ids == told(access) and states <= {"applied", "passed"}

    until(is_through, access.process)


def sent(database, sender):
    """Tell whether a sender has passed all that the log holds."""
    with database.read() as tx:
        standing = find_standing(tx, "sender", sender)
        return standing is not None and standing.position == end_of_log(tx)


def make_catalogue(access):
    access.post("/v1/products", {"code": "films", "name": "Films", "scale": 2})
    quotas = [{"product": "films", "limit": 100, "unit": "month"}]
    access.post("/v1/plans", {"code": "pro", "name": "Pro", "quotas": quotas})
    ada = access.post("/v1/consumers", {"name": "Ada"})["id"]
    access.post("/v1/groups", {"name": "Club"})
    key = access.post(f"/v1/consumers/{ada}/keys", {})["key"]
    mine = access.post("/v1/subscriptions", {"plan": "pro"}, key=key)["id"]
    return ada, key, mine


def decide(access, key):
    ask = {"mode": "consume", "product": "films", "credential": key}
    return access.post("/v1/access/decide", ask)


def tell(billing, type_, subscription):
    """Let billing say something of a subscription in its own database; returns the event's id."""
    data = {"subscriptionId": subscription, "orderId": "ord_1"}
    return run(billing, publish, type=type_, subject=subscription, data=data).id


def states_told(access, subscription):
    """Return the states that access told of a subscription, in their order."""
    events = access.get("/v1/events", limit=1_000)["items"]
    wanted = ("subscription.created", "subscription.updated")
    return [
        event["data"]["state"]
        for event in events
        if event["subject"] == subscription and event["type"] in wanted
    ]


def test_billing_is_killed_and_has_missed_and_doubled_nothing_when_it_is_back(
    farebox, urls, opened, open_database_at
):
    farebox.environment["FAREBOX_TEST_CLOCK"] = "true"
    with farebox.started("serve", "--only", "access") as first:
        access = Service(first)
        with farebox.started("serve", "--only", "billing") as second:
            billing = Service(second)
            ada, key, mine = make_catalogue(access)
            database = opened()
            catches_up(access, database)
            assert read(database, copies.find_product, "films").scale == 2
            assert read(database, copies.find_subscription, mine).consumer_id == ada
            paid = tell(database, "payment.succeeded", mine)

            def state():
                return access.get(f"/v1/subscriptions/{mine}", key=key)["state"]

            until(lambda: state() == "active", first)
            said = billing.get("/v1/events", limit=1_000)["items"]
            assert [one["id"] for one in said if one["subject"] == mine] == [paid]
            billing.kill()

        # Access goes on deciding, changing and telling.
        assert decide(access, key)["remaining"] == 99
        access.post("/v1/products", {"code": "books", "name": "Books"})
        access.post("/v1/consumers", {"name": "Bob"})
        access.delete("/v1/plans/pro")
        assert decide(access, key)["remaining"] == 98
        assert read(database, copies.find_product, "books") is None
        # However old it gets, the log keeps what billing has not read.
        access.post("/v1/test-clock", {"advance_seconds": 3 * A_DAY_S})
        unread = set(told(access)) - set(heard(database)[0])
        of_access = open_database_at(urls[0], SystemClock())
        follow_test_clock(of_access)
        assert len(unread) > 3
        while Retention(of_access, days=1).step():
            pass
        assert unread <= set(told(access))

        with farebox.started("serve", "--only", "billing") as second:
            billing = Service(second)
            catches_up(access, database)
            assert read(database, copies.find_product, "books").name == "Books"
            assert read(database, copies.find_plan, "pro").state == "archived"
            billing.end()

        # What billing says while nothing of it runs is there all the same, and each fact once.
        tell(database, "payment.failed", mine)
        until(lambda: state() == "suspended", first)
        tell(database, "payment.succeeded", mine)
        until(lambda: state() == "active", first)
        assert decide(access, key)["remaining"] == 97
        assert states_told(access, mine) == ["pending_payment", "active", "suspended", "active"]
        access.end()
    assert farebox.done("verify").endswith(" 0 faults\n")


def test_one_process_group_runs_both_and_a_new_billing_begins_with_a_snapshot(
    farebox, engine, urls, opened, open_database_at
):
    farebox.environment["FAREBOX_KEEP_EVENTS_DAYS"] = "1"
    with farebox.started("serve", "--test-clock") as process:
        both = Service(process)
        _, key, mine = make_catalogue(both)
        both.post("/v1/plans", {"code": "basic", "name": "Basic"})
        moved = both.post("/v1/test-clock", {"advance_seconds": 5 * A_DAY_S})
        database = opened()
        catches_up(both, database)
        assert run(database, read_test_clock).offset_us == moved["offset_us"]
        tell(database, "payment.succeeded", mine)
        until(lambda: decide(both, key)["allowed"], process)
        moved = both.post("/v1/test-clock", {"advance_seconds": 2 * A_DAY_S})
        catches_up(both, database)
        of_access = open_database_at(urls[0], SystemClock())
        until(lambda: sent(of_access, "webhooks"), process)
        both.end()
    before = held(database)

    # Another database for billing, and access keeps its log for a day only.
    url = engine.empty()
    farebox.environment["FAREBOX_BILLING_DATABASE_URL"] = url
    farebox.done("events", "forget", "follower", "billing")
    with farebox.started("serve", "--only", "access", "--test-clock") as process:
        access = Service(process)
        until(lambda: len(access.get("/v1/events", limit=1_000)["items"]) < 3, process)
        with farebox.started("serve", "--only", "billing", "--test-clock") as second:
            billing = Service(second)
            restored = open_database_at(url, SystemClock(), name="billing")
            follow_test_clock(restored)
            until(lambda: held(restored) == before, second)
            until(lambda: run(restored, read_test_clock).offset_us == moved["offset_us"], second)
            access.post("/v1/products", {"code": "books", "name": "Books"})
            until(lambda: read(restored, copies.find_product, "books") is not None, second)
            billing.end()
        access.end()


def test_services_follow_each_other_over_http_where_neither_reaches_the_others_database(
    farebox, urls, opened
):
    del farebox.environment["FAREBOX_BILLING_DATABASE_URL"]
    ports = [free_port(), free_port()]
    access_url, billing_url = (f"http://127.0.0.1:{port}" for port in ports)
    farebox.environment |= {"FAREBOX_BILLING_URL": billing_url, "FAREBOX_BILLING_KEY": ADMIN}
    with farebox.started("serve", "--only", "access", "--port", str(ports[0])) as first:
        access = Service(first)
        del farebox.environment["FAREBOX_BILLING_URL"], farebox.environment["FAREBOX_BILLING_KEY"]
        del farebox.environment["FAREBOX_ACCESS_DATABASE_URL"]
        farebox.environment |= {"FAREBOX_ACCESS_URL": access_url, "FAREBOX_ACCESS_KEY": ADMIN}
        farebox.environment["FAREBOX_BILLING_DATABASE_URL"] = urls[1]
        with farebox.started("serve", "--only", "billing", "--port", str(ports[1])) as second:
            billing = Service(second)
            _, key, mine = make_catalogue(access)
            database = opened()
            catches_up(access, database)
            tell(database, "payment.succeeded", mine)
            until(lambda: decide(access, key)["allowed"], first)
            billing.end()
        access.end()


def test_over_nats_whoever_is_killed_has_missed_and_doubled_nothing(farebox, opened, nats):
    farebox.environment["FAREBOX_NATS_URL"] = nats.url
    with farebox.started("serve", "--only", "access") as first:
        access = Service(first)
        with farebox.started("serve", "--only", "billing") as second:
            _, key, mine = make_catalogue(access)
            Service(second).kill()

        # Neither billing nor the broker is there when access tells of this.
        database = opened()
        nats.kill()
        access.post("/v1/products", {"code": "books", "name": "Books"})
        nats.start()
        with farebox.started("serve", "--only", "billing") as second:
            billing = Service(second)
            catches_up(access, database)
            assert read(database, copies.find_product, "books").name == "Books"
            tell(database, "payment.succeeded", mine)
            until(lambda: decide(access, key)["allowed"], first)
            access.kill()

            # Nor is access when billing tells of this.
            for type_ in ("payment.failed", "payment.succeeded", "payment.failed"):
                tell(database, type_, mine)
            with farebox.started("serve", "--only", "access") as third:
                access = Service(third)
                wanted = ["pending_payment", "active", "suspended", "active", "suspended"]
                until(lambda: states_told(access, mine) == wanted, third)
                catches_up(access, database)
                assert decide(access, key)["code"] == "subscription_suspended"
                access.end()
            billing.end()
    assert farebox.done("verify").endswith(" 0 faults\n")
