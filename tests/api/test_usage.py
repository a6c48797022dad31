"""The API of usage: reports, batches, CloudEvents, and who may read what."""

import itertools
import json

import msgspec
import pytest

from farebox.access.flows.aggregate_usage import catch_up
from farebox.kernel.clock import parse_time

JSON = {"Content-Type": "application/json"}


@pytest.fixture
def gateway(caller):
    return caller("edge")


@pytest.fixture
def api(admin, clock) -> str:
    clock.set(parse_time("2026-11-20T09:00:00Z"))
    return str(admin.post("/v1/products", {"code": "api", "name": "API", "unit": "call"})["code"])


@pytest.fixture
def ada(admin, api, consumer):
    """Return a consumer with ten calls, and her calls."""
    made, own = consumer("Ada")
    body = {"product": api, "holder": made, "grant": {"amount": 10}}
    admin.post("/v1/buckets", body)
    return made, own


_numbers = itertools.count()


def said(consumer, quantity=1, **more):
    return {
        "id": f"e{next(_numbers)}", "source": "/gw", "consumer": consumer, "product": "api",
        "quantity": quantity, **more,
    }  # fmt: skip


def test_report_answers_what_was_drawn_and_a_repeat_the_same(gateway, ada):
    body = said(ada[0], 12, metadata={"region": "eu"})
    first = gateway.post("/v1/usage", body)
    assert first["accepted"] is True
    assert (first["drawn"], first["overage"], first["late"]) == (10, 2, False)
    assert first["period"] == "2026-11-01T00:00:00Z"
    again = gateway.post("/v1/usage", body)
    assert again == {**first, "repeated": True}


def test_another_payload_under_the_same_key_is_a_problem(gateway, ada, tables):
    body = said(ada[0])
    gateway.post("/v1/usage", body)
    before = tables()
    answer = gateway.call("POST", "/v1/usage", json={**body, "quantity": 2})
    assert (answer.status_code, answer.json()["code"]) == (409, "usage_differs")
    assert tables()["usage_record"] == before["usage_record"]


@pytest.mark.parametrize(
    ("changed", "status", "code"),
    [
        ({"consumer": "con_nobody"}, 404, "consumer_unknown"),
        ({"product": "nothing"}, 404, "product_unknown"),
        ({"operation": "op_0000000000000001"}, 404, "operation_unknown"),
        ({"operation": "nonsense"}, 404, "operation_unknown"),
        ({"at": "2026-11-20T09:06:00Z"}, 409, "usage_in_future"),
        ({"at": "2026-11-20T09:06:00"}, 422, "fields_invalid"),
        ({"quantity": 0}, 422, "fields_invalid"),
        ({"quantity": 1.5}, 422, "fields_invalid"),
        ({"quantity": 2**53}, 422, "fields_invalid"),
        ({"id": ""}, 422, "fields_invalid"),
        ({"id": "a b"}, 422, "fields_invalid"),
        ({"colour": "red"}, 422, "fields_invalid"),
    ],
)
def test_bad_report_is_refused_and_stores_nothing(  # noqa: PLR0917 - cases of one table
    gateway, ada, tables, changed, status, code
):
    answer = gateway.call("POST", "/v1/usage", json={**said(ada[0]), **changed})
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert tables()["usage_record"] == []


def test_decision_and_its_report_count_once(gateway, ada):
    body = {"consumer": ada[0], "product": "api", "quantity": 3, "mode": "consume"}
    operation = gateway.post("/v1/access/decide", body)["operation"]
    made = gateway.post("/v1/usage", said(ada[0], 3, operation=operation))
    assert made["drawn"] == 0
    found = ada[1].get("/v1/usage")
    assert [(one["count"], one["quantity"]) for one in found["items"]] == [(1, 3)]


