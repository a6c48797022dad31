"""A customer's record follows the consumer at access, and keeps what was entered at billing."""

import pytest

from farebox.billing.customers.service import ensure_customer, read_customer, update_customer
from farebox.billing.flows.handlers import COPIES, HANDLERS
from tests.support.renewals import told
from tests.support.services import ADA, run

KEY = ("/farebox/access", "consumer.updated")


def tell(billing, *, changes=(), **named):
    data = {
        "consumerId": "con_1", "name": "Ada", "state": "active", "owner": None, "metadata": {},
        **named,
    }  # fmt: skip
    event = told("consumer.updated", "con_1", {**data, "changes": dict.fromkeys(changes, 1)})
    run(billing, COPIES[KEY], event)
    run(billing, HANDLERS[KEY], event)


@pytest.fixture
def customer(billing):
    tell(billing)
    return run(billing, ensure_customer, "consumer", "con_1")


def test_a_new_name_is_taken_over(billing, customer):
    tell(billing, name="Ada L.", changes=["name"])
    assert run(billing, read_customer, "con_1").name == "Ada L."


def test_a_name_that_billing_was_given_stays_while_access_has_no_new_one(billing, customer):
    run(billing, update_customer, ADA, "con_1", name="Lovelace Ltd")
    tell(billing, metadata={"vip": True}, changes=["metadata"])
    assert run(billing, read_customer, "con_1").name == "Lovelace Ltd"


def test_metadata_fills_what_is_empty_and_overwrites_nothing(billing, customer):
    run(billing, update_customer, ADA, "con_1", country="DE")
    said = {"email": "ada@example.org", "country": "FR", "currency": "no currency"}
    tell(billing, metadata=said, changes=["metadata"])
    found = run(billing, read_customer, "con_1")
    assert (found.email, found.country, found.currency) == ("ada@example.org", "DE", None)


def test_who_is_no_customer_is_not_made_one(billing):
    tell(billing, name="Ada L.", changes=["name"])
    assert run(billing, ensure_customer, "consumer", "con_1").version == 1
