"""Buckets, grants, schedules and holds in memory, as a batch has loaded them.

These objects are the working memory of the deciding function. They are mutable for speed and
belong to one batch at a time; nothing outside the ledger holds on to them.
"""

from bisect import insort
from typing import Any, Final

from farebox.ledger.model import NO_EVENT, GrantState, HoldState

OPEN: Final = int(GrantState.OPEN)
WAITING: Final = int(GrantState.WAITING)
CLOSED: Final = int(GrantState.CLOSED)
HOLD_OPEN: Final = int(HoldState.OPEN)


class GrantBook:
    """One grant account in memory."""

    __slots__ = (
        "changed", "class_", "credited", "debited", "expires_at", "floor", "id", "pending",
        "period", "priority", "schedule", "starts_at", "state", "state_changed",
    )  # fmt: skip

    def __init__(
        self,
        id: int,  # noqa: A002 - the column's name
        floor: int,
        priority: int,
        class_: int,
        starts_at: int,
        expires_at: int,
        schedule: int | None,
        period: int | None,
        state: int,
        pending: int,
        debited: int,
        credited: int,
    ) -> None:
        self.id = id
        self.floor = floor
        self.priority = priority
        self.class_ = class_
        self.starts_at = starts_at
        self.expires_at = expires_at
        self.schedule = schedule
        self.period = period
        self.state = state
        self.pending = pending
        self.debited = debited
        self.credited = credited
        self.changed = False
        self.state_changed = False

    def room(self) -> int:
        """Return what may still be taken."""
        return self.credited - self.debited - self.pending - self.floor

    def copy(self) -> "GrantBook":
        """Return a copy for undoing a failed group."""
        twin = GrantBook.__new__(GrantBook)
        for name in GrantBook.__slots__:
            setattr(twin, name, getattr(self, name))
        return twin


def burn_order(grant: GrantBook) -> tuple[int, int, int, int]:
    """Priority, then soonest end, then included before purchased, then oldest: a total order."""
    return (grant.priority, grant.expires_at, grant.class_, grant.id)


class ScheduleBook:
    """A recurring grant in memory; `carry` is what the last period's grant had left at its end."""

    __slots__ = (
        "amount", "anchor_at", "carry", "class_", "ends_at", "id", "last_period", "next_at",
        "priority", "rollover", "unit", "unit_count", "zone",
    )  # fmt: skip

    def __init__(
        self,
        id: int,  # noqa: A002 - the column's name
        amount: int,
        unit: Any,  # noqa: ANN401 - narrowed to a period unit when it was stored
        unit_count: int,
        anchor_at: int,
        zone: str,
        priority: int,
        class_: int,
        rollover: int,
        ends_at: int,
        last_period: int,
        next_at: int,
    ) -> None:
        self.id = id
        self.amount = amount
        self.unit = unit
        self.unit_count = unit_count
        self.anchor_at = anchor_at
        self.zone = zone
        self.priority = priority
        self.class_ = class_
        self.rollover = rollover
        self.ends_at = ends_at
        self.last_period = last_period
        self.next_at = next_at
        self.carry = 0


class HoldBook:
    """One hold in memory. `parts` are (bucket, grant, amount); the cap's parts come after."""

    __slots__ = (
        "actor", "amount", "at", "bucket", "cap", "captured", "expires_at", "fresh", "id",
        "on_expiry", "over_capture", "parts", "product", "sink", "state",
    )  # fmt: skip

    def __init__(
        self,
        id: int,  # noqa: A002 - the column's name
        bucket: int,
        cap: int | None,
        sink: int,
        amount: int,
        captured: int,
        state: int,
        expires_at: int,
        on_expiry: str,
        over_capture: str,
        actor: str | None,
        product: str | None,
        at: int,
    ) -> None:
        self.id = id
        self.bucket = bucket
        self.cap = cap
        self.sink = sink
        self.amount = amount
        self.captured = captured
        self.state = state
        self.expires_at = expires_at
        self.on_expiry = on_expiry
        self.over_capture = over_capture
        self.actor = actor
        self.product = product
        self.at = at
        self.parts: list[tuple[int, int, int]] = []
        self.fresh = False


class BucketBook:
    """One bucket in memory with its open grants in burn order.

    `edge` is the place in the burn order up to which open grants are loaded (None: all of them),
    `horizon` until when everything due is, `foresees` that what comes after that is known too.
    A hold is listed by its bucket and by its cap.
    """

    __slots__ = (
        "asset", "by_id", "credited", "debited", "edge", "entries", "floor", "foresees", "frozen",
        "grants", "head", "holds", "horizon", "id", "last_at", "later_at", "next_event_at",
        "order", "pending", "previous", "prune", "schedules", "version", "version_read",
        "waiting",
    )  # fmt: skip

    def __init__(
        self,
        id: int,  # noqa: A002 - the column's name
        asset: int,
        floor: int,
        pending: int,
        debited: int,
        credited: int,
        waiting: int,
        grants: int,
        version: int,
        entries: int,
        last_at: int,
        head: int,
        next_event_at: int,
        frozen: int,
    ) -> None:
        self.id = id
        self.asset = asset
        self.floor = floor
        self.pending = pending
        self.debited = debited
        self.credited = credited
        self.waiting = waiting
        self.grants = grants
        self.version = version
        self.version_read = version
        self.entries = entries
        self.last_at = last_at
        self.head = head
        self.previous = head
        self.next_event_at = next_event_at
        self.frozen = frozen
        self.order: list[GrantBook] = []
        self.by_id: dict[int, GrantBook] = {}
        self.schedules: list[ScheduleBook] = []
        self.holds: dict[int, HoldBook] = {}
        self.edge: tuple[int, int, int, int] | None = None
        self.horizon = 0
        self.foresees = False
        self.later_at = NO_EVENT
        self.prune = False

    def room(self) -> int:
        """Return what may be used now, with everything due already settled."""
        return self.credited - self.debited - self.pending - self.floor - self.waiting

    def add(self, grant: GrantBook) -> None:
        """Take a loaded or new grant in."""
        self.by_id[grant.id] = grant
        if grant.state == OPEN:
            insort(self.order, grant, key=burn_order)

    def close_if_spent(self, grant: GrantBook) -> None:
        """Close a grant that has nothing left, nothing held and no credit limit."""
        if grant.pending == 0 and grant.floor == 0 and grant.credited == grant.debited:
            grant.state = CLOSED
            grant.state_changed = True
            self.grants -= 1
            self.prune = True

    def wake_at(self, at: int) -> None:
        """Make sure that the bucket is settled at this instant."""
        self.next_event_at = min(self.next_event_at, at)

    def copy(self) -> "BucketBook":
        """Return a deep enough copy for undoing a failed group."""
        twin = BucketBook.__new__(BucketBook)
        for name in BucketBook.__slots__:
            setattr(twin, name, getattr(self, name))
        twin.by_id = {key: grant.copy() for key, grant in self.by_id.items()}
        twin.order = [twin.by_id[grant.id] for grant in self.order]
        twin.holds = dict(self.holds)
        twin.schedules = []
        for schedule in self.schedules:
            other = ScheduleBook.__new__(ScheduleBook)
            for name in ScheduleBook.__slots__:
                setattr(other, name, getattr(schedule, name))
            twin.schedules.append(other)
        return twin


class Taking:
    """What is left to reverse of one journal row of an earlier operation."""

    __slots__ = ("bucket", "credit", "grant", "left", "line")

    def __init__(self, bucket: int, grant: int, credit: int, line: int, left: int) -> None:
        self.bucket = bucket
        self.grant = grant
        self.credit = credit
        self.line = line
        self.left = left
