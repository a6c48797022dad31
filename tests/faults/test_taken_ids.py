"""Ids that two processes mint: rare by their layout, harmless by the database."""

import pytest

from farebox.ledger.model import Applied, Source, Use
from farebox.ledger.service import request
from tests.support.lanes import ask, one_batch
from tests.support.proof import drawn, faults

PROCESSES = 8


def test_processes_of_one_host_mint_no_id_twice(nursery):
    children = [nursery.start("mint_ids", count=20_000) for _ in range(PROCESSES)]
    for child in children:
        assert child.hear() == "ready"
    for child in children:
        child.say("go")
    minted = [child.hear() for child in children]
    assert [child.wait() for child in children] == [0] * PROCESSES
    assert all(own == sorted(set(own)) for own in minted)
    assert len({number for own in minted for number in own}) == PROCESSES * 20_000


@pytest.mark.parametrize("key", [None, "once"], ids=["without a key", "with a key"])
def test_an_operation_id_that_is_taken_harms_nobody_and_is_minted_anew(open_lane, scene, key):
    lane = open_lane()
    bucket, other = scene.bucket(100), scene.bucket(100)
    use = Use(sources=(Source(bucket),), amount=1)
    taken = ask(lane, use).operation
    companions = [request(Use(sources=(Source(other),), amount=1)) for _ in range(30)]
    unlucky = request(use, operations=(taken,), caller="shop", key=key)
    answers = one_batch(lane, [*companions[:15], unlucky, *companions[15:]])
    [outcome] = answers.pop(15)
    assert outcome.operation != taken
    assert [row.operation for row in drawn(scene.database, bucket)] == [taken, outcome.operation]
    assert all(isinstance(answer[0], Applied) for answer in answers)
    assert len(drawn(scene.database, other)) == 30
    assert faults(scene.database) == []
