"""Changing what a bucket holds: grants, voids, reversals, moves, freezing."""

from typing import Final

from farebox.kernel.amounts import MAX_COUNTER, is_amount
from farebox.ledger.accounts import OPEN, WAITING, BucketBook, GrantBook, Taking, burn_order
from farebox.ledger.books import Books, NeedMore
from farebox.ledger.due import add_grant, breakage, drop_closed
from farebox.ledger.model import (
    FOREVER,
    Applied,
    Denied,
    Freeze,
    Grant,
    GrantState,
    Kind,
    Move,
    Outcome,
    Post,
    Refused,
    Reverse,
    Sink,
    Void,
    sink_id,
)
from farebox.ledger.uses import UNKNOWN, opened, opened_together, short, stopped

_VALIDITY: Final = Refused(
    code="value_invalid", detail="a grant ends after it starts and after now"
)
_OVERFLOW: Final = Refused(code="counter_overflow")
_NO_GRANT: Final = Refused(code="grant_unknown")
_NO_SINK: Final = Refused(code="sink_unknown")
_LEGS: Final = Refused(code="value_invalid", detail="a leg moves 1 or more between two sinks")
_NOTHING: Final = Refused(code="nothing_to_reverse")


def grant(books: Books, command: Grant, operation: int, now: int) -> Outcome:
    """Credit a bucket; see `model.Grant`. The grant's id is minted here."""
    bucket = opened(books, command.bucket, now)
    if bucket is None:
        return UNKNOWN
    if stop := stopped(bucket):
        return stop
    at = max(now, bucket.last_at + 1)
    if not at < command.expires_at <= FOREVER or command.starts_at >= command.expires_at:
        return _VALIDITY
    if bucket.credited + command.amount > MAX_COUNTER:
        return _OVERFLOW
    state = WAITING if command.starts_at > at else OPEN
    made = GrantBook(
        books.mint(), 0, command.priority, command.class_, command.starts_at, command.expires_at,
        None, None, state, 0, 0, command.amount,
    )  # fmt: skip
    books.touch(bucket)
    source = command.source or sink_id(bucket.asset, Sink.WORLD)
    add_grant(books, bucket, made, operation, 0, at, source, meta=command.reason)
    return Applied(
        operation=operation,
        at=at,
        bucket=bucket.id,
        amount=command.amount,
        available=max(bucket.room(), 0),
        drawn=((bucket.id, made.id, command.amount),),
    )


def void(books: Books, command: Void, operation: int, now: int) -> Outcome:
    """Take what is unused out of a grant; see `model.Void`."""
    owner = books.grant_bucket.get(command.grant)
    if owner is None:
        return _NO_GRANT
    bucket = opened(books, owner, now)
    if bucket is None:
        raise NeedMore(owner)
    if stop := stopped(bucket):
        return stop
    if (found := bucket.by_id.get(command.grant)) is None:
        return _NO_GRANT
    rest = max(found.credited - found.debited - found.pending, 0)
    amount = rest if command.amount is None else min(command.amount, rest)
    at = max(now, bucket.last_at + 1)
    if amount:
        books.touch(bucket)
        found.debited += amount
        found.changed = True
        bucket.debited += amount
        if found.state == WAITING:
            bucket.waiting -= amount
            if not found.room():
                # It never begins, so it never counted as open.
                found.state = GrantState.CLOSED
                found.state_changed = True
        elif found.state == OPEN:
            bucket.close_if_spent(found)
        sink = command.sink or sink_id(bucket.asset, Sink.WORLD)
        books.write(
            bucket, operation, 0, Kind.VOID, found.id, sink, amount, at, meta=command.reason
        )
        if bucket.prune:
            drop_closed(bucket)
    return Applied(
        operation=operation,
        at=at,
        bucket=bucket.id,
        amount=amount,
        available=max(bucket.room(), 0),
        final=command.amount is not None and amount < command.amount,
        drawn=((bucket.id, found.id, amount),),
    )


def reverse(books: Books, command: Reverse, operation: int, now: int) -> Outcome:
    """Give back what an operation took; see `model.Reverse`."""
    takings = books.takings_of(command.operation)
    if not takings:
        return Refused(code="operation_unknown")
    keys = list(dict.fromkeys(taking.bucket for taking in takings))
    if any(key not in books.buckets for key in keys):
        raise NeedMore(*keys)
    caps = sink_id(books.buckets[keys[0]].asset, Sink.CAP)
    total = sum(taking.left for taking in takings if taking.credit != caps)
    amount = total if command.amount is None else command.amount
    if not total:
        return _NOTHING
    if amount > total:
        return Denied(code="reversal_exceeds", available=total, bucket=takings[0].bucket)
    at = opened_together(books, keys, now)
    if at is None or any(t.grant not in books.buckets[t.bucket].by_id for t in takings):
        raise NeedMore(*keys)
    for key in keys:
        if stop := stopped(books.buckets[key]):
            return stop
    line = 0
    drawn = []
    for bucket_id, part, back in _parts(takings, amount, caps):
        line = _give_back(books, books.buckets[bucket_id], part, back, operation, line, at, command)
        if back.credit != caps:
            drawn.append((bucket_id, back.grant, part))
    bucket = books.buckets[takings[0].bucket]
    return Applied(
        operation=operation,
        at=at,
        bucket=bucket.id,
        amount=amount,
        available=max(bucket.room(), 0),
        drawn=tuple(drawn),
    )


