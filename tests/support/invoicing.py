"""Invoices for tests: a seller, a customer who is known to billing, lines, and money that paid."""

from decimal import Decimal
from typing import Any, Final

from farebox.billing.books import service as books
from farebox.billing.books.model import About, Line
from farebox.billing.copies.service import keep_consumer
from farebox.billing.customers.service import ensure_customer
from farebox.billing.invoices import service, service_issue, service_settings
from farebox.billing.invoices.model import Bank, Invoice, InvoiceLine, Place, Seller
from farebox.billing.pricing.model_money import Rate
from farebox.events.model import Event, source_of
from farebox.kernel.ids import record_id
from farebox.storage import Database, Tx
from tests.support.services import ADA, run

DAY_US: Final = 86_400_000_000
VAT: Final = (Rate("vat", Decimal(20)),)
SELLER: Final = Seller(
    name="Farebox Films GmbH",
    place=Place(lines=("Lange Straße 1",), city="Berlin", postal_code="10115", country="DE"),
    tax_number="DE136695976",
    registration="HRB 12345",
    email="bills@films.example",
    phone="+49 30 1234567",
    bank=Bank(account="DE89370400440532013000", name="Bank of Berlin", code="COBADEFFXXX"),
    terms="Payable without deduction.",
)


def a_line(amount: int, **more: Any) -> InvoiceLine:
    """Return a line with 20 % of tax unless others are named."""
    return InvoiceLine(**{"description": "Films", "amount": amount, "rates": VAT, **more})


def a_customer(tx: Tx, name: str = "Ada Lovelace") -> str:
    """Return the id of a new customer, of whom access has told."""
    consumer = record_id("con")
    told: dict[str, Any] = {
        "consumerId": consumer,
        "name": name,
        "state": "active",
        "owner": None,
        "metadata": {},
    }
    event = Event(
        specversion="1.0", id=record_id("evt"), source=source_of("access"),
        type="consumer.updated", subject=consumer, time="2026-01-01T00:00:00Z",
        datacontenttype="application/json", subjectversion=1, data=told,
    )  # fmt: skip
    keep_consumer(tx, event)
    return ensure_customer(tx, "consumer", consumer).id


def sell(tx: Tx) -> None:
    """Say who sells."""
    service_settings.set_seller(tx, ADA, SELLER)


def a_draft(tx: Tx, *lines: InvoiceLine, **more: Any) -> Invoice:
    """Return a draft for a new customer, unless one is named."""
    named: dict[str, Any] = {"currency": "EUR", "due_days": 14, "key": record_id("key"), **more}
    named.setdefault("customer", a_customer(tx))
    return service.draft(tx, lines=lines, **named)


def issued(billing: Database, *lines: InvoiceLine, **more: Any) -> Invoice:
    """Return an issued invoice."""

    def work(tx: Tx) -> Invoice:
        sell(tx)
        return service_issue.issue(tx, a_draft(tx, *lines, **more).id)

    return run(billing, work)


def money(tx: Tx, amount: int, currency: str = "EUR") -> None:
    """Bring money into suspense, as a gateway's payment does."""
    books.post(tx, currency, [Line("cash:sandbox", "suspense", amount)], About(kind="payment"))


def trial(billing: Database, currency: str = "EUR") -> dict[str, int]:
    """Return the trial balance without accounts that came back to nothing."""
    found = run(billing, books.balances, currency)
    assert sum(found.values()) == 0
    return {name: balance for name, balance in found.items() if balance}
