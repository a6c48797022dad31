"""Other standards' questions about decisions: AuthZEN and OFREP. They take nothing."""

import pytest

from farebox.access.entitlements.service import grant_entitlement
from farebox.platform.model import SYSTEM
from tests.support.services import run

EVALUATION = "/access/v1/evaluation"
EVALUATIONS = "/access/v1/evaluations"
FLAGS = "/ofrep/v1/evaluate/flags"


@pytest.fixture
def ada(admin, consumer, films, database):
    """Return a consumer with five films, HD and four screens, who may read record 1."""
    who, own = consumer("Ada")
    admin.post("/v1/buckets", {"product": films, "holder": who, "grant": {"amount": 5}})
    admin.post("/v1/edge/routes", {"path": "/v1/films/{film}", "method": "GET", "product": films})
    admin.post("/v1/features", {"code": "hd", "name": "HD"})
    admin.post("/v1/features", {"code": "screens", "name": "Screens", "kind": "number"})
    admin.post("/v1/features", {"code": "record:1:read", "name": "Read record 1"})
    for key in ("hd", "record:1:read"):
        admin.post("/v1/entitlements", {"consumer": who, "kind": "feature", "key": key})
    run(
        database, grant_entitlement, SYSTEM, holder_kind="consumer", holder=who, key="screens",
        kind="feature", source_kind="operator", source="test", value=4,
    )  # fmt: skip
    return who, own


@pytest.fixture
def edge(caller):
    return caller("edge")


def question(who, kind, code, action="read", **action_properties):
    return {
        "subject": {"type": "user", "id": who},
        "action": {"name": action, "properties": action_properties},
        "resource": {"type": kind, "id": code},
    }


@pytest.mark.parametrize(
    ("asked", "decision"),
    [
        (("feature", "hd", "use", 1), True),
        (("feature", "hd", "destroy", 1), False),
        (("feature", "4k", "use", 1), False),
        (("product", "films", "consume", "5"), True),
        (("product", "films", "consume", 6), False),
        (("item", "metropolis", "read", 1), False),
        (("record", "1", "read", 1), True),
        (("record", "1", "write", 1), False),
        (("record", "2", "read", 1), False),
        (("record", "no code/", "read", 1), False),
        (("route", "/v1/films/{film}", "GET", 1), True),
        (("route", "/v1/films/metropolis?hd", "GET", 1), True),
        (("route", "/v1/films/metropolis", "POST", 1), False),
        (("route", "/nowhere", "GET", 1), False),
    ],
)
def test_an_evaluation_says_what_a_check_would(edge, ada, tables, asked, decision):
    *wanted, quantity = asked
    before = tables()
    answer = edge.post(EVALUATION, question(ada[0], *wanted, quantity=quantity))
    assert answer["decision"] is decision
    assert answer["context"]["access"]["allowed"] is decision
    assert tables() == before


def test_a_subject_is_a_key_a_consumer_or_what_an_issuer_calls_them(admin, edge, films):
    identity = {"issuer": "https://id.example.org", "subject": "alice"}
    made = admin.post("/v1/consumers", {"name": "Alice", "identity": identity})["id"]
    admin.post("/v1/buckets", {"product": films, "holder": made, "grant": {"amount": 1}})
    key = admin.post(f"/v1/consumers/{made}/keys", {})["key"]
    for kind, name, decision in (
        ("user", "alice", True), ("identity", made, True), ("customer", made, True),
        ("api_key", key, True), ("api_key", "nobody's", False), ("user", "bob", False),
        ("spaceship", made, False),
    ):  # fmt: skip
        asked = {**question("", "product", films), "subject": {"type": kind, "id": name}}
        assert edge.post(EVALUATION, asked)["decision"] is decision, (kind, name)