def _parts(takings: list[Taking], amount: int, caps_sink: int) -> list[tuple[int, int, Taking]]:
    """Spread an amount over what was taken, last first, and the same over the caps it fell under.

    A source's rows come before its cap's, so each run of rows that ends with a cap's is returned
    by itself: a cap gets back what its own source does, not what another one does.
    """
    runs: list[tuple[list[Taking], list[Taking]]] = []
    for taking in takings:
        capping = taking.credit == caps_sink
        if not runs or (runs[-1][1] and not capping):
            runs.append(([], []))
        runs[-1][capping].append(taking)
    parts: list[tuple[int, int, Taking]] = []
    for mains, caps in reversed(runs):
        returned = min(amount, sum(taking.left for taking in mains))
        amount -= returned
        for group in (mains, caps):
            left = returned
            for taking in reversed(group):
                part = min(taking.left, left)
                if part:
                    taking.left -= part
                    left -= part
                    parts.append((taking.bucket, part, taking))
    return parts


def _give_back(
    books: Books,
    bucket: BucketBook,
    part: int,
    taking: Taking,
    operation: int,
    line: int,
    at: int,
    command: Reverse,
) -> int:
    books.touch(bucket)
    target = bucket.by_id[taking.grant]
    target.credited += part
    target.changed = True
    bucket.credited += part
    if target.state == GrantState.CLOSED:
        target.state = OPEN
        target.state_changed = True
        bucket.grants += 1
        bucket.add(target)
    books.write(
        bucket, operation, line, Kind.REVERSE, taking.credit, target.id, part, at,
        reverses=command.operation, meta=command.reason,
    )  # fmt: skip
    line += 1
    if target.expires_at <= at:
        line = breakage(books, bucket, target, target.room(), operation, line, at)
        drop_closed(bucket)
    return line


def move(books: Books, command: Move, operation: int, now: int) -> Outcome:
    """Move an amount between buckets; see `model.Move`."""
    at = opened_together(books, (command.source, command.target), now)
    if at is None:
        return UNKNOWN
    source, target = books.buckets[command.source], books.buckets[command.target]
    if source is target:
        return Refused(code="value_invalid", detail="a move goes to another bucket")
    if source.asset != target.asset:
        return Refused(code="asset_differs")
    if stop := stopped(source) or stopped(target):
        return stop
    # A credit limit is a promise to its own bucket: only what was credited may move.
    funds = source.room() + source.floor
    if command.amount > funds:
        return Denied(code="bucket_empty", available=max(funds, 0), bucket=source.id)
    books.touch(source)
    books.touch(target)
    transit = sink_id(source.asset, Sink.TRANSIT)
    left, line = command.amount, 0
    drawn = []
    for giver in list(source.order):
        if source.edge is not None and burn_order(giver) > source.edge:
            break
        part = min(giver.room() + min(giver.floor, 0), left)
        if part <= 0:
            continue
        left -= part
        giver.debited += part
        giver.changed = True
        source.debited += part
        source.close_if_spent(giver)
        drawn.append((source.id, giver.id, part))
        books.write(
            source, operation, line, Kind.MOVE_OUT, giver.id, transit, part, at, meta=command.reason
        )
        made = GrantBook(
            books.mint(), 0, giver.priority, giver.class_, giver.starts_at, giver.expires_at,
            None, None, OPEN, 0, 0, part,
        )  # fmt: skip
        line = add_grant(
            books, target, made, operation, line + 1, at, transit,
            kind=Kind.MOVE_IN, meta=command.reason,
        )  # fmt: skip
        if not left:
            break
    if left:
        short(source)
    if source.prune:
        drop_closed(source)
    return Applied(
        operation=operation,
        at=at,
        bucket=source.id,
        amount=command.amount,
        available=max(source.room(), 0),
        drawn=tuple(drawn),
    )


def freeze(books: Books, command: Freeze, operation: int, now: int) -> Outcome:
    """Stop or allow movement; see `model.Freeze`. Freezing a frozen bucket changes nothing."""
    bucket = opened(books, command.bucket, now)
    if bucket is None:
        return UNKNOWN
    at = max(now, bucket.last_at + 1)
    if bool(bucket.frozen) != command.frozen:
        books.touch(bucket)
        bucket.frozen = int(command.frozen)
        kind = Kind.FREEZE if command.frozen else Kind.UNFREEZE
        books.write(bucket, operation, 0, kind, 0, 0, 0, at)
    return Applied(
        operation=operation, at=at, bucket=bucket.id, amount=0, available=max(bucket.room(), 0)
    )


def post(books: Books, command: Post, operation: int, now: int) -> Outcome:
    """Move amounts between sinks; see `model.Post`. Sinks have no balance row, so nothing waits."""
    if not command.legs:
        return _LEGS
    assets = set()
    for leg in command.legs:
        if leg.debit == leg.credit or not is_amount(leg.amount, least=1):
            return _LEGS
        for side in (leg.debit, leg.credit):
            if side not in books.sinks:
                return _NO_SINK
            assets.add(books.sinks[side])
    if len(assets) > 1:
        return Refused(code="asset_differs")
    for line, leg in enumerate(command.legs):
        books.post(operation, line, leg, now, command)
    moved = sum(leg.amount for leg in command.legs)
    return Applied(operation=operation, at=now, bucket=0, amount=moved, available=0)
