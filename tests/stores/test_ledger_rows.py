"""What deciding cannot show by itself: what is written, what is remembered, what is read back."""

from collections.abc import Callable, Sequence
from typing import Any

from farebox.kernel.clock import ManualClock
from farebox.ledger import store
from farebox.ledger.accounts import BucketBook
from farebox.ledger.loading import Memory
from farebox.ledger.model import (
    Applied,
    Capture,
    Command,
    Denied,
    Grant,
    Hold,
    Move,
    Outcome,
    Pin,
    Release,
    Source,
    Use,
    Void,
)
from farebox.ledger.reading import as_of, bucket_view
from farebox.ledger.service import Ledger, request
from farebox.storage import Database
from tests.support.scene import HOUR, Scene

MINUTE = HOUR // 60


class Node:
    """A process that remembers its books from one batch to the next."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.ledger = Ledger()
        self.memory = Memory()

    def do(self, *commands: Command) -> Sequence[Outcome]:
        """Run each command as a request of one batch."""
        with self.database.write() as tx:
            asked = [request(command) for command in commands]
            answers, books = self.ledger.run(tx, asked, self.memory)
            epoch = tx.epoch_after
        self.memory.keep(books, epoch)
        return [answer[-1] for answer in answers]

    def kept(self, bucket: int) -> BucketBook:
        """Return what it remembers of a bucket."""
        return {**self.memory.before, **self.memory.buckets}[bucket]


def use(bucket: int, amount: int) -> Use:
    return Use(sources=(Source(bucket),), amount=amount)


def hold(bucket: int, amount: int, **terms: Any) -> Hold:
    return Hold(sources=(Source(bucket),), amount=amount, **terms)


def test_capturing_a_hold_of_nothing_ends_it(scene: Scene) -> None:
    bucket = scene.bucket()
    made = scene.do(hold(bucket, 5, at_most=True))
    assert isinstance(made, Applied)
    assert made.amount == 0

    scene.do(Capture(hold=made.operation))

    assert scene.rows("SELECT state FROM hold") == [{"state": 3}]
    again = scene.do(Release(hold=made.operation))
    assert getattr(again, "code", None) == "hold_released"


def test_top_up_by_another_process_is_seen_whatever_came_between(
    scene: Scene, open_database_at: Callable[[str], Database], database_url: str
) -> None:
    drawn, other = scene.bucket(5), scene.bucket(5)
    one, two = (Node(open_database_at(database_url)) for _ in range(2))
    assert isinstance(one.do(use(drawn, 5))[0], Applied)

    two.do(Grant(bucket=drawn, amount=3))
    one.do(use(other, 1))  # confirms this bucket, and says nothing of the drawn one

    assert isinstance(one.do(use(drawn, 3))[0], Applied)


def test_hold_ended_by_another_process_stays_ended(
    scene: Scene, open_database_at: Callable[[str], Database], database_url: str
) -> None:
    bucket = scene.bucket(5)
    one, two = (Node(open_database_at(database_url)) for _ in range(2))
    (made,) = one.do(hold(bucket, 5))
    assert isinstance(made, Applied)

    two.do(Release(hold=made.operation))
    one.do(use(bucket, 1))

    assert getattr(one.do(Capture(hold=made.operation))[0], "code", None) == "hold_released"
    assert scene.available(bucket) == 4


def test_short_hold_does_not_make_the_bucket_forget_the_long_one(scene: Scene) -> None:
    bucket = scene.bucket(10)
    scene.do(hold(bucket, 4, ttl_us=HOUR))
    node = Node(scene.database)

    # One batch: the short hold is due at once, while the long one was not loaded.
    node.do(hold(bucket, 4, ttl_us=1), use(bucket, 1), use(bucket, 1))
    scene.clock.move(HOUR + MINUTE)

    assert isinstance(node.do(use(bucket, 8))[0], Applied)


def test_schedule_with_an_old_anchor_does_not_change_the_past(
    scene: Scene, clock: ManualClock
) -> None:
    bucket = scene.bucket(5)
    before = clock.now_us()
    clock.move(HOUR)
    with scene.database.write() as tx:
        scene.ledger.add_schedule(tx, bucket, 7, unit="minute", anchor_at=before - HOUR)

    with scene.database.read() as tx:
        assert as_of(scene.ledger, tx, bucket, before) == 5
        assert as_of(scene.ledger, tx, bucket, clock.now_us() + 1) == 12


def test_cap_seen_alone_has_back_what_an_ended_hold_had(scene: Scene) -> None:
    bucket, cap = scene.bucket(100), scene.bucket(10)
    scene.do(Hold(sources=(Source(bucket, cap),), amount=8, ttl_us=MINUTE))
    held_until = scene.clock.now_us() + MINUTE
    scene.clock.move(HOUR)

    with scene.database.read() as tx:
        assert bucket_view(scene.ledger, tx, cap).available == 10
        assert as_of(scene.ledger, tx, cap, held_until - 1) == 2
    (grant,) = scene.rows("SELECT id FROM account WHERE kind = 2 AND bucket = :cap", cap=cap)
    voided = scene.do(Void(grant=grant["id"]))
    assert isinstance(voided, Applied)
    assert voided.amount == 10


def test_cap_seen_alone_knows_the_new_end_of_a_pinned_hold(scene: Scene) -> None:
    bucket, cap = scene.bucket(100), scene.bucket(10)
    made = scene.do(Hold(sources=(Source(bucket, cap),), amount=8))
    assert isinstance(made, Applied)
    scene.do(Pin(hold=made.operation, ttl_us=MINUTE))
    scene.clock.move(HOUR)
    with scene.database.read() as tx:
        assert bucket_view(scene.ledger, tx, cap).available == 10


def test_more_grants_than_are_loaded_are_drawn_in_burn_order(scene: Scene) -> None:
    bucket = scene.bucket()
    soon = scene.clock.now_us() + HOUR
    scene.run([request(Grant(bucket=bucket, amount=1, expires_at=soon + n)) for n in range(200)])
    node = Node(scene.database)

    # The grant without an end burns last, although it was made when only 64 others were loaded.
    node.do(Grant(bucket=bucket, amount=50))
    (used,) = node.do(use(bucket, 120))

    assert isinstance(used, Applied)
    assert {amount for _, _, amount in used.drawn} == {1}
    assert isinstance(node.do(use(bucket, 130))[0], Applied)
    assert isinstance(node.do(use(bucket, 1))[0], Denied)


def test_credit_limit_behind_many_grants_does_not_move(scene: Scene) -> None:
    bucket, other = scene.bucket(credit_limit=10), scene.bucket()
    scene.run([request(Grant(bucket=bucket, amount=1)) for _ in range(100)])

    assert isinstance(scene.do(Move(source=bucket, target=other, amount=101)), Denied)
    assert isinstance(scene.do(Move(source=bucket, target=other, amount=100)), Applied)


def test_hundred_thousand_grants_cost_a_use_no_more_than_a_few(scene: Scene) -> None:
    bucket = scene.bucket(1)
    (row,) = scene.rows("SELECT * FROM account WHERE kind = 2 AND bucket = :id", id=bucket)
    ends = scene.clock.now_us() + HOUR
    rows = [
        (*{**row, "id": row["id"] + 1 + n, "expires_at": ends + n}.values(),)
        for n in range(100_000)
    ]
    with scene.database.write() as tx:
        tx.insert_many(store.account, tuple(row), rows)
        values = {"credits_posted": 100_001, "grants": 100_001, "next_event_at": ends}
        tx.run(store.account.update().where(store.account.c.id == bucket).values(values))
    node = Node(scene.database)

    for count in range(1, 101):
        (used,) = node.do(use(bucket, 1))
        assert isinstance(used, Applied)
        assert used.available == 100_001 - count
        assert len(node.kept(bucket).by_id) <= 512
    assert isinstance(node.do(use(bucket, 3000))[0], Applied)
    assert len(node.kept(bucket).by_id) <= 4096
