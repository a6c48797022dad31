"""Wallets that are filled by payments, by themselves too, and what is told of low balances."""

import msgspec
import pytest

from farebox.billing.books import service as books
from farebox.billing.books.model import About, Line
from farebox.billing.copies import store as copies
from farebox.billing.customers import service as customers
from farebox.billing.flows import fill_wallets
from farebox.billing.flows.fill_wallets import WalletFilling
from farebox.billing.payments.service import find_payment, payments_of
from farebox.billing.wallets import service as wallets
from farebox.billing.wallets import service_settings as settings
from farebox.billing.wallets import service_top_ups as top_ups
from farebox.billing.wallets.model import TopUpAmountRefused, TopUpTermsRefused
from farebox.events.model import Position
from farebox.events.rests import RowsFailed
from farebox.events.service import events_after
from farebox.kernel.clock import SECOND_US
from farebox.ledger.model import PURCHASED
from tests.support.payments import Till
from tests.support.services import ADA, at_once, run

ANNA = "con_anna"
DAY_US = 86_400 * SECOND_US
TERMS = {"level": 100, "amount": 500, "most": 1_000}


@pytest.fixture
def anna(billing):
    """Let Anna be a customer with 1,000 in her wallet."""
    row = {"consumer_id": ANNA, "name": "Anna", "state": "active", "owner": None, "metadata": "{}"}
    run(billing, lambda tx: tx.run(copies.consumer.insert(), row))
    run(billing, customers.ensure_customer, "consumer", ANNA)
    fill(billing, 1_000)
    return ANNA


@pytest.fixture
def till(billing, anna):
    return Till(billing)


@pytest.fixture(autouse=True)
def books_are_straight(billing):
    yield
    found = run(billing, books.balances, "RUB")
    assert sum(found.values()) == 0
    assert found.get("suspense", 0) == 0


def fill(billing, amount, key="pay_0"):
    about = About(kind="top_up", customer=ANNA)
    terms = {"source_account": "cash:manual", "class_": PURCHASED, "about": about, "key": key}
    return run(billing, wallets.fill, ANNA, "RUB", amount, **terms)


def pay(billing, amount, key):
    to = (Line("suspense", "revenue", amount),)
    about = About(kind="order", customer=ANNA, order=key)
    return run(billing, wallets.pay, ANNA, "RUB", amount, to=to, about=about, key=key)


def balance(billing):
    return run(billing, wallets.balance_of, ANNA, "RUB").available


def told(billing, *types):
    feed = run(billing, events_after, Position(), 1_000)
    return [event.data for event in feed.events if event.type in types]


def set_automatic(billing, **terms):
    return run(billing, settings.set_automatic, ADA, ANNA, "RUB", **{**TERMS, **terms})


def asked(billing):
    """Return Anna's top-ups, oldest first."""
    return list(run(billing, top_ups.list_top_ups, ANNA, "RUB").items)[::-1]


def work(billing, till):
    """Let everything be done that is due."""
    while WalletFilling(billing).step() + till.work():
        pass


# -- low balances ------------------------------------------------------------------------------


def test_a_low_balance_is_told_once_until_it_is_above_again(billing, anna):
    run(billing, settings.set_low_level, ADA, ANNA, "RUB", 100)
    pay(billing, 899, "a")
    assert told(billing, "wallet.low") == []
    pay(billing, 1, "b")
    pay(billing, 1, "c")
    assert told(billing, "wallet.low") == [
        {"customerId": ANNA, "currency": "RUB", "level": 100, "available": 100}
    ]
    fill(billing, 500, "pay_1")
    pay(billing, 500, "d")
    assert len(told(billing, "wallet.low")) == 2


def test_a_level_above_the_balance_is_told_at_once_and_a_repeat_tells_nothing(billing, anna):
    run(billing, settings.set_low_level, ADA, ANNA, "RUB", 1_000)
    run(billing, settings.set_low_level, ADA, ANNA, "RUB", 1_000)
    assert len(told(billing, "wallet.low")) == 1


