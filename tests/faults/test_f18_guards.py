"""F18: every guard is taken away in turn, and some scenario sees it.

`SCENARIOS` are small stories that hold as long as the guards stand. `REMOVED` says which story
breaks without which guard; and where two guards stand behind each other, that one is enough, and
that without both it breaks.
"""

import threading
import time

import pytest
import sqlalchemy as sa

from farebox.kernel.clock import ManualClock, SystemClock
from farebox.kernel.refusals import ClockJumped, Refusal, TryAgain
from farebox.ledger.batch import Lane
from farebox.ledger.model import Capture, Denied, Freeze, Grant, Hold, Refused, Release, Source, Use
from farebox.ledger.service import Ledger, request
from tests.support import guards
from tests.support.guards import Crossing, Site
from tests.support.lanes import one_batch
from tests.support.proof import drawn, faults, rows
from tests.support.scene import HOUR, Scene
from tests.support.services import PATIENCE_S
from tests.support.threads import together


class Stage:
    """A database to play on, opened after the guards are gone."""

    def __init__(self, open_database_at, url, patch, patience_s):
        self.patch = patch
        self.patience_s = patience_s
        self.clock = ManualClock()
        self._open_at = lambda: open_database_at(url, self.clock)
        self.database = self._open_at()
        self.scene = Scene(self.database, Ledger(), self.clock)
        self.lanes = []

    def lane(self, database=None):
        self.lanes.append(Lane(database or self._open_at(), Ledger()))
        return self.lanes[-1]

    def close(self):
        for lane in self.lanes:
            lane.close()

    def ask(self, lane, *commands, **options):
        """Ask a lane; a refusal that is raised is returned."""
        try:
            return lane.call(request(*commands, **options))[-1]
        except Refusal as refusal:
            return refusal

    def crossed(self, *asked):
        """Run requests in transactions of their own that all decide before one writes."""
        with pytest.MonkeyPatch.context() as patch:
            Crossing(patch, self.patience_s)
            databases = [self._open_at() for _ in asked]
            connected = threading.Barrier(len(asked))

            def transact(place):
                with databases[place].write() as tx:  # the connection is made before the race
                    tx.run(sa.text("SELECT 1"))
                # How long that takes is the host's, and no part of how long one waits for another.
                connected.wait(PATIENCE_S)
                work = [asked[place]]
                try:
                    answers = databases[place].run(lambda tx: self.scene.ledger.apply(tx, work))
                except TryAgain as refusal:
                    return refusal
                return answers[0][-1]

            return together(transact, range(len(asked)))

    def spent(self, *buckets):
        return sum(row.amount for bucket in buckets for row in drawn(self.database, bucket))

    def frozen(self):
        return [row.id for row in rows(self.database, "SELECT id FROM account WHERE frozen = 2")]


def use(bucket, amount=1):
    return Use(sources=(Source(bucket),), amount=amount)


# -- scenarios -------------------------------------------------------------------------------------


def denied_when_empty(stage):
    bucket, lane = stage.scene.bucket(3), stage.lane()
    assert stage.ask(lane, use(bucket, 5)) == Denied(
        code="bucket_empty", available=3, bucket=bucket
    )
    assert stage.ask(lane, use(bucket, 3)).available == 0
    assert isinstance(stage.ask(lane, use(bucket)), Denied)
    assert faults(stage.database) == []


def never_oversold(stage):
    bucket, lane = stage.scene.bucket(3), stage.lane()
    for amount in (2, 5, 2):
        stage.ask(lane, use(bucket, amount))
    assert stage.spent(bucket) <= 3
    assert faults(stage.database) == []


def faulty_bucket_waits(stage):
    bucket, lane = stage.scene.bucket(3), stage.lane()
    with pytest.MonkeyPatch.context() as patch:
        guards.condition(Site(patch))
        stage.ask(lane, use(bucket, 5))
    assert stage.frozen() == [bucket]
    assert stage.ask(lane, use(bucket)) == Refused(code="bucket_fault")


