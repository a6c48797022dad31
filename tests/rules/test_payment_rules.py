"""The rules of payments: the tables of states, when a gateway is asked again, numbers of cards."""

from typing import Any

import pytest

from farebox.billing.payments.model import CardNumberRefused
from farebox.billing.payments.model_outcomes import (
    ActionNeeded,
    Declined,
    Lost,
    Pending,
    Succeeded,
    Unreached,
)
from farebox.billing.payments.rules import (
    DAY_US,
    HOUR_US,
    LEASE_US,
    LOOKS_US,
    MINUTE_US,
    PAYMENT,
    STATES,
    Stand,
    after,
    moved,
    verb_of,
)
from farebox.billing.payments.rules_cards import checked_no_card

NOW = 1_800_000_000_000_000


def stand(state, **more):
    facts = {
        "noun": "payment", "asked": True, "ours": True, "unreached": 0, "looks": 0,
        "amount": 1000, "currency": "USD", **more,
    }  # fmt: skip
    return Stand(state=state, **facts)


def move_of(*arguments, **named):
    """Return a move for a test that expects one."""
    found: Any = moved(*arguments, **named)
    return found


TABLE = [
    # state, then what follows from: asked, succeeded, declined, action, pending, lost, canceled
    ("created", "processing", None, None, None, None, None, "failed"),
    (
        "processing", None, "succeeded", "failed", "action_required", "processing", "unknown",
        None,
    ),
    (
        "action_required", None, "succeeded", "failed", "action_required", "processing",
        "action_required", None,
    ),
    ("unknown", None, "succeeded", "failed", "action_required", "processing", "unknown", None),
    ("failed", None, "succeeded", None, None, None, None, None),
    ("succeeded", None, None, None, None, None, None, None),
]  # fmt: skip
FACTS: tuple[Any, ...] = ("asked", "succeeded", "declined", "action", "pending", "lost", "canceled")


@pytest.mark.parametrize("row", TABLE, ids=[row[0] for row in TABLE])
def test_a_payment_changes_as_its_table_says(row):
    state, *following = row
    assert tuple(after("payment", state, fact) for fact in FACTS) == tuple(following)


def test_every_state_is_in_the_table_once_and_leads_to_one_that_is():
    assert [row[0] for row in TABLE] == sorted(PAYMENT, key=[row[0] for row in TABLE].index)
    for table in STATES.values():
        for facts in table.values():
            assert set(facts.values()) <= set(table)


@pytest.mark.parametrize("state", ["succeeded", "failed"])
@pytest.mark.parametrize(
    "outcome", [Lost(reason="x"), Pending(), ActionNeeded(), Unreached(reason="x")]
)
def test_nothing_indefinite_changes_what_has_ended(state, outcome):
    assert moved(stand(state), "look", outcome, now=NOW) is None


@pytest.mark.parametrize(
    ("outcome", "counts"),
    [
        (Succeeded(reference="r"), True),
        (Declined(code="x"), True),
        (Lost(reason="x"), False),
        (Pending(), False),
        (ActionNeeded(), False),
        (Unreached(reason="x"), False),
    ],
)
def test_after_the_claim_has_ended_only_what_is_definite_counts(outcome, counts):
    move = moved(stand("processing", ours=False), "ask", outcome, now=NOW)
    assert (move is not None) is counts


def test_the_pauses_are_five_minutes_an_hour_and_five_days_then_a_person():
    assert LOOKS_US == (5 * MINUTE_US, HOUR_US, DAY_US, DAY_US, DAY_US, DAY_US, DAY_US)
    dues, state, looks = [], "processing", 0
    while True:
        move = move_of(stand(state, looks=looks), "look", Lost(reason="timeout"), now=NOW)
        state, looks = move.state, move.looks
        if move.due_at is None:
            break
        dues.append(move.due_at - NOW)
    assert dues == list(LOOKS_US)
    assert (move.state, move.attention) == ("unknown", "timeout")


@pytest.mark.parametrize(
    ("amount", "currency"), [(999, "USD"), (1001, "USD"), (1000, "EUR"), (100_000, "USD")]
)
def test_a_gateway_that_names_another_amount_is_not_believed(amount, currency):
    said = Succeeded(reference="r", amount=amount, currency=currency)
    move = move_of(stand("processing"), "ask", said, now=NOW)
    assert (move.state, move.attention, move.due_at) == ("processing", "amount_differs", None)


def test_a_call_that_never_left_is_made_again_and_one_that_may_have_is_looked_for():
    never = move_of(stand("processing"), "ask", Unreached(reason="refused"), now=NOW)
    assert (never.asked, never.due_at - NOW) == (False, 10_000_000)
    maybe = move_of(stand("processing"), "look", Unreached(reason="refused"), now=NOW)
    assert (maybe.asked, maybe.state) == (True, "unknown")
    assert verb_of(asked=False, abandoning=False) == "ask"
    assert verb_of(asked=True, abandoning=False) == "look"
    assert verb_of(asked=True, abandoning=True) == "abandon"


def test_a_lease_outlasts_every_call():
    # Each gateway gives up after 30 s, and Stripe's repeats nothing by itself.
    assert LEASE_US > 2 * 30_000_000


CARDS = [
    "4242424242424242",
    "4242 4242 4242 4242",
    "4242-4242-4242-4242",
    "4242.4242.4242.4242",
    "my card 5555555555554444 thanks",
    "378282246310005",
    "6011111111111117",
    "2200000000000004",  # Mir
    "pm_4242424242424242",
    "4242\u200b4242\u200b4242\u200b4242",
    "４２４２４２４２４２４２４２４２",
    "٤٢٤٢٤٢٤٢٤٢٤٢٤٢٤٢",
    "order 1234567 4242424242424242 99999999",
    "con_1a4242424242424242bcdef01234",
    "xyzcon_1a4242424242424242bcdef0123",
    "con_1a4242424242424242bcdef0123:4242424242424242",
]


@pytest.mark.parametrize("text", CARDS)
def test_what_looks_like_a_card_is_refused_and_not_repeated(text):
    with pytest.raises(CardNumberRefused) as refused:
        checked_no_card(text)
    assert text not in str(refused.value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "pm_1Q2w3E4r5T6y7U8i9O0p",
        "pay_019a0f3c2b1000000000000000000001",
        "4242 4242 4242 4241",
        "+7 495 123-45-67",
        "2025-11-21",
        "INV-2025-000042",
        "0000000000000000",
        "23d93cac-000f-5000-8000-126628f15141",
        "2424242a-4242-4242-4242-42424242424b",
        "inv_019a4242424242424242b3f9a0c",
        "sandbox_ok:con_1a4242424242424242bcdef0123",
        "of con_1a4242424242424242bcdef0123, paid by 2424242a-4242-4242-4242-42424242424b",
    ],
)
def test_what_is_no_card_is_let_through(text):
    assert checked_no_card(text) == text