# -- top-ups -----------------------------------------------------------------------------------


def test_money_that_came_fills_the_wallet_once_however_often_it_is_told(billing, till):
    made, payment = run(billing, fill_wallets.ask_for_top_up, ANNA, "RUB", 160, gateway="sandbox")
    assert balance(billing) == 1_000
    till.work()
    paid = run(billing, find_payment, payment.id)
    for _ in range(2):
        run(billing, fill_wallets.settle, paid)
    at_once([lambda: run(billing, fill_wallets.settle, paid)] * 4)
    assert balance(billing) == 1_160
    assert run(billing, top_ups.read_top_up, made.id).state == "filled"
    assert run(billing, books.balance_of, "RUB", "cash:sandbox") == -160


def test_a_top_up_whose_filling_fails_leaves_nothing_half_done(billing, till, monkeypatch):
    made, payment = run(billing, fill_wallets.ask_for_top_up, ANNA, "RUB", 160, gateway="sandbox")
    with monkeypatch.context() as patched:
        patched.setattr(fill_wallets, "_tell", _break)
        till.work()
    assert run(billing, top_ups.read_top_up, made.id).state == "open"
    assert till.read(payment).state != "succeeded"
    assert balance(billing) == 1_000


def _break(*_, **__):
    raise RuntimeError


def test_a_declined_top_up_fills_nothing_and_is_told(billing, till):
    method = till.method("sandbox_decline", ANNA)
    made, _ = run(billing, fill_wallets.ask_for_top_up, ANNA, "RUB", 160, method=method)
    till.work()
    found = run(billing, top_ups.read_top_up, made.id)
    assert (found.state, found.failure) == ("failed", "card_declined")
    assert balance(billing) == 1_000
    [event] = told(billing, "wallet.top_up_failed")
    assert (event["topUpId"], event["reason"]) == (made.id, "card_declined")


def test_money_that_came_late_fills_a_wallet_whose_top_up_had_failed(billing, till):
    made, payment = run(billing, fill_wallets.ask_for_top_up, ANNA, "RUB", 160, gateway="sandbox")
    run(billing, top_ups.fail_top_up, made.id, "timeout")
    till.work()
    assert balance(billing) == 1_160
    found = run(billing, top_ups.read_top_up, made.id)
    assert (found.state, found.payment) == ("filled", payment.id)


def test_money_for_a_top_up_that_nobody_knows_is_the_customers(billing, till):
    till.pay(customer=ANNA, currency="RUB", amount=70, purpose="top_up", reference="tup_other")
    assert balance(billing) == 1_070


def test_an_amount_beyond_the_limits_is_refused_and_asks_for_nothing(billing, till):
    run(billing, settings.set_limit, ADA, "RUB", least=100, most=5_000)
    for amount in (99, 5_001):
        with pytest.raises(TopUpAmountRefused):
            run(billing, fill_wallets.ask_for_top_up, ANNA, "RUB", amount)
    with pytest.raises(TopUpAmountRefused):
        set_automatic(billing, amount=99)
    with pytest.raises(TopUpTermsRefused):
        set_automatic(billing, most=499)
    assert asked(billing) == []


# -- by itself ---------------------------------------------------------------------------------


def test_a_wallet_is_filled_by_itself_when_it_falls_to_its_level(billing, till):
    till.method("sandbox_ok", ANNA)
    set_automatic(billing)
    work(billing, till)
    assert asked(billing) == []
    pay(billing, 899, "a")
    work(billing, till)
    assert asked(billing) == []
    pay(billing, 1, "b")
    work(billing, till)
    assert balance(billing) == 600
    [one] = asked(billing)
    assert (one.amount, one.automatic, one.state) == (500, True, "filled")


def test_while_a_top_up_is_under_way_there_is_no_other(billing, till):
    till.method("sandbox_pending", ANNA)
    set_automatic(billing)
    pay(billing, 950, "a")
    for number in range(3):
        work(billing, till)
        pay(billing, 1, f"b{number}")
    assert [one.state for one in asked(billing)] == ["open"]


