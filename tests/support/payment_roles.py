"""What children do with payments: open, pay, give back, and die on the way.

The provider is in the test's process and lives on: what it was asked for before a death stays done.
"""

import logging
import os
import signal
from typing import Any, Final

import psycopg  # noqa: F401 - imported here, so that every child has it
import sqlalchemy.dialects.postgresql.psycopg  # noqa: F401 - as above
import structlog

from farebox.billing.flows import settlers
from farebox.billing.flows.run_payments import Payments
from farebox.billing.payments.gateways.stripe import Stripe
from farebox.billing.payments.service import list_payments, open_intent
from farebox.billing.payments.service_refunds import refunds_of, request_refund
from farebox.kernel.clock import SECOND_US, ManualClock
from farebox.storage import Tx, open_database
from tests.support.dying import Statements
from tests.support.nursery import Link

structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))

BASE_US: Final = 1_800_000_000 * SECOND_US
STEP_US: Final = 600 * SECOND_US
"""Longer than a claim, and than the pause before the first look."""
assert settlers.REGISTERED


def _die(_: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def pay_and_give_back(link: Link, *, url: str, stripe: str, number: int, at: int) -> None:
    """Make one journey, dying before its n-th statement (0: not at all); tell how many it has."""
    statements = Statements()
    database = open_database("billing", url, ManualClock(BASE_US + number * STEP_US))
    worker = Payments(database, {"stripe": Stripe("sk_test_1", secret=None, url=stripe)})

    def ask(tx: Tx) -> None:
        open_intent(
            tx, customer="con_1", amount=1000, currency="USD", purpose="invoice",
            reference=f"inv_{number}", key=f"key_{number}",
        )  # fmt: skip
        for paid in list_payments(tx, state="succeeded", limit=2).items:
            if not refunds_of(tx, paid.id):
                request_refund(tx, paid.id, 400, key=f"back:{paid.id}")

    database.run(ask)
    # What is asked for is one transaction; what may come between is the worker's.
    statements.strike_at(at, _die)
    while worker.step():
        worker.finish()
    worker.close()
    link.say({"places": statements.count})
    database.close()