def test_correction_by_record_and_by_decision(gateway, ada):
    record = gateway.post("/v1/usage", said(ada[0], 5))["record"]
    body = {"consumer": ada[0], "product": "api", "quantity": 3, "mode": "consume"}
    operation = gateway.post("/v1/access/decide", body)["operation"]
    for corrects, quantity in ((record, 2), (operation, 1)):
        said_back = {"id": f"c-{corrects}", "corrects": corrects, "quantity": quantity}
        made = gateway.post("/v1/usage", said_back)
        assert made["quantity"] == -quantity
    assert [one["quantity"] for one in ada[1].get("/v1/usage")["items"]] == [5]
    too_much = gateway.call(
        "POST", "/v1/usage", json={"id": "c", "corrects": record, "quantity": 4}
    )
    assert (too_much.status_code, too_much.json()["code"]) == (409, "reversal_exceeds")


def test_batch_has_a_result_for_each_report(gateway, ada, tables):
    good, bad = said(ada[0]), said("con_nobody")
    batch = [good, bad, {"id": 7}, good, {**good, "quantity": 9}]
    found = gateway.post("/v1/usage/batch", batch, key=None)
    assert (found["accepted"], found["repeated"], found["refused"]) == (2, 1, 3)
    assert [one.get("code") for one in found["results"]] == [
        None, "consumer_unknown", "fields_invalid", None, "usage_differs",
    ]  # fmt: skip
    assert len(tables()["usage_record"]) == 1


@pytest.mark.parametrize("key", [None, "k"])
def test_batch_sent_again_changes_nothing(gateway, ada, key):
    batch = [said(ada[0], n) for n in range(1, 6)]
    first = gateway.call("POST", "/v1/usage/batch", json=batch, key=key).json()
    again = gateway.call("POST", "/v1/usage/batch", json=batch, key=key).json()
    assert [one["record"] for one in again["results"]] == [
        one["record"] for one in first["results"]
    ]
    assert ada[1].get("/v1/usage")["items"][0]["quantity"] == 15


def test_batch_under_a_used_key_with_another_body_is_refused(gateway, ada):
    gateway.call("POST", "/v1/usage/batch", json=[said(ada[0])], key="k")
    other = gateway.call("POST", "/v1/usage/batch", json=[said(ada[0])], key="k")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


def test_lines_of_json_are_a_batch(gateway, ada):
    lines = b"\n".join(msgspec.json.encode(said(ada[0], 2)) for _ in range(3)) + b"\n{nonsense\n\n"
    headers = {"Content-Type": "application/x-ndjson"}
    answer = gateway.call("POST", "/v1/usage/batch", content=lines, headers=headers).json()
    assert (answer["accepted"], answer["refused"]) == (3, 1)
    assert answer["results"][3]["code"] == "body_malformed"


@pytest.mark.parametrize(
    ("content", "media_type", "status"),
    [
        (b"[", "application/json", 400),
        (b"[1]", "application/json", 422),
        (b"{}", "application/json", 422),
        (b"[]", "text/plain", 415),
        (b"[]", "application/json; charset=utf-16", 415),
        (b"[" + b"{}," * 10_000 + b"{}]", "application/json", 422),
        (b"{}\n" * 10_001, "application/x-ndjson", 422),
    ],
)
def test_batch_that_is_none_is_refused_whole(gateway, content, media_type, status):
    headers = {"Content-Type": media_type}
    answer = gateway.call("POST", "/v1/usage/batch", content=content, headers=headers)
    assert answer.status_code == status, answer.text


def test_batch_says_how_quotas_stand_when_asked(gateway, ada):
    answer = gateway.call("POST", "/v1/usage/batch?quota=true", json=[said(ada[0])])
    assert answer.status_code == 200, answer.text


# -- CloudEvents ---------------------------------------------------------------------------------


def event(consumer, **more):
    return {
        "specversion": "1.0", "id": f"c{next(_numbers)}", "source": "/gw", "type": "api.called",
        "subject": consumer, "time": "2026-11-20T08:30:00Z", "comexampleextension": "x",
        "data": {"product": "api", "quantity": 2}, **more,
    }  # fmt: skip


