"""The books of billing: every entry has two sides, and all balances sum to zero."""

from functools import partial

import pytest

from farebox.billing.books import service as books
from farebox.billing.books import service_journal as journal
from farebox.billing.books.model import About, ChartUnknown, EntryRefused, Line
from farebox.billing.books.rules import checked_account, kind_of
from farebox.billing.pricing.model_money import CurrencyUnknown
from farebox.ledger.model import Applied, Grant, Source, Use
from farebox.ledger.service import Ledger, request
from farebox.ledger.verify import advance_sinks, verify
from tests.support.services import at_once, run

SALE = (Line("cash:sandbox", "revenue", 100), Line("cash:sandbox", "tax:ru", 20))
ABOUT = About(kind="payment", customer="con_1", order="ord_1")


def post(billing, *lines, currency="USD", key=None):
    return run(billing, books.post, currency, lines, ABOUT, key=key)


def trial(billing, currency="USD"):
    return run(billing, books.balances, currency)


def test_an_entry_moves_both_sides(billing):
    assert post(billing, *SALE)
    assert trial(billing) == {"cash:sandbox": -120, "revenue": 100, "tax:ru": 20}
    assert run(billing, books.balance_of, "USD", "tax:ru") == 20


def test_balances_are_the_same_after_their_snapshot_has_moved_on(billing):
    post(billing, *SALE)
    while advance_sinks(billing):
        pass
    post(billing, Line("revenue", "cash:sandbox", 30))
    assert trial(billing) == {"cash:sandbox": -90, "revenue": 70, "tax:ru": 20}
    [*_, report] = verify(billing)
    assert report.faults == []


def test_the_books_of_each_currency_are_their_own(billing):
    post(billing, Line("cash:sandbox", "revenue", 5), currency="JPY")
    post(billing, *SALE)
    assert trial(billing, "JPY") == {"cash:sandbox": -5, "revenue": 5}


def test_an_entry_of_nothing_is_not_written(billing):
    assert post(billing, Line("cash:sandbox", "revenue", 0)) is None
    assert trial(billing) == {}


def test_first_entries_written_at_once_open_each_account_once(billing):
    run(billing, books.open_currency, "USD")
    answers = at_once(partial(post, billing, *SALE, key=f"pay_{number}") for number in range(6))
    assert [one for one in answers if isinstance(one, Exception)] == []
    assert trial(billing) == {"cash:sandbox": -720, "revenue": 600, "tax:ru": 120}


def test_under_a_key_an_entry_is_written_once(billing):
    first = post(billing, *SALE, key="pay_1")
    assert post(billing, *SALE, key="pay_1") == first
    with pytest.raises(EntryRefused):
        post(billing, Line("cash:sandbox", "revenue", 1), key="pay_1")
    assert sum(trial(billing).values()) == 0
    assert trial(billing)["revenue"] == 100


@pytest.mark.parametrize("amount", [-1, 2**53, True, 1.5])
def test_an_amount_that_is_none_is_refused_and_changes_nothing(billing, amount):
    with pytest.raises(EntryRefused):
        post(billing, *SALE, Line("cash:sandbox", "revenue", amount))
    assert trial(billing) == {}


@pytest.mark.parametrize("name", ["", "money", "cash", "cash:", "revenue:x", "wallet", "tax"])
def test_what_the_chart_does_not_have_is_refused(billing, name):
    with pytest.raises(ChartUnknown):
        post(billing, Line("receivable", name, 1))


def test_a_currency_that_is_none_is_refused(billing):
    with pytest.raises(CurrencyUnknown):
        post(billing, *SALE, currency="ZZZ")


def test_wallets_are_buckets_and_count_among_what_we_owe(billing):
    def fill_and_pay(tx):
        money = books.open_currency(tx, "USD")
        ledger = Ledger()
        bucket = ledger.open_bucket(tx, money)
        cash = books.account_of(tx, "USD", "cash:sandbox")
        suspense = books.account_of(tx, "USD", "suspense")
        sale = (Line("suspense", "revenue", 50), Line("suspense", "tax:ru", 10))
        asked = [
            request(Grant(bucket=bucket, amount=100, source=cash)),
            request(
                Use(sources=(Source(bucket),), amount=60, sink=suspense),
                books.posting(tx, "USD", sale, ABOUT),
            ),
        ]
        return ledger.apply(tx, asked)

    outcomes = run(billing, fill_and_pay)
    assert all(isinstance(one, Applied) for each in outcomes for one in each)
    assert trial(billing) == {"cash:sandbox": -100, "wallet": 40, "revenue": 50, "tax:ru": 10}


def test_every_account_is_of_one_kind():
    assert kind_of(checked_account("cash:stripe")) == "asset"
    assert kind_of(checked_account("payable:own_1")) == "liability"
    assert kind_of(checked_account("revenue")) == "income"
    assert kind_of(checked_account("fees:stripe")) == "expense"


def test_an_account_of_a_transaction_that_was_taken_back_is_made_again(billing):
    def made(tx):
        books.post(tx, "EUR", [Line("receivable", "revenue", 5)], About(kind="sale"))
        raise RuntimeError("taken back")

    with pytest.raises(RuntimeError):
        billing.run(made)
    assert billing.known == {}
    sale = [Line("receivable", "revenue", 7)]
    for _ in range(2):
        run(billing, books.post, "EUR", sale, About(kind="sale"))
    assert run(billing, books.balances, "EUR") == {"receivable": -14, "revenue": 14}
    assert billing.known.keys() == {
        ("books", "EUR"), ("books", "EUR", "receivable"), ("books", "EUR", "revenue"),
    }  # fmt: skip


def test_linked_entries_are_written_together_and_once(billing):
    entries = [
        ([Line("receivable", "revenue", 5)], About(kind="sale", product="a")),
        ([Line("receivable", "revenue", 0)], About(kind="sale", product="b")),
        ([Line("receivable", "tax:vat", 2)], About(kind="sale", product="c")),
    ]
    for _ in range(2):
        run(billing, books.post_linked, "EUR", entries, key="inv_1:issued")
    assert run(billing, books.balances, "EUR") == {"receivable": -7, "revenue": 5, "tax:vat": 2}
    written = run(billing, lambda tx: [each.about.product for each in journal.entries(tx, "EUR")])
    assert written == ["a", "c"]
    with pytest.raises(EntryRefused):
        run(billing, books.post_linked, "EUR", entries[:1], key="inv_1:issued")
    bad = [*entries[:1], ([Line("receivable", "revenue", 2**53)], About(kind="sale"))]
    with pytest.raises(EntryRefused):
        run(billing, books.post_linked, "EUR", bad, key="inv_2:issued")
    assert sum(run(billing, books.balances, "EUR").values()) == 0
    assert run(billing, books.balances, "EUR")["revenue"] == 5
