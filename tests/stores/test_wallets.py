"""Wallets: prepaid money, paid and bonus apart, which never goes below nothing."""

from functools import partial

import pytest

from farebox.billing.books import service as books
from farebox.billing.books.model import About, Line
from farebox.billing.copies import store as copies
from farebox.billing.customers import service as customers
from farebox.billing.customers.model import CustomerUnknown
from farebox.billing.pricing.model_money import CurrencyUnknown
from farebox.billing.reports import service as reports
from farebox.billing.wallets import service as wallets
from farebox.billing.wallets.model import (
    Balance,
    BonusAloneEnds,
    BonusEnd,
    GiveBackExceeds,
    LinesRefused,
    Paid,
    PaymentOfWalletUnknown,
    Short,
)
from farebox.kernel.clock import SECOND_US
from farebox.kernel.refusals import ValueRefused
from farebox.ledger.model import INCLUDED, PURCHASED
from farebox.ledger.verify import verify
from farebox.platform.model import KeyReused
from tests.support.services import at_once, now, run

ANNA = "con_anna"
HOUR_US = 3_600 * SECOND_US
SALE = About(kind="order", customer=ANNA, order="ord_1")
TOP_UP = About(kind="top_up", customer=ANNA, payment="pay_1")
BACK = About(kind="refund", customer=ANNA, refund="rfd_1")


@pytest.fixture
def anna(billing):
    """Let Anna be a customer."""
    row = {"consumer_id": ANNA, "name": "Anna", "state": "active", "owner": None, "metadata": "{}"}
    run(billing, lambda tx: tx.run(copies.consumer.insert(), row))
    return run(billing, customers.ensure_customer, "consumer", ANNA).id


def fill(billing, amount, key="pay_1", **more):
    terms = {"source_account": "cash:sandbox", "class_": PURCHASED, "about": TOP_UP, **more}
    return run(billing, wallets.fill, ANNA, "RUB", amount, key=key, **terms)


def give_bonus(billing, amount, key="gift_1", **more):
    about = About(kind="bonus", customer=ANNA)
    terms = {"source_account": "bonus", "class_": INCLUDED, "about": about, **more}
    return run(billing, wallets.fill, ANNA, "RUB", amount, key=key, **terms)


def pay(billing, amount, key="ord_1"):
    to = (Line("suspense", "revenue", amount),)
    return run(billing, wallets.pay, ANNA, "RUB", amount, to=to, about=SALE, key=key)


def give_back(billing, operation, amount, key="rfd_1"):
    out_of = (Line("refunds", "suspense", amount),)
    return run(billing, wallets.give_back, operation, amount, out_of=out_of, about=BACK, key=key)


def balance(billing):
    return run(billing, wallets.balance_of, ANNA, "RUB")


def trial(billing):
    return run(billing, books.balances, "RUB")


@pytest.fixture(autouse=True)
def books_are_straight(billing):
    """Prove after every test that the books sum to zero and every balance is explained."""
    yield
    assert sum(trial(billing).values()) == 0
    assert trial(billing).get("suspense", 0) == 0
    [*_, report] = verify(billing)
    assert report.faults == []


def test_paid_money_and_bonus_are_apart(billing, anna):
    assert balance(billing) == Balance()
    fill(billing, 1_000)
    end = now(billing) + HOUR_US
    give_bonus(billing, 300, expires_at=end)
    assert balance(billing) == Balance(
        paid=1_000, bonus=300, available=1_300, bonus_ends=(BonusEnd(amount=300, ends_at=end),)
    )
    assert trial(billing) == {"cash:sandbox": -1_000, "bonus": -300, "wallet": 1_300}


def test_bonus_is_told_apart_as_of_any_instant(billing, anna, clock):
    fill(billing, 1_000)
    give_bonus(billing, 300)
    clock.move(HOUR_US)
    given = now(billing)
    clock.move(HOUR_US)
    pay(billing, 100)
    rows = run(billing, reports.sales, since=0, before=given)
    assert [(row.wallets, row.bonus) for row in rows] == [(1_300, 300)]
    rows = run(billing, reports.sales, since=given, before=given + 2 * HOUR_US)
    assert [(row.wallets, row.bonus, row.average_order) for row in rows] == [(1_200, 200, 0)]


def test_bonus_pays_first_and_the_entry_goes_with_it(billing, anna):
    fill(billing, 1_000)
    give_bonus(billing, 300)
    paid = pay(billing, 400)
    assert (paid.paid, paid.bonus, paid.available) == (100, 300, 900)
    found = trial(billing)
    assert (found["revenue"], found["wallet"]) == (400, 900)


def test_too_little_is_an_answer_and_changes_nothing(billing, anna):
    fill(billing, 200)
    assert pay(billing, 360) == Short(available=200, missing=160)
    assert balance(billing).available == 200
    assert "revenue" not in trial(billing)


def test_what_was_short_may_be_paid_under_the_same_key_after_a_top_up(billing, anna):
    fill(billing, 200)
    assert isinstance(pay(billing, 360), Short)
    fill(billing, 160, key="pay_2")
    assert isinstance(pay(billing, 360), Paid)
    assert balance(billing).available == 0


def test_under_a_key_a_wallet_is_filled_pays_and_gets_back_once(billing, anna):
    first = fill(billing, 1_000), pay(billing, 400)
    assert (fill(billing, 1_000), pay(billing, 400)) == first
    back = give_back(billing, first[1].operation, 400)
    assert give_back(billing, first[1].operation, 400) == back
    assert balance(billing).available == 1_000
    for other in (
        lambda: fill(billing, 999),
        lambda: pay(billing, 1),
        lambda: give_back(billing, first[1].operation, 1),
        lambda: give_bonus(billing, 1_000, key="pay_1"),
    ):
        with pytest.raises(KeyReused):
            other()
    assert balance(billing).available == 1_000


