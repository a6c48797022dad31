"""Products, features and plans over the API, and the literal paths of the product service."""

import pytest

from farebox.http.openapi import handlers_of

QUOTA = {"product": "films", "limit": 100, "unit": "month"}


def refused(answer, status, code):
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    return answer.json()


def codes(page):
    return [one["code"] for one in page["items"]]


# -- products ------------------------------------------------------------------------------------


def test_a_product_is_made_read_changed_and_archived(admin, films):
    admin.post("/v1/features", {"code": "quiz", "name": "Quizzes"})
    admin.post("/v1/products", {"code": "popcorn", "name": "Popcorn", "type": "add_on"})
    made = admin.post(
        "/v1/products",
        {
            "code": "club",
            "name": "Film club",
            "type": "subscription",
            "unit": "month",
            "description": "Films and quizzes",
            "billable": False,
            "entitlements": [
                {"key": "films", "limit": 8, "period": "month", "roles": ["adult"], "days": 30},
                {"key": "quiz"},
            ],
            "add_ons": ["popcorn"],
        },
    )
    created_at = made.pop("created_at")
    assert created_at.endswith("Z")
    assert made == {
        "code": "club",
        "name": "Film club",
        "description": "Films and quizzes",
        "type": "subscription",
        "unit": "month",
        "scale": 0,
        "billable": False,
        "entitlements": [
            {"key": "films", "limit": 8, "period": "month", "roles": ["adult"], "days": 30},
            {"key": "quiz", "limit": None, "period": None, "roles": [], "days": None},
        ],
        "add_ons": ["popcorn"],
        "state": "active",
        "version": 1,
    }
    path = "/v1/products/club"
    changed = admin.patch(path, {"name": "Club", "expected_version": 1})
    assert changed == {**made, "created_at": created_at, "name": "Club", "version": 2}
    assert admin.get(path) == changed
    replaced = admin.put(path, {"name": "Club", "unit": "month"})
    assert (replaced["entitlements"], replaced["add_ons"], replaced["version"]) == ([], [], 3)
    assert (replaced["type"], replaced["description"]) == ("service", "")
    gone = admin.delete(path)
    assert (gone["state"], gone["version"]) == ("archived", 4)
    assert admin.get(path) == gone
    assert admin.delete(path) == gone


def test_what_was_sold_of_an_archived_product_stays_usable(admin, consumer, films):
    who, own = consumer("Ada")
    admin.post("/v1/buckets", {"product": films, "holder": who, "grant": {"amount": 5}})
    admin.delete(f"/v1/products/{films}")
    ask = {"mode": "consume", "product": films}
    assert own.post("/v1/access/decide", ask)["allowed"] is True
    again = admin.call("POST", "/v1/buckets", json={"product": films, "holder": who})
    refused(again, 409, "product_archived")


def test_a_product_of_no_known_type_is_refused(admin, tables):
    before = tables()
    body = {"code": "club", "name": "Club", "type": "rental"}
    refused(admin.call("POST", "/v1/products", json=body), 422, "fields_invalid")
    assert tables() == before


def test_a_change_of_an_older_version_is_refused_and_says_the_newest(admin, films, tables):
    admin.patch("/v1/products/films", {"name": "Premieres", "expected_version": 1})
    before = tables()
    for method in ("PATCH", "PUT"):
        body = {"name": "Old films", "expected_version": 1}
        answer = admin.call(method, "/v1/products/films", json=body)
        assert refused(answer, 409, "version_passed")["version"] == 2
    assert tables() == before


def test_products_are_listed_in_pages_with_filters(admin):
    for number in range(5):
        kind = "api" if number % 2 else "item"
        body = {"code": f"p{number}", "name": "P", "type": kind, "billable": number > 1}
        admin.post("/v1/products", body)
    admin.delete("/v1/products/p3")
    assert codes(admin.get("/v1/products", type="api")) == ["p1", "p3"]
    assert codes(admin.get("/v1/products", type="api", state="active")) == ["p1"]
    assert codes(admin.get("/v1/products", billable="false", type="item")) == ["p0"]
    first = admin.get("/v1/products", billable="true", limit=2)
    assert codes(first) == ["accman", "p2"]
    rest = admin.get("/v1/products", billable="true", limit=2, cursor=first["next"])
    assert (codes(rest), rest["next"]) == (["p3", "p4"], None)
    refused(admin.call("GET", "/v1/products?type=rental"), 422, "fields_invalid")
    refused(admin.call("GET", "/v1/products?billable=perhaps"), 422, "fields_invalid")


