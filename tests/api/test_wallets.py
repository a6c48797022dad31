"""Wallets over the API: read by their own, filled and corrected by hand, asked to be filled."""

import csv
import io
from typing import Any

import pytest

from farebox.billing.books import service as books
from farebox.billing.books.model import About, Line
from farebox.billing.flows.run_payments import Payments
from farebox.billing.orders.service_carts import open_cart, put_line
from farebox.billing.payments.gateways.sandbox import Sandbox
from farebox.billing.wallets import service as wallets
from tests.support.sales import Sales, online
from tests.support.services import run

pytestmark = pytest.mark.usefixtures("billing")
DAY_US = 86_400_000_000
VALUE = "SELECT reason, subject, after FROM audit WHERE action LIKE 'wallet%%' ORDER BY seq"


@pytest.fixture
def anna(consumer, hear):
    """Return a consumer of whom billing has heard, and their calls."""
    found = consumer("Anna")
    hear()
    return found


@pytest.fixture
def path(anna):
    return f"/v1/customers/{anna[0]}/wallets/RUB"


@pytest.fixture
def till(caller):
    """Return the calls of who keeps the books."""
    return caller("billing")


@pytest.fixture(autouse=True)
def books_are_straight(billing):
    yield
    found = run(billing, books.balances, "RUB")
    assert sum(found.values()) == 0
    assert found.get("suspense", 0) == 0


def refusal(answer):
    return answer.status_code, answer.json()["code"]


def fill(till, path, amount=100_000, **more):
    return till.post(f"{path}/fills", {"amount": amount, "reason": "paid at the desk", **more})


def pay(billing, who, amount, key="ord_1"):
    to = (Line("suspense", "revenue", amount),)
    about = About(kind="order", customer=who, order=key)
    return run(billing, wallets.pay, who, "RUB", amount, to=to, about=about, key=key)


def work(billing):
    """Let the payments that are due be made."""
    worker = Payments(billing, {"sandbox": Sandbox("s" * 32)})
    while worker.step():
        worker.finish()
    worker.close()


def test_a_wallet_is_filled_by_hand_and_read_by_its_own(till, anna, path):
    _, own = anna
    made = fill(till, path)
    assert (made["amount"], made["account"], made["available"]) == (
        100_000, "cash:manual", 100_000,
    )  # fmt: skip
    fill(till, path, 5_000, part="bonus", expires_at="2999-01-01T00:00:00Z")
    found = own.get(path)
    assert (found["paid"], found["bonus"], found["available"]) == (100_000, 5_000, 105_000)
    assert found["bonus_ends"] == [{"amount": 5_000, "ends_at": "2999-01-01T00:00:00Z"}]
    assert own.get(f"/v1/customers/{anna[0]}/wallets")["items"] == [found]


def test_a_wallet_that_was_never_used_is_empty(till, anna, path):
    till.patch(f"/v1/customers/{anna[0]}", {"currency": "RUB"})
    assert till.get(path)["available"] == 0
    answer = till.call("GET", path.replace("RUB", "ZZZ"))
    assert refusal(answer) == (422, "currency_unknown")


def test_a_correction_has_a_reason_and_is_audited(till, path, billing):
    fill(till, path, 1_000)
    fill(till, path, 300, part="bonus")
    down = {"amount": -400, "part": "paid", "reason": "filled twice"}
    assert till.post(f"{path}/adjustments", down)["available"] == 900
    up = {"amount": 50, "part": "bonus", "reason": "sorry"}
    assert till.post(f"{path}/adjustments", up)["available"] == 950
    for body in (
        {**down, "reason": ""},
        {"amount": -1, "part": "paid"},
        {**down, "part": "all"},
        {**down, "account": "revenue"},
        {**down, "account": "wallet"},
    ):
        assert till.call("POST", f"{path}/adjustments", json=body).status_code == 422, body
    later = {"expires_at": "2999-01-01T00:00:00Z"}
    for body, code in (
        ({**down, "amount": 0}, "adjustment_refused"),
        ({**down, **later}, "adjustment_refused"),
        ({**up, "part": "paid", **later}, "bonus_alone_ends"),
        ({**up, "expires_at": "1999-01-01T00:00:00Z"}, "time_out_of_range"),
    ):
        answer = till.call("POST", f"{path}/adjustments", json=body)
        assert refusal(answer) == (409, code), body
    answer = till.call("POST", f"{path}/adjustments", json={**down, "amount": -601})
    assert refusal(answer) == (402, "wallet_short")
    assert answer.json()["missing"] == 1
    assert till.get(path)["available"] == 950
    with billing.read() as tx:
        rows = tx.connection.exec_driver_sql(VALUE).fetchall()
    assert [row[0] for row in rows] == [
        "paid at the desk", "paid at the desk", "filled twice", "sorry",
    ]  # fmt: skip


