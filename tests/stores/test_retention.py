"""Retention: denials, answers and the audit log go when they are old enough, and nothing else."""

from functools import partial

import pytest
import sqlalchemy as sa

from farebox.kernel.clock import SECOND_US
from farebox.ledger.model import Applied, Denied, Grant, Source, Use
from farebox.ledger.service import request
from farebox.platform import service_posted as posted
from farebox.platform import store
from farebox.platform.model import SYSTEM, Once
from farebox.platform.service_audit import expire_audit, list_audit, record
from farebox.workers.retention import Forgetting
from tests.support.proof import faults
from tests.support.services import ADA, at_once, run

DAY = 86_400 * SECOND_US


@pytest.fixture
def keeping(database):
    """Return a function that makes the worker with these settings."""

    def make(denials_days=30, answers_days=30, audit_days=None):
        return Forgetting(
            database,
            denials_days=denials_days,
            answers_days=answers_days,
            audit_days=audit_days,
        )

    return make


def finish(worker):
    """Let a worker work until nothing is left to do; returns how much it did, step by step."""
    return list(iter(worker.step, 0))


def audit_of(database):
    return [entry.action for entry in run(database, list_audit, limit=1000).items][::-1]


def test_a_denial_is_remembered_thirty_days_and_what_was_applied_for_ever(scene, keeping, clock):
    bucket = scene.bucket(3)
    ask = partial(scene.use, bucket, caller="shop")
    assert isinstance(ask(5, key="denied"), Denied)
    assert isinstance(ask(1, key="applied"), Applied)
    clock.move(30 * DAY - 1)
    assert finish(keeping()) == []
    clock.move(2)
    assert finish(keeping()) == [1]

    # The denied one is a new question now; the applied one is still the same answer.
    grant(scene, bucket, 10)
    assert isinstance(ask(5, key="denied"), Applied)
    first = ask(1, key="applied")
    assert isinstance(first, Applied)
    assert scene.available(bucket) == 3 - 1 + 10 - 5
    assert faults(scene.database) == []


def grant(scene, bucket, amount):
    scene.do(Grant(bucket=bucket, amount=amount))


def test_denials_go_in_small_pieces_oldest_first(scene, keeping, clock):
    bucket = scene.bucket()
    for start in range(0, 2500, 500):
        scene.run([denied_request(bucket, start + place) for place in range(500)])
        clock.move(DAY)
    assert finish(keeping(denials_days=2)) == [1000, 500]
    assert finish(keeping(denials_days=1)) == [500]


def denied_request(bucket, number):
    use = Use(sources=(Source(bucket),), amount=1)
    return request(use, caller="shop", key=f"{number}")


def test_an_answer_is_remembered_thirty_days(database, keeping, clock):
    once = Once(caller="opr_1", key="k", payload=b"p")
    works = iter(["first", "second", "third"])

    def answer():
        return run(database, posted.answer_once, once, str, lambda: next(works))

    assert answer() == "first"
    clock.move(30 * DAY)
    assert finish(keeping()) == []
    assert answer() == "first"
    clock.move(1)
    assert finish(keeping()) == [1]
    assert answer() == "second"


def test_the_audit_log_is_kept_for_ever_unless_a_setting_says_otherwise(database, keeping, clock):
    run(database, record, ADA, "one", "x")
    clock.move(10_000 * DAY)
    run(database, record, ADA, "two", "x")
    assert finish(keeping()) == []
    assert audit_of(database) == ["one", "two"]

    worker = keeping(audit_days=365)
    assert finish(worker) == [1]
    assert audit_of(database) == ["two", "audit.expired"]
    [entry] = run(database, list_audit, subject="audit").items
    assert (entry.actor_kind, entry.actor) == (SYSTEM.kind, SYSTEM.id)
    assert '"entries":1' in str(entry.after)
    assert worker.forgotten == {"denials": 0, "answers": 0, "entries of the audit log": 1}


def test_the_audit_log_loses_nothing_that_is_younger_by_any_other_way(database, clock):
    for number in range(3):
        run(database, record, ADA, f"entry {number}", "x")
        clock.move(DAY)
    run(database, expire_audit, clock.now_us() - 2 * DAY)
    statements = (
        store.audit.delete(),
        store.audit.delete().where(store.audit.c.action == "entry 2"),
        store.audit.update().values(reason="none"),
    )
    for statement in statements:
        with pytest.raises(sa.exc.DBAPIError, match="append-only"), database.write() as tx:
            tx.run(statement)
    assert audit_of(database) == ["entry 1", "entry 2", "audit.expired"]


def test_two_who_forget_at_once_are_harmless(scene, keeping, database, clock):
    bucket = scene.bucket()
    scene.run([denied_request(bucket, number) for number in range(1500)])
    for _ in range(5):
        run(database, record, ADA, "entry", "x")
    clock.move(40 * DAY)
    answers = at_once(partial(finish, keeping(audit_days=39)) for _ in range(3))
    assert not [each for each in answers if isinstance(each, Exception)]
    assert finish(keeping(audit_days=39)) == []
    assert scene.rows("SELECT count(*) AS n FROM operation") == [{"n": 0}]
    assert set(audit_of(database)) == {"audit.expired"}