def test_products_are_found_whatever_the_case_and_yo_as_ye(admin):
    for number, name in enumerate(("Ёлка", "Берёза", "Ель")):
        admin.post("/v1/products", {"code": f"p{number}", "name": name, "type": "item"})
    assert codes(admin.get("/v1/products/search", q="ЕЛК")) == ["p0"]
    assert codes(admin.get("/v1/products/search", q="е", type="item")) == ["p0", "p1", "p2"]
    first = admin.get("/v1/products/search", q="P", type="item", limit=2)
    rest = admin.get("/v1/products/search", q="P", type="item", limit=2, cursor=first["next"])
    assert codes(first) + codes(rest) == ["p0", "p1", "p2"]
    for query in ("", "%20", "%C2%A0", "a%00", "x" * 129):
        refused(admin.call("GET", f"/v1/products/search?q={query}"), 422, "fields_invalid")
    refused(admin.call("GET", "/v1/products/search"), 422, "fields_invalid")


def test_a_repeat_under_a_key_is_the_first_answer_and_makes_nothing(admin):
    body = {"name": "Films"}
    first = admin.post("/v1/products", body, key="once")
    assert admin.post("/v1/products", body, key="once") == first
    other = admin.call("POST", "/v1/products", json={"name": "Music"}, key="once")
    refused(other, 422, "idempotency_key_reused")
    # The same under a literal path is another request.
    refused(admin.call("POST", "/products", json=body, key="once"), 422, "idempotency_key_reused")
    assert len(admin.get("/v1/products/search", q="films")["items"]) == 1


# -- the product service's own paths -------------------------------------------------------------


@pytest.mark.parametrize("slash", ["", "/"])
def test_the_literal_paths_do_what_the_others_do(admin, slash):
    made = admin.call("POST", f"/products{slash}", json={"name": "Premium", "type": "one_off"})
    assert made.status_code == 201
    code = made.json()["code"]
    path = f"/products/{code}{slash}"
    assert admin.get(path) == made.json() == admin.get(f"/v1/products/{code}")
    changed = admin.put(path, {"name": "Gold", "type": "subscription"})
    assert (changed["name"], changed["type"]) == ("Gold", "subscription")
    assert admin.patch(path, {"description": "all of it"})["description"] == "all of it"
    assert codes(admin.get(f"/products{slash}", limit=1)) == ["accman"]
    assert codes(admin.get(f"/products{slash}", type="subscription")) == [code]
    assert codes(admin.get(f"/products/search{slash}", q="gold ALL")) == [code]
    assert admin.delete(path)["state"] == "archived"
    assert codes(admin.get(f"/products{slash}", state="active")) == ["accman"]
    refused(admin.call("GET", f"/products/none{slash}"), 404, "product_unknown")


def test_the_literal_paths_are_guarded_alike_and_left_out_of_the_description(
    undriven, caller, stranger, description
):
    paths = {path: handler for path, handler in handlers_of(undriven) if path[:9] == "/products"}
    assert set(paths) == {"/products", "/products/search", "/products/{code}"}
    assert not [path for path in description["paths"] if path.startswith("/products")]
    refused(stranger.call("GET", "/products"), 401, "credential_missing")
    refused(caller("viewer").call("POST", "/products", json={"name": "x"}), 403, "role_missing")


@pytest.fixture
def description(client):
    return client.get("/openapi.json").json()


# -- features ------------------------------------------------------------------------------------