@pytest.mark.parametrize("amount", [0, -1, 2**53, 1.5, "1", True, None])
def test_a_bad_amount_fills_nothing(till, path, amount):
    body = {"amount": amount, "reason": "x"}
    assert till.call("POST", f"{path}/fills", json=body).status_code == 422


def test_under_a_key_a_wallet_is_filled_once(till, path):
    body = {"amount": 100, "reason": "paid"}
    first = till.post(f"{path}/fills", body, key="fill-1")
    assert till.post(f"{path}/fills", body, key="fill-1") == first
    assert till.get(path)["available"] == 100
    other = till.call("POST", f"{path}/fills", json={**body, "amount": 200}, key="fill-1")
    assert refusal(other) == (422, "idempotency_key_reused")
    missing = till.call("POST", f"{path}/fills", json=body, key=None)
    assert refusal(missing) == (400, "idempotency_key_missing")


def test_who_may_move_money_by_hand(caller, anna, path):
    _, own = anna
    body = {"amount": 100, "reason": "paid"}
    for them in (caller("support"), caller("viewer"), caller("vendor"), own):
        for at, more in (("fills", {}), ("adjustments", {"part": "paid"})):
            answer = them.call("POST", f"{path}/{at}", json={**body, **more})
            assert refusal(answer) == (403, "role_missing")
    fill(caller("billing"), path)
    assert caller("support").get(path)["available"] == 100_000


def test_the_statement_has_a_running_balance_and_its_table_says_the_same(
    till, anna, path, billing, clock
):
    who, own = anna
    fill(till, path)
    paid = pay(billing, who, 86_000)
    clock.move(DAY_US)
    run(
        billing, wallets.give_back, paid.operation, 50_000, key="rfd_1",
        out_of=(Line("refunds", "suspense", 50_000),),
        about=About(kind="refund", customer=who, refund="rfd_1"),
    )  # fmt: skip
    pay(billing, who, 12_000, key="ord_2")
    lines = own.get(f"{path}/statement")["items"]
    assert [(one["about"]["kind"], one["amount"], one["balance"]) for one in lines] == [
        ("order", -12_000, 52_000),
        ("refund", 50_000, 64_000),
        ("order", -86_000, 14_000),
        ("top_up", 100_000, 100_000),
    ]
    answer = own.call("GET", f"{path}/statement.csv")
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [(row["kind"], int(row["amount"]), int(row["balance"])) for row in rows] == [
        (one["about"]["kind"], one["amount"], one["balance"]) for one in lines
    ]
    assert [row["at"] for row in rows] == [one["at"] for one in lines]


def test_a_statement_is_read_page_by_page_and_by_time(till, anna, path, billing, clock):
    who, own = anna
    fill(till, path)
    for number in range(5):
        clock.move(DAY_US)
        pay(billing, who, 100, key=f"ord_{number}")
    seen: list[Any] = []
    cursor: dict[str, str] = {}
    while True:
        page = own.get(f"{path}/statement", limit=2, **cursor)
        seen += page["items"]
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}
    whole = own.get(f"{path}/statement")["items"]
    assert seen == whole
    assert len(whole) == 6
    span = {"from": whole[3]["at"], "to": whole[1]["at"]}
    assert own.get(f"{path}/statement", **span)["items"] == whole[2:4]
    answer = own.call("GET", f"{path}/statement", params={"cursor": "12345"})
    assert refusal(answer) == (404, "cursor_unknown")


