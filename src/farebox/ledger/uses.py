"""Drawing on buckets: use, use at most, and looking at what a use would meet."""

from farebox.kernel.amounts import MAX_AMOUNT
from farebox.ledger.accounts import BucketBook
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
FAULT = 2


def opened(books: Books, bucket_id: int, now: int) -> BucketBook | None:
    """Return a bucket with everything due settled, or None if there is no such bucket."""
    bucket = books.buckets.get(bucket_id)
    if bucket is not None and bucket.next_event_at <= (
        at := now if now > bucket.last_at else bucket.last_at + 1
    ):
        settle(books, bucket, at)
    return bucket


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
    if len(sources) != 1 or sources[0].cap is not None:
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
    for grant in bucket.order:
        room = grant.credited - grant.debited - grant.pending - grant.floor
        if room <= 0:
            continue
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
        _short(bucket)
    return tuple(drawn)


def _short(bucket: BucketBook) -> None:
    """Load more where the bucket promised more than its loaded grants hold."""
    if not bucket.complete:
        raise NeedMore(bucket.id)
    raise AssertionError(f"bucket {bucket.id:x} has more than its grants")


def _room(books: Books, source: Source, now: int) -> tuple[int, Outcome | None]:
    """Return what a source gives now, and why it gives nothing where it is stopped or unknown."""
    bucket = opened(books, source.bucket, now)
    if bucket is None:
        return 0, UNKNOWN
    if bucket.frozen:
        return 0, stopped(bucket)
    room = max(bucket.room(), 0)
    if source.cap is not None:
        cap = opened(books, source.cap, now)
        if cap is None:
            return 0, UNKNOWN
        if cap.frozen:
            return 0, stopped(cap)
        if cap.room() < room:
            return max(cap.room(), 0), Denied(
                code="member_cap_reached", available=0, bucket=bucket.id
            )
    return room, None


def rooms(books: Books, sources: tuple[Source, ...], now: int) -> tuple[list[int], Outcome | None]:
    """Return what each source gives, and the first reason why one gives less."""
    found = [_room(books, source, now) for source in sources]
    reasons = [reason for _, reason in found if reason is not None]
    for reason in reasons:
        if isinstance(reason, Refused):
            return [], reason
    return [room for room, _ in found], reasons[0] if reasons else None


def denial(reason: Outcome | None, available: int, bucket: int | None) -> Denied:
    """Say why there is too little: a source's own reason, or simply that it is empty."""
    code = reason.code if isinstance(reason, Denied) else "bucket_empty"
    return Denied(code=code, available=available, bucket=bucket)


def _use_many(books: Books, command: Use, operation: int, now: int) -> Outcome:
    found, reason = rooms(books, command.sources, now)
    if isinstance(reason, Refused):
        return reason
    if not command.sources:
        return Denied(code="no_bucket", available=0)
    total = sum(found)
    amount = command.amount
    if amount > total:
        if not command.at_most:
            return denial(reason, total, command.sources[0].bucket)
        amount = total
    at = now
    for source in command.sources:
        for book in (source.bucket, source.cap):
            if book is not None:
                at = max(at, books.buckets[book].last_at + 1)
    drawn: tuple[tuple[int, int, int], ...] = ()
    line = 0
    left = amount
    for source, room in zip(command.sources, found, strict=True):
        part = min(room, left)
        if not part:
            continue
        left -= part
        for book in (source.bucket, source.cap):
            if book is not None:
                capping = book == source.cap
                taken = draw(
                    books, books.buckets[book], part, command, operation, line, at, capping=capping
                )
                line += len(taken)
                drawn += () if capping else taken
    return Applied(
        operation=operation,
        at=at,
        bucket=drawn[0][0] if drawn else command.sources[0].bucket,
        amount=amount,
        available=total - amount,
        final=amount < command.amount,
        drawn=drawn,
    )


def look(books: Books, command: Look, operation: int, now: int) -> Outcome:
    """Say what a use would meet."""
    if not command.sources:
        return Denied(code="no_bucket", available=0)
    found, reason = rooms(books, command.sources, now)
    if isinstance(reason, Refused):
        return reason
    total = min(sum(found), MAX_AMOUNT)
    bucket = command.sources[0].bucket
    if total < command.amount:
        return denial(reason, total, bucket)
    return Applied(operation=operation, at=now, bucket=bucket, amount=0, available=total)


def usage_sink(bucket: BucketBook) -> int:
    """Return where uses of a bucket's asset go by default."""
    return sink_id(bucket.asset, Sink.USAGE)


# Written as numbers in `draw`, where an attribute look-up is felt.
assert (Kind.USE, Sink.USAGE, Sink.CAP) == (2, 2, 6)
