"""F5: a thousand at once for the last unit: one gets it."""

import threading
from collections import Counter

from farebox.ledger.model import Source, Use
from farebox.ledger.service import request
from tests.support.proof import drawn, faults
from tests.support.roles import kind_of
from tests.support.threads import together

CROWD = 1000
ONE_WINNER = {"applied": 1, "denied": CROWD - 1}


def test_of_a_thousand_threads_on_two_lanes_one_gets_the_last_unit(open_lane, scene):
    bucket = scene.bucket(1)
    lanes = [open_lane(), open_lane()]
    start = threading.Barrier(CROWD)

    def ask(place):
        use = request(Use(sources=(Source(bucket),), amount=1))
        start.wait()
        [outcome] = lanes[place % 2].call(use)
        return kind_of(outcome)

    assert Counter(together(ask, range(CROWD))) == ONE_WINNER
    assert sum(lane.runner.requests for lane in lanes) == CROWD
    # How many wait together is the machine's matter; that those who do are decided together, ours.
    assert sum(lane.runner.batches for lane in lanes) < CROWD
    assert len(drawn(scene.database, bucket)) == 1
    assert faults(scene.database) == []


def test_of_a_thousand_threads_in_two_processes_one_gets_the_last_unit(
    nursery, database_url, scene
):
    bucket = scene.bucket(1)
    terms = {"url": database_url, "bucket": bucket, "threads": CROWD // 2}
    children = [nursery.start("rush", **terms, name=name) for name in ("one", "two")]
    for child in children:
        assert child.hear() == "ready"
    for child in children:
        child.say("go")
    assert Counter([kind for child in children for kind in child.hear()]) == ONE_WINNER
    assert [child.wait() for child in children] == [0, 0]
    assert len(drawn(scene.database, bucket)) == 1
    assert faults(scene.database) == []
