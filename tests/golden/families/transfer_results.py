"""What the ledger's outcomes are called among TigerBeetle's results."""

from typing import Any, Final

from farebox.kernel.amounts import MAX_AMOUNT
from farebox.ledger.model import Denied, Refused
from tests.golden.cases import Wrong
from tests.golden.families.transfer_model import (
    ALL,
    CREDITS_LIMITED,
    DEBITS_LIMITED,
    Draft,
    amount_of,
)

_OVERFLOWS: Final = {
    side: frozenset({f"overflows_{side}", f"overflows_{side}_pending", f"overflows_{side}_posted"})
    for side in ("debits", "credits")
}
EXCEEDS_PENDING: Final = "exceeds_pending_transfer_amount"
_HOLDS: Final = {
    "hold_captured": "pending_transfer_already_posted",
    "hold_released": "pending_transfer_already_voided",
    "hold_expired": "pending_transfer_expired",
}
_FIELDS: Final = {
    "dr": "debit_account_id",
    "cr": "credit_account_id",
    "amount": "amount",
    "timeout_s": "timeout",
    "flags": "flags",
    "pending": "pending_id",
    "ledger": "ledger",
}


def names(own: Denied | Refused | None, draft: Draft, *, failed: bool) -> frozenset[str]:
    """Return what a transfer's result may be called; `own` is why it failed itself."""
    if own is None:
        return frozenset({"linked_event_failed" if failed else "created"})
    code = own.code
    if code in _HOLDS:
        return _resolved(code, draft)
    if code == "over_capture":
        return frozenset({EXCEEDS_PENDING})
    if code in {"bucket_unknown", "hold_unknown"} and draft.unknown:
        return draft.unknown
    if code == "asset_differs":
        return frozenset({"accounts_must_have_the_same_ledger"})
    if code == "value_invalid" and draft.asked > MAX_AMOUNT:
        return _OVERFLOWS["debits"] | _OVERFLOWS["credits"]
    if code == "value_invalid" and draft.dr is draft.cr and draft.dr is not None:
        return frozenset({"accounts_must_be_different"})
    if isinstance(own, Denied) and code in {"bucket_frozen", "bucket_empty"}:
        return _stopped(own, draft)
    raise Wrong(f"{draft.step['id']}: ours says {own}, which none of their results is")


def _resolved(code: str, draft: Draft) -> frozenset[str]:
    found = {_HOLDS[code]}
    assert draft.pending is not None
    if draft.emptied or draft.pending.resolved == "empty":
        # Posting 0 releases everything, and that is what our hold remembers.
        found.add("pending_transfer_already_posted")
    return frozenset(found) | _too_much(draft)


def _too_much(draft: Draft) -> frozenset[str]:
    """Return what theirs says first, where ours says that the hold is over or the bucket frozen."""
    pending = draft.pending
    excess = pending is not None and draft.asked != ALL and draft.asked > pending.amount
    return frozenset({EXCEEDS_PENDING} if excess else ())


def _stopped(own: Denied, draft: Draft) -> frozenset[str]:
    assert draft.dr is not None
    assert draft.cr is not None
    debit = own.bucket in {draft.dr.debits, draft.dr.credits}
    if own.code == "bucket_frozen":
        side = "debit" if debit else "credit"
        return _too_much(draft) or frozenset({f"{side}_account_already_closed"})
    if debit:
        limited = draft.dr.limit == DEBITS_LIMITED
        return frozenset({"exceeds_credits"}) if limited else _OVERFLOWS["debits"]
    limited = draft.cr.limit == CREDITS_LIMITED
    return frozenset({"exceeds_debits"}) if limited else _OVERFLOWS["credits"]


def again(
    was: dict[str, Any], asks: dict[str, Any], moved: int | None
) -> tuple[frozenset[str], bool]:
    """Return what a repeat is called, and whether theirs may call it `exists` where ours differs.

    `moved` is what the first one moved; None if it was denied.
    """
    if moved is None:
        return frozenset({"id_already_failed"}), False
    if asks == was:
        return frozenset({"exists"}), False
    different = {field for field in {*was, *asks} if was.get(field) != asks.get(field)}
    found = frozenset(f"exists_with_different_{_FIELDS[field]}" for field in different)
    return found, different == {"amount"} and _as_recorded(asks, moved)


def _as_recorded(asks: dict[str, Any], moved: int) -> bool:
    """Tell whether another asked amount would have been recorded as the same."""
    asked, flags = amount_of(asks["amount"]), set(asks.get("flags", ()))
    if flags & {"balancing_debit", "balancing_credit"}:
        return asked >= moved
    return asked == moved or (asked == ALL and "post" in flags) or (asked == 0 and "void" in flags)
