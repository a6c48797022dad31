"""What is due on a bucket: holds that end, grants that start or end, periods that begin.

Nothing watches the clock. Whoever touches a bucket first settles what has fallen due since it was
touched last, in the order of the due instants, each recorded at its own instant (never earlier
than the bucket's last entry). So expiry is exact without a scheduler, and what the journal says of
an instant in the past does not depend on when somebody looked.

Worked example: 10 units expire at 12:00 and 4 of them are held until 12:05. A use at 12:10 first
writes breakage 6 at 12:00, release 4 at 12:05 and breakage 4 at 12:05; then it decides.
"""

from heapq import heapify, heappop, heappush
from typing import Any, Final

from farebox.kernel.periods import period_at, period_start
from farebox.ledger.accounts import (
    CLOSED,
    HOLD_OPEN,
    OPEN,
    WAITING,
    BucketBook,
    GrantBook,
    HoldBook,
    ScheduleBook,
)
from farebox.ledger.books import Books, NeedMore
from farebox.ledger.model import FOREVER, NO_EVENT, HoldState, Kind, Sink, sink_id

# At one instant holds end first (what they free may expire at once), then grants end, then
# grants start and periods begin.
_HOLD, _END, _START, _PERIOD = range(4)
KEPT_PERIODS: Final = 65


def settle(books: Books, bucket: BucketBook, until: int) -> None:
    """Do everything that is due on the bucket up to and including an instant."""
    if bucket.next_event_at > until:
        return
    if bucket.horizon < until or not bucket.foresees:
        raise NeedMore(bucket.id, horizon=until)
    _settle_capped(books, bucket, until)
    books.settling.add(bucket.id)
    books.touch(bucket)
    operation = books.mint()
    line = 0
    events = _events(bucket, until)
    while events:
        due, order, _, subject = heappop(events)
        at = max(due, bucket.last_at + 1)
        if order == _HOLD:
            if subject.cap is not None:
                cap = loaded(books, subject.cap)
                # What is due on the cap before the hold ends has happened before it.
                settle(books, cap, due)
                at = max(at, cap.last_at + 1)
            line = end_hold(books, bucket, subject, operation, line, at, expired=True)
        elif order == _END:
            if subject.state == OPEN and subject.room() > 0:
                line = _expire(books, bucket, subject, operation, line, at)
        elif order == _START:
            line = _start(books, bucket, subject, operation, line, at)
        else:
            made, line = _begin_period(books, bucket, subject, operation, line, at, until)
            if made is not None and made.expires_at <= until:
                heappush(events, (made.expires_at, _END, made.id, made))
            if subject.next_at <= until:
                heappush(events, (subject.next_at, _PERIOD, subject.id, subject))
    if bucket.prune:
        drop_closed(bucket)
    bucket.next_event_at = _wake(bucket, until)
    books.settling.discard(bucket.id)


def _settle_capped(books: Books, cap: BucketBook, until: int) -> None:
    """Settle the buckets whose due holds draw on this cap: it is they that end those holds."""
    mains = {
        hold.bucket
        for hold in cap.holds.values()
        if hold.state == HOLD_OPEN and hold.expires_at <= until
    }
    for main in sorted(mains - {cap.id} - books.settling):
        settle(books, loaded(books, main), until)


def loaded(books: Books, bucket_id: int) -> BucketBook:
    """Return a bucket that must be loaded by now, or ask for it."""
    bucket = books.buckets.get(bucket_id)
    if bucket is None:
        raise NeedMore(bucket_id)
    return bucket


