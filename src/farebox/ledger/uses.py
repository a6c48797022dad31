"""Drawing on buckets: use, use at most, and looking at what a use would meet."""

from collections.abc import Iterable
from typing import NamedTuple, NoReturn

from farebox.kernel.amounts import MAX_AMOUNT
from farebox.ledger.accounts import BucketBook, burn_order
from farebox.ledger.books import Books, NeedMore
from farebox.ledger.due import drop_closed, settle
from farebox.ledger.model import (
    Applied,
    Denied,
    Kind,
    Look,
    Outcome,
    Refused,
    Sink,
    Source,
    Use,
    sink_id,
)

UNKNOWN = Refused(code="bucket_unknown")
ASSETS = Refused(code="asset_differs", detail="an amount is of one asset")
FAULT = 2


def opened(books: Books, bucket_id: int, now: int) -> BucketBook | None:
    """Return a bucket with everything due settled, or None if there is no such bucket."""
    bucket = books.buckets.get(bucket_id)
    if bucket is not None:
        # Settling may move the bucket's last instant on, and more may be due until the next one.
        while bucket.next_event_at <= (at := now if now > bucket.last_at else bucket.last_at + 1):
            settle(books, bucket, at)
    return bucket


def opened_together(books: Books, bucket_ids: Iterable[int], now: int) -> int | None:
    """Settle several buckets and return the instant at which they may change together.

    It lies after each one's last entry, and nothing is due on any of them until then; otherwise
    a grant could be drawn after its end because another bucket is ahead. None: one is unknown.
    """
    found = []
    for bucket_id in bucket_ids:
        bucket = books.buckets.get(bucket_id)
        if bucket is None:
            return None
        found.append(bucket)
    while True:
        at = now
        for bucket in found:
            if bucket.last_at >= at:
                at = bucket.last_at + 1
        due = [bucket for bucket in found if bucket.next_event_at <= at]
        if not due:
            return at
        for bucket in due:
            settle(books, bucket, at)


def stopped(bucket: BucketBook) -> Outcome | None:
    """Return why a bucket takes no new movement, if it does not."""
    if not bucket.frozen:
        return None
    if bucket.frozen == FAULT:
        return Refused(code="bucket_fault")
    return Denied(code="bucket_frozen", available=0, bucket=bucket.id)


def use(books: Books, command: Use, operation: int, now: int) -> Outcome:
    """Draw an amount; see `model.Use`."""
    sources = command.sources
    if len(sources) != 1 or sources[0].cap is not None or sources[0].spare:
        return _use_many(books, command, operation, now)
    # The usual case, one bucket without a cap, kept straight: it is the hot path.
    bucket = opened(books, sources[0].bucket, now)
    if bucket is None:
        return UNKNOWN
    if bucket.frozen:
        return stopped(bucket) or UNKNOWN
    room = bucket.credited - bucket.debited - bucket.pending - bucket.floor - bucket.waiting
    amount = command.amount
    if amount > room:
        if not command.at_most:
            return Denied(code="bucket_empty", available=max(room, 0), bucket=bucket.id)
        amount = max(room, 0)
    at = now if now > bucket.last_at else bucket.last_at + 1
    drawn = draw(books, bucket, amount, command, operation, 0, at) if amount else ()
    return Applied(
        operation=operation,
        at=at,
        bucket=bucket.id,
        amount=amount,
        available=room - amount,
        final=amount < command.amount,
        drawn=drawn,
    )


def draw(
    books: Books,
    bucket: BucketBook,
    amount: int,
    command: Use,
    operation: int,
    line: int,
    at: int,
    *,
    capping: bool = False,
) -> tuple[tuple[int, int, int], ...]:
    """Take an amount that is known to be there from the grants in burn order."""
    books.touch(bucket)
    sink = bucket.asset * 16 + 6 if capping else command.sink or bucket.asset * 16 + 2
    left = amount
    drawn = []
    edge = bucket.edge
    for grant in bucket.order:
        room = grant.credited - grant.debited - grant.pending - grant.floor
        if room <= 0:
            continue
        if edge is not None and burn_order(grant) > edge:
            break
        taken = min(left, room)
        grant.debited += taken
        grant.changed = True
        bucket.debited += taken
        books.write(
            bucket, operation, line, 2, grant.id, sink, taken, at,
            actor=command.actor, product=command.product, meta=command.meta,
        )  # fmt: skip
        drawn.append((bucket.id, grant.id, taken))
        line += 1
        left -= taken
        if taken == room:
            bucket.close_if_spent(grant)
        if not left:
            break
    if bucket.prune:
        drop_closed(bucket)
    if left:
        short(bucket)
    return tuple(drawn)


def short(bucket: BucketBook) -> NoReturn:
    """Load more where the bucket promised more than its loaded grants hold."""
    if bucket.edge is not None:
        raise NeedMore(bucket.id)
    raise AssertionError(f"bucket {bucket.id:x} has more than its grants")


class Offer(NamedTuple):
    """What sources give at an instant, and the first reason why one gives less than it has.

    `available` is the sum of what they give without the spare ones, which give but do not count.
    """

    at: int
    rooms: list[int]
    available: int
    reason: Denied | None


def offer(
    books: Books, sources: tuple[Source, ...], now: int, *, together: bool
) -> Offer | Refused | Denied:
    """Return what each source gives: each by itself, or all together.

    Together, a bucket or a cap that is named twice does not count twice.
    """
    plain = _plain_offer(books, sources, now)
    return plain or _any_offer(books, sources, now, together=together)


