"""What a runner does when its own machinery fails: it forgets, it goes on, it harms nobody."""

import itertools
from typing import Any

import pytest

from farebox.kernel.refusals import TryAgain
from farebox.ledger import decide
from farebox.ledger.books import NeedMore
from farebox.ledger.model import Applied, Source, Use
from farebox.ledger.running import BRIEF_LOG_MB, CROWD, LARGE_LOG_MB, Runner
from farebox.ledger.service import Ledger, request
from farebox.storage import LOG_MB
from tests.support.guards import breaking_commit
from tests.support.lanes import ask, one_batch
from tests.support.proof import drawn, faults


def alone(runner, asked) -> Any:
    """Run one request; return its outcome, or what was raised."""
    [answer] = runner.run([asked])
    return answer[0] if isinstance(answer, tuple) else answer


def use(bucket, amount=1, **more):
    return request(Use(sources=(Source(bucket),), amount=amount, **more))


def test_what_a_failed_commit_left_in_memory_is_not_believed(
    database_url, open_database_at, scene, monkeypatch
):
    """The books were changed before the commit failed; another process has moved on meanwhile."""
    bucket = scene.bucket(10)
    database = open_database_at(database_url)
    runner = Runner(database, Ledger())
    assert alone(runner, use(bucket)).available == 9
    breaking_commit(monkeypatch, database)
    assert isinstance(alone(runner, use(bucket, 5)), RuntimeError)
    monkeypatch.undo()
    # This brings the stored version to what the books of the failed batch would have had.
    assert scene.use(bucket, 2).available == 7
    assert alone(runner, use(bucket)).available == 6
    assert scene.available(bucket) == 6
    assert faults(scene.database) == []


def test_a_command_that_can_never_be_decided_harms_nobody_else(open_lane, scene, monkeypatch):
    bucket = scene.bucket(100)
    right = decide._STEPS[Use]

    def never(books, command, operation, now):
        if command.actor == "never":
            raise NeedMore(bucket)
        return right(books, command, operation, now)

    monkeypatch.setitem(decide._STEPS, Use, never)
    lane = open_lane()
    batch = [use(bucket) for _ in range(20)]
    answers = one_batch(lane, [*batch[:10], use(bucket, actor="never"), *batch[10:]])
    assert isinstance(answers.pop(10), TryAgain)
    assert all(isinstance(answer[0], Applied) for answer in answers)
    assert len(drawn(scene.database, bucket)) == 20


def test_a_deciding_function_that_breaks_on_one_command_harms_nobody_else(
    open_lane, scene, monkeypatch
):
    bucket = scene.bucket(100)
    right = decide._STEPS[Use]

    def broken(books, command, operation, now):
        outcome = right(books, command, operation, now)
        if command.actor == "broken":
            raise AssertionError("our own fault, with half of it done")
        return outcome

    monkeypatch.setitem(decide._STEPS, Use, broken)
    lane = open_lane()
    batch = [use(bucket) for _ in range(20)]
    answers = one_batch(lane, [*batch[:10], use(bucket, actor="broken"), *batch[10:]])
    assert isinstance(answers.pop(10), AssertionError)
    assert all(isinstance(answer[0], Applied) for answer in answers)
    assert ask(lane, Use(sources=(Source(bucket),), amount=1)).available == 79
    assert faults(scene.database) == []


@pytest.mark.parametrize(
    ("size", "keyed", "expected"),
    [
        (1, 0, BRIEF_LOG_MB),
        (CROWD // 2, CROWD // 2, BRIEF_LOG_MB),
        (2 * CROWD, 0, LOG_MB),
        (2 * CROWD, CROWD // 2, LOG_MB),
        (2 * CROWD, 2 * CROWD, LARGE_LOG_MB),
    ],
)
def test_copying_the_log_is_brief_while_few_ask_and_rare_while_many_do(
    scene, monkeypatch, size, keyed, expected
):
    bucket = scene.bucket(10_000)
    runner = Runner(scene.database, Ledger())
    right, asked = scene.database.write, []

    def write(*, log_mb):
        asked.append(log_mb)
        return right(log_mb=log_mb)

    monkeypatch.setattr(scene.database, "write", write)
    keys = (f"k-{number}" for number in itertools.count())
    for _ in range(2 * CROWD):
        command = Use(sources=(Source(bucket),), amount=1)
        with_keys = [request(command, key=next(keys)) for _ in range(keyed)]
        runner.run([*with_keys, *(use(bucket) for _ in range(size - keyed))])
    assert asked[-1] == expected
