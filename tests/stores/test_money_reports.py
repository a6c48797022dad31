"""Reports and the export over real books: the same sums whichever way they are read.

The official programs, `bean-check` and `hledger`, read the export and prove its balances.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from farebox.billing.books import service as books
from farebox.billing.books import service_journal as journal
from farebox.billing.books.model import About, Line
from farebox.billing.reports import service as reports
from farebox.billing.reports.model_money import GatewayLine
from farebox.kernel.clock import parse_time
from farebox.ledger.model import AssetUnknown, Grant, Source, Use
from farebox.ledger.service import Ledger, request
from tests.support.services import run

FIRST, LATER, END = map(
    parse_time, ("2026-10-20T12:00:00Z", "2026-11-05T09:00:00Z", "2026-12-01T00:00:00Z")
)


def sell(billing, amount, *, currency="EUR", plan="pro", payment="pay_1"):
    about = About(kind="payment", customer="con_1", plan=plan, payment=payment)
    sale = (Line("cash:sandbox", "revenue", amount), Line("cash:sandbox", "tax:de-19", 19))
    return run(billing, books.post, currency, sale, about)


@pytest.fixture
def story(billing, clock):
    """Sales in two months and two currencies, a refund, and a wallet that was filled and used."""
    clock.set(FIRST)
    sell(billing, 1000)
    sell(billing, 500, currency="JPY", plan="basic")
    clock.set(LATER)
    sell(billing, 250, plan="basic", payment="pay_2")
    back = About(kind="refund", customer="con_1", plan="pro", payment="pay_1", refund="rfd_1")
    run(billing, books.post, "EUR", (Line("refunds", "cash:sandbox", 400),), back)
    run(billing, fill_and_use)
    clock.set(END)
    return billing


def fill_and_use(tx):
    ledger, money = Ledger(), books.open_currency(tx, "EUR")
    bucket = ledger.open_bucket(tx, money)
    cash, suspense = (books.account_of(tx, "EUR", name) for name in ("cash:sandbox", "suspense"))
    about = About(kind="order", customer="con_2", item='maus "II"')
    sale = books.posting(tx, "EUR", (Line("suspense", "revenue", 70),), about)
    use = Use(sources=(Source(bucket),), amount=70, sink=suspense)
    filled = Grant(bucket=bucket, amount=100, source=cash, reason="a text of an operator")
    ledger.apply(tx, [request(filled), request(use, sale)])


def revenue(billing, **asked):
    found = run(billing, reports.revenue, since=0, before=END, **asked)
    return {(row.currency, row.key): (row.gross, row.refunds, row.net) for row in found}


def test_revenue_is_what_the_journal_says_by_plan_and_by_month(story):
    assert revenue(story, by="plan") == {
        ("EUR", "pro"): (1000, 400, 600),
        ("EUR", "basic"): (250, 0, 250),
        ("EUR", ""): (70, 0, 70),
        ("JPY", "basic"): (500, 0, 500),
    }
    assert revenue(story, by="month") == {
        ("EUR", "2026-10"): (1000, 0, 1000),
        ("EUR", "2026-11"): (320, 400, -80),
        ("JPY", "2026-10"): (500, 0, 500),
    }


def test_the_trial_balance_of_any_instant_sums_to_zero(story):
    for at in (0, FIRST, FIRST + 1, LATER, END, None):
        sums: dict[str, int] = {}
        for row in run(story, reports.balances, at=at):
            sums[row.currency] = sums.get(row.currency, 0) + row.balance
        assert set(sums.values()) <= {0}
    now = {(row.account, row.currency): row.balance for row in run(story, reports.balances)}
    assert now["wallet", "EUR"] == 30
    assert ("suspense", "EUR") not in now
    assert {row.account: row.balance for row in run(story, reports.balances, at=FIRST)} == {}


def test_balances_read_from_the_journal_are_those_that_are_stored(story):
    for currency in ("EUR", "JPY"):
        stored = run(story, books.balances, currency)
        assert run(story, journal.balances_at, currency) == stored


def test_an_account_moves_from_month_to_month_without_a_gap(story):
    october = {row.account: row for row in run(story, reports.moved, since=0, before=LATER)}
    november = {row.account: row for row in run(story, reports.moved, since=LATER, before=END)}
    for account, row in november.items():
        before = october.get(account)
        assert row.opening == (before.closing if before else 0)
        assert row.closing == row.opening + row.credited - row.debited


def test_a_gateways_list_is_compared_payment_by_payment(story):
    theirs = [
        GatewayLine(reference="pay_1", amount=1019),
        GatewayLine(reference="pay_1", amount=-400),
        GatewayLine(reference="pay_3", amount=5),
    ]
    asked = {"gateway": "sandbox", "currency": "EUR", "since": 0, "before": END}
    found = run(story, reports.reconcile, **asked, lines=theirs)
    assert [(one.reference, one.what, one.ours, one.theirs) for one in found] == [
        ("grant", "missing_at_gateway", 100, None),
        ("pay_2", "missing_at_gateway", 269, None),
        ("pay_3", "missing_in_books", None, 5),
    ]


def test_a_currency_that_was_never_used_is_refused(story):
    with pytest.raises(AssetUnknown):
        run(story, journal.balances_at, "USD")


# -- the export ----------------------------------------------------------------------------------


def exported(billing, tmp_path, form, **span):
    path = tmp_path / f"books.{form}"
    with billing.read() as tx:
        path.write_text("\n".join(reports.export(tx, form=form, **span)) + "\n", encoding="utf-8")
    return path


def checked(path: Path) -> subprocess.CompletedProcess[str]:
    """Let the official program prove the file."""
    if path.suffix == ".beancount":
        command = [str(Path(sys.executable).with_name("bean-check")), str(path)]
    else:
        program = shutil.which("hledger")
        assert program, "hledger is missing: tools/system_packages.sh hledger"
        command = [program, "-f", str(path), "check"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("form", ["beancount", "hledger"])
@pytest.mark.parametrize("span", [{}, {"since": LATER}, {"before": LATER}])
def test_the_official_program_proves_the_export(story, tmp_path, form, span):
    proof = checked(exported(story, tmp_path, form, **span))
    assert (proof.returncode, proof.stderr) == (0, "")


@pytest.mark.parametrize("form", ["beancount", "hledger"])
def test_the_official_program_sees_when_an_export_is_a_cent_off(story, tmp_path, form):
    path = exported(story, tmp_path, form)
    text = path.read_text(encoding="utf-8")
    assert "10.00 EUR" in text
    path.write_text(text.replace("10.00 EUR", "10.01 EUR"), encoding="utf-8")
    assert checked(path).returncode != 0


def test_hledger_shows_the_balances_that_we_show(story, tmp_path):
    path = exported(story, tmp_path, "hledger")
    program = shutil.which("hledger")
    assert program
    command = [program, "-f", str(path), "balance", "--flat", "--no-total"]
    command += ["--format", "%(account) %(total)"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "Liabilities:Wallet -0.30 EUR" in shown
    assert "Expenses:Refunds 4.00 EUR" in shown


ACCOUNTS = ("cash:sandbox", "revenue", "receivable", "deferred", "tax:de", "refunds", "rounding")


@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    moves=st.lists(
        st.tuples(
            st.sampled_from(ACCOUNTS), st.sampled_from(ACCOUNTS), st.integers(1, 2**40)
        ).filter(lambda move: move[0] != move[1]),
        max_size=8,
    )
)
def test_whatever_is_entered_the_books_sum_to_zero(billing, moves):
    for debit, credit, amount in moves:
        run(billing, books.post, "EUR", (Line(debit, credit, amount),), About(kind="any"))
    if moves:
        assert sum(run(billing, journal.balances_at, "EUR").values()) == 0
        assert run(billing, journal.balances_at, "EUR") == run(billing, books.balances, "EUR")
