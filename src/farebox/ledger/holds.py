"""Holds: reserving, capturing, releasing, pinning. A hold is resolved exactly once."""

from typing import Final

from farebox.kernel.amounts import is_amount
from farebox.ledger.accounts import HOLD_OPEN, BucketBook, HoldBook, burn_order
from farebox.ledger.books import Books, NeedMore
from farebox.ledger.due import drop_closed, end_hold
from farebox.ledger.model import (
    FOREVER,
    Applied,
    Capture,
    Denied,
    Hold,
    HoldState,
    Kind,
    Outcome,
    Pin,
    Refused,
    Release,
    Sink,
    Source,
    sink_id,
)
from farebox.ledger.uses import (
    FAULT,
    Offer,
    denial,
    is_frozen,
    offer,
    opened_together,
    short,
    stopped,
    usage_sink,
)

_RESOLVED: Final = {
    int(HoldState.CAPTURED): Refused(code="hold_captured"),
    int(HoldState.RELEASED): Refused(code="hold_released"),
    int(HoldState.EXPIRED): Refused(code="hold_expired"),
}
_AMOUNT: Final = Refused(code="value_invalid", detail="what is held on is an amount, or 0")
_NO_HOLD: Final = Refused(code="hold_unknown")
_TTL: Final = Refused(code="value_invalid", detail="a hold lasts at least a microsecond")


def hold(books: Books, command: Hold, operation: int, now: int) -> Outcome:
    """Reserve an amount; see `model.Hold`."""
    if command.ttl_us is not None and not 0 < command.ttl_us < FOREVER:
        return _TTL
    offered = offer(books, command.sources, now, together=False)
    if not isinstance(offered, Offer):
        return offered
    amount, found = command.amount, offered.rooms
    place = next((index for index, room in enumerate(found) if room >= amount), None)
    if place is None:
        if not command.at_most:
            most = max(
                _shown(each, room) for each, room in zip(command.sources, found, strict=True)
            )
            return denial(offered.reason, most, command.sources[0].bucket)
        usable = [i for i, source in enumerate(command.sources) if not is_frozen(books, source)]
        place = next((index for index in usable if found[index] > 0), usable[0])
        amount = found[place]
    source = command.sources[place]
    bucket = books.buckets[source.bucket]
    at = offered.at
    expires_at = FOREVER if command.ttl_us is None else ending(at, command.ttl_us)
    sink = command.sink or usage_sink(bucket)
    made = HoldBook(
        operation, source.bucket, source.cap, sink, amount, 0, HOLD_OPEN, expires_at,
        command.on_expiry, command.over_capture, command.actor, command.product, at,
    )  # fmt: skip
    line = _reserve(books, bucket, made, operation, 0, at, command.meta)
    if source.cap is not None:
        _reserve(books, books.buckets[source.cap], made, operation, line, at, command.meta)
    books.open_hold(made)
    return Applied(
        operation=operation,
        at=at,
        bucket=bucket.id,
        amount=amount,
        available=_shown(source, found[place] - amount),
        hold=operation,
        expires_at=None if expires_at == FOREVER else expires_at,
        final=amount < command.amount,
    )


def _shown(source: Source, room: int) -> int:
    """Return what a source has available: a spare one gives, but is never called available."""
    return 0 if source.spare else room


def ending(at: int, ttl_us: int) -> int:
    """Return when a hold ends that lasts so long."""
    return min(at + ttl_us, FOREVER - 1)


def _reserve(
    books: Books,
    bucket: BucketBook,
    made: HoldBook,
    operation: int,
    line: int,
    at: int,
    meta: str | None,
) -> int:
    """Reserve the hold's amount on the grants in burn order."""
    books.touch(bucket)
    left = made.amount
    if not left:
        books.write(bucket, operation, line, Kind.HOLD, 0, 0, 0, at, hold=made.id, actor=made.actor)
        line += 1
    edge = bucket.edge
    for grant in bucket.order:
        if not left or (edge is not None and burn_order(grant) > edge):
            break
        part = min(grant.room(), left)
        if part <= 0:
            continue
        grant.pending += part
        grant.changed = True
        bucket.pending += part
        left -= part
        made.parts.append((bucket.id, grant.id, part))
        books.write(
            bucket, operation, line, Kind.HOLD, grant.id, made.sink, part, at,
            hold=made.id, actor=made.actor, product=made.product, meta=meta,
        )  # fmt: skip
        line += 1
    if left:
        short(bucket)
    bucket.wake_at(made.expires_at)
    return line


