"""F15: numbers that are none, at the ledger's own door, past everything that decodes JSON."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from farebox.kernel.amounts import MAX_AMOUNT
from farebox.kernel.refusals import Refusal, ValueRefused
from farebox.ledger.model import (
    Applied,
    Capture,
    Denied,
    Grant,
    Hold,
    Look,
    Move,
    Pin,
    Refused,
    Reverse,
    Source,
    Use,
    Void,
)
from farebox.ledger.service import request
from tests.support.lanes import ask
from tests.support.proof import faults, rows

NUMBERLESS = [
    float("nan"), float("inf"), float("-inf"), 1e400, 1.0, 1.5, -0.0, True, False,
    "1", "NaN", "1e400", "", "\0", b"1", Decimal(1), Decimal("NaN"), [1], (1,), {},
]  # fmt: skip
TOO_LARGE = [2**53, 2**62, 2**63 - 1, 2**63, 2**64, 2**400]
TOO_SMALL = [-1, -(2**53), -(2**63), -(2**63) - 1, -(2**400)]
NO_AMOUNT = [*NUMBERLESS, *TOO_LARGE, *TOO_SMALL]


@pytest.fixture
def lane(open_lane):
    return open_lane()


class Stage:
    """Every kind of command on one bucket, with all but one value right."""

    def __init__(self, scene, lane):
        self.scene = scene
        self.lane = lane
        self.bucket, self.other = scene.bucket(1000, 50), scene.bucket(5)
        source = (Source(self.bucket),)
        used = ask(lane, Use(sources=source, amount=30))
        self.grant = used.drawn[0][1]
        held = ask(lane, Hold(sources=source, amount=20, ttl_us=10**12, over_capture="debt"))
        self.commands: dict[str, Any] = {
            "grant": Grant(bucket=self.bucket, amount=1),
            "use": Use(sources=source, amount=1),
            "use at most": Use(sources=source, amount=1, at_most=True),
            "use of two": Use(sources=(*source, Source(self.other)), amount=1),
            "hold": Hold(sources=source, amount=1, ttl_us=10**9),
            "hold at most": Hold(sources=source, amount=1, at_most=True),
            "look": Look(sources=source, amount=1),
            "capture": Capture(hold=held.hold, amount=1, hold_on=1, ttl_us=10**9),
            "pin": Pin(hold=held.hold, ttl_us=10**9),
            "reverse": Reverse(operation=used.operation, amount=1),
            "move": Move(source=self.bucket, target=self.other, amount=1),
            "void": Void(grant=self.grant, amount=1),
        }

    def state(self):
        """Return everything that a command might have changed."""
        return [
            rows(self.scene.database, f"SELECT {what} ORDER BY 1")
            for what in (
                "id, debits_pending, debits_posted, credits_posted, version FROM account",
                "operation, line, amount FROM transfer",
                "id, state, captured, expires_at FROM hold",
                "digest FROM operation",
            )
        ]

    def refused(self, name, **change):
        """Tell whether a command with a changed value was refused as one that cannot be."""
        asked = request(msgspec.structs.replace(self.commands[name], **change))
        try:
            outcome = self.lane.call(asked)[0]
        except Refusal as refusal:
            return isinstance(refusal, ValueRefused)
        return isinstance(outcome, Refused) and outcome.code == "value_invalid"


@pytest.fixture
def stage(scene, lane):
    return Stage(scene, lane)


AMOUNTS = [
    "grant", "use", "use at most", "use of two", "hold", "hold at most", "look", "capture",
    "reverse", "move", "void",
]  # fmt: skip
OPTIONAL = {"capture", "reverse", "void"}
FROM_ZERO = {"look", "capture"}


def test_no_command_takes_an_amount_that_is_none(stage):
    before = stage.state()
    taken = []
    for name in AMOUNTS:
        values = list(NO_AMOUNT)
        if name not in FROM_ZERO:
            values.append(0)
        if name not in OPTIONAL:
            values.append(None)
        taken += [(name, value) for value in values if not stage.refused(name, amount=value)]
    assert taken == []
    assert stage.state() == before
    assert faults(stage.scene.database) == []


NO_LIFETIME = [*NUMBERLESS, 0, *TOO_SMALL, 2**63, 2**400]
NO_INSTANT = [*NUMBERLESS, 2**63, 2**400, -(2**63) - 1, None]


def test_no_command_takes_a_time_a_rank_or_a_length_that_is_none(stage):
    fields = {
        ("hold", "ttl_us"): NO_LIFETIME,
        ("capture", "ttl_us"): NO_LIFETIME,
        ("pin", "ttl_us"): NO_LIFETIME,
        ("capture", "hold_on"): NO_AMOUNT,
        ("grant", "expires_at"): [*NO_INSTANT, 0, -1],
        ("grant", "starts_at"): NO_INSTANT,
        ("grant", "priority"): NO_INSTANT,
        ("grant", "class_"): NO_INSTANT,
    }
    before = stage.state()
    taken = [
        (name, field, value)
        for (name, field), values in fields.items()
        for value in values
        if not stage.refused(name, **{field: value})
    ]
    assert taken == []
    assert stage.state() == before
    assert faults(stage.scene.database) == []


def test_the_largest_amounts_are_taken_exactly(scene, lane):
    bucket = scene.bucket()
    assert ask(lane, Grant(bucket=bucket, amount=MAX_AMOUNT)).available == MAX_AMOUNT
    source = (Source(bucket),)
    held = ask(lane, Hold(sources=source, amount=MAX_AMOUNT, ttl_us=2**62 - 1))
    assert held.available == 0
    assert ask(lane, Capture(hold=held.hold, amount=MAX_AMOUNT)).amount == MAX_AMOUNT
    assert isinstance(ask(lane, Use(sources=source, amount=1)), Denied)
    assert faults(scene.database) == []


def test_a_bucket_never_counts_beyond_what_both_engines_hold(scene, lane):
    """Where the sum of all grants would leave 2^62, a grant is refused and changes nothing."""
    bucket = scene.bucket()
    fits = 2**62 // MAX_AMOUNT  # 512
    grants = [request(Grant(bucket=bucket, amount=MAX_AMOUNT)) for _ in range(fits)]
    answers = lane.call_many(grants)
    assert all(isinstance(answer[0], Applied) for answer in answers)
    full = scene.available(bucket)
    assert full <= 2**62 < full + MAX_AMOUNT
    assert ask(lane, Grant(bucket=bucket, amount=MAX_AMOUNT)).code == "counter_overflow"
    assert scene.available(bucket) == full
    assert ask(lane, Grant(bucket=bucket, amount=2**62 - full)).bucket == bucket
    assert ask(lane, Grant(bucket=bucket, amount=1)).code == "counter_overflow"
    assert ask(lane, Use(sources=(Source(bucket),), amount=MAX_AMOUNT)).amount == MAX_AMOUNT
    assert faults(scene.database) == []
