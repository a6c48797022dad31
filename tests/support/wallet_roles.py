"""What children do with a wallet: fill it, pay out of it, give back, and die on the way.

A journey fills by 10, gives 5 of bonus, pays 12 and gives 4 of them back, each under a key of its
own. In the end every journey is made again, as somebody does who heard nothing.
"""

import os
import signal
from typing import Any, Final

import psycopg  # noqa: F401 - imported here, so that every child has it
import sqlalchemy.dialects.postgresql.psycopg  # noqa: F401

from farebox.billing.books.model import About, Line
from farebox.billing.copies import store as copies
from farebox.billing.customers.service import ensure_customer
from farebox.billing.wallets import service as wallets
from farebox.billing.wallets.model import Paid
from farebox.kernel.clock import SECOND_US, ManualClock
from farebox.ledger.model import INCLUDED, PURCHASED
from farebox.storage import Database, open_database
from tests.support.dying import Statements
from tests.support.nursery import Link
from tests.support.services import run

BASE_US: Final = 1_800_000_000 * SECOND_US
WHO: Final = "con_anna"
FILLED, BONUS, SPENT, BACK = 10, 5, 12, 4
LEFT: Final = FILLED + BONUS - SPENT + BACK


def be_known(database: Database) -> None:
    """Let Anna be a customer."""
    row = {"consumer_id": WHO, "name": "Anna", "state": "active", "owner": None, "metadata": "{}"}
    database.run(lambda tx: tx.run(copies.consumer.insert(), row))
    database.run(lambda tx: ensure_customer(tx, "consumer", WHO))


def travel(database: Database, number: int) -> None:
    """Do all of a journey that is not done yet."""
    about = About(kind="journey", customer=WHO)
    fill(database, FILLED, "cash:sandbox", PURCHASED, f"{number}:filled")
    fill(database, BONUS, "bonus", INCLUDED, f"{number}:bonus")
    paid = database.run(lambda tx: pay(tx, SPENT, f"{number}:paid"))
    assert isinstance(paid, Paid), paid
    out_of = (Line("refunds", "suspense", BACK),)
    key = f"{number}:back"
    database.run(
        lambda tx: wallets.give_back(tx, paid.operation, BACK, out_of=out_of, about=about, key=key)
    )


def fill(database: Database, amount: int, account: str, class_: int, key: str) -> None:
    """Fill Anna's wallet."""
    database.run(
        lambda tx: wallets.fill(
            tx, WHO, "RUB", amount, source_account=account, class_=class_, key=key,
            about=About(kind="journey", customer=WHO),
        )
    )  # fmt: skip


def pay(tx: Any, amount: int, key: str) -> Any:
    """Let Anna's wallet pay."""
    to = (Line("suspense", "revenue", amount),)
    about = About(kind="journey", customer=WHO)
    return wallets.pay(tx, WHO, "RUB", amount, to=to, about=about, key=key)


def journey(link: Link, *, url: str, number: int, at: int) -> None:
    """Make one journey, dying before its n-th statement (0: not at all)."""
    statements = Statements()
    database = open_database("billing", url, ManualClock(BASE_US + number * SECOND_US))
    statements.strike_at(at, _die)
    travel(database, number)
    statements.strike_at(0, _die)
    database.close()


def rush(link: Link, *, url: str, name: str, times: int) -> None:
    """Pay 7 as often as told, when told; tells how often there was enough."""
    database = open_database("billing", url, ManualClock(BASE_US))
    link.say("ready")
    link.hear()
    answers = [run(database, pay, 7, f"{name}:{number}") for number in range(times)]
    link.say(sum(isinstance(each, Paid) for each in answers))
    database.close()


def _die(_: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)
