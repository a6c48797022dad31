"""Short ways to pay in tests: open a payment, let the worker work, look at what came of it."""

from typing import Any, Final

from farebox.billing.flows.run_payments import Payments
from farebox.billing.payments import service
from farebox.billing.payments.gateways.protocol import Gateway
from farebox.billing.payments.gateways.sandbox import Sandbox
from farebox.billing.payments.model import Payment
from farebox.billing.payments.service_methods import add_method
from farebox.storage import Database
from tests.support.services import ADA, run

SECRET: Final = "s" * 32


class Till:
    """A worker over billing's database, and the gateways that it asks."""

    def __init__(self, database: Database, *gateways: Gateway) -> None:
        self.database = database
        self.gateways = {one.name: one for one in gateways or (Sandbox(SECRET),)}
        self.worker = Payments(database, self.gateways)
        self._number = 0

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

    def pay(self, **terms: Any) -> Payment:
        """Open a payment, work, and return it as it stands then."""
        made = self.open(**terms)
        self.work()
        return self.read(made)
