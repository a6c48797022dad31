"""Short ways to pay in tests: open a payment, let the worker work, look at what came of it."""

from typing import Any, Final

import msgspec

from farebox.billing.books import service as books
from farebox.billing.books.model import About
from farebox.billing.copies import store as copies
from farebox.billing.customers.service import ensure_customer
from farebox.billing.flows.gateway_webhooks import take_notice
from farebox.billing.flows.run_payments import Payments
from farebox.billing.payments import service, service_refunds
from farebox.billing.payments.gateways.manual import Manual
from farebox.billing.payments.gateways.protocol import Gateway
from farebox.billing.payments.gateways.sandbox import SIGNATURE, Sandbox
from farebox.billing.payments.model import Payment, Refund
from farebox.billing.payments.service_methods import add_method
from farebox.billing.wallets import service as wallets
from farebox.billing.wallets.model import Balance
from farebox.billing.wallets.service_top_ups import begin_top_up, read_top_up
from farebox.storage import Database
from tests.support.services import ADA, run

SECRET: Final = "s" * 32
ANNA: Final = "con_anna"


class Till:
    """A worker over billing's database, and the gateways that it asks."""

    def __init__(self, database: Database, *gateways: Gateway) -> None:
        self.database = database
        self.gateways = {one.name: one for one in gateways or (Sandbox(SECRET), Manual())}
        self.worker = Payments(database, self.gateways)
        self._number = 0

    def close(self) -> None:
        """Let the worker end, and the gateways let go."""
        self.worker.close()
        for one in self.gateways.values():
            one.close()

    def method(self, script: str, customer: str = "con_1") -> str:
        """Return a method of the sandbox that plays a script; a customer has each script once."""
        return run(
            self.database, add_method, ADA, customer=customer, gateway="sandbox", token=script
        ).id

    def open(self, **terms: Any) -> Payment:
        """Open a payment of 10.00 USD for an invoice of its own, unless told otherwise."""
        self._number += 1
        asked = {
            "customer": "con_1", "amount": 1000, "currency": "USD", "purpose": "invoice",
            "reference": f"inv_{self._number}", "key": f"key_{self._number}", "gateway": "sandbox",
        }  # fmt: skip
        if "method" in terms:
            asked["gateway"] = None
        return run(self.database, service.open_intent, **{**asked, **terms})

    def work(self) -> int:
        """Let the worker do all that is due now; returns how many calls it made."""
        calls = 0
        while done := self.worker.step():
            calls += done
            self.worker.finish()
        return calls

    def read(self, payment: Payment) -> Payment:
        return run(self.database, service.read_payment, payment.id)

    def refund(self, payment: Payment, amount: int, key: str | None = None) -> Refund:
        """Ask for a refund, under a key of its own unless told otherwise."""
        self._number += 1
        asked = (payment.id, amount, key or f"refund_{self._number}")
        return run(self.database, service_refunds.request_refund, *asked)

    def tell(self, **said: Any) -> bool:
        """Send a signed notice of the sandbox, and let the worker follow it."""
        new = self.hear(**said)
        self.work()
        return new

    def hear(self, **said: Any) -> bool:
        """Send a signed notice of the sandbox."""
        body = msgspec.json.encode(said)
        sandbox = self.gateways["sandbox"]
        assert isinstance(sandbox, Sandbox)
        signed = {SIGNATURE: sandbox.sign(body)}
        return take_notice(self.database, self.gateways, "sandbox", body, signed)

    def trial(self, currency: str = "USD") -> dict[str, int]:
        """Return the books of a currency, without what stands at zero."""
        found = run(self.database, books.balances, currency)
        assert sum(found.values()) == 0
        return {name: amount for name, amount in found.items() if amount}

    def pay(self, **terms: Any) -> Payment:
        """Open a payment, work, and return it as it stands then."""
        made = self.open(**terms)
        self.work()
        return self.read(made)

    def customer(self, customer: str = ANNA) -> str:
        """Let somebody be a customer."""
        row = {
            "consumer_id": customer, "name": customer, "state": "active", "owner": None,
            "metadata": "{}",
        }  # fmt: skip
        run(self.database, lambda tx: tx.run(copies.consumer.insert(), row))
        return run(self.database, ensure_customer, "consumer", customer).id

    def top_up(self, customer: str = ANNA) -> Payment:
        """Fill the wallet of a new customer with 10.00, and return the payment."""
        top_up = run(self.database, begin_top_up, self.customer(customer), "USD", 1000)
        made = self.pay(customer=customer, purpose="top_up", reference=top_up.id)
        assert run(self.database, read_top_up, top_up.id).state == "filled"
        return made

    def wallet(self, customer: str = ANNA) -> Balance:
        """Return what is in a customer's wallet."""
        return run(self.database, wallets.balance_of, customer, "USD")

    def spend(self, amount: int, customer: str = ANNA) -> None:
        """Let a wallet's paid money be spent on something."""
        about = About(kind="order", customer=customer)
        run(
            self.database, wallets.take, customer, "USD", amount, part="paid",
            to_account="revenue", about=about, key="spent",
        )  # fmt: skip
