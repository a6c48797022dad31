"""Reports of money over the API: figures with their definitions, tables, and who may read them."""

import csv
import io

import pytest

from farebox.billing.books import service as books
from farebox.billing.books.model import About, Line
from tests.support.renewals import Renewals
from tests.support.services import run

SPAN = {"from": "2026-01-01T00:00:00Z", "to": "2027-01-01T00:00:00Z"}


@pytest.fixture
def sold(billing):
    """Sell a plan, and give a part back."""
    about = About(kind="sale", customer="con_1", plan="=pro", payment="pay_1")
    run(billing, books.post, "EUR", (Line("cash:sandbox", "revenue", 1000),), about)
    run(billing, books.post, "EUR", (Line("refunds", "cash:sandbox", 400),), about)
    return billing


def test_revenue_stands_beside_its_definition(sold, admin):
    answer = admin.get("/v1/reports/revenue", by="plan")
    assert answer["rows"] == [
        {
            "key": "=pro", "currency": "EUR", "gross": 1000, "commission": 0, "refunds": 400,
            "net": 600,
        }
    ]  # fmt: skip
    assert "net = gross + commission - refunds" in answer["definition"]


def test_a_table_is_csv_and_no_formula(sold, admin):
    answer = admin.call("GET", "/v1/reports/revenue.csv", params={"by": "plan"})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert list(csv.reader(io.StringIO(answer.text))) == [
        ["key", "currency", "gross", "commission", "refunds", "net"],
        ["'=pro", "EUR", "1000", "0", "400", "600"],
    ]


def test_the_trial_balance_sums_to_zero_and_of_long_ago_is_empty(sold, admin):
    rows = admin.get("/v1/reports/balances")["rows"]
    assert {row["account"]: row["balance"] for row in rows} == {
        "cash:sandbox": -600, "revenue": 1000, "refunds": -400,
    }  # fmt: skip
    assert admin.get("/v1/reports/balances", at="2001-01-01T00:00:00Z")["rows"] == []
    assert "balance" in admin.call("GET", "/v1/reports/balances.csv").text


def test_accounts_over_a_time_open_and_close(sold, admin):
    rows = admin.get("/v1/reports/accounts")["rows"]
    [cash] = [row for row in rows if row["account"] == "cash:sandbox"]
    assert (cash["opening"], cash["debited"], cash["credited"], cash["closing"]) == (
        0, 1000, 400, -600,
    )  # fmt: skip
    assert "cash:sandbox" in admin.call("GET", "/v1/reports/accounts.csv").text


def test_a_gateways_list_is_compared_and_nothing_changes(sold, admin):
    body = {
        "gateway": "sandbox", "currency": "EUR", "since": "1970-01-01T00:00:00Z",
        "until": "2100-01-01T00:00:00Z", "lines": [{"reference": "pay_1", "amount": 599}],
    }  # fmt: skip
    before = run(sold, books.balances, "EUR")
    assert admin.post("/v1/reports/reconciliation", body)["rows"] == [
        {"reference": "pay_1", "what": "amount_differs", "ours": 600, "theirs": 599}
    ]
    assert run(sold, books.balances, "EUR") == before


def test_the_books_are_exported_for_both_programs(sold, admin):
    for form, word in (("beancount", "open Assets:Cash:Sandbox"), ("hledger", "balances")):
        answer = admin.call("GET", "/v1/reports/export", params={"format": form})
        assert answer.status_code == 200
        assert word in answer.text


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/v1/reports/revenue", {"by": "colour"}),
        ("/v1/reports/revenue", {"zone": "Mars/Base"}),
        ("/v1/reports/revenue", {"from": "yesterday"}),
        ("/v1/reports/balances", {"at": "2026-13-01T00:00:00Z"}),
        ("/v1/reports/export", {"format": "pdf"}),
        ("/v1/reports/export", {}),
    ],
)
def test_what_cannot_be_reported_is_refused(sold, admin, path, asked):
    assert admin.call("GET", path, params=asked).status_code == 422


def test_a_currency_that_was_never_used_is_not_there(sold, admin):
    body = {"gateway": "sandbox", "currency": "CHF", "since": "2026-01-01T00:00:00Z",
            "until": "2027-01-01T00:00:00Z", "lines": []}  # fmt: skip
    answer = admin.call("POST", "/v1/reports/reconciliation", json=body)
    assert (answer.status_code, answer.json()["code"]) == (404, "asset_unknown")


def test_reports_of_what_recurs_stand_beside_their_definitions(sold, admin):
    for name in ("recurring", "movements", "cohorts", "receivables"):
        answer = admin.get(f"/v1/reports/{name}")
        assert answer["rows"] == []
        assert answer["definition"]


@pytest.mark.parametrize(
    ("name", "table"),
    [
        (
            "recurring",
            "currency,subscriptions,customers,mrr,arr,committed\nUSD,2,1,3000,36000,3000",
        ),
        (
            "movements",
            (
                "currency,start,new,reactivation,expansion,contraction,churn,end,customers_at_start,"
                "customers_lost,customer_churn,revenue_churn\n"
                "USD,0,3000,0,0,0,0,3000,0,0,0.0000,0.0000"
            ),
        ),
        ("cohorts", "cohort,currency,size,month,customers,mrr\n2027-03,USD,1,0,1,3000"),
        (
            "receivables",
            (
                "customer,currency,not_due,days_1_30,days_31_60,days_61_90,days_over_90,total\n"
                "con_1,USD,0,2000,0,0,0,2000"
            ),
        ),
    ],
)
def test_what_recurs_and_who_owes_are_tables_too(billing, clock, admin, name, table):
    stage = Renewals(billing, clock, at="2027-03-01")
    stage.card()
    stage.subscribe("basic")
    stage.forget_cards()
    stage.subscribe("pro")
    stage.at("2027-03-02")
    span = {"from": "2027-02-01T00:00:00Z", "to": "2027-03-02T00:00:00Z"}
    asked = span if name == "movements" else {}
    answer = admin.call("GET", f"/v1/reports/{name}.csv", params=asked)
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.text.splitlines() == table.split("\n")