def test_structured_event_is_a_report(gateway, ada):
    headers = {"Content-Type": "application/cloudevents+json; charset=utf-8"}
    content = json.dumps(event(ada[0]))
    first, again = (
        gateway.call("POST", "/v1/usage/cloudevents", content=content, headers=headers).json()
        for _ in range(2)
    )
    (made,) = first["results"]
    assert (made["consumer"], made["quantity"], made["at"]) == (ada[0], 2, "2026-11-20T08:30:00Z")
    assert again["repeated"] == 1


def test_binary_event_is_the_same_report(gateway, ada):
    one = event(ada[0])
    structured = {"Content-Type": "application/cloudevents+json"}
    gateway.call("POST", "/v1/usage/cloudevents", content=json.dumps(one), headers=structured)
    headers = {f"ce-{name}": value for name, value in one.items() if name != "data"}
    answer = gateway.call(
        "POST", "/v1/usage/cloudevents", content=json.dumps(one["data"]), headers=headers | JSON
    )
    assert answer.json()["repeated"] == 1


def test_batched_events_have_a_result_each(gateway, ada):
    headers = {"Content-Type": "application/cloudevents-batch+json"}
    no_id = event(ada[0])
    del no_id["id"]
    events = [event(ada[0]), no_id, event("con_nobody"), event(ada[0], specversion="0.3")]
    answer = gateway.call(
        "POST", "/v1/usage/cloudevents", content=json.dumps(events), headers=headers
    ).json()
    assert [one.get("code") for one in answer["results"]] == [
        None, "fields_invalid", "consumer_unknown", "fields_invalid",
    ]  # fmt: skip


@pytest.mark.parametrize("missing", ["id", "source", "specversion", "type", "data"])
@pytest.mark.parametrize("mode", ["binary", "structured"])
def test_event_without_what_it_must_have_is_refused(gateway, ada, mode, missing):
    one = event(ada[0])
    del one[missing]
    if mode == "structured":
        headers, content = {"Content-Type": "application/cloudevents+json"}, json.dumps(one)
    else:
        data = one.pop("data", None)
        headers = JSON | {f"ce-{name}": value for name, value in one.items()}
        content = "" if data is None else json.dumps(data)
    answer = gateway.call("POST", "/v1/usage/cloudevents", content=content, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (422, "fields_invalid"), answer.text


def test_other_content_types_are_refused(gateway):
    headers = {"Content-Type": "text/plain"}
    answer = gateway.call("POST", "/v1/usage/cloudevents", content="x", headers=headers)
    assert answer.status_code == 415


# -- reading -------------------------------------------------------------------------------------


def test_usage_is_exact_before_and_after_it_is_added_up(gateway, admin, ada, database):
    for quantity in (1, 2, 3):
        gateway.post("/v1/usage", said(ada[0], quantity))
    for _ in range(2):
        found = admin.get("/v1/usage", consumer=ada[0], bucket="hour")
        assert found["items"] == [
            {
                "start": "2026-11-20T09:00:00Z", "end": "2026-11-20T10:00:00Z", "product": "api",
                "count": 3, "quantity": 6, "maximum": 3,
            }
        ]  # fmt: skip
        catch_up(database)


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 409),
        ("consumer=c&from=2026-11-20T09:01:00Z", 409),
        ("consumer=c&zone=Nowhere/Never", 409),
        ("consumer=c&zone=../../etc/passwd", 422),
        ("consumer=c&zone=Europe", 409),
        ("consumer=c&bucket=week", 422),
        ("consumer=c&bucket=hour&from=2020-01-01T00:00:00Z", 409),
        ("consumer=c&from=2026-11-21T00:00:00Z&to=2026-11-20T00:00:00Z", 409),
        ("consumer=c&from=2026-11-21T00:00:00", 422),
        ("consumer=c&until=2026-11-20T00:00:00Z", 422),
    ],
)
def test_question_that_cannot_be_answered_is_refused(admin, query, status):
    answer = admin.call("GET", f"/v1/usage?{query}")
    assert answer.status_code == status, answer.text