def _events(bucket: BucketBook, until: int) -> list[tuple[int, int, int, Any]]:
    """Return a heap of what is due: the instant, the order at that instant, and the subject."""
    events: list[tuple[int, int, int, Any]] = [
        (hold.expires_at, _HOLD, hold.id, hold)
        for hold in bucket.holds.values()
        if hold.state == HOLD_OPEN and hold.expires_at <= until and hold.bucket == bucket.id
    ]
    for grant in bucket.by_id.values():
        if grant.state == OPEN and grant.expires_at <= until:
            events.append((grant.expires_at, _END, grant.id, grant))
        elif grant.state == WAITING and grant.starts_at <= until:
            events.append((grant.starts_at, _START, grant.id, grant))
            if grant.expires_at <= until:
                events.append((grant.expires_at, _END, grant.id, grant))
    events += [
        (schedule.next_at, _PERIOD, schedule.id, schedule)
        for schedule in bucket.schedules
        if schedule.next_at <= until
    ]
    heapify(events)
    return events


def _start(
    books: Books, bucket: BucketBook, grant: GrantBook, operation: int, line: int, at: int
) -> int:
    """Let a waiting grant begin."""
    grant.state = OPEN
    grant.changed = grant.state_changed = True
    begun = grant.room()
    bucket.waiting -= begun
    bucket.grants += 1
    bucket.add(grant)
    books.write(bucket, operation, line, Kind.START, grant.id, 0, begun, at)
    bucket.close_if_spent(grant)
    return line + 1


def drop_closed(bucket: BucketBook) -> None:
    """Take closed grants out of the burn order."""
    bucket.order = [grant for grant in bucket.order if grant.state == OPEN]
    bucket.prune = False


def _wake(bucket: BucketBook, until: int) -> int:
    """Return when the bucket must be settled next."""
    wake = bucket.later_at if bucket.later_at > until else NO_EVENT
    for hold in bucket.holds.values():
        if hold.state == HOLD_OPEN:
            wake = min(wake, hold.expires_at)
    for grant in bucket.by_id.values():
        if grant.state == OPEN and grant.expires_at > until:
            wake = min(wake, grant.expires_at)
        elif grant.state == WAITING:
            wake = min(wake, grant.starts_at)
    for schedule in bucket.schedules:
        wake = min(wake, schedule.next_at)
    return wake


def _expire(
    books: Books, bucket: BucketBook, grant: GrantBook, operation: int, line: int, at: int
) -> int:
    """Post what an ended grant has left to breakage; what is held stays with its hold."""
    rest = grant.room()
    if grant.floor < 0:
        # An expiring credit limit takes its unused credit along, not what was drawn on it.
        rest = max(grant.credited - grant.debited - grant.pending, 0)
    for schedule in bucket.schedules:
        if grant.schedule == schedule.id and grant.period == schedule.last_period:
            schedule.carry = rest
    return breakage(books, bucket, grant, rest, operation, line, at)


def breakage(
    books: Books,
    bucket: BucketBook,
    grant: GrantBook,
    rest: int,
    operation: int,
    line: int,
    at: int,
) -> int:
    """Write a grant's rest off."""
    grant.debited += rest
    grant.changed = True
    bucket.debited += rest
    bucket.close_if_spent(grant)
    sink = sink_id(bucket.asset, Sink.BREAKAGE)
    books.write(bucket, operation, line, Kind.BREAKAGE, grant.id, sink, rest, at)
    return line + 1


def _begin_period(
    books: Books,
    bucket: BucketBook,
    schedule: ScheduleBook,
    operation: int,
    line: int,
    at: int,
    until: int,
) -> tuple[GrantBook | None, int]:
    """Make the grant of the period that begins."""
    if _passed_over(schedule, until):
        return None, line
    period = period_at(
        schedule.unit, schedule.unit_count, schedule.anchor_at, schedule.zone, schedule.next_at
    )
    assert period is not None
    carry = min(schedule.carry, schedule.rollover)
    schedule.carry = 0
    schedule.last_period = period.index
    schedule.next_at = period.end_us if period.end_us < schedule.ends_at else FOREVER
    amount = schedule.amount + carry
    grant = GrantBook(
        books.mint(), 0, schedule.priority, schedule.class_, period.start_us,
        min(period.end_us, schedule.ends_at), schedule.id, period.index, OPEN, 0, 0, amount,
    )  # fmt: skip
    world = sink_id(bucket.asset, Sink.WORLD)
    return grant, add_grant(books, bucket, grant, operation, line, at, world)


