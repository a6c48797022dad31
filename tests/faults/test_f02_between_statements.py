"""F2: death, or a fault, between every two statements of a batch. Zero or one time, and a repeat
tells which."""

import msgspec
import pytest

from farebox.kernel.clock import SystemClock
from farebox.ledger.model import Hold, Source
from farebox.ledger.service import digest_of
from tests.support.proof import faults, rows
from tests.support.roles import batch_at


@pytest.fixture
def clock():
    """Return the time that the other processes have."""
    return SystemClock()


WELL = [["applied"], ["applied"], ["applied"], ["applied"], ["applied", "applied"], ["denied"]]


class Stage:
    """Buckets and a hold for one batch, and what became of it."""

    def __init__(self, scene, name):
        self.scene = scene
        self.name = name
        self.buckets = [scene.bucket(20), scene.bucket(10)]
        hold = Hold(sources=(Source(self.buckets[0]),), amount=4, ttl_us=3_600_000_000)
        self.hold = scene.do(hold).hold

    def terms(self, url):
        return {"url": url, "buckets": self.buckets, "hold": self.hold, "name": self.name}

    def remembered(self):
        """Return the operations that the batch's keys remember."""
        known = {row.digest: row.operation for row in rows(
            self.scene.database, "SELECT digest, operation FROM operation")}  # fmt: skip
        digests = [digest_of(self.name, f"command-{place}") for place in range(len(WELL))]
        return [known[digest] for digest in digests if digest in known]

    def repeat(self):
        """Send the batch again; return what its commands are answered, by their kind."""
        outcomes = self.scene.run(batch_at(self.buckets, self.hold, self.name))
        return [[msgspec.to_builtins(outcome)[0] for outcome in each] for each in outcomes]

    def counters(self):
        """Return (credited, debited, held) of both buckets."""
        found = rows(
            self.scene.database,
            "SELECT credits_posted, debits_posted, debits_pending FROM account "
            "WHERE id IN (:first, :second) ORDER BY id",
            first=self.buckets[0],
            second=self.buckets[1],
        )
        return [tuple(row) for row in found]


NOT_APPLIED = [(20, 0, 4), (10, 0, 0)]
APPLIED = [(25, 4, 3), (10, 1, 0)]


def places_of(nursery, database_url, scene):
    """Return at how many places something can happen to the batch when nothing does."""
    stage = Stage(scene, "unharmed")
    child = nursery.start("strike_in_batch", **stage.terms(database_url), strike="none", at=0)
    told = child.hear()
    assert child.wait() == 0, told
    assert told["answers"] == WELL
    assert stage.counters() == APPLIED
    return told["places"]


def test_a_batch_cut_off_anywhere_is_applied_wholly_or_not_at_all_and_a_repeat_tells(
    nursery, database_url, database, scene
):
    places = places_of(nursery, database_url, scene)
    assert places > 10
    applied = []
    for place in range(1, places + 1):
        stage = Stage(scene, f"dying-{place}")
        terms = stage.terms(database_url)
        child = nursery.start("strike_in_batch", **terms, strike="die", at=place)
        assert child.wait() == 9
        before = stage.remembered()
        assert stage.counters() == (APPLIED if before else NOT_APPLIED)
        assert stage.repeat() == WELL
        assert stage.counters() == APPLIED
        assert len(stage.remembered()) == len(WELL)
        if before:
            assert stage.remembered() == before
            applied.append(place)
    # Everything becomes true in one instant, the commit; the last place is right behind it.
    assert applied == [places]
    assert faults(database) == []


@pytest.mark.parametrize("times", [1, 2], ids=["once", "twice in a row"])
def test_a_disk_or_line_that_fails_at_any_statement_is_outlived_by_the_process(
    nursery, database_url, database, scene, times
):
    for place in range(1, places_of(nursery, database_url, scene) + 1):
        stage = Stage(scene, f"failing-{place}")
        terms = stage.terms(database_url)
        child = nursery.start("strike_in_batch", **terms, strike="fail", at=place, times=times)
        told = child.hear()
        assert child.wait() == 0, (place, told)
        # Who failed twice was told to try again; nobody was told anything that is not true.
        for answer, well in zip(told["answers"], WELL, strict=True):
            assert answer == well or (times == 2 and answer == ["try_again"]), place
        assert stage.repeat() == WELL
        assert stage.counters() == APPLIED
    assert faults(database) == []