def test_consumer_sees_own_usage_and_no_strangers(gateway, ada, consumer):
    record = gateway.post("/v1/usage", said(ada[0]))["record"]
    stranger, theirs = consumer("Bob")
    assert len(ada[1].get("/v1/usage")["items"]) == 1
    assert len(ada[1].get("/v1/usage/records")["items"]) == 1
    assert ada[1].get(f"/v1/usage/records/{record}")["record"] == record
    assert theirs.get("/v1/usage")["items"] == []
    for path in (
        f"/v1/usage?consumer={ada[0]}",
        f"/v1/usage/records?consumer={ada[0]}",
        f"/v1/usage/records/{record}",
        f"/v1/consumers/{ada[0]}/usage-periods",
        "/v1/usage/records/use_0000000000000001",
    ):
        assert theirs.call("GET", path).status_code == 404, path
    assert stranger != ada[0]


def test_consumer_reports_nothing(ada):
    answer = ada[1].call("POST", "/v1/usage", json=said(ada[0]))
    assert (answer.status_code, answer.json()["code"]) == (403, "role_missing")


def test_records_are_paged(gateway, admin, ada):
    made = [gateway.post("/v1/usage", said(ada[0]))["record"] for _ in range(3)]
    page = admin.get("/v1/usage/records", consumer=ada[0], limit=2)
    rest = admin.get("/v1/usage/records", consumer=ada[0], limit=2, cursor=page["next"])
    assert [one["record"] for one in page["items"] + rest["items"]] == made
    assert rest["next"] is None


# -- aggregations, marks, periods ----------------------------------------------------------------


def test_aggregation_is_declared_listed_and_removed(admin, api):
    body = {"name": "regions", "kind": "unique", "dimension": "region"}
    admin.post(f"/v1/products/{api}/aggregations", body)
    again = admin.call("POST", f"/v1/products/{api}/aggregations", json=body)
    assert (again.status_code, again.json()["code"]) == (409, "aggregation_taken")
    wrong = admin.call(
        "POST", f"/v1/products/{api}/aggregations", json={"name": "x", "kind": "unique"}
    )
    assert (wrong.status_code, wrong.json()["code"]) == (409, "aggregation_refused")
    assert [one["name"] for one in admin.get(f"/v1/products/{api}/aggregations")["items"]] == [
        "regions"
    ]
    admin.delete(f"/v1/products/{api}/aggregations/regions")
    gone = admin.call("DELETE", f"/v1/products/{api}/aggregations/regions")
    assert (gone.status_code, gone.json()["code"]) == (404, "aggregation_unknown")


def test_low_mark_is_set_read_and_removed(admin, ada):
    bucket = admin.get("/v1/buckets", holder=ada[0])["items"][0]["id"]
    assert admin.put(f"/v1/buckets/{bucket}/low-mark", {"level": 3})["level"] == 3
    assert admin.get(f"/v1/buckets/{bucket}/low-mark")["told"] is False
    admin.delete(f"/v1/buckets/{bucket}/low-mark")
    assert admin.call("GET", f"/v1/buckets/{bucket}/low-mark").status_code == 404


def test_snapshot_tells_what_was_used_so_far(gateway, admin, ada):
    gateway.post("/v1/usage", said(ada[0], 4))
    number = admin.post("/v1/usage/snapshots", {"consumer": ada[0]})["event"]
    (told,) = [one for one in admin.get("/v1/events", limit=1000)["items"] if one["id"] == number]
    assert (told["type"], told["data"]["interim"]) == ("usage.aggregated", True)
    assert told["data"]["totals"][0]["sum"] == 4
    (period,) = admin.get(f"/v1/consumers/{ada[0]}/usage-periods")["items"]
    assert (period["start"], period["closed_at"]) == ("2026-11-01T00:00:00Z", None)
