"""What children do with usage: report, correct, add up and close, and die on the way.

A journey sends a batch and a correction, adds up and closes what is due. In the end all batches are
sent again, as a reporter does who heard nothing.
"""

import os
import signal
from typing import Any, Final

import psycopg  # noqa: F401 - imported here, so that every child has it
import sqlalchemy.dialects.postgresql.psycopg  # noqa: F401

from farebox.access.flows.aggregate_usage import close_due_periods, roll_up
from farebox.access.flows.record_usage import record_usage
from farebox.access.usage.model import Recorded, Report
from farebox.kernel.clock import SECOND_US, ManualClock
from farebox.platform.model import Actor
from farebox.storage import Database, open_database
from tests.support.dying import Statements
from tests.support.nursery import Link

BASE_US: Final = 1_800_000_000 * SECOND_US
STEP_US: Final = 3 * 86_400 * SECOND_US
GATEWAY: Final = Actor(kind="operator", id="opr_gateway")
QUANTITIES: Final = (1, 2, 4)
TAKEN_BACK: Final = 2


def now_of(journey: int) -> int:
    """Return when a journey is made: three days after the one before."""
    return BASE_US + journey * STEP_US


def send(database: Database, consumers: list[str], journey: int) -> None:
    """Send a journey's reports, each consumer's, and take a part of the last one back."""
    reports = [
        Report(
            source="/gw", event=f"{journey}-{consumer}-{quantity}", consumer=consumer,
            product="api", quantity=quantity, at=now_of(journey),
        )
        for consumer in consumers
        for quantity in QUANTITIES
    ]  # fmt: skip
    done = record_usage(database, GATEWAY, reports)
    last = done[-1]
    assert isinstance(last, Recorded), last
    back = Report(
        source="/gw", event=f"{journey}-back", corrects=last.record.id, quantity=TAKEN_BACK
    )
    (made,) = record_usage(database, GATEWAY, [back])
    assert isinstance(made, Recorded), made


def journey(link: Link, *, url: str, consumers: list[str], number: int, at: int) -> None:
    """Make one journey, dying before its n-th statement (0: not at all)."""
    clock = ManualClock(now_of(number))
    statements = Statements()
    database = open_database("access", url, clock)
    statements.strike_at(at, _die)
    send(database, consumers, number)
    while roll_up(database).rows:
        pass
    close_due_periods(database)
    statements.strike_at(0, _die)
    database.close()


def _die(_: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)