def test_a_feature_is_made_read_changed_listed_and_archived(admin):
    body = {"code": "support", "name": "Support", "kind": "choice", "choices": ["mail", "phone"]}
    made = admin.post("/v1/features", body)
    path = "/v1/features/support"
    assert (made["version"], made["state"], made["choices"]) == (1, "active", ["mail", "phone"])
    assert admin.get(path) == made
    changed = admin.patch(path, {"choices": ["mail"], "expected_version": 1})
    assert changed == {**made, "choices": ["mail"], "version": 2}
    answer = admin.call("PATCH", path, json={"name": "x", "expected_version": 1})
    refused(answer, 409, "version_passed")
    assert admin.delete(path)["state"] == "archived"
    assert codes(admin.get("/v1/features")) == ["support"]
    assert codes(admin.get("/v1/features", state="active")) == []
    refused(admin.call("POST", "/v1/features", json=body), 409, "feature_taken")
    refused(admin.call("GET", "/v1/features/none"), 404, "feature_unknown")
    refused(admin.call("PATCH", "/v1/features/none", json={}), 404, "feature_unknown")
    refused(admin.call("DELETE", "/v1/features/none"), 404, "feature_unknown")


# -- plans ---------------------------------------------------------------------------------------


def test_a_plan_is_made_changed_and_its_versions_stay_readable(admin, films):
    admin.post("/v1/features", {"code": "sso", "name": "SSO"})
    made = admin.post(
        "/v1/plans",
        {
            "code": "pro",
            "name": "Pro",
            "trial_days": 14,
            "on_payment_failed": "grace",
            "grace_days": 7,
            "quotas": [
                {**QUOTA, "anchor": "calendar", "zone": "Europe/Moscow", "rollover": True},
                {**QUOTA, "unit": "day", "count": 3, "limit": 10},
            ],
            "rate_limits": [{"limit": 10, "seconds": 1}],
            "features": [{"feature": "sso", "value": True}],
        },
    )
    assert made.pop("created_at").endswith("Z")
    month = {
        "product": "films",
        "limit": 100,
        "unit": "month",
        "count": 1,
        "anchor": "calendar",
        "zone": "Europe/Moscow",
        "rollover": True,
        "overage": False,
        "hard": True,
    }
    other = {"unit": "day", "count": 3, "limit": 10, "anchor": "anniversary", "zone": "UTC"}
    assert made == {
        "code": "pro",
        "version": 1,
        "state": "active",
        "name": "Pro",
        "description": "",
        "trial_days": 14,
        "on_payment_failed": "grace",
        "grace_days": 7,
        "quotas": [month, {**month, **other, "rollover": False}],
        "rate_limits": [{"limit": 10, "seconds": 1, "burst": 10, "product": None}],
        "features": [{"feature": "sso", "value": True}],
    }
    path = "/v1/plans/pro"
    quota = {**QUOTA, "overage": True}
    changed = admin.put(path, {"name": "Pro", "quotas": [quota], "expected_version": 1})
    assert (changed["version"], changed["quotas"][0]["hard"], changed["features"]) == (2, False, [])
    assert admin.get(path) == changed
    first = admin.get(path, version=1)
    assert {**made, "created_at": first["created_at"]} == first
    newest = admin.get(f"{path}/versions", limit=1)
    oldest = admin.get(f"{path}/versions", cursor=newest["next"])
    assert newest["items"] + oldest["items"] == [changed, first]
    assert codes(admin.get("/v1/plans")) == ["pro"]
    assert admin.delete(path)["state"] == "archived"
    assert codes(admin.get("/v1/plans", state="active")) == []
    answer = admin.call("PUT", path, json={"name": "Pro", "expected_version": 2})
    refused(answer, 409, "plan_archived")


def test_a_change_says_from_which_version_it_was_made(admin, tables):
    admin.post("/v1/plans", {"code": "pro", "name": "Pro"})
    admin.put("/v1/plans/pro", {"name": "Pro 2", "expected_version": 1})
    before = tables()
    answer = admin.call("PUT", "/v1/plans/pro", json={"name": "Mine", "expected_version": 1})
    assert refused(answer, 409, "version_passed")["version"] == 2
    answer = admin.call("PUT", "/v1/plans/pro", json={"name": "Mine"})
    refused(answer, 422, "fields_invalid")
    assert tables() == before


