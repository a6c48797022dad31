"""How payments, refunds and payouts change, and when their gateway is asked again.

Unknown is not failed. What may have happened is looked for after 5 minutes, an hour, then daily
five times, and then a person looks (Kill Bill's Janitor, PaymentConfig). A payment that failed and
was paid nevertheless is paid: what a gateway says of money is a fact, however late.
"""

from collections.abc import Mapping
from typing import Final, Literal, assert_never

import msgspec

from farebox.billing.payments.model import (
    ChargebackState,
    Noun,
    PaymentState,
    PayoutState,
    RefundState,
)
from farebox.billing.payments.model_outcomes import (
    ActionNeeded,
    Declined,
    Lost,
    Outcome,
    Pending,
    Succeeded,
    Unreached,
    Verb,
)
from farebox.kernel.clock import SECOND_US

MINUTE_US: Final = 60 * SECOND_US
HOUR_US: Final = 60 * MINUTE_US
DAY_US: Final = 24 * HOUR_US
LOOKS_US: Final = (5 * MINUTE_US, HOUR_US, *(5 * (DAY_US,)))
"""The pause before the first, second ... look; after the last one a person looks."""
UNREACHED_US: Final = (
    10 * SECOND_US, 30 * SECOND_US, 2 * MINUTE_US, 10 * MINUTE_US, *(12 * (HOUR_US,)),
)  # fmt: skip
"""The pause before each new call of a gateway that cannot be reached; then it is given up."""
LEASE_US: Final = 2 * MINUTE_US
"""Longer than any call lasts; after it a call that nobody recorded is looked for."""
REST_US: Final = 5 * SECOND_US
"""So often at most is the same notice followed, where anybody may send it."""
NOTICE_PAUSES_US: Final = (10 * SECOND_US, MINUTE_US, 10 * MINUTE_US, HOUR_US, 6 * HOUR_US, DAY_US)

Fact = Literal["asked", "succeeded", "declined", "action", "pending", "lost", "canceled"]

PAYMENT: Final[Mapping[PaymentState, Mapping[Fact, PaymentState]]] = {
    "created": {"asked": "processing", "canceled": "failed"},
    "processing": {
        "succeeded": "succeeded", "declined": "failed", "action": "action_required",
        "pending": "processing", "lost": "unknown",
    },
    "action_required": {
        "succeeded": "succeeded", "declined": "failed", "action": "action_required",
        "pending": "processing", "lost": "action_required",
    },
    "unknown": {
        "succeeded": "succeeded", "declined": "failed", "action": "action_required",
        "pending": "processing", "lost": "unknown",
    },
    "failed": {"succeeded": "succeeded"},
    "succeeded": {},
}  # fmt: skip
"""The one table of a payment's states. What is not in it changes nothing."""

REFUND: Final[Mapping[RefundState, Mapping[Fact, RefundState]]] = {
    "created": {"asked": "processing", "canceled": "canceled"},
    "processing": {
        "succeeded": "succeeded", "declined": "failed", "pending": "processing",
        "action": "processing", "lost": "unknown",
    },
    "unknown": {
        "succeeded": "succeeded", "declined": "failed", "pending": "processing",
        "action": "processing", "lost": "unknown",
    },
    # Banks send some refunds back days later, to an account that is closed.
    "succeeded": {"declined": "returned"},
    "failed": {},
    "canceled": {},
    "returned": {},
}  # fmt: skip

PAYOUT: Final[Mapping[PayoutState, Mapping[Fact, PayoutState]]] = {
    "requested": {"canceled": "rejected"},
    "approved": {"asked": "processing", "canceled": "rejected"},
    "processing": {
        "succeeded": "succeeded", "declined": "failed", "pending": "processing",
        "action": "processing", "lost": "unknown",
    },
    "unknown": {
        "succeeded": "succeeded", "declined": "failed", "pending": "processing",
        "action": "processing", "lost": "unknown",
    },
    "succeeded": {},
    "failed": {},
    "rejected": {},
}  # fmt: skip

CHARGEBACK: Final[Mapping[ChargebackState, frozenset[ChargebackState]]] = {
    "opened": frozenset({"won", "lost"}),
    "won": frozenset(),
    "lost": frozenset(),
}

STATES: Final[Mapping[Noun, Mapping[str, Mapping[Fact, str]]]] = {
    "payment": PAYMENT,  # type: ignore[dict-item]  # a Mapping's keys are invariant
    "refund": REFUND,  # type: ignore[dict-item]  # as above
    "payout": PAYOUT,  # type: ignore[dict-item]  # as above
}


class Stand(msgspec.Struct, frozen=True, kw_only=True):
    """How something stands when an answer comes.

    `asked`: a call may have reached the gateway. `ours`: the claim under which the gateway was
    asked has not ended.
    """

    noun: Noun
    state: str
    asked: bool
    ours: bool
    unreached: int
    looks: int
    amount: int
    currency: str
    abandoning: bool = False


