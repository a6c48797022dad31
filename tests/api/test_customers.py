"""Customers over the API: made at need, changed by themselves or by operators, with evidence."""

import pytest

pytestmark = pytest.mark.usefixtures("billing")
VAT = "DE 136,695 976"


@pytest.fixture
def ada(consumer, hear):
    """Return a consumer of whom billing has heard, and their calls."""
    found = consumer("Ada")
    hear()
    return found


def refusal(answer):
    return answer.status_code, answer.json()["code"]


def test_a_customer_is_made_of_a_consumer_when_first_changed(admin, ada):
    who, own = ada
    assert refusal(own.call("GET", f"/v1/customers/{who}")) == (404, "customer_unknown")
    body = {
        "email": "ada@example.org", "country": "RU", "currency": "RUB", "locale": "ru",
        "zone": "Europe/Moscow", "address": {"lines": ["Tverskaya 1"], "city": "Moscow"},
    }  # fmt: skip
    made = own.patch(f"/v1/customers/{who}", body)
    assert (made["name"], made["kind"], made["version"]) == ("Ada", "consumer", 2)
    assert {name: made[name] for name in body} == body
    assert admin.get(f"/v1/customers/{who}") == made
    [found] = admin.get("/v1/customers", email="ada@example.org")["items"]
    assert found["id"] == who


def test_what_a_consumers_metadata_tells_is_taken_over_where_it_fits(admin, hear):
    told = {"currency": "RUB", "zone": "Europe/Moscow", "locale": "Russian", "country": 7, "x": "y"}
    who = admin.post("/v1/consumers", {"name": "Ivan", "metadata": told})["id"]
    hear()
    made = admin.patch(f"/v1/customers/{who}", {"name": "Ivan I."})
    assert (made["currency"], made["zone"]) == ("RUB", "Europe/Moscow")
    assert (made["locale"], made["country"]) == ("en", None)


def test_a_device_pays_as_its_owner(admin, ada, hear):
    who, _ = ada
    device = admin.post("/v1/consumers", {"name": "TV", "owner": who})["id"]
    hear()
    assert admin.patch(f"/v1/customers/{device}", {"name": "Ada L."})["id"] == who


def test_null_empties_what_may_be_empty(ada):
    who, own = ada
    own.patch(f"/v1/customers/{who}", {"email": "ada@example.org", "country": "RU"})
    made = own.patch(f"/v1/customers/{who}", {"email": None})
    assert (made["email"], made["country"]) == (None, "RU")


@pytest.mark.parametrize(
    "body",
    [
        {"email": "nobody"},
        {"email": "a b@example.org"},
        {"country": "ru"},
        {"country": "RUS"},
        {"currency": "ZZZ"},
        {"currency": "XAU"},
        {"zone": "Mars/Base"},
        {"zone": None},
        {"locale": "russian!"},
        {"name": ""},
        {"name": None},
        {"name": "a\nb"},
        {"address": {"lines": ["x"] * 5}},
        {"address": {"street": "x"}},
        {"due_days": 366},
        {"due_days": -1},
        {"nothing": 1},
    ],
)
def test_what_a_field_does_not_hold_is_refused_and_changes_nothing(admin, ada, body):
    who, _ = ada
    before = admin.patch(f"/v1/customers/{who}", {"name": "Ada"})
    assert admin.call("PATCH", f"/v1/customers/{who}", json=body).status_code == 422
    assert admin.get(f"/v1/customers/{who}") == before


def test_a_group_is_a_customer_too(admin, hear):
    group = admin.post("/v1/groups", {"name": "Club"})["id"]
    hear()
    made = admin.patch(f"/v1/customers/{group}", {"due_days": 14, "exempt_because": "Embassy"})
    assert (made["kind"], made["name"], made["due_days"]) == ("group", "Club", 14)


def test_consumers_do_not_decide_about_their_tax_and_their_time(ada):
    who, own = ada
    for body in ({"exempt_because": "I say so"}, {"due_days": 300}):
        answer = own.call("PATCH", f"/v1/customers/{who}", json=body)
        assert refusal(answer) == (403, "role_missing")


def test_a_tax_number_is_checked_and_what_was_found_is_kept(admin, ada):
    who, own = ada
    path = f"/v1/customers/{who}"
    answer = own.call("PUT", f"{path}/tax-number", json={"number": "DE136695977"})
    assert refusal(answer) == (422, "vat_number_invalid")
    made = own.put(f"{path}/tax-number", {"number": VAT})
    assert made["tax_number"] == "DE136695976"
    assert made["tax_checked_at"] is not None
    admin.post(f"{path}/tax-number/register", {"valid": True, "reference": "WAPIAAAA"})
    admin.post(f"{path}/tax-number/register", {"valid": False})
    assert admin.get(path)["tax_number"] is None
    answer = admin.call("POST", f"{path}/tax-number/register", json={"valid": True})
    assert refusal(answer) == (409, "tax_number_missing")
    found = own.get(f"{path}/tax-evidence")["items"]
    assert [(one["source"], one["valid"], one["reference"]) for one in found] == [
        ("digits", True, None), ("register", True, "WAPIAAAA"), ("register", False, None),
    ]  # fmt: skip
    own.put(f"{path}/tax-number", {"number": VAT})
    own.delete(f"{path}/tax-number")
    assert own.get(path)["tax_number"] is None
    assert len(own.get(f"{path}/tax-evidence")["items"]) == 4


def test_a_stranger_is_not_there(ada, consumer, hear):
    who, own = ada
    own.patch(f"/v1/customers/{who}", {"name": "Ada L."})
    _, eve = consumer("Eve")
    hear()
    path = f"/v1/customers/{who}"
    for method, at, body in (
        ("GET", path, None),
        ("PATCH", path, {"name": "Eve"}),
        ("PUT", f"{path}/tax-number", {"number": VAT}),
        ("DELETE", f"{path}/tax-number", None),
        ("GET", f"{path}/tax-evidence", None),
    ):
        answer = eve.call(method, at, json=body)
        assert refusal(answer) == (404, "customer_unknown"), (method, at)
    assert own.get(path)["name"] == "Ada L."


def test_who_access_has_not_told_of_is_no_customer(admin):
    answer = admin.call("PATCH", "/v1/customers/con_nobody", json={"name": "X"})
    assert refusal(answer) == (404, "customer_unknown")


def test_a_change_is_audited_and_told(caller, ada, billing):
    who, _ = ada
    books = caller("billing")
    books.patch(f"/v1/customers/{who}?reason=asked+by+letter", {"name": "Ada L."})
    with billing.read() as tx:
        [row] = tx.connection.exec_driver_sql(
            "SELECT action, subject, reason FROM audit WHERE action LIKE 'customer%%'"
        ).fetchall()
        types = tx.connection.exec_driver_sql("SELECT type FROM outbox").scalars().all()
    assert tuple(row) == ("customer.updated", who, "asked by letter")
    assert types.count("customer.updated") == 2