def test_a_repeat_is_answered_though_the_wallet_is_empty_now(billing, anna):
    fill(billing, 400)
    first = pay(billing, 400)
    assert pay(billing, 400) == first


def test_what_is_given_back_is_what_it_was(billing, anna):
    fill(billing, 1_000)
    give_bonus(billing, 300)
    paid = pay(billing, 400)
    back = give_back(billing, paid.operation, 100, key="rfd_1")
    assert (back.paid, back.bonus) == (100, 0)
    back = give_back(billing, paid.operation, 300, key="rfd_2")
    assert (back.paid, back.bonus, back.lapsed) == (0, 300, 0)
    found = balance(billing)
    assert (found.paid, found.bonus) == (1_000, 300)


def test_more_than_was_paid_is_not_given_back(billing, anna):
    fill(billing, 1_000)
    paid = pay(billing, 400)
    give_back(billing, paid.operation, 300)
    with pytest.raises(GiveBackExceeds) as refused:
        give_back(billing, paid.operation, 101, key="rfd_2")
    assert refused.value.facts == {"left": 100}
    give_back(billing, paid.operation, 100, key="rfd_2")
    with pytest.raises(GiveBackExceeds):
        give_back(billing, paid.operation, 1, key="rfd_3")
    with pytest.raises(PaymentOfWalletUnknown):
        give_back(billing, 77, 1, key="rfd_4")


def test_bonus_ends_at_its_instant_and_paid_money_never_does(billing, anna, clock):
    fill(billing, 100)
    give_bonus(billing, 300, expires_at=now(billing) + HOUR_US)
    clock.move(HOUR_US)
    assert balance(billing) == Balance(paid=100, available=100)
    assert pay(billing, 101) == Short(available=100, missing=1)
    pay(billing, 100)
    assert trial(billing)["breakage"] == 300
    with pytest.raises(BonusAloneEnds):
        fill(billing, 100, key="pay_2", expires_at=now(billing) + HOUR_US)


def test_bonus_that_has_ended_meanwhile_lapses_when_it_is_given_back(billing, anna, clock):
    give_bonus(billing, 300, expires_at=now(billing) + HOUR_US)
    fill(billing, 100)
    paid = pay(billing, 400)
    clock.move(HOUR_US)
    back = give_back(billing, paid.operation, 400)
    assert (back.paid, back.bonus, back.lapsed, back.available) == (100, 300, 300, 100)


def test_the_part_that_is_taken_is_the_part_that_was_named(billing, anna):
    fill(billing, 100)
    fill(billing, 50, key="pay_2")
    give_bonus(billing, 300)

    def take(part, amount, key):
        about = About(kind="payout", customer=ANNA)
        terms = {"part": part, "to_account": "cash:sandbox", "about": about, "key": key}
        return run(billing, wallets.take, ANNA, "RUB", amount, **terms)

    assert take("paid", 151, "out_1") == Short(available=150, missing=1)
    taken = take("paid", 120, "out_1")
    assert (taken.paid, taken.bonus, taken.available) == (120, 0, 330)
    assert take("paid", 120, "out_1") == taken
    found = balance(billing)
    assert (found.paid, found.bonus) == (30, 300)
    assert trial(billing)["cash:sandbox"] == -30
    assert take("bonus", 300, "out_2").bonus == 300


def test_two_who_pay_at_once_never_overdraw(billing, anna):
    fill(billing, 700)
    amounts = [360, 500] * 4
    works = [partial(pay, billing, each, f"ord_{n}") for n, each in enumerate(amounts)]
    answers = at_once(works)
    assert [type(each) for each in answers].count(Paid) == 1
    spent = sum(each.paid for each in answers if isinstance(each, Paid))
    assert balance(billing).available == 700 - spent


def test_the_same_payment_twice_at_once_is_one(billing, anna):
    fill(billing, 500)
    answers = at_once([lambda: pay(billing, 360)] * 6)
    assert answers == [answers[0]] * 6
    assert balance(billing).available == 140


def test_a_wallet_is_opened_once_by_many_at_once(billing, anna):
    answers = at_once([partial(fill, billing, 10, f"pay_{n}") for n in range(6)])
    assert not [each for each in answers if isinstance(each, Exception)]
    assert balance(billing).available == 60


@pytest.mark.parametrize("amount", [0, -1, 2**53, True, 1.5])
def test_an_amount_that_is_none_is_refused(billing, anna, amount):
    fill(billing, 10, key="pay_0")
    for act in (fill, pay, give_bonus):
        with pytest.raises(ValueRefused):
            act(billing, amount, key="other")
    assert balance(billing).available == 10


def test_an_entry_passes_on_all_that_leaves_the_wallet(billing, anna):
    fill(billing, 100)
    for lines in ((Line("suspense", "revenue", 99),), (Line("receivable", "revenue", 100),)):
        with pytest.raises(LinesRefused):
            run(billing, wallets.pay, ANNA, "RUB", 100, to=lines, about=SALE, key="ord_1")
    assert balance(billing).available == 100


def test_strangers_and_no_currencies_have_no_wallet(billing, anna):
    with pytest.raises(CustomerUnknown):
        run(
            billing, wallets.fill, "con_nobody", "RUB", 1, source_account="bonus", class_=INCLUDED,
            about=TOP_UP, key="x",
        )  # fmt: skip
    with pytest.raises(CurrencyUnknown):
        run(billing, wallets.balance_of, ANNA, "ZZZ")
    with pytest.raises(CurrencyUnknown):
        run(billing, wallets.pay, ANNA, "ZZZ", 1, about=SALE, key="x")
