"""Webhooks over the API: an operator's, with a secret that is shown once."""

import dataclasses

import pytest

from farebox.events.service import publish
from farebox.events.transports.webhooks import Caller, WebhookSender
from farebox.workers.webhooks import Deliveries
from tests.support.receiver import Receiver

URL = "https://hooks.example.org/farebox"


@pytest.fixture
def hook(admin):
    return admin.post("/v1/webhooks", {"url": URL, "types": ["order.*"], "description": "Shop"})


@pytest.fixture
def private(client, services):
    """Let webhooks go to this machine, as the setting does."""
    client.app.state.services = dataclasses.replace(services, private_webhooks=True)


def refused(answer) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def test_a_webhook_is_made_listed_and_read_and_its_secret_shown_once(admin, hook):
    secret = hook.pop("secret")
    assert secret.startswith("whsec_")
    assert hook["types"] == ["order.*"]
    assert (hook["state"], hook["disabled_because"], hook["failing_since"]) == (
        "active",
        None,
        None,
    )
    assert admin.get(f"/v1/webhooks/{hook['id']}") == hook
    assert admin.get("/v1/webhooks")["items"] == [hook]


def test_a_repeat_under_the_same_key_makes_one_webhook_and_shows_the_same_secret(admin):
    first = admin.post("/v1/webhooks", {"url": URL}, key="make")
    assert admin.post("/v1/webhooks", {"url": URL}, key="make") == first
    assert len(admin.get("/v1/webhooks")["items"]) == 1
    other = admin.call("POST", "/v1/webhooks", key="make", json={"url": URL + "2"})
    assert refused(other) == (422, "idempotency_key_reused")


def test_a_webhook_is_changed_disabled_and_enabled(admin, hook):
    path = f"/v1/webhooks/{hook['id']}"
    assert admin.patch(path, {"url": URL + "/new", "types": []})["types"] == []
    stopped = admin.post(f"{path}/disable?reason=moving+house")
    assert (stopped["state"], stopped["disabled_because"]) == ("disabled", "operator")
    assert admin.post(f"{path}/enable")["state"] == "active"
    log = admin.get("/v1/audit", subject=hook["id"])["items"]
    assert [entry["action"] for entry in log] == [
        "webhook.enabled", "webhook.disabled", "webhook.updated", "webhook.created",
    ]  # fmt: skip
    assert log[1]["reason"] == "moving house"
    assert hook["secret"] not in str(log)


def test_a_rotated_secret_is_shown_once_and_another_one(admin, hook):
    rotated = admin.post(f"/v1/webhooks/{hook['id']}/rotate", {"overlap_seconds": 3_600})
    assert rotated["secret"].startswith("whsec_")
    assert rotated["secret"] != hook["secret"]
    assert "secret" not in admin.get(f"/v1/webhooks/{hook['id']}")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"url": "http://hooks.example.org/"}, 422, "webhook_address_refused"),
        ({"url": "https://127.0.0.1/"}, 422, "webhook_address_refused"),
        ({"url": "https://[::ffff:10.0.0.1]/"}, 422, "webhook_address_refused"),
        ({"url": "https://user:pw@hooks.example.org/"}, 422, "value_invalid"),
        ({"url": "ftp://hooks.example.org/"}, 422, "fields_invalid"),
        ({"url": ""}, 422, "fields_invalid"),
        ({"url": URL, "types": ["Order"]}, 422, "fields_invalid"),
        ({"url": URL, "types": ["a"] * 101}, 422, "fields_invalid"),
        ({"url": URL, "description": "two\nlines"}, 422, "fields_invalid"),
        ({"url": URL, "secret": "mine"}, 422, "fields_invalid"),
        ({}, 422, "fields_invalid"),
    ],
)
def test_what_cannot_be_a_webhook_is_refused_and_changes_nothing(admin, tables, body, status, code):
    before = tables()
    assert refused(admin.call("POST", "/v1/webhooks", json=body)) == (status, code)
    assert tables() == before


def test_a_webhook_does_not_move_to_a_private_address(admin, hook, tables):
    before = tables()
    moved = admin.call("PATCH", f"/v1/webhooks/{hook['id']}", json={"url": "https://10.0.0.1/"})
    assert refused(moved) == (422, "webhook_address_refused")
    assert tables() == before


def test_the_setting_lets_webhooks_stay_at_home(private, admin):
    made = admin.post("/v1/webhooks", {"url": "http://127.0.0.1:9/"})
    assert made["state"] == "active"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("PATCH", ""),
        ("POST", "/disable"),
        ("POST", "/enable"),
        ("POST", "/rotate"),
        ("GET", "/deliveries"),
        ("GET", "/attempts"),
        ("POST", "/deliveries/whd_1/resend"),
    ],
)
def test_an_unknown_webhook_is_not_found(admin, method, path):
    body: dict[str, str] | None = {} if path == "/rotate" or method == "PATCH" else None
    answer = admin.call(method, f"/v1/webhooks/whk_none{path}", json=body)
    assert refused(answer) == (404, "webhook_unknown")


@pytest.mark.parametrize("role", ["vendor", "support", "billing", "viewer", "owner", "edge"])
def test_only_admins_say_where_events_go(caller, hook, role):
    them = caller(role)
    for method, path in (("GET", "/v1/webhooks"), ("POST", "/v1/webhooks")):
        assert refused(them.call(method, path, json={"url": URL})) == (403, "role_missing")


def test_what_was_sent_is_seen_and_sent_again(private, admin, database):
    receiver = Receiver()
    worker = Deliveries(database, Caller(private=True))
    try:
        receiver.answer = receiver.say(500)
        hook = admin.post("/v1/webhooks", {"url": receiver.url})
        event = database.run(
            lambda tx: publish(tx, type="order.completed", subject="ord_1", data={})
        )
        WebhookSender(database).send([event])
        worker.step()
        worker.settle()
        path = f"/v1/webhooks/{hook['id']}"
        [delivery] = admin.get(f"{path}/deliveries", state="waiting")["items"]
        assert (delivery["event"], delivery["attempts"]) == (event.id, 1)
        assert delivery["due_at"] is not None
        [attempt] = admin.get(f"{path}/attempts", delivery=delivery["id"])["items"]
        assert (attempt["status"], attempt["number"], attempt["error"]) == (500, 1, None)
        receiver.answer = receiver.say(204)
        admin.post(f"{path}/deliveries/{delivery['id']}/resend")
        worker.step()
        worker.settle()
        [delivery] = admin.get(f"{path}/deliveries")["items"]
        assert (delivery["state"], delivery["due_at"]) == ("delivered", None)
        assert [got.id for got in receiver.got] == [event.id] * 2
        assert receiver.got[1].verified_by(hook["secret"])
    finally:
        worker.close()
        receiver.close()


def test_pages_of_webhooks_follow_one_another(admin):
    made = [admin.post("/v1/webhooks", {"url": f"{URL}/{n}"})["id"] for n in range(3)]
    first = admin.get("/v1/webhooks", limit=2)
    rest = admin.get("/v1/webhooks", cursor=first["next"])
    assert [one["id"] for one in first["items"] + rest["items"]] == made
    assert rest["next"] is None
