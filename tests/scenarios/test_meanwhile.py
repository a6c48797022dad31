"""What changes while a request is on its way, on PostgreSQL, where writers run side by side."""

import threading
from functools import partial

import pytest

from farebox.access.catalog.service import ensure_product
from farebox.access.consumers.service import suspend_consumer
from farebox.access.decisions.model import ConsumerSuspended
from farebox.access.decisions.service_subjects import load_subject
from farebox.access.flows import accounts, authorise_usage
from farebox.contracts.accounts import ACCOUNT_PRODUCT
from farebox.platform.model import FIRST_ADMIN, LastAdmin
from farebox.platform.service_operators import (
    create_operator,
    first_admin,
    read_operator,
    suspend_operator,
)
from farebox.platform.service_secrets import ensure_pepper
from farebox.storage import Database
from tests.support.cinema import Cinema
from tests.support.services import ADA, PATIENCE_S, run
from tests.support.threads import wait_until_it_waits


@pytest.fixture
def served(postgresql_engine, clock):
    url = postgresql_engine.migrated()
    database = postgresql_engine.open(url, clock)
    yield database
    database.close()
    postgresql_engine.drop(url)


def suspending_after_the_first_look(database: Database, looks: list[str]):
    """Return a `load_subject` after whose first look somebody suspends the consumer."""

    def load(tx, consumer):
        found = load_subject(tx, consumer)
        looks.append(consumer)
        if len(looks) == 1:
            run(database, suspend_consumer, ADA, consumer)
        return found

    return load


def test_a_suspension_between_look_and_draw_denies_the_usage(served, monkeypatch):
    cinema = Cinema(served)
    looks: list[str] = []
    load = suspending_after_the_first_look(served, looks)
    monkeypatch.setattr(authorise_usage, "load_subject", load)
    assert cinema.denied(cinema.members[0]).code == "consumer_suspended"
    assert cinema.left() == 20
    assert len(looks) == 2


def test_a_suspension_between_look_and_draw_leaves_the_account_alone(served, monkeypatch):
    run(served, ensure_pepper)
    looks: list[str] = []
    run(served, ensure_product, code=ACCOUNT_PRODUCT, name="Account", unit="credit")
    mod = partial(accounts.mod, served, ADA, credential="cinema-7")
    mod(by=10)
    load = suspending_after_the_first_look(served, looks)
    monkeypatch.setattr(accounts, "load_subject", load)
    with pytest.raises(ConsumerSuspended):
        mod(by=-1)
    assert run(served, accounts.tot, "cinema-7") == 10


def test_two_admins_who_suspend_each_other_side_by_side_leave_one(served):
    run(served, first_admin, None)
    second = run(served, create_operator, ADA, name="Second", roles=["admin"]).id
    refused = threading.Event()

    def suspend_the_first() -> None:
        try:
            run(served, suspend_operator, ADA, FIRST_ADMIN)
        except LastAdmin:
            refused.set()

    other = threading.Thread(target=suspend_the_first)
    with served.write() as tx:
        suspend_operator(tx, ADA, second)
        other.start()
        wait_until_it_waits(served, other)
    other.join(PATIENCE_S)
    assert refused.is_set()
    assert run(served, read_operator, FIRST_ADMIN).state == "active"