class Move(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer makes of it; None of `reference` and `action_url` leaves what is known."""

    state: str
    due_at: int | None
    asked: bool
    unreached: int
    looks: int
    reason: str | None = None
    final: bool = False
    reference: str | None = None
    action_url: str | None = None
    attention: str | None = None
    abandoning: bool = False


def after(noun: Noun, state: str, fact: Fact) -> str | None:
    """Return the state that a fact leads to, or None where it changes nothing."""
    return STATES[noun][state].get(fact)


def verb_of(*, asked: bool, abandoning: bool) -> Verb:
    """Return what to do about something that is due.

    Once a call may have reached the gateway, it is looked for: asking anew would be a second one.
    """
    if abandoning:
        return "abandon"
    return "look" if asked else "ask"


def moved(stand: Stand, verb: Verb, outcome: Outcome, *, now: int) -> Move | None:
    """Return what an outcome makes of something, or None when it changes nothing.

    An outcome whose claim has ended counts if it is definite: the money knows no claims. A gateway
    that names another amount or currency than was asked for is not believed; a person looks.
    """
    definite = isinstance(outcome, Succeeded | Declined)
    if not (stand.ours or definite):
        return None
    if isinstance(outcome, Unreached):
        return _unreached(stand, verb, outcome, now)
    if isinstance(outcome, Succeeded) and _differs(stand, outcome):
        if after(stand.noun, stand.state, "succeeded") is None:
            return None
        return _landed(
            stand, stand.state, due_at=None, attention="amount_differs", reference=outcome.reference
        )
    fact = fact_of(outcome)
    to = after(stand.noun, stand.state, fact)
    if to is None:
        return None
    if isinstance(outcome, Succeeded):
        return _landed(stand, to, due_at=None, reference=outcome.reference)
    if isinstance(outcome, Declined):
        return _landed(
            stand, to, due_at=None, reason=outcome.code, final=outcome.final,
            reference=outcome.reference,
        )  # fmt: skip
    return _waiting(stand, to, outcome, now)


def fact_of(outcome: Outcome) -> Fact:
    """Return what an outcome means to the tables of states."""
    match outcome:
        case Succeeded():
            return "succeeded"
        case Declined():
            return "declined"
        case ActionNeeded():
            return "action"
        case Pending():
            return "pending"
        case Lost() | Unreached():
            return "lost"
        case _:
            assert_never(outcome)


def _differs(stand: Stand, outcome: Succeeded) -> bool:
    same_amount = outcome.amount is None or outcome.amount == stand.amount
    return not (same_amount and outcome.currency in {None, stand.currency})


def _landed(
    stand: Stand,
    to: str,
    *,
    due_at: int | None,
    reason: str | None = None,
    final: bool = False,
    reference: str | None = None,
    attention: str | None = None,
) -> Move:
    return Move(
        state=to, due_at=due_at, asked=stand.asked, unreached=0, looks=stand.looks, reason=reason,
        final=final, reference=reference, attention=attention,
    )  # fmt: skip


def _waiting(stand: Stand, to: str, outcome: ActionNeeded | Pending | Lost, now: int) -> Move:
    """Return when to look again; without an end of looks to come, a person does."""
    reference = None if isinstance(outcome, Lost) else outcome.reference
    url = outcome.url if isinstance(outcome, ActionNeeded) else None
    looks = stand.looks if to == stand.state else 0
    by_person = not isinstance(outcome, Lost) and outcome.by_person
    due_at, attention, abandoning = None, None, stand.abandoning
    if by_person:
        looks = 0
    elif looks < len(LOOKS_US):
        due_at = now + LOOKS_US[looks]
    elif to == "action_required" and not abandoning:
        # The customer had a week; what is not called off could still be paid long after.
        due_at, abandoning = now, True
        looks = 0
    else:
        attention = outcome.reason if isinstance(outcome, Lost) else f"{to}_too_long"
    return Move(
        state=to, due_at=due_at, asked=True, unreached=0, looks=looks + 1, reference=reference,
        action_url=url, attention=attention, abandoning=abandoning,
        reason=outcome.reason if isinstance(outcome, Lost) else None,
    )  # fmt: skip


def _unreached(stand: Stand, verb: Verb, outcome: Unreached, now: int) -> Move | None:
    """Return when to call again a gateway that certainly took nothing of this call.

    A look that is not answered says nothing about the call before it. A first call that was never
    made may be made again as if it were the first, and given up without doubt.
    """
    if verb != "ask":
        fact: Fact = "lost"
        to = after(stand.noun, stand.state, fact)
        return None if to is None else _waiting(stand, to, Lost(reason=outcome.reason), now)
    if after(stand.noun, stand.state, "declined") is None:
        return None
    if stand.unreached < len(UNREACHED_US):
        return Move(
            state=stand.state, due_at=now + UNREACHED_US[stand.unreached], asked=False,
            unreached=stand.unreached + 1, looks=0, reason=outcome.reason,
        )  # fmt: skip
    to = after(stand.noun, stand.state, "declined")
    assert to is not None
    return _landed(stand, to, due_at=None, reason="gateway_unreachable")


def notice_due(tries: int, now: int) -> int | None:
    """Return when a notice that could not be followed is tried again, None when never."""
    return now + NOTICE_PAUSES_US[tries - 1] if tries <= len(NOTICE_PAUSES_US) else None