def test_bonus_that_has_ended_stands_in_the_statement_before_anybody_moves(till, anna, path, clock):
    _, own = anna
    fill(till, path, 100)
    soon = "2999-01-01T00:00:00Z"
    fill(till, path, 300, part="bonus", expires_at=soon)
    clock.set(32_472_144_000_000_000)
    [ended, *_] = own.get(f"{path}/statement")["items"]
    assert (ended["amount"], ended["bonus"], ended["balance"]) == (-300, -300, 100)
    assert (ended["about"]["kind"], ended["at"], ended["operation"]) == ("breakage", soon, None)


def test_a_payment_that_succeeds_fills_the_wallet_once(admin, anna, path, billing):
    _, own = anna
    asked = own.post(f"{path}/top-ups", {"amount": 16_000, "gateway": "sandbox"}, key="t-1")
    assert own.post(f"{path}/top-ups", {"amount": 16_000, "gateway": "sandbox"}, key="t-1") == asked
    assert (asked["state"], asked["amount"], asked["payment_state"]) == ("open", 16_000, "created")
    work(billing)
    found = own.get(f"/v1/top-ups/{asked['id']}")
    assert (found["state"], found["payment_state"]) == ("filled", "succeeded")
    assert own.get(path)["paid"] == 16_000
    assert own.get(f"{path}/top-ups")["items"] == [found]


def test_a_top_up_is_between_the_least_and_the_most(till, anna, path):
    _, own = anna
    limit = {"least": 10_000, "most": 5_000_000}
    assert till.put("/v1/top-up-limits/RUB", limit) == {"currency": "RUB", **limit}
    for amount in (9_999, 5_000_001):
        answer = own.call("POST", f"{path}/top-ups", json={"amount": amount})
        assert refusal(answer) == (409, "top_up_amount_refused")
        assert (answer.json()["least"], answer.json()["most"]) == (10_000, 5_000_000)
    own.post(f"{path}/top-ups", {"amount": 10_000})
    answer = own.call("PUT", "/v1/top-up-limits/RUB", json=limit)
    assert refusal(answer) == (403, "role_missing")
    bad = till.call("PUT", "/v1/top-up-limits/RUB", json={"least": 2, "most": 1})
    assert refusal(bad) == (409, "top_up_terms_refused")


def test_a_wallet_is_not_filled_from_itself(anna, path):
    answer = anna[1].call("POST", f"{path}/top-ups", json={"amount": 1, "gateway": "wallet"})
    assert answer.json()["code"] == "payment_gateway_unknown"


def test_settings_of_a_wallet_are_set_read_and_removed(anna, path):
    _, own = anna
    assert own.put(f"{path}/low-level", {"level": 10_000})["low_level"] == 10_000
    own.delete(f"{path}/low-level")
    assert own.get(path)["low_level"] is None
    answer = own.call("DELETE", f"{path}/low-level")
    assert refusal(answer) == (404, "low_level_unknown")
    terms = {"level": 1_000, "amount": 5_000, "most": 20_000, "unit": "week", "unit_count": 2}
    made = own.put(f"{path}/automatic-top-up", terms)
    assert {name: made[name] for name in terms} == terms
    assert own.get(f"{path}/automatic-top-up") == made
    answer = own.call("PUT", f"{path}/automatic-top-up", json={**terms, "most": 4_999})
    assert refusal(answer) == (409, "top_up_terms_refused")
    for bad in ({"unit": "minute"}, {"level": -1}, {"amount": 0}):
        answer = own.call("PUT", f"{path}/automatic-top-up", json={**terms, **bad})
        assert answer.status_code == 422
    own.delete(f"{path}/automatic-top-up")
    for method in ("GET", "DELETE"):
        answer = own.call(method, f"{path}/automatic-top-up")
        assert refusal(answer) == (404, "automatic_top_up_unknown")


