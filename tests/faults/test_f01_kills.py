"""F1: processes on one bucket, killed at random points. Nothing lost, nothing doubled."""

import random
import threading

import pytest

from tests.support.proof import drawn, faults
from tests.support.threads import together

PROCESSES = 4
CLIENTS = 2
KILLS = 60
A_LIFE = 8  # units that a client may draw before the kill that its process waits for
UNITS = KILLS * CLIENTS * A_LIFE + 200
LONGEST_LIFE_S = 0.12


@pytest.mark.parametrize("seed", [20240601])
def test_sixty_kills_lose_no_acknowledged_use_and_double_none(
    nursery, database_url, scene, tmp_path, seed
):
    bucket = scene.bucket(UNITS)
    kills = []

    def live_and_die(process):
        chance = random.Random(seed * 100 + process)
        clients = [f"client-{process}-{n}" for n in range(CLIENTS)]
        terms = {"url": database_url, "bucket": bucket, "clients": clients, "folder": str(tmp_path)}
        for _ in range(KILLS // PROCESSES):
            child = nursery.start("draw_units", **terms, at_most=A_LIFE)
            # The instant of death is what is random; nobody waits for anything here.
            threading.Event().wait(chance.uniform(0, LONGEST_LIFE_S))
            child.kill()
            kills.append(child.status)
        child = nursery.start("draw_units", **terms, at_most=None)
        assert child.hear() == "done"
        child.say("go")
        assert child.wait() == 0

    together(live_and_die, range(PROCESSES))

    assert kills == [-9] * KILLS
    acknowledged = [
        int(line) for path in tmp_path.iterdir() for line in path.read_text().splitlines()
    ]
    journal = drawn(scene.database, bucket)
    assert len(journal) == UNITS
    assert {row.amount for row in journal} == {1}
    assert len(acknowledged) == len(set(acknowledged)) == UNITS
    assert set(acknowledged) == {row.operation for row in journal}
    assert scene.use(bucket, 1).code == "bucket_empty"
    assert faults(scene.database) == []
