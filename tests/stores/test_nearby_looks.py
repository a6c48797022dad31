"""Looks of an event loop: a lone one is answered in place, many by the ledger's process."""

import asyncio
import itertools
from types import SimpleNamespace

import pytest

from farebox.ledger.model import Applied, Denied, Look, Refused, Source, Use
from farebox.ledger.nearby import NearbyLooks
from farebox.ledger.running import Runner
from farebox.ledger.service import Ledger, request


class LedgerElsewhere:
    """Stands for the way to the ledger's process; answers whatever is sent with nothing."""

    def __init__(self):
        self.sent = []

    def send(self, asked, tell, *, reads):
        self.sent.append((asked, reads))
        tell(())


@pytest.fixture
def elsewhere():
    return LedgerElsewhere()


@pytest.fixture
def looks(database, elsewhere):
    """Return the queue of an event loop."""
    return NearbyLooks(Runner(database, Ledger(), writes=False), elsewhere)


def asked(looks, *requests):
    """Ask all in one round of an event loop; return the answers, or the errors raised."""

    async def ask():
        futures = [looks.submit(one) for one in requests]
        return await asyncio.gather(*futures, return_exceptions=True)

    return asyncio.run(ask())


def look(bucket, amount=1, **more):
    return request(Look(sources=(Source(bucket),), amount=amount), **more)


@pytest.fixture
def rested(monkeypatch):
    """Let a second pass between any two looks at the time."""
    seconds = itertools.count()
    show(monkeypatch, lambda: 10.0 ** next(seconds))


def show(monkeypatch, seconds):
    """Let the looks, and nobody else, see a clock of the test's own."""
    monkeypatch.setattr("farebox.ledger.nearby.time", SimpleNamespace(perf_counter=seconds))


@pytest.mark.usefixtures("rested")
def test_lone_looks_are_answered_in_place(looks, elsewhere, scene):
    bucket = scene.bucket(10)
    answers = [asked(looks, look(bucket, amount))[0] for amount in (10, 11, 1)]
    assert [type(answer[0]) for answer in answers] == [Applied, Denied, Applied]
    assert elsewhere.sent == []


@pytest.mark.usefixtures("rested")
def test_a_look_sees_what_was_committed_before_it(looks, scene, database):
    bucket = scene.bucket(10)
    assert isinstance(asked(looks, look(bucket, 10))[0][0], Applied)
    used = request(Use(sources=(Source(bucket),), amount=4))
    Runner(database, Ledger()).run([used])
    assert isinstance(asked(looks, look(bucket, 10))[0][0], Denied)


@pytest.mark.usefixtures("rested")
def test_a_guard_that_has_moved_on_is_stale_in_place_too(looks, scene, database):
    bucket = scene.bucket(10)
    guarded = look(bucket, guards=(("con_a", 0),))
    assert isinstance(asked(looks, guarded)[0][0], Applied)
    database.run(lambda tx: Ledger().advance_revision(tx, "con_a"))
    [[outcome]] = asked(looks, guarded)
    assert isinstance(outcome, Refused)
    assert outcome.code == "stale"


def test_many_looks_of_one_round_go_to_the_ledgers_process(looks, elsewhere, scene):
    bucket = scene.bucket(10)
    many = [look(bucket) for _ in range(3)]
    asked(looks, *many)
    assert elsewhere.sent == [(one, True) for one in many]


def test_a_loop_that_has_just_looked_does_something_else(looks, elsewhere, scene, monkeypatch):
    seconds = iter([10.0, 10.1, 10.29, 10.31, 10.4])
    show(monkeypatch, lambda: next(seconds))
    bucket = scene.bucket(10)
    first, second, third = (look(bucket) for _ in range(3))
    for one in (first, second, third):
        asked(looks, one)
    assert elsewhere.sent == [(second, True)]


def test_who_has_gone_away_harms_nobody(looks, scene):
    bucket = scene.bucket(10)

    async def ask():
        looks.submit(look(bucket)).cancel()
        await asyncio.sleep(0)
        return True

    assert asyncio.run(ask())
