"""What children do with renewals: bill what is due, pay it, and die on the way."""

import os
import signal
from typing import Any, Final

import psycopg  # noqa: F401 - imported here, so that every child has it
import sqlalchemy.dialects.postgresql.psycopg  # noqa: F401

from farebox.billing.flows.rate_usage import UsageDue
from farebox.billing.flows.renew_subscription import DueSchedules
from farebox.kernel.clock import ManualClock
from farebox.kernel.periods import period_start
from farebox.storage import Database, open_database
from tests.support.dying import Statements
from tests.support.nursery import Link
from tests.support.payments import Till

BEGIN_US: Final = 1_800_000_000_000_000


def month(number: int) -> int:
    """Return when the n-th month is billed, an hour after it began."""
    return period_start("month", 1, BEGIN_US, "UTC", number) + 3_600_000_000


def do_all(database: Database, till: Till) -> None:
    """Do what is due now."""
    workers = (DueSchedules(database), UsageDue(database))
    while sum(worker.step() for worker in workers) + till.work():
        pass


def renew(link: Link, *, url: str, number: int, at: int) -> None:
    """Do what is due in a month, dying before the n-th statement (0: not at all)."""
    statements = Statements()
    database = open_database("billing", url, ManualClock(month(number)))
    till = Till(database)
    statements.strike_at(at, _die)
    do_all(database, till)
    statements.strike_at(0, _die)
    till.worker.close()
    database.close()


def _die(_: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)
