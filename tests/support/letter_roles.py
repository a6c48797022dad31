"""What children do with letters: take what is due, send it, and die on the way.

The mail server is in the test's process and lives on: what it has taken stays taken.
"""

import logging
import os
import signal
from typing import Any

import psycopg  # noqa: F401 - imported here, so that every child has it
import sqlalchemy.dialects.postgresql.psycopg  # noqa: F401 - as above
import structlog

from farebox.kernel.clock import ManualClock
from farebox.notifications.channels.gateways.mail import Mail, MailTerms
from farebox.notifications.flows.send_letters import Letters
from farebox.notifications.letters.model import Terms
from farebox.storage import open_database
from tests.support.dying import Statements
from tests.support.nursery import Link

structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
STANDARD = Terms(locale="en", zone="UTC")


def _die(_: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def send_letters(link: Link, *, url: str, port: int, now: int, at: int) -> None:
    """Send what is due, dying before the n-th statement (0: not at all); tell how many it has."""
    statements = Statements()
    database = open_database("notifications", url, ManualClock(now))
    terms = MailTerms(host="127.0.0.1", port=port, sender="a@shop.example", security="none")
    worker = Letters(database, {"mail": Mail(terms)}, standard=STANDARD)
    statements.strike_at(at, _die)
    while worker.step():
        worker.settle()
    worker.close()
    link.say({"places": statements.count})
    database.close()
