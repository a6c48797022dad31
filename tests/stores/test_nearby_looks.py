"""Looks of an event loop: few are answered in place, many by the ledger's process."""

import asyncio

import pytest

from farebox.ledger.model import Applied, Denied, Look, Refused, Source, Use
from farebox.ledger.nearby import MOST_NEARBY, NearbyLooks
from farebox.ledger.running import Runner
from farebox.ledger.service import Ledger, request


class LedgerElsewhere:
    """Stands for the way to the ledger's process; answers whatever is sent with nothing."""

    def __init__(self):
        self.sent = []

    def send(self, asked, future, *, reads):
        self.sent.append((asked, reads))
        future.set_result(())


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


def test_few_looks_are_answered_in_place(looks, elsewhere, scene):
    bucket = scene.bucket(10)
    answers = asked(looks, *(look(bucket, amount) for amount in (10, 11, 1)))
    assert [type(answer[0]) for answer in answers] == [Applied, Denied, Applied]
    assert elsewhere.sent == []


def test_a_look_sees_what_was_committed_before_it(looks, scene, database):
    bucket = scene.bucket(10)
    assert isinstance(asked(looks, look(bucket, 10))[0][0], Applied)
    used = request(Use(sources=(Source(bucket),), amount=4))
    Runner(database, Ledger()).run([used])
    assert isinstance(asked(looks, look(bucket, 10))[0][0], Denied)


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
    many = [look(bucket) for _ in range(MOST_NEARBY + 1)]
    asked(looks, *many)
    assert elsewhere.sent == [(one, True) for one in many]


def test_who_has_gone_away_keeps_nobody_from_an_answer(looks, scene):
    bucket = scene.bucket(10)

    async def ask():
        gone, waiting = looks.submit(look(bucket)), looks.submit(look(bucket))
        gone.cancel()
        return await waiting

    assert isinstance(asyncio.run(ask())[0], Applied)