def test_suspension_counts_for_the_very_next_evaluation_and_flag(admin, edge, ada):
    asked, flag = question(ada[0], "feature", "hd"), {"context": {"targetingKey": ada[0]}}
    assert edge.post(EVALUATION, asked)["decision"] is True
    assert edge.post(f"{FLAGS}/hd", flag)["value"] is True
    admin.post(f"/v1/consumers/{ada[0]}/suspend", {})
    denied = edge.post(EVALUATION, asked)
    assert denied["decision"] is False
    assert denied["context"]["access"]["code"] == "consumer_suspended"
    off = edge.post(f"{FLAGS}/hd", flag)
    assert (off["value"], off["reason"], off["variant"]) == (False, "DISABLED", "off")


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"[]", b"\xff", b'{"subject": 1}', b'{"subject":{"type":"user","id":"a"}}',
        b'{"subject":{"type":"user","id":"a"},"action":{"name":1},"resource":{"type":"f","id":"x"}}',
        b'{"subject":{"type":"user","id":""},"action":{"name":"r"},"resource":{"type":"f","id":"x"}}',
    ],
)  # fmt: skip
@pytest.mark.parametrize("path", [EVALUATION, EVALUATIONS])
def test_a_bad_question_is_400(edge, path, content):
    answer = edge.call("POST", path, content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400


def test_another_content_type_is_400_and_no_credential_401(edge, stranger, ada):
    asked = question(ada[0], "feature", "hd")
    answer = edge.call("POST", EVALUATION, content=b"{}", headers={"Content-Type": "text/plain"})
    assert answer.status_code == 400
    for path in (EVALUATION, EVALUATIONS, FLAGS, f"{FLAGS}/hd"):
        assert stranger.call("POST", path, json=asked).status_code == 401


def test_several_evaluations_are_answered_in_order_each_by_itself(edge, ada):
    asked = {
        **question(ada[0], "feature", "hd"),
        "evaluations": [
            {},
            {"resource": {"type": "feature", "id": "4k"}},
            {"resource": {"type": "feature"}},
            {"action": {"name": 1}},
            17,
        ],
    }
    answers = edge.post(EVALUATIONS, asked)["evaluations"]
    assert [one["decision"] for one in answers] == [True, False, False, False, False]
    assert ["error" in one["context"] for one in answers] == [False, False, True, True, True]
    for semantic, count in (
        ("execute_all", 5), ("deny_on_first_deny", 2), ("permit_on_first_permit", 1),
    ):  # fmt: skip
        body = {**asked, "options": {"evaluations_semantic": semantic}}
        assert len(edge.post(EVALUATIONS, body)["evaluations"]) == count
    assert edge.post(EVALUATIONS, {**asked, "evaluations": []})["decision"] is True
    wrong = {**asked, "options": {"evaluations_semantic": "guess"}}
    assert edge.call("POST", EVALUATIONS, json=wrong).status_code == 400


def test_consumers_ask_about_themselves_only(admin, ada, consumer):
    who, own = ada
    other, _ = consumer("Bob")
    admin.post("/v1/entitlements", {"consumer": other, "kind": "feature", "key": "hd"})
    assert own.post(EVALUATION, question(who, "feature", "hd"))["decision"] is True
    assert own.post(EVALUATION, question(other, "feature", "hd"))["decision"] is False
    assert own.post(f"{FLAGS}/hd", {})["value"] is True
    assert own.post(f"{FLAGS}/hd", {"context": {"targetingKey": other}})["value"] is False


def test_who_may_not_decide_may_not_ask(caller, ada):
    for path in (EVALUATION, EVALUATIONS, FLAGS, f"{FLAGS}/hd"):
        answer = caller("viewer").call("POST", path, json=question(ada[0], "feature", "hd"))
        assert (answer.status_code, answer.json()["code"]) == (403, "role_missing")


def test_the_configuration_says_where_to_ask(stranger):
    assert stranger.get("/.well-known/authzen-configuration") == {
        "policy_decision_point": "https://farebox.test",
        "access_evaluation_endpoint": "https://farebox.test/access/v1/evaluation",
        "access_evaluations_endpoint": "https://farebox.test/access/v1/evaluations",
    }


def test_a_flag_is_a_feature_with_its_variant(edge, ada, consumer):
    asked = {"context": {"targetingKey": ada[0], "plan": "whatever"}}
    answer = edge.post(f"{FLAGS}/screens", asked)
    assert answer == {
        "key": "screens", "value": 4, "variant": "4", "reason": "TARGETING_MATCH",
        "metadata": {"code": "allowed", "kind": "number"},
    }  # fmt: skip
    nobody = edge.post(f"{FLAGS}/screens", {"context": {"targetingKey": "con_nobody"}})
    assert (nobody["reason"], "value" in nobody, nobody["variant"]) == ("UNKNOWN", False, "none")
    bob, _ = consumer("Bob")
    without = edge.post(f"{FLAGS}/hd", {"context": {"targetingKey": bob}})
    assert (without["value"], without["metadata"]["code"]) == (False, "feature_not_in_plan")


@pytest.mark.parametrize(
    ("key", "content", "told"),
    [
        ("4k", b'{"context":{"targetingKey":"con_x"}}', (404, "FLAG_NOT_FOUND")),
        ("hd", b'{"context":{}}', (400, "TARGETING_KEY_MISSING")),
        ("hd", b"{}", (400, "TARGETING_KEY_MISSING")),
        ("hd", b'{"context":{"targetingKey":1}}', (400, "INVALID_CONTEXT")),
        ("hd", b'{"context":[]}', (400, "INVALID_CONTEXT")),
        ("hd", b"{", (400, "PARSE_ERROR")),
    ],
)
def test_what_cannot_be_evaluated_is_told_in_the_protocols_words(edge, ada, key, content, told):
    headers = {"Content-Type": "application/json"}
    answer = edge.call("POST", f"{FLAGS}/{key}", content=content, headers=headers)
    body = answer.json()
    assert (answer.status_code, body["errorCode"]) == told
    assert body["key"] == key
    assert body["errorDetails"]


def test_all_flags_come_with_a_tag_and_304_while_nothing_changes(admin, edge, ada):
    asked = {"context": {"targetingKey": ada[0]}}
    answer = edge.call("POST", f"{FLAGS}?flagConfigEtag=x&flagConfigLastModified=1", json=asked)
    values = {one["key"]: one.get("value") for one in answer.json()["flags"]}
    assert values == {"hd": True, "screens": 4, "record:1:read": True}
    seen = {"If-None-Match": answer.headers["etag"]}
    assert edge.call("POST", FLAGS, json=asked, headers=seen).status_code == 304
    admin.post(f"/v1/consumers/{ada[0]}/suspend", {})
    changed = edge.call("POST", FLAGS, json=asked, headers=seen)
    assert changed.status_code == 200
    assert changed.headers["etag"] != answer.headers["etag"]