def _any_offer(
    books: Books, sources: tuple[Source, ...], now: int, *, together: bool
) -> Offer | Refused | Denied:
    places = [key for source in sources for key in (source.bucket, source.cap) if key is not None]
    if not places:
        return Denied(code="no_bucket", available=0)
    at = opened_together(books, places, now)
    if at is None:
        return UNKNOWN
    found = [books.buckets[key] for key in places]
    frozen = [bucket for bucket in found if bucket.frozen]
    if any(bucket.frozen == FAULT for bucket in frozen):
        return Refused(code="bucket_fault")
    if len({bucket.asset for bucket in found}) > 1:
        return ASSETS
    if frozen and all(is_frozen(books, source) for source in sources):
        return _frozen(sources[0])
    spoken: dict[int, int] | None = {} if together and len({*places}) < len(places) else None
    first: Denied | None = None
    rooms = []
    available = 0
    for source in sources:
        room, reason = _room(books, source, spoken)
        if first is None:
            first = reason
        rooms.append(room)
        if not source.spare:
            available += room
        if spoken is not None:
            for key in {source.bucket, source.cap}:
                if key is not None:
                    spoken[key] = spoken.get(key, 0) + room
    return Offer(at, rooms, available, first)


def _plain_offer(books: Books, sources: tuple[Source, ...], now: int) -> Offer | None:
    """Return what sources give in the usual case, kept straight: it is the hot path.

    That is: buckets without caps, open, each named once, and nothing is due on any of them.
    """
    at = now
    found: list[BucketBook] = []
    for source in sources:
        bucket = books.buckets.get(source.bucket)
        if bucket is None or bucket.frozen or source.cap is not None or bucket in found:
            return None
        if bucket.last_at >= at:
            at = bucket.last_at + 1
        found.append(bucket)
    available = 0
    rooms = []
    for place, bucket in enumerate(found):
        if bucket.next_event_at <= at or bucket.asset != found[0].asset:
            return None
        room = bucket.credited - bucket.debited - bucket.pending - bucket.floor - bucket.waiting
        room = max(room, 0)
        rooms.append(room)
        if not sources[place].spare:
            available += room
    return Offer(at, rooms, available, None) if found else None


def is_frozen(books: Books, source: Source) -> bool:
    """Tell whether a source takes no new movement."""
    keys = (source.bucket, source.cap)
    return any(key is not None and books.buckets[key].frozen for key in keys)


def _frozen(source: Source) -> Denied:
    return Denied(code="bucket_frozen", available=0, bucket=source.bucket)


def _room(books: Books, source: Source, spoken: dict[int, int] | None) -> tuple[int, Denied | None]:
    """Return what a source gives beside what is spoken for, and why that is less than it has."""
    bucket = books.buckets[source.bucket]
    if is_frozen(books, source):
        return 0, _frozen(source)
    room = bucket.room()
    if spoken:
        room -= spoken.get(bucket.id, 0)
    room = max(room, 0)
    if source.cap is None:
        return room, None
    allowed = books.buckets[source.cap].room()
    if spoken:
        allowed -= spoken.get(source.cap, 0)
    allowed = max(allowed, 0)
    if allowed < room:
        return allowed, Denied(code="member_cap_reached", available=0, bucket=bucket.id)
    return room, None


def denial(reason: Denied | None, available: int, bucket: int | None) -> Denied:
    """Say why there is too little: a source's own reason, or simply that it is empty."""
    code = "bucket_empty" if reason is None else reason.code
    return Denied(code=code, available=available, bucket=bucket)


def _use_many(books: Books, command: Use, operation: int, now: int) -> Outcome:
    offered = offer(books, command.sources, now, together=True)
    if not isinstance(offered, Offer):
        return offered
    at, rooms, available, reason = offered
    amount = command.amount
    if amount > (total := sum(rooms)):
        if not command.at_most:
            return denial(reason, available, command.sources[0].bucket)
        amount = total
    drawn: tuple[tuple[int, int, int], ...] = ()
    line = 0
    left = amount
    for source, room in zip(command.sources, rooms, strict=True):
        if not left:
            break
        part = min(room, left)
        if not part:
            continue
        left -= part
        if not source.spare:
            available -= part
        taken = draw(books, books.buckets[source.bucket], part, command, operation, line, at)
        drawn += taken
        line += len(taken)
        if source.cap is not None:
            cap = books.buckets[source.cap]
            line += len(draw(books, cap, part, command, operation, line, at, capping=True))
    return Applied(
        operation=operation,
        at=at,
        bucket=drawn[0][0] if drawn else command.sources[0].bucket,
        amount=amount,
        available=available,
        final=amount < command.amount,
        drawn=drawn,
    )


def look(books: Books, command: Look, operation: int, now: int) -> Outcome:
    """Say what a use would meet."""
    offered = offer(books, command.sources, now, together=True)
    if not isinstance(offered, Offer):
        return offered
    available = min(offered.available, MAX_AMOUNT)
    bucket = command.sources[0].bucket
    if sum(offered.rooms) < command.amount:
        return denial(offered.reason, available, bucket)
    return Applied(operation=operation, at=now, bucket=bucket, amount=0, available=available)


def usage_sink(bucket: BucketBook) -> int:
    """Return where uses of a bucket's asset go by default."""
    return sink_id(bucket.asset, Sink.USAGE)


# Written as numbers in `draw`, where an attribute look-up is felt.
assert (Kind.USE, Sink.USAGE, Sink.CAP) == (2, 2, 6)
