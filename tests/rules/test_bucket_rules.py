"""What the ledger's rows and answers mean for a bucket: tables of cases."""

import pytest

from farebox.access.buckets.model import (
    BucketDenied,
    HistoryEntry,
    LedgerRefused,
    Movement,
    Shortage,
    Terms,
)
from farebox.access.buckets.rules import applied, entries_of, grant_of, movement_of, refusal_of
from farebox.kernel.refusals import TryAgain, ValueRefused
from farebox.ledger.model import FOREVER, INCLUDED, PURCHASED, Applied, Denied, Refused
from farebox.platform.model import KeyReused


def row(operation: int, kind: str, by: int, after: int, at: int = 0) -> HistoryEntry:
    return HistoryEntry(
        operation=operation,
        at=at or operation,
        kind=kind,
        by=by,
        available_after=after,
        actor="con_1",
        product="films",
        metadata=None,
    )


# the journal's rows newest first, and the operations that they tell of: (kind, by, left)
HISTORIES = [
    ([], []),
    ([row(1, "grant", 20, 20)], [("grant", 20, 20)]),
    # One use that drew on two grants.
    ([row(2, "use", -3, 15), row(2, "use", -2, 18), row(1, "grant", 20, 20)],
     [("use", -5, 15), ("grant", 20, 20)]),
    # A capture of 3 of a hold of 5: the hold was felt before, what is given back is felt now.
    ([row(3, "release", 2, 17), row(3, "capture", 0, 15), row(2, "hold", -5, 15)],
     [("capture", 2, 17), ("hold", -5, 15)]),
    # Two things that are due and not written yet have no operation, and stay two.
    ([row(0, "breakage", -4, 0, at=9), row(0, "start", 4, 4, at=8), row(1, "grant", 0, 0)],
     [("breakage", -4, 0), ("start", 4, 4), ("grant", 0, 0)]),
]  # fmt: skip


@pytest.mark.parametrize(("rows", "told"), HISTORIES)
def test_an_operation_is_told_once_with_what_it_did_in_all(rows, told):
    found = [(entry.kind, entry.by, entry.available_after) for entry in entries_of(rows)]
    assert found == told


APPLIED = Applied(operation=7, at=9, bucket=1, amount=3, available=17)


def test_an_outcome_is_a_movement_a_shortage_or_a_refusal():
    assert movement_of(APPLIED) == Movement(operation=7, bucket=1, amount=3, available=17, at=9)
    shortage = movement_of(Denied(code="bucket_empty", available=2, bucket=1))
    assert shortage == Shortage(code="bucket_empty", bucket=1, available=2)
    with pytest.raises(LedgerRefused):
        movement_of(Refused(code="bucket_fault"))


def test_where_a_denial_is_no_answer_it_is_raised_with_its_code():
    assert applied(APPLIED) == APPLIED
    with pytest.raises(BucketDenied) as raised:
        applied(Denied(code="bucket_frozen", available=0, bucket=1))
    assert raised.value.code == "bucket_frozen"
    assert raised.value.detail == "Bucket frozen"


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("stale", TryAgain),
        ("idempotency_key_reused", KeyReused),
        ("value_invalid", ValueRefused),
        ("hold_captured", LedgerRefused),
    ],
)
def test_a_refusal_of_the_ledger_keeps_its_code(code, kind):
    refusal = refusal_of(Refused(code=code))
    assert type(refusal) is kind
    assert refusal.code == {"stale": "try_again"}.get(code, code)


def test_a_grant_without_times_is_good_at_once_and_for_ever():
    made = grant_of(1, Terms(amount=5), None)
    assert (made.starts_at, made.expires_at, made.class_) == (0, FOREVER, PURCHASED)
    assert grant_of(1, Terms(amount=5, class_="included"), None).class_ == INCLUDED


@pytest.mark.parametrize("wrong", [{"starts_at": -1}, {"expires_at": -1}, {"expires_at": FOREVER}])
def test_a_time_that_no_calendar_shows_is_refused(wrong):
    with pytest.raises(ValueRefused):
        grant_of(1, Terms(amount=5, **wrong), None)