def nothing_after_its_end(stage):
    clock, lane = stage.clock, stage.lane()
    bucket = stage.scene.bucket(Grant(bucket=0, amount=5, expires_at=clock.now_us() + HOUR), 5)
    held = stage.ask(lane, Hold(sources=(Source(bucket),), amount=2, ttl_us=HOUR // 2))
    clock.move(HOUR)
    assert stage.ask(lane, use(bucket, 6)) == Denied(
        code="bucket_empty", available=5, bucket=bucket
    )
    assert stage.ask(lane, Capture(hold=held.hold)) == Refused(code="hold_expired")


def hold_ends_once(stage):
    bucket, lane = stage.scene.bucket(5), stage.lane()
    held = stage.ask(lane, Hold(sources=(Source(bucket),), amount=2, ttl_us=HOUR))
    assert stage.ask(lane, Capture(hold=held.hold)).amount == 2
    assert stage.ask(lane, Capture(hold=held.hold)) == Refused(code="hold_captured")
    assert stage.ask(lane, Release(hold=held.hold)) == Refused(code="hold_captured")
    assert stage.ask(lane, use(bucket, 3)).available == 0


def hold_is_paid_once(stage):
    bucket, lane = stage.scene.bucket(5), stage.lane()
    held = stage.ask(lane, Hold(sources=(Source(bucket),), amount=2, ttl_us=HOUR))
    for _ in range(2):
        stage.ask(lane, Capture(hold=held.hold))
    stage.ask(lane, Release(hold=held.hold))
    assert stage.scene.available(bucket) == 3
    assert faults(stage.database) == []


def one_of_two_at_once(stage):
    bucket = stage.scene.bucket(1)
    stage.crossed(request(use(bucket)), request(use(bucket)))
    assert stage.spent(bucket) == 1
    assert faults(stage.database) == []


def one_after_the_other(stage):
    bucket, lanes = stage.scene.bucket(10), [stage.lane(), stage.lane()]
    for place in (0, 1, 0, 1, 0):
        stage.ask(lanes[place], use(bucket, 4))
    assert stage.spent(bucket) == 8
    assert faults(stage.database) == []


def repeat_is_answered(stage):
    bucket, lane = stage.scene.bucket(5), stage.lane()
    first = stage.ask(lane, use(bucket), caller="shop", key="once")
    assert stage.ask(lane, use(bucket), caller="shop", key="once") == first


def repeat_is_not_done_again(stage):
    bucket, lane = stage.scene.bucket(5), stage.lane()
    for _ in range(2):
        stage.ask(lane, use(bucket), caller="shop", key="once")
    assert stage.spent(bucket) == 1


def crossed_keys_are_one(stage):
    buckets = [stage.scene.bucket(5), stage.scene.bucket(5)]
    first, second = stage.crossed(
        *(request(use(bucket), caller="shop", key="once", payload=b"same") for bucket in buckets)
    )
    assert stage.spent(*buckets) == 1
    assert first == second


def changed_payload_is_refused(stage):
    bucket, lane = stage.scene.bucket(5), stage.lane()
    stage.ask(lane, use(bucket), caller="shop", key="once")
    changed = stage.ask(lane, use(bucket, 2), caller="shop", key="once")
    assert changed == Refused(code="idempotency_key_reused")


def suspended_is_denied(stage):
    bucket, lane = stage.scene.bucket(5), stage.lane()
    seen = (("con_1", 0),)
    assert stage.ask(lane, use(bucket), guards=seen).available == 4
    stage.database.run(lambda tx: stage.scene.ledger.advance_revision(tx, "con_1"))
    outcome = stage.ask(lane, use(bucket), guards=seen)
    assert isinstance(outcome, Refused)
    assert outcome.code == "stale"


def group_is_whole(stage):
    first, second, lane = stage.scene.bucket(5), stage.scene.bucket(1), stage.lane()
    stage.ask(lane, use(first, 3), use(second, 2))
    assert stage.spent(first, second) == 0
    assert stage.ask(lane, use(first, 5)).available == 0


def frozen_is_stopped(stage):
    bucket, lane = stage.scene.bucket(5), stage.lane()
    stage.ask(lane, Freeze(bucket=bucket))
    assert stage.ask(lane, use(bucket)) == Denied(code="bucket_frozen", available=0, bucket=bucket)


def poison_is_alone(stage):
    bucket, lane = stage.scene.bucket(5), stage.lane()
    poison = Use(sources=(Source(bucket),), amount=1, meta="\ud800")
    answers = one_batch(lane, [request(use(bucket)), request(poison), request(use(bucket))])
    assert isinstance(answers[1], Refusal)
    assert stage.spent(bucket) == 2


def failed_commit_is_forgotten(stage):
    bucket, database = stage.scene.bucket(10), stage._open_at()
    lane = stage.lane(database)
    assert stage.ask(lane, use(bucket)).available == 9
    with pytest.MonkeyPatch.context() as patch:
        guards.breaking_commit(patch, database)
        with pytest.raises(RuntimeError):
            stage.ask(lane, use(bucket, 5))
    # This brings the stored version to what the books of the failed batch would have had.
    assert stage.scene.use(bucket, 2).available == 7
    assert stage.ask(lane, use(bucket)).available == 6
    assert faults(stage.database) == []


def journal_stays(stage):
    bucket = stage.scene.bucket(5)
    stage.scene.use(bucket, 1)
    try:
        with stage.database.write() as tx:
            tx.run(sa.text("UPDATE transfer SET amount = 4 WHERE kind = 2"))
    except sa.exc.DBAPIError:
        pass
    assert stage.spent(bucket) == 1


def set_clock_stops_decisions(stage):
    watched = SystemClock()
    real = time.time_ns
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "time_ns", lambda: real() + HOUR * 1000)
        try:
            watched.now_us()
        except ClockJumped:
            return
    raise AssertionError("nobody saw that the clock was set")


SCENARIOS = [
    denied_when_empty, never_oversold, faulty_bucket_waits, nothing_after_its_end, hold_ends_once,
    hold_is_paid_once, one_of_two_at_once, one_after_the_other, repeat_is_answered,
    repeat_is_not_done_again, crossed_keys_are_one, changed_payload_is_refused,
    suspended_is_denied, group_is_whole, frozen_is_stopped, poison_is_alone,
    failed_commit_is_forgotten, journal_stays, set_clock_stops_decisions,
]  # fmt: skip

BOTH = ("sqlite", "postgresql")
# The guards that are gone, the story, and the engines on which it breaks then.
REMOVED = [
    ([guards.condition], denied_when_empty, BOTH),
    ([guards.condition], never_oversold, ()),
    ([guards.balance_check], never_oversold, ()),
    ([guards.condition, guards.balance_check], never_oversold, BOTH),
    ([guards.faults_declared], faulty_bucket_waits, BOTH),
    ([guards.settling], nothing_after_its_end, BOTH),
    ([guards.hold_state], hold_ends_once, BOTH),
    ([guards.hold_state], hold_is_paid_once, ()),
    ([guards.hold_state, guards.balance_check], hold_is_paid_once, BOTH),
    ([guards.row_lock], one_of_two_at_once, ()),
    ([guards.version], one_of_two_at_once, ()),
    # SQLite lets nobody write over what they did not see, whatever we forget.
    ([guards.row_lock, guards.version], one_of_two_at_once, ("postgresql",)),
    ([guards.memory_compare], one_after_the_other, ()),
    ([guards.version], one_after_the_other, ()),
    ([guards.memory_compare, guards.version], one_after_the_other, BOTH),
    ([guards.memory_forgetting], failed_commit_is_forgotten, BOTH),
    ([guards.key_recall], repeat_is_answered, BOTH),
    ([guards.key_recall], repeat_is_not_done_again, ()),
    ([guards.key_conflict], repeat_is_answered, ()),
    ([guards.key_recall, guards.key_conflict], repeat_is_not_done_again, BOTH),
    # On SQLite the second transaction begins when the first has ended, and looks its key up.
    ([guards.key_conflict], crossed_keys_are_one, ("postgresql",)),
    ([guards.fingerprint], changed_payload_is_refused, BOTH),
    ([guards.guards], suspended_is_denied, BOTH),
    ([guards.revisions_forgetting], suspended_is_denied, BOTH),
    ([guards.group_undo], group_is_whole, BOTH),
    ([guards.stopping], frozen_is_stopped, BOTH),
    ([guards.running_alone], poison_is_alone, BOTH),
    ([guards.append_only], journal_stays, BOTH),
    ([guards.clock_watch], set_clock_stops_decisions, BOTH),
]


@pytest.fixture
def play(engine, database_url, open_database_at, monkeypatch):
    """Return a function that takes guards away and plays a scenario."""

    def play(gone, scenario, patience_s=0.5):
        for guard in gone:
            guard(Site(monkeypatch, engine, database_url))
        stage = Stage(open_database_at, database_url, monkeypatch, patience_s)
        try:
            scenario(stage)
        finally:
            stage.close()

    return play


def names(values):
    return "+".join(guard.__name__ for guard in values)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_every_scenario_holds_while_all_guards_stand(play, scenario):
    play([], scenario)


@pytest.mark.parametrize(
    ("gone", "scenario", "breaks_on"),
    [pytest.param(*row, id=f"{names(row[0])}-{row[1].__name__}") for row in REMOVED],
)
def test_a_guard_that_is_gone_is_missed(play, engine, gone, scenario, breaks_on):
    if engine.name in breaks_on:
        with pytest.raises((AssertionError, pytest.fail.Exception)):
            # Nobody waits for a lock that is gone: the two always meet, however late; and should
            # they not, then that is seen before `together` gives up, which would look like a break.
            play(gone, scenario, patience_s=PATIENCE_S / 2)
    else:
        # Another guard stands behind it.
        play(gone, scenario)


def test_every_guard_is_missed_by_some_scenario():
    known = {
        guard for name, guard in vars(guards).items()
        if name[0] != "_" and getattr(guard, "__annotations__", {}).get("site") is Site
    }  # fmt: skip
    missed = {guard for gone, _, breaks_on in REMOVED if breaks_on for guard in gone}
    assert known == missed
    assert {scenario for _, scenario, breaks_on in REMOVED if breaks_on} == set(SCENARIOS)