def _passed_over(schedule: ScheduleBook, until: int) -> bool:
    """Pass over the periods of a long idle time, as far as there were any; tells if it did.

    Only the last `KEPT_PERIODS` before the present one are written into the journal, so that a
    touch stays bounded. Older ones could only pass their rest on: each adds the schedule's amount
    to what it got, of which the next one gets up to `rollover`.
    """
    terms = (schedule.unit, schedule.unit_count, schedule.anchor_at, schedule.zone)
    present = period_at(*terms, until)
    assert present is not None
    first = present.index - KEPT_PERIODS
    idle = first - schedule.last_period - 1
    if idle <= 0:
        return False
    carried = min(schedule.carry, schedule.rollover) + (idle - 1) * schedule.amount
    schedule.carry = schedule.amount + min(carried, schedule.rollover)
    schedule.last_period = first - 1
    start = period_start(*terms, first)
    schedule.next_at = start if start < schedule.ends_at else FOREVER
    return True


def add_grant(
    books: Books,
    bucket: BucketBook,
    grant: GrantBook,
    operation: int,
    line: int,
    at: int,
    source: int,
    *,
    kind: int = Kind.GRANT,
    meta: str | None = None,
) -> int:
    """Credit a new grant and its bucket."""
    bucket.credited += grant.credited
    if grant.state == WAITING:
        bucket.waiting += grant.credited
        bucket.wake_at(grant.starts_at)
    else:
        bucket.grants += 1
    bucket.wake_at(grant.expires_at)
    bucket.add(grant)
    books.new_grants.append((grant.id, bucket.id))
    books.write(bucket, operation, line, kind, source, grant.id, grant.credited, at, meta=meta)
    return line + 1


def end_hold(
    books: Books,
    bucket: BucketBook,
    hold: HoldBook,
    operation: int,
    line: int,
    at: int,
    *,
    expired: bool,
    capture: int = 0,
) -> int:
    """End a hold on bucket and cap: capture so much of it in burn order, release the rest."""
    if expired and hold.on_expiry == "capture":
        capture = hold.amount
    # Also a hold of nothing, which has no parts, must be written.
    books.touch(bucket)
    books.change_hold(hold)
    hold.captured = capture
    hold.state = HoldState.CAPTURED if capture else HoldState.RELEASED
    if expired and not capture:
        hold.state = HoldState.EXPIRED
    let_go = Kind.EXPIRE_HOLD if expired else Kind.RELEASE
    left: dict[int, int] = {}
    for owner, account, amount in hold.parts:
        book = bucket if owner == bucket.id else loaded(books, owner)
        books.touch(book)
        taken = min(left.setdefault(owner, capture), amount)
        left[owner] -= taken
        if account not in book.by_id:
            raise NeedMore(owner)
        line = _end_part(
            books, book, book.by_id[account], hold, operation, line, at, amount, taken, let_go
        )
        if book.prune and book is not bucket:
            drop_closed(book)
    return line


def _end_part(
    books: Books,
    bucket: BucketBook,
    grant: GrantBook,
    hold: HoldBook,
    operation: int,
    line: int,
    at: int,
    amount: int,
    taken: int,
    let_go: int,
) -> int:
    sink = hold.sink if bucket.id == hold.bucket else sink_id(bucket.asset, Sink.CAP)
    grant.changed = True
    for part, kind in ((taken, Kind.CAPTURE), (amount - taken, let_go)):
        if not part:
            continue
        grant.pending -= part
        bucket.pending -= part
        if kind == Kind.CAPTURE:
            grant.debited += part
            bucket.debited += part
        books.write(
            bucket, operation, line, kind, grant.id, sink, part, at,
            hold=hold.id, actor=hold.actor, product=hold.product,
        )  # fmt: skip
        line += 1
    if amount > taken and grant.expires_at <= at and grant.room() > 0:
        return breakage(books, bucket, grant, grant.room(), operation, line, at)
    if grant.state != CLOSED:
        bucket.close_if_spent(grant)
    return line
