"""Words of the transfers family: accounts, transfers as they were asked for and as they became."""

from typing import Any, Final

import msgspec

from farebox.kernel import ids
from farebox.ledger.model import Command, Outcome
from tests.golden.cases import Strange

Step = dict[str, Any]
DEBITS_LIMITED: Final = "debits<=credits"
CREDITS_LIMITED: Final = "credits<=debits"
LIMITS: Final = (None, DEBITS_LIMITED, CREDITS_LIMITED)
FLAGS: Final = frozenset({
    "pending", "post", "void", "linked", "balancing_debit", "balancing_credit", "closing_debit",
    "closing_credit", "imported",
})  # fmt: skip
ALL: Final = 2**128 - 1
MAX: Final = 2**63 - 1  # the largest number of a 64-bit ledger


class Account(msgspec.Struct):
    """One account and its two buckets, see `transfers`."""

    name: str
    ledger: int
    limit: str | None
    debits: int
    credits: int


class Moved(msgspec.Struct):
    """A transfer that was created. `holds` are set for a pending one, `resolved` how it ended."""

    step: Step
    amount: int
    operations: tuple[int, ...]
    holds: tuple[int, int] | None = None
    resolved: str | None = None


class Sent(msgspec.Struct):
    """A request under its key, as it was first sent and answered."""

    key: str
    steps: list[Step]
    commands: tuple[Command, ...]
    outcomes: tuple[Outcome, ...]
    ranges: list[range]


class Draft(msgspec.Struct):
    """A transfer turned into commands.

    `unknown` are the results that an unknown bucket or hold stands for; `pending` is the transfer
    that this one resolves, `emptied` tells that its chain has posted 0 of it before.
    """

    step: Step
    asked: int
    dr: Account | None = None
    cr: Account | None = None
    commands: list[Command] = msgspec.field(default_factory=list)
    operations: list[int] = msgspec.field(default_factory=list)
    amount: int = 0
    holds: tuple[int, int] | None = None
    pending: Moved | None = None
    emptied: bool = False
    unknown: frozenset[str] = frozenset()

    def add(self, command: Command) -> int:
        """Take a command in and return its operation."""
        self.commands.append(command)
        self.operations.append(ids.mint())
        return self.operations[-1]


def flags_of(step: Step) -> frozenset[str]:
    """Return a transfer's flags; one that is not known here is a failure."""
    flags = frozenset(step.get("flags", ()))
    if unknown := flags - FLAGS:
        raise Strange(f"flags {sorted(unknown)}")
    return flags


def amount_of(value: object) -> int:
    """Read an amount: a number, `2^128-1` for everything, `MAX-99` for almost too much."""
    if type(value) is int:
        return value
    if value == "2^128-1":
        return ALL
    if isinstance(value, str) and value.startswith("MAX"):
        return MAX + int(value[3:] or 0)
    if isinstance(value, str) and value.isdigit():
        return int(value)
    raise Strange(f"{value!r} is not an amount")


def payload_of(step: Step) -> dict[str, Any]:
    """Return what a transfer asks for: all of it but its expected result and its time."""
    return {key: step[key] for key in sorted(step) if key not in {"result", "ts", "op"}}
