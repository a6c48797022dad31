"""A command under a key takes effect once, whatever happens in between."""

import threading

import pytest

from tests.api.conftest import Api, bearer, operator_key


@pytest.fixture
def bucket(admin, films, consumer):
    who, _ = consumer("Ada")
    body = {"product": films, "holder": who, "grant": {"amount": 10}}
    return admin.post("/v1/buckets", body)["id"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/buckets", {"product": "films", "holder": "con_1"}),
        ("/v1/buckets/bkt_0000000000000001/grants", {"amount": 1}),
        ("/v1/buckets/bkt_0000000000000001/consume", {"quantity": 1}),
        ("/v1/service-plans", {"product": "films", "group": "grp_1", "bucket_limit": 1}),
        ("/v1/service-usages", {"product": "films"}),
        ("/v1/accounts", {"amount": 1}),
    ],
)
def test_whatever_moves_value_is_refused_without_a_key(admin, tables, path, body):
    before = tables()
    for key in (None, ""):
        refused = admin.call("POST", path, key=key, json=body)
        assert (refused.status_code, refused.json()["code"]) == (400, "idempotency_key_missing")
    assert tables() == before


def test_a_repeat_gets_the_first_answer_and_does_nothing(admin, bucket, tables):
    path = f"/v1/buckets/{bucket}/consume"
    first = admin.post(path, {"quantity": 4}, key="use-1")
    after = tables()
    assert admin.post(path, {"quantity": 4}, key="use-1") == first
    assert tables() == after
    assert admin.post(path, {"quantity": 4}, key="use-2")["remaining"] == 2


def test_a_repeat_gets_the_first_answer_though_the_state_has_changed(admin, bucket):
    path = f"/v1/buckets/{bucket}"
    allowed = admin.post(f"{path}/consume", {"quantity": 10}, key="all")
    denied = admin.post(f"{path}/consume", {"quantity": 1}, key="one")
    assert (allowed["allowed"], denied["allowed"]) == (True, False)
    admin.post(f"{path}/grants", {"amount": 50})
    admin.post(f"{path}/freeze")
    assert admin.post(f"{path}/consume", {"quantity": 10}, key="all") == allowed
    assert admin.post(f"{path}/consume", {"quantity": 1}, key="one") == denied
    assert admin.get(path)["available"] == 50


def test_a_grant_is_answered_again_after_its_end(admin, bucket, clock):
    body = {"amount": 1, "expires_at": "2026-11-20T09:00:00Z"}
    clock.set(1_795_165_100_000_000)  # 08:58:20 of that day
    first = admin.post(f"/v1/buckets/{bucket}/grants", body, key="grant")
    clock.move(3_600_000_000)
    assert admin.post(f"/v1/buckets/{bucket}/grants", body, key="grant") == first


def test_a_suspension_under_a_used_key_suspends_nobody_again(admin, consumer):
    who, _ = consumer("Ada")
    first = admin.post(f"/v1/consumers/{who}/suspend", key="stop")
    admin.post(f"/v1/consumers/{who}/activate")
    assert admin.post(f"/v1/consumers/{who}/suspend", key="stop") == first
    assert admin.get(f"/v1/consumers/{who}")["state"] == "active"


def test_a_lost_answer_with_a_new_key_in_it_is_given_again(admin, consumer, database):
    who, _ = consumer("Ada")
    first = admin.post(f"/v1/consumers/{who}/keys", {"label": "phone"}, key="phone")
    assert admin.post(f"/v1/consumers/{who}/keys", {"label": "phone"}, key="phone") == first
    with database.read() as tx:
        kept = b"".join(
            bytes(row[0]) for row in tx.connection.exec_driver_sql("SELECT answer FROM posted")
        )
    assert first["key"].encode() not in kept


def test_another_payload_under_the_same_key_is_refused(admin, bucket, tables):
    path = f"/v1/buckets/{bucket}"
    admin.post(f"{path}/consume", {"quantity": 4}, key="use-1")
    before = tables()
    for other, body in ((f"{path}/consume", {"quantity": 5}), (f"{path}/grants", {"amount": 4})):
        refused = admin.call("POST", other, key="use-1", json=body)
        assert (refused.status_code, refused.json()["code"]) == (422, "idempotency_key_reused")
    assert tables() == before


def test_the_same_request_in_other_words_is_the_same(admin, bucket):
    path = f"/v1/buckets/{bucket}/consume"
    first = admin.post(path, {"quantity": 4, "metadata": {"a": 1, "b": 2}}, key="use-1")
    raw = b'{ "metadata": {"b": 2, "a": 1},\n "quantity": 4 }'
    again = admin.call(
        "POST", f"{path}?reason=again", key="use-1", content=raw,
        headers={"Content-Type": "application/json"},
    )  # fmt: skip
    assert again.json() == first


def test_a_key_is_the_same_bare_and_quoted(admin, bucket):
    path = f"/v1/buckets/{bucket}/consume"
    first = admin.post(path, {"quantity": 4}, key="8e03978e")
    assert admin.post(path, {"quantity": 4}, key='"8e03978e"') == first


def test_a_refused_command_leaves_its_key_free(admin):
    assert admin.call("POST", "/v1/groups/grp_no/x", key="k").status_code == 404
    refused = admin.call("PATCH", "/v1/groups/grp_no", key="k", json={"name": "x"})
    assert refused.status_code == 404
    assert admin.post("/v1/groups", {"name": "Family"}, key="k")["name"] == "Family"


def test_keys_belong_to_their_caller(admin, client, database):
    other = Api(client, bearer(operator_key(database, "admin")))
    first = admin.post("/v1/groups", {"name": "Family"}, key="k")
    second = other.post("/v1/groups", {"name": "Friends"}, key="k")
    assert first["id"] != second["id"]


@pytest.mark.parametrize("key", ["k" * 256, "two words", "ключ"])
def test_a_key_of_another_form_is_refused(admin, key):
    refused = admin.call("POST", "/v1/groups", key=key.encode(), json={"name": "x"})
    assert (refused.status_code, refused.json()["code"]) == (422, "fields_invalid")


def test_two_at_once_under_one_key_take_effect_once(admin, bucket):
    answers = []
    together = threading.Barrier(4)

    def consume():
        together.wait()
        answers.append(admin.post(f"/v1/buckets/{bucket}/consume", {"quantity": 4}, key="one"))

    threads = [threading.Thread(target=consume) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 4
    assert all(answer == answers[0] for answer in answers)
    assert admin.get(f"/v1/buckets/{bucket}")["available"] == 6


def test_a_decision_under_a_key_is_remembered_past_a_suspension(admin, consumer, films):
    who, own = consumer("Ada")
    admin.post("/v1/buckets", {"product": films, "holder": who, "grant": {"amount": 3}})
    ask = {"mode": "consume", "product": films}
    first = own.post("/v1/access/decide", ask, key="visit")
    admin.post(f"/v1/consumers/{who}/suspend")
    assert own.post("/v1/access/decide", ask, key="visit") == first
    assert own.post("/v1/access/decide", ask, key="next")["code"] == "consumer_suspended"