REFUSED_PLANS = [
    ({"quotas": [{**QUOTA, "limit": 0}]}, 422, "fields_invalid"),
    ({"quotas": [{**QUOTA, "limit": -1}]}, 422, "fields_invalid"),
    ({"quotas": [{**QUOTA, "limit": 2**53}]}, 422, "fields_invalid"),
    ({"quotas": [{**QUOTA, "limit": 1.5}]}, 422, "fields_invalid"),
    ({"quotas": [{**QUOTA, "limit": None}]}, 422, "fields_invalid"),
    ({"quotas": [{**QUOTA, "unit": "quarter"}]}, 422, "fields_invalid"),
    ({"quotas": [{**QUOTA, "count": 0}]}, 422, "fields_invalid"),
    ({"quotas": [{**QUOTA, "colour": "red"}]}, 422, "fields_invalid"),
    ({"quotas": [{**QUOTA, "zone": "Mars/Base"}]}, 409, "quota_refused"),
    ({"quotas": [QUOTA, {**QUOTA, "limit": 5}]}, 409, "quota_refused"),
    ({"quotas": [{**QUOTA, "overage": True, "hard": True}]}, 409, "quota_refused"),
    ({"quotas": [{**QUOTA, "unit": "lifetime", "rollover": True}]}, 409, "quota_refused"),
    ({"quotas": [{**QUOTA, "product": "none"}]}, 404, "product_unknown"),
    ({"rate_limits": [{"limit": 1, "seconds": 0}]}, 422, "fields_invalid"),
    ({"rate_limits": [{"limit": 1, "seconds": 1, "product": "none"}]}, 404, "product_unknown"),
    ({"features": [{"feature": "none", "value": True}]}, 404, "feature_unknown"),
    ({"features": [{"feature": "sso", "value": "yes"}]}, 409, "feature_value_invalid"),
    ({"features": [{"feature": "sso", "value": 1}]}, 409, "feature_value_invalid"),
    ({"features": [{"feature": "sso", "value": 1.5}]}, 422, "fields_invalid"),
    ({"features": [{"feature": "sso", "value": None}]}, 422, "fields_invalid"),
    ({"on_payment_failed": "grace"}, 409, "terms_refused"),
    ({"trial_days": -1}, 422, "fields_invalid"),
    ({"price": 99}, 422, "fields_invalid"),
]


@pytest.mark.parametrize("case", REFUSED_PLANS)
def test_a_plan_that_cannot_be_is_refused_and_leaves_nothing(admin, films, tables, case):
    terms, status, code = case
    admin.post("/v1/features", {"code": "sso", "name": "SSO"})
    admin.post("/v1/plans", {"code": "pro", "name": "Pro"})
    before = tables()
    named = {"name": "Plus", **terms}
    refused(admin.call("POST", "/v1/plans", json={"code": "plus", **named}), status, code)
    change = {**named, "expected_version": 1}
    refused(admin.call("PUT", "/v1/plans/pro", json=change), status, code)
    assert tables() == before


UNKNOWN = [
    ("GET", "/v1/plans/none"),
    ("GET", "/v1/plans/none/versions"),
    ("GET", "/v1/plans/pro?version=2"),
    ("DELETE", "/v1/plans/none"),
    ("PUT", "/v1/plans/none"),
]


@pytest.mark.parametrize(("method", "path"), UNKNOWN)
def test_a_plan_or_version_that_is_not_there_is_not_found(admin, method, path):
    admin.post("/v1/plans", {"code": "pro", "name": "Pro"})
    body = {"name": "x", "expected_version": 1} if method == "PUT" else None
    refused(admin.call(method, path, json=body), 404, "plan_unknown")


def test_consumers_see_what_is_offered_and_change_nothing_of_it(admin, consumer, films):
    admin.post("/v1/plans", {"code": "pro", "name": "Pro", "quotas": [QUOTA]})
    _, own = consumer("Ada")
    assert own.get("/v1/plans/pro")["quotas"][0]["limit"] == 100
    assert own.get("/v1/products/search", q="films")["items"]
    for method, path in (("POST", "/v1/plans"), ("PUT", "/v1/products/films")):
        refused(own.call(method, path, json={"name": "Mine"}), 403, "role_missing")
