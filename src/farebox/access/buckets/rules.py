"""What the ledger's answers mean for buckets, and what a grant may be."""

from collections.abc import Sequence
from itertools import groupby
from typing import Final

from farebox.access.buckets.model import (
    BucketDenied,
    HistoryEntry,
    LedgerRefused,
    Movement,
    Shortage,
    Terms,
)
from farebox.kernel.clock import LAST_US
from farebox.kernel.refusals import Refusal, TryAgain, ValueRefused
from farebox.ledger.model import (
    FOREVER,
    INCLUDED,
    PURCHASED,
    Applied,
    Denied,
    Grant,
    Outcome,
    Refused,
)
from farebox.platform.model import KeyReused

LONGEST_LABEL: Final = 128
_CLASSES: Final = {"included": INCLUDED, "purchased": PURCHASED}


def grant_of(bucket: int, terms: Terms, reason: str | None) -> Grant:
    """Return the ledger's command for a grant; refuses times that no calendar shows."""
    for instant in (terms.starts_at, terms.expires_at):
        if instant is not None and not 0 <= instant <= LAST_US:
            raise ValueRefused("a grant starts and ends between the years 1970 and 9999")
    return Grant(
        bucket=bucket,
        amount=terms.amount,
        priority=terms.priority,
        class_=_CLASSES[terms.class_],
        starts_at=terms.starts_at or 0,
        expires_at=FOREVER if terms.expires_at is None else terms.expires_at,
        reason=reason,
    )


def movement_of(outcome: Outcome) -> Movement | Shortage:
    """Return what an operation did, or why there was too little; raises what was refused."""
    if isinstance(outcome, Applied):
        return Movement(
            operation=outcome.operation,
            bucket=outcome.bucket,
            amount=outcome.amount,
            available=outcome.available,
            at=outcome.at,
        )
    if isinstance(outcome, Denied):
        assert outcome.bucket is not None, "the command named one"
        return Shortage(code=outcome.code, bucket=outcome.bucket, available=outcome.available)
    raise refusal_of(outcome)


def applied(outcome: Outcome) -> Applied:
    """Return what took effect; raises the denial or refusal of a command that ought to."""
    if isinstance(outcome, Applied):
        return outcome
    if isinstance(outcome, Denied):
        raise BucketDenied(outcome.code, None)
    raise refusal_of(outcome)


def refusal_of(outcome: Refused) -> Refusal:
    """Return the exception of a refused command."""
    match outcome.code:
        case "stale":
            return TryAgain()
        case "idempotency_key_reused":
            return KeyReused()
        case "value_invalid":
            return ValueRefused(outcome.detail)
        case _:
            return LedgerRefused(outcome.code, outcome.detail)


def entries_of(rows: Sequence[HistoryEntry]) -> tuple[HistoryEntry, ...]:
    """Return one entry an operation from the journal's rows, newest first.

    An operation may have a row for each grant that it drew on, and a capture one for what it took
    and one for what it gave back; its entry says what it did in all. What is due but not written
    yet has no operation (0), so there the instant tells operations apart.
    """
    entries = []
    for _, group in groupby(rows, key=lambda row: (row.operation, row.at)):
        lines = list(group)
        entries.append(
            HistoryEntry(
                operation=lines[0].operation,
                at=lines[0].at,
                # The first line names what the operation was; the lines come last first.
                kind=lines[-1].kind,
                by=sum(line.by for line in lines),
                available_after=lines[0].available_after,
                actor=lines[-1].actor,
                product=lines[-1].product,
                metadata=lines[-1].metadata,
            )
        )
    return tuple(entries)
