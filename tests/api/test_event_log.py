"""Following the event log over the API, as another process does that has no broker."""

import contextlib
import json

import httpx2
import pytest

from farebox.events.inbox import Inbox
from farebox.events.model import Position, PositionGone
from farebox.events.reader import Reader
from farebox.events.service_inbox import newer
from farebox.events.service_positions import list_standings
from farebox.events.transports.over_http import HttpLog
from farebox.workers.retention import DAY_US, Retention
from tests.api.conftest import operator_key

ACCESS = "/farebox/access"


@pytest.fixture
def names():
    """Return a copy of consumers: names by id."""
    return {}


@pytest.fixture
def inbox(engine, clock, names):
    """Return the inbox of a billing service that copies consumers."""
    url = engine.migrated(("events",))
    database = engine.open(url, clock, "billing")

    def upsert(tx, told):
        if newer(tx, told, copy="consumers"):
            names[told.subject] = told.data["name"]

    yield Inbox(database, {}, copies={(ACCESS, "consumer.updated"): upsert})
    database.close()
    engine.drop(url)


@pytest.fixture
def log(client, database):
    """Return the access log as another process sees it: over HTTP, with a key."""

    def forward(request):
        told = client.request(request.method, str(request.url), headers=dict(request.headers))
        return httpx2.Response(told.status_code, content=told.content)

    key = operator_key(database, "billing")
    made = HttpLog(
        "http://testserver.local",
        key,
        name="access",
        reader="billing",
        transport=httpx2.MockTransport(forward),
    )
    with contextlib.closing(made):
        yield made


def follow_all(reader, inbox):
    while reader.step():
        pass
    while inbox.step():
        pass


def test_a_reader_in_another_process_follows_the_log_page_by_page(admin, log, inbox, names):
    made = [admin.post("/v1/consumers", {"name": name})["id"] for name in ("Ada", "Кир", "Eve")]
    admin.patch(f"/v1/consumers/{made[0]}", {"name": "Ada L."})
    follow_all(Reader(log, inbox, page=2), inbox)
    assert [names[one] for one in made] == ["Ada L.", "Кир", "Eve"]


def test_a_reader_begins_with_a_snapshot_over_http(admin, log, inbox, names):
    made = [admin.post("/v1/consumers", {"name": f"Name {number}"})["id"] for number in range(5)]
    reader = Reader(log, inbox)
    assert reader.restore(["consumers"]) == 5
    follow_all(reader, inbox)
    assert sorted(names) == sorted(made)
    admin.patch(f"/v1/consumers/{made[0]}", {"name": "Ada"})
    follow_all(reader, inbox)
    assert names[made[0]] == "Ada"


def test_a_replay_over_http_begins_at_a_time(admin, log, inbox, names, clock):
    admin.post("/v1/consumers", {"name": "Ada"})
    clock.move(1_000_000)
    later = admin.post("/v1/consumers", {"name": "Eve"})["id"]
    reader = Reader(log, inbox)
    follow_all(reader, inbox)
    names.clear()
    with inbox.database.write() as tx:
        tx.connection.exec_driver_sql("DELETE FROM copy_version")
    reader.replay(clock.now_us())
    follow_all(reader, inbox)
    assert list(names) == [later]


def test_what_a_follower_has_not_stored_is_kept_and_what_is_gone_is_410(
    admin, log, database, clock
):
    admin.post("/v1/consumers", {"name": "Ada"})
    log.after(Position(), 1)
    clock.move(2 * DAY_US)
    retention = Retention(database, days=1)
    assert retention.step() == 0
    end = log.after(Position(), 1000).position
    log.after(end, 1)
    with database.read() as tx:
        [standing] = [one for one in list_standings(tx) if one.kind == "follower"]
    assert (standing.name, standing.position) == ("billing", end)
    assert retention.step() > 0
    with pytest.raises(PositionGone):
        log.after(Position(), 1)
    assert admin.get("/v1/events")["items"] == []


def test_a_snapshot_tells_products_and_consumers_with_their_versions(admin, films):
    who = admin.post("/v1/consumers", {"name": "Ada"})["id"]
    admin.patch(f"/v1/consumers/{who}", {"name": "Ada L."})
    answer = admin.call("GET", "/v1/events/snapshot")
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    head, *events, end = [json.loads(line) for line in answer.text.splitlines()]
    assert {"consumers", "products"} <= set(head["kinds"])
    assert end == {"events": len(events)}
    by_subject = {event["subject"]: event for event in events}
    assert by_subject[who]["subjectversion"] == 2
    assert by_subject[who]["data"]["name"] == "Ada L."
    assert by_subject["product:films"]["type"] == "product.updated"


def test_a_snapshot_of_one_kind_has_no_other(admin, films):
    answer = admin.call("GET", "/v1/events/snapshot", params={"kind": "consumers"})
    assert len(answer.text.splitlines()) == 2
    refused = admin.call("GET", "/v1/events/snapshot", params={"kind": "planets"})
    assert (refused.status_code, refused.json()["code"]) == (404, "snapshot_kind_unknown")


@pytest.mark.parametrize(
    "params", [{"reader": "Ада"}, {"reader": ""}, {"cursor": "x"}, {"limit": 0}]
)
def test_a_wrong_parameter_of_the_log_is_refused(admin, params):
    assert admin.call("GET", "/v1/events", params=params).status_code == 422
