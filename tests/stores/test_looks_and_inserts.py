"""Two at once look and insert: the second is answered, and nothing is lost."""

from functools import partial

import pytest

from farebox.access.consumers import service_accounts as accounts
from farebox.access.consumers.service import create_consumer
from farebox.access.decisions.model import Rate
from farebox.access.decisions.service_rates import rates_of, set_rates
from farebox.access.marketplace.model import PurchaseTaken, PurchaseTerms
from farebox.access.marketplace.service_purchases import start_purchase
from farebox.billing.flows import buy
from farebox.billing.flows.say_by_hand import say_chargeback
from farebox.billing.invoices.model import Series, SeriesTaken
from farebox.billing.invoices.service_settings import set_series
from farebox.billing.orders.model import OrderTaken
from farebox.billing.orders.service import Terms
from farebox.billing.payments import service_methods as methods
from farebox.billing.payments.model import PaymentNotSo
from farebox.billing.payments.model_outcomes import Disputed
from farebox.platform.model import SYSTEM
from farebox.platform.service_operators import first_admin
from farebox.platform.service_secrets import ensure_pepper
from tests.stores.test_orders import cart_of
from tests.support.payments import Till
from tests.support.sales import ANNA, BORIS, Sales, online
from tests.support.services import ADA, at_once, run
from tests.support.stall import FOR_GOOD, Stall


def unexpected(answers, *expected):
    return [one for one in answers if isinstance(one, Exception) and not isinstance(one, expected)]


def test_rate_limits_set_at_once_are_those_of_one_of_them(database):
    ada = run(database, create_consumer, ADA, name="Ada").id
    for _ in range(5):
        rates = [Rate(key="", most=most, seconds=60, burst=1, product=None) for most in (1, 2, 3)]
        answers = at_once(
            partial(run, database, set_rates, ADA, ada, [rate], guarded_by=ada) for rate in rates
        )
        assert unexpected(answers) == []
        assert len(run(database, rates_of, (ada,))) == 1


@pytest.mark.parametrize("addresses", [("a@x.org", "b@x.org"), ("a@x.org", "a@x.org")])
def test_accounts_set_at_once_for_one_consumer_are_one_account(database, addresses):
    hashed = accounts.hash_password("a good one")
    for _ in range(5):
        ada = run(database, create_consumer, ADA, name="Ada").id
        answers = at_once(
            partial(
                run,
                database,
                accounts.set_account,
                SYSTEM,
                consumer=ada,
                email=f"{ada}.{address}",
                password=hashed,
            )
            for address in addresses
        )
        assert unexpected(answers) == []


def test_a_prefix_is_one_series_also_when_two_ask_at_once(billing):
    for round_ in range(5):
        answers = at_once(
            partial(
                run,
                billing,
                set_series,
                ADA,
                Series(series=f"s{round_}_{number}", kind="invoice", prefix=f"P{round_}"),
            )
            for number in range(3)
        )
        assert unexpected(answers, SeriesTaken) == []


def test_a_method_made_standard_beside_a_first_new_one(billing):
    for number in range(12):
        who = f"con_{number}"
        add = partial(run, billing, methods.add_method, ADA, customer=who, gateway="sandbox")
        first, second = (add(token=f"tok_{number}_{each}").id for each in "ab")
        run(billing, methods.remove_method, ADA, first)
        answers = at_once([
            partial(run, billing, methods.make_standard, ADA, second),
            partial(add, token=f"tok_{number}_c"),
        ])  # fmt: skip
        assert unexpected(answers) == []


def test_nodes_that_start_at_once_with_a_new_admin_key_all_start(database):
    run(database, ensure_pepper)
    run(database, first_admin, None)
    for number in range(4):
        key = f"a-new-admin-key-{number:024}"
        assert unexpected(at_once([partial(run, database, first_admin, key)] * 3)) == []


def test_a_dispute_said_of_two_payments_at_once_is_of_one(billing):
    till = Till(billing)
    method = till.method("sandbox_ok")
    for number in range(6):
        said = [
            Disputed(
                payment=till.pay(method=method).id,
                reference=f"dsp_{number}",
                state="opened",
                amount=100,
            )
            for _ in range(2)
        ]
        answers = at_once(partial(run, billing, say_chargeback, ADA, each) for each in said)
        assert unexpected(answers, PaymentNotSo) == []


def test_a_purchase_of_an_order_that_another_purchase_names_is_refused(database):
    stall = Stall(database)
    stall.item("book", "Книга", offers=(FOR_GOOD,))
    terms = PurchaseTerms(item="book", offer="keep", order="ord_0123456789abcdef")
    run(database, start_purchase, stall.buyer("Bob"), terms)
    with pytest.raises(PurchaseTaken):
        run(database, start_purchase, stall.buyer("Eve"), terms)


def test_an_id_that_another_order_has_is_refused(billing, clock):
    sales = Sales(billing, clock)
    named = {"key": "key_1", "terms": Terms(), "order_id": "ord_0123456789abcdef"}
    anna, boris = (cart_of(sales, online(), customer=who) for who in (ANNA, BORIS))
    run(billing, buy.complete_cart, anna.id, wait_for_funds=True, **named)
    with pytest.raises(OrderTaken):
        run(billing, buy.complete_cart, boris.id, wait_for_funds=True, **named)