def test_a_stranger_finds_no_wallet(till, anna, path, consumer, hear):
    _, own = anna
    fill(till, path)
    asked = own.post(f"{path}/top-ups", {"amount": 10})
    _, eve = consumer("Eve")
    hear()
    terms = {"level": 1, "amount": 1, "most": 1}
    for method, at, body in (
        ("GET", path, None),
        ("GET", path.rpartition("/")[0], None),
        ("GET", f"{path}/statement", None),
        ("GET", f"{path}/statement.csv", None),
        ("GET", f"{path}/top-ups", None),
        ("POST", f"{path}/top-ups", {"amount": 10}),
        ("PUT", f"{path}/automatic-top-up", terms),
        ("GET", f"{path}/automatic-top-up", None),
        ("DELETE", f"{path}/automatic-top-up", None),
        ("PUT", f"{path}/low-level", {"level": 1}),
        ("DELETE", f"{path}/low-level", None),
    ):
        answer = eve.call(method, at, json=body)
        assert refusal(answer) == (404, "customer_unknown"), (method, at)
    answer = eve.call("GET", f"/v1/top-ups/{asked['id']}")
    assert refusal(answer) == (404, "top_up_unknown")


@pytest.mark.parametrize("slash", ["", "/"])
def test_the_stores_paths_tell_and_fill_an_account(till, anna, billing, slash):
    who, own = anna
    amount, put = f"/api/v1/billing/amount{slash}", f"/api/v1/billing/fill{slash}"
    answer = own.call("GET", amount)
    assert refusal(answer) == (409, "wallet_currency_missing")
    till.put("/v1/top-up-limits/RUB", {"least": 10_000, "most": 5_000_000})
    assert own.get(amount) == {"summ": 0, "currency": "RUB", "paid": 0, "bonus": 0, "held": 0}
    asked = own.post(put, {"summ": 16_000}, key=None)
    assert (asked["state"], asked["amount"]) == ("open", 0)
    made = till.post(put, {"summ": 20_000, "customer": who}, key=None)
    assert (made["state"], made["amount"], made["top_up"]) == ("filled", 20_000, None)
    assert own.get(amount)["summ"] == 20_000
    assert till.get(amount, customer=who)["summ"] == 20_000


@pytest.mark.parametrize("slash", ["", "/"])
def test_what_lies_in_the_cart_is_paid_at_the_servers_amount(
    admin, consumer, billing, clock, slash
):
    who, own = consumer("Anna")
    sales = Sales(billing, clock)
    sales.tell_consumer(who)
    sales.fill(who, 100_000)
    cart = run(billing, open_cart, who, "RUB")
    run(billing, put_line, cart.id, online(24))
    path = f"/api/v1/billing/withdraw{slash}"
    forged = own.call("POST", path, json={"id": "mauser", "summ": 100}, key=None)
    assert refusal(forged) == (409, "price_changed")
    assert forged.json()["total"] == 36_000
    made = own.post(path, {"id": "mauser", "summ": 36_000}, key=None)
    assert (made["summ"], made["paid"], made["amount"]) == (36_000, False, 100_000)
    assert own.post(path, {"id": "mauser", "summ": 36_000}, key=None) == made
    sales.tell(
        "marketplace.purchase.initiated", "pur_1", purchaseId="pur_1", orderId=made["order"],
        consumerId=who, itemId="mauser", offer="online", periodHours=24,
    )  # fmt: skip
    assert own.get("/api/v1/billing/amount")["summ"] == 64_000
    again = own.call("POST", path, json={"id": "mauser", "summ": 36_000}, key=None)
    assert refusal(again) == (404, "cart_line_unknown")


def test_the_stores_paths_are_about_oneself_alone(till, anna, consumer, hear):
    who, _ = anna
    _, eve = consumer("Eve")
    hear()
    for answer in (
        eve.call("GET", "/api/v1/billing/amount", params={"customer": who}),
        eve.call("POST", "/api/v1/billing/fill", json={"summ": 1, "customer": who}),
        eve.call("POST", "/api/v1/billing/withdraw", json={"id": "x", "summ": 1, "customer": who}),
    ):
        assert refusal(answer) == (404, "customer_unknown")
    for answer in (
        till.call("GET", "/api/v1/billing/amount"),
        till.call("POST", "/api/v1/billing/fill", json={"summ": 1}),
    ):
        assert refusal(answer) == (422, "fields_invalid")
    for summ in (0, -1, 1.5, "1", None):
        answer = eve.call("POST", "/api/v1/billing/fill", json={"summ": summ})
        assert refusal(answer) == (422, "fields_invalid")
