"""The definitions of the money reports: what counts for which key, and where two lists part."""

from datetime import date
from zoneinfo import ZoneInfo

import pytest

from farebox.billing.books.model import About, BookEntry
from farebox.billing.reports.model_money import Difference, GatewayLine
from farebox.billing.reports.rules_export import account_names, export, openings
from farebox.billing.reports.rules_money import differences, moved_rows, revenue_rows
from farebox.kernel.clock import parse_time
from tests.support.world import cases

UTC = ZoneInfo("UTC")


def entry(debit, credit, amount, at="2026-11-20T12:00:00Z", *, operation=1, **about):
    return BookEntry(
        position=1,
        operation=operation,
        line=0,
        at=parse_time(at),
        debit=debit,
        credit=credit,
        amount=amount,
        about=About(kind="sale", **about),
    )


STORY = [
    entry("receivable", "revenue", 1000, plan="pro", customer="con_1"),
    entry("receivable", "tax:de", 190, plan="pro", customer="con_1"),
    entry("receivable", "revenue", 300, item="maus", owner="con_9", customer="con_2"),
    entry("refunds", "cash:sandbox", 250, plan="pro", customer="con_1"),
    entry("revenue", "receivable", 100, plan="pro", customer="con_1"),
    entry("payable:con_9", "commission", 30, item="maus", owner="con_9"),
]


def rows(by, entries=STORY, zone=UTC):
    found = revenue_rows(entries, by, currency="EUR", zone=zone)
    return [(one.key, one.gross, one.commission, one.refunds, one.net) for one in found]


def test_revenue_counts_for_what_its_entry_names():
    assert rows("plan") == [("", 300, 30, 0, 330), ("pro", 900, 0, 250, 650)]
    assert rows("item") == [("", 900, 0, 250, 650), ("maus", 300, 30, 0, 330)]
    assert rows("owner") == [("", 900, 0, 250, 650), ("con_9", 300, 30, 0, 330)]
    assert rows("month") == [("2026-11", 1200, 30, 250, 980)]


def test_every_key_comes_to_the_same_sum():
    for by in ("plan", "item", "owner", "customer", "product", "kind", "day", "month", "year"):
        assert sum(row[4] for row in rows(by)) == 980


def test_a_day_is_that_of_the_time_zone():
    late = [entry("receivable", "revenue", 5, at="2026-10-31T23:30:00Z")]
    assert rows("month", late) == [("2026-10", 5, 0, 0, 5)]
    assert rows("month", late, ZoneInfo("Europe/Berlin")) == [("2026-11", 5, 0, 0, 5)]


def test_an_account_goes_from_its_opening_to_its_closing():
    found = {row.account: row for row in moved_rows({"revenue": 40}, STORY, currency="EUR")}
    revenue = found["revenue"]
    assert (revenue.opening, revenue.debited, revenue.credited, revenue.closing) == (
        40, 100, 1300, 1240,
    )  # fmt: skip
    assert sum(row.closing - row.opening for row in found.values()) == 0


def line(reference, amount, fee=0):
    return GatewayLine(reference=reference, amount=amount, fee=fee)


HERE, THERE, OTHER, TWICE = (
    "missing_in_books", "missing_at_gateway", "amount_differs", "twice_at_gateway",
)  # fmt: skip
# fmt: off
LISTS = [
    ("the same",            {"p1": 100}, [line("p1", 100)], []),
    ("ours alone",          {"p1": 100}, [], [("p1", THERE, 100, None)]),
    ("theirs alone",        {},          [line("p1", 100)], [("p1", HERE, None, 100)]),
    ("another amount",      {"p1": 100}, [line("p1", 99)], [("p1", OTHER, 100, 99)]),
    ("payment and refund",  {"p1": 60},  [line("p1", 100), line("p1", -40)], []),
    ("the same line twice", {"p1": 9},   [line("p1", 9), line("p1", 9)], [("p1", TWICE, None, 9)]),
    ("zero here",           {"p1": 0},   [], []),
    ("in order",            {"b": 1, "a": 2}, [], [("a", THERE, 2, None), ("b", THERE, 1, None)]),
]
# fmt: on


@pytest.mark.parametrize(("ours", "theirs", "expected"), cases(LISTS))
def test_a_gateway_and_the_books_part_where(ours, theirs, expected):
    assert differences(ours, theirs) == [
        Difference(reference=reference, what=what, ours=mine, theirs=other)
        for reference, what, mine, other in expected
    ]


def test_names_of_accounts_stay_apart():
    found = account_names(["tax:de-19", "tax:de_19", "revenue", "cash:sandbox", "payable:own_1"])
    assert found == {
        "tax:de-19": "Liabilities:Tax:De-19",
        "tax:de_19": "Liabilities:Tax:De-19-2",
        "revenue": "Income:Revenue",
        "cash:sandbox": "Assets:Cash:Sandbox",
        "payable:own_1": "Liabilities:Payable:Own-1",
    }


def written(form):
    names = account_names(["cash:sandbox", "revenue", "tax:de"])
    sale = [
        entry("cash:sandbox", "revenue", 100, order="ord_1"),
        entry("cash:sandbox", "tax:de", 19, order="ord_1"),
    ]
    first = date(2026, 11, 20)
    lines = [*openings(form, names, dict.fromkeys(names, first))]
    lines += export(
        sale,
        form=form,
        currency="EUR",
        scale=2,
        names=names,
        begins=first,
        opening={},
        closing={"cash:sandbox": -119, "revenue": 100, "tax:de": 19},
        until=date(2026, 11, 21),
    )
    return "\n".join(lines)


def test_the_export_for_beancount_opens_books_and_asserts():
    assert written("beancount") == (
        "2026-11-20 open Equity:Opening\n"
        "2026-11-20 open Assets:Cash:Sandbox\n"
        "2026-11-20 open Income:Revenue\n"
        "2026-11-20 open Liabilities:Tax:De\n"
        "\n"
        '2026-11-20 * "sale"\n'
        '  operation: "op_0000000000000001"\n'
        '  order: "ord_1"\n'
        "  Assets:Cash:Sandbox  1.00 EUR\n"
        "  Income:Revenue  -1.00 EUR\n"
        "  Assets:Cash:Sandbox  0.19 EUR\n"
        "  Liabilities:Tax:De  -0.19 EUR\n"
        "\n"
        "2026-11-21 balance Assets:Cash:Sandbox  1.19 ~ 0 EUR\n"
        "2026-11-21 balance Income:Revenue  -1.00 ~ 0 EUR\n"
        "2026-11-21 balance Liabilities:Tax:De  -0.19 ~ 0 EUR\n"
    )


def test_the_export_for_hledger_books_and_asserts():
    assert written("hledger") == (
        "2026-11-20 sale\n"
        "    ; operation: op_0000000000000001\n"
        "    ; order: ord_1\n"
        "  Assets:Cash:Sandbox  1.00 EUR\n"
        "  Income:Revenue  -1.00 EUR\n"
        "  Assets:Cash:Sandbox  0.19 EUR\n"
        "  Liabilities:Tax:De  -0.19 EUR\n"
        "\n"
        "2026-11-21 balances\n"
        "  Assets:Cash:Sandbox  0.00 EUR = 1.19 EUR\n"
        "  Income:Revenue  0.00 EUR = -1.00 EUR\n"
        "  Liabilities:Tax:De  0.00 EUR = -0.19 EUR\n"
    )