def _found(books: Books, hold_id: int, now: int) -> tuple[HoldBook, BucketBook, int] | Outcome:
    """Return an open hold, its settled bucket and the instant, or how the hold has ended."""
    owner = books.hold_bucket.get(hold_id)
    if owner is None:
        return _NO_HOLD
    known = books.hold(hold_id)
    if known is None:
        raise NeedMore(owner)
    keys = (owner,) if known.cap is None else (owner, known.cap)
    at = opened_together(books, keys, now)
    if at is None:
        raise NeedMore(*keys)
    if known.state != HOLD_OPEN:
        return _RESOLVED[int(known.state)]
    if any(books.buckets[key].frozen == FAULT for key in keys):
        return Refused(code="bucket_fault")
    return known, books.buckets[owner], at


def capture(books: Books, command: Capture, operation: int, now: int) -> Outcome:
    """Take from a hold; see `model.Capture`."""
    if (follows := command.hold_on) is not None and not is_amount(follows, least=0):
        return _AMOUNT
    if command.ttl_us is not None and not 0 < command.ttl_us < FOREVER:
        return _TTL
    found = _found(books, command.hold, now)
    if not isinstance(found, tuple):
        return found
    known, bucket, at = found
    for key in (known.bucket, known.cap):
        if key is not None and (stop := stopped(books.buckets[key])):
            return stop
    wanted = known.amount if command.amount is None else command.amount
    excess = max(wanted - known.amount, 0)
    if excess and known.over_capture == "deny":
        return Denied(code="over_capture", available=known.amount, bucket=bucket.id)
    debt = excess if known.over_capture == "debt" else 0
    taken = wanted - excess
    line = end_hold(books, bucket, known, operation, 0, at, expired=False, capture=taken)
    if debt:
        receivable = sink_id(bucket.asset, Sink.RECEIVABLE)
        books.write(
            bucket, operation, line, Kind.DEBT, receivable, known.sink, debt, at,
            hold=known.id, actor=known.actor, product=known.product,
        )  # fmt: skip
        line += 1
    if bucket.prune:
        drop_closed(bucket)
    # The next hold would be the operation's; a capture without one leaves no hold behind.
    following = None
    if command.hold_on:
        following = _hold_on(books, bucket, known, command, operation, line, at)
    return Applied(
        operation=operation,
        at=at,
        bucket=bucket.id,
        amount=taken,
        available=max(bucket.room(), 0),
        hold=None if following is None else following.id,
        expires_at=None
        if following is None or following.expires_at == FOREVER
        else following.expires_at,
        released=known.amount - taken,
        debt=debt,
        final=following is not None and following.amount < (command.hold_on or 0),
        drawn=((bucket.id, 0, following.amount),) if following is not None else (),
    )


def _hold_on(
    books: Books,
    bucket: BucketBook,
    known: HoldBook,
    command: Capture,
    operation: int,
    line: int,
    at: int,
) -> HoldBook:
    """Reserve anew on the terms of the hold that was just captured, as far as there is enough."""
    assert command.hold_on is not None
    room = max(bucket.room(), 0)
    if known.cap is not None:
        room = min(room, max(books.buckets[known.cap].room(), 0))
    lifetime = FOREVER if known.expires_at == FOREVER else known.expires_at - known.at
    ttl = command.ttl_us or lifetime
    made = HoldBook(
        operation, known.bucket, known.cap, known.sink, min(command.hold_on, room), 0, HOLD_OPEN,
        FOREVER if ttl == FOREVER else ending(at, ttl), known.on_expiry, known.over_capture,
        known.actor, known.product, at,
    )  # fmt: skip
    line = _reserve(books, bucket, made, operation, line, at, None)
    if known.cap is not None:
        _reserve(books, books.buckets[known.cap], made, operation, line, at, None)
    books.open_hold(made)
    return made


def release(books: Books, command: Release, operation: int, now: int) -> Outcome:
    """Give a hold back; see `model.Release`."""
    found = _found(books, command.hold, now)
    if not isinstance(found, tuple):
        return found
    known, bucket, at = found
    end_hold(books, bucket, known, operation, 0, at, expired=False)
    if bucket.prune:
        drop_closed(bucket)
    return Applied(
        operation=operation,
        at=at,
        bucket=bucket.id,
        amount=0,
        available=max(bucket.room(), 0),
        released=known.amount,
    )


def pin(books: Books, command: Pin, operation: int, now: int) -> Outcome:
    """Take a hold's end away or set a new one; see `model.Pin`."""
    if command.ttl_us is not None and not 0 < command.ttl_us < FOREVER:
        return _TTL
    found = _found(books, command.hold, now)
    if not isinstance(found, tuple):
        return found
    known, bucket, at = found
    books.change_hold(known)
    known.expires_at = FOREVER if command.ttl_us is None else ending(at, command.ttl_us)
    for key in (known.bucket, known.cap):
        if key is not None:
            books.touch(books.buckets[key])
            books.buckets[key].wake_at(known.expires_at)
    return Applied(
        operation=operation,
        at=at,
        bucket=bucket.id,
        amount=known.amount,
        available=max(bucket.room(), 0),
        hold=known.id,
        expires_at=None if command.ttl_us is None else known.expires_at,
    )
