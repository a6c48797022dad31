"""A repeat after a suspension gets its first answer; anything new is looked at again."""

import pytest

from farebox.ledger.model import Applied, Denied, Freeze, Recall, Refused, Source, Use
from farebox.ledger.service import request
from tests.support.lanes import one_batch
from tests.support.proof import drawn, faults

SEEN = (("con_1", 0),)
STALE = Refused(code="stale", detail="what the caller knew of a subject has changed")
REUSED = Refused(code="idempotency_key_reused")


def suspend(scene, subject="con_1"):
    """Change a subject, as another process does it."""
    return scene.database.run(lambda tx: scene.ledger.advance_revision(tx, subject))


@pytest.fixture
def lanes(open_lane):
    return [open_lane(), open_lane()]


def asked(bucket, key, amount=1, guards=SEEN):
    use = Use(sources=(Source(bucket),), amount=amount)
    return request(use, caller="shop", key=key, guards=guards)


def test_a_repeat_after_suspension_gets_its_first_answer_from_every_process(lanes, scene):
    bucket = scene.bucket(10)
    [first] = lanes[0].call(asked(bucket, "first"))
    [denied] = lanes[0].call(asked(bucket, "denied", amount=50))
    assert isinstance(first, Applied)
    assert isinstance(denied, Denied)
    suspend(scene)
    scene.do(Freeze(bucket=bucket))
    for lane in lanes:
        assert lane.call(asked(bucket, "first")) == (first,)
        assert lane.call(asked(bucket, "denied", amount=50)) == (denied,)
        assert lane.call(asked(bucket, "new")) == (STALE,)
        assert lane.call(asked(bucket, "first", amount=2)) == (REUSED,)
    assert len(drawn(scene.database, bucket)) == 1


def test_what_a_lane_remembers_lets_nobody_through_after_a_suspension(lanes, scene):
    bucket = scene.bucket(100)
    for lane in lanes:
        for key in ("one", "two"):
            assert isinstance(lane.call(asked(bucket, f"{id(lane)}-{key}"))[0], Applied)
    suspend(scene)
    for lane in lanes:
        assert lane.call(asked(bucket, f"{id(lane)}-three")) == (STALE,)
        assert lane.call(asked(bucket, None)) == (STALE,)
        seen = asked(bucket, f"{id(lane)}-three", guards=(("con_1", 1),))
        assert isinstance(lane.call(seen)[0], Applied)
    suspend(scene)
    for lane in lanes:
        answers = one_batch(lane, [asked(bucket, None, guards=(("con_1", n),)) for n in range(3)])
        assert [type(answer[0]) for answer in answers] == [Refused, Refused, Applied]
    assert faults(scene.database) == []


def test_a_denied_consumer_is_recalled_what_they_had_and_nothing_else(lanes, scene):
    """What an edge sends that knows of the suspension already: it asks for the memory alone."""
    bucket = scene.bucket(10)
    payload = b"the request"
    use = Use(sources=(Source(bucket),), amount=1)
    first = lanes[0].call(request(use, caller="con_1", key="once", payload=payload))
    suspend(scene)
    once, never = (
        request(Recall(), caller="con_1", payload=payload, key=key) for key in ("once", "never")
    )
    for lane in lanes:
        assert lane.call(once) == first
        assert lane.call(never) == (Refused(code="key_unknown"),)
    assert len(drawn(scene.database, bucket)) == 1


def test_a_stale_answer_is_not_remembered_under_its_key(lanes, scene):
    bucket = scene.bucket(10)
    suspend(scene)
    assert lanes[0].call(asked(bucket, "once")) == (STALE,)
    [outcome] = lanes[1].call(asked(bucket, "once", guards=(("con_1", 1),)))
    assert isinstance(outcome, Applied)


def test_two_guards_stop_on_either(lanes, scene):
    bucket = scene.bucket(10)
    both = (("con_1", 0), ("grp_1", 0))
    assert isinstance(lanes[0].call(asked(bucket, "a", guards=both))[0], Applied)
    suspend(scene, "grp_1")
    assert lanes[0].call(asked(bucket, "b", guards=both)) == (STALE,)