def test_many_workers_at_once_ask_once(billing, till):
    till.method("sandbox_ok", ANNA)
    set_automatic(billing)
    pay(billing, 950, "a")
    answers = at_once([WalletFilling(billing).step] * 6)
    assert not [each for each in answers if isinstance(each, Exception)]
    [one] = asked(billing)
    assert len(run(billing, payments_of, "top_up", one.id)) == 1


def test_a_period_brings_no_more_than_its_limit(billing, till, clock):
    till.method("sandbox_ok", ANNA)
    set_automatic(billing, unit="week")
    pay(billing, 1_000, "a")
    work(billing, till)
    for number in range(4):
        pay(billing, min(500, balance(billing) or 1), f"b{number}")
        work(billing, till)
    assert [one.amount for one in asked(billing)] == [500, 500]
    assert balance(billing) == 0
    clock.move(7 * DAY_US)
    work(billing, till)
    assert balance(billing) == 500


def test_what_failed_does_not_count_against_the_limit(billing, till):
    till.method("sandbox_decline", ANNA)
    set_automatic(billing, most=500)
    pay(billing, 1_000, "a")
    work(billing, till)
    good = till.method("sandbox_ok", ANNA)
    set_automatic(billing, most=500, method=good)
    work(billing, till)
    assert balance(billing) == 500


def test_a_declined_card_stops_it_until_somebody_sets_it_anew(billing, till, clock):
    till.method("sandbox_decline", ANNA)
    set_automatic(billing)
    pay(billing, 950, "a")
    work(billing, till)
    clock.move(DAY_US)
    pay(billing, 1, "b")
    work(billing, till)
    assert [one.state for one in asked(billing)] == ["failed"]
    found = run(billing, settings.read_automatic, ANNA, "RUB")
    assert (found.stopped_because, found.due_at) == ("card_declined", None)
    [event] = told(billing, "wallet.automatic_top_up_stopped")
    assert event["reason"] == "card_declined"
    set_automatic(billing)
    work(billing, till)
    assert len(asked(billing)) == 2


@pytest.mark.parametrize(
    ("terms", "why"), [({}, "no_method"), ({"method": "pmt_gone"}, "payment_method_unknown")]
)
def test_without_a_way_to_pay_it_stops_and_says_why(billing, till, terms, why):
    set_automatic(billing, **terms)
    pay(billing, 950, "a")
    work(billing, till)
    assert asked(billing) == []
    assert run(billing, settings.read_automatic, ANNA, "RUB").stopped_because == why
    assert [event["reason"] for event in told(billing, "wallet.automatic_top_up_stopped")] == [why]


def test_somebody_who_fills_the_wallet_first_spares_the_card(billing, till):
    till.method("sandbox_ok", ANNA)
    set_automatic(billing)
    pay(billing, 950, "a")
    fill(billing, 300, "pay_1")
    work(billing, till)
    assert asked(billing) == []


def test_a_wallet_that_cannot_be_filled_keeps_no_other_waiting(billing, till, monkeypatch):
    till.method("sandbox_ok", ANNA)
    set_automatic(billing)
    pay(billing, 950, "a")
    real = top_ups.due_wallets
    # Somebody whose wallet is gone is due before Anna.
    gone = msgspec.structs.replace(
        run(billing, settings.read_automatic, ANNA, "RUB"), customer="con_gone"
    )
    monkeypatch.setattr(top_ups, "due_wallets", lambda tx, limit: [gone, *real(tx, limit)])
    claim = top_ups.claim_due

    def claim_due(tx, customer, currency):
        if customer == "con_gone":
            raise RuntimeError("nobody expected this")
        return claim(tx, customer, currency)

    monkeypatch.setattr(top_ups, "claim_due", claim_due)
    with pytest.raises(RowsFailed, match="nobody expected this"):
        WalletFilling(billing).step()
    assert [one.amount for one in asked(billing)] == [500]
