"""What the dumber model has, and what falls due on it.

The model is the ledger once more, naive, without a line of the real one: lists are walked from the
front for every single unit, nothing is indexed or cached. `model_commands` has the commands.
"""

from dataclasses import dataclass, field
from typing import Any

FOREVER = 2**62
MOST = 2**53 - 1
Answer = dict[str, Any]


@dataclass
class Lot:
    """One grant."""

    bucket: int
    credited: int
    priority: int = 0
    purchased: int = 0
    starts: int = 0
    expires: int = FOREVER
    limit: int = 0
    waiting: bool = False
    schedule: int | None = None
    period: int | None = None
    debited: int = 0
    pending: int = 0
    age: int = 0

    def left(self) -> int:
        return self.credited - self.debited - self.pending + self.limit


@dataclass
class Promise:
    """One hold. `parts` and `cap_parts` name a lot for every single unit."""

    id: int
    bucket: int
    cap: int | None
    amount: int
    made: int
    ends: int
    on_expiry: str
    over: str
    sink: str
    parts: list[Lot] = field(default_factory=list)
    cap_parts: list[Lot] = field(default_factory=list)
    state: str = "open"
    captured: int = 0


@dataclass
class Plan:
    """One recurring grant with periods of a fixed length."""

    id: int
    bucket: int
    amount: int
    length: int
    anchor: int
    priority: int
    rollover: int
    ends: int
    next_period: int = 0
    carry: int = 0

    def due(self) -> int:
        at = self.anchor + self.next_period * self.length
        return at if at < self.ends else FOREVER


@dataclass
class Taken:
    """What an operation took: each source's units and its cap's, and every bucket in order."""

    blocks: list[tuple[list[Lot], list[Lot]]]
    pots: list[int]


@dataclass
class Pot:
    """One bucket."""

    asset: str
    last: int = 0
    frozen: bool = False


class Belongings:
    """Buckets, lots, holds and plans; what ends, starts and recurs."""

    def __init__(self) -> None:
        self.pots: dict[int, Pot] = {}
        self.lots: list[Lot] = []
        self.named: dict[int, Lot] = {}
        self.promises: dict[int, Promise] = {}
        self.plans: list[Plan] = []
        self.keys: dict[Any, tuple[Any, list[Answer]]] = {}
        self.taken: dict[int, Taken] = {}
        self.sinks: dict[tuple[str, str], int] = {}
        self.unwritten: list[tuple[int, int, int]] = []

    # -- what a bucket has -----------------------------------------------------------------------

    def lots_of(self, pot: int) -> list[Lot]:
        lots = [lot for lot in self.lots if lot.bucket == pot and not lot.waiting]
        return sorted(lots, key=lambda g: (g.priority, g.expires, g.purchased, g.age))

    def room(self, pot: int) -> int:
        return sum(lot.left() for lot in self.lots_of(pot))

    def unit(self, pot: int) -> Lot:
        """Return the lot that the next unit comes from."""
        return next(lot for lot in self.lots_of(pot) if lot.left() > 0)

    def pour(self, pot: int, sink: str, amount: int) -> None:
        key = (self.pots[pot].asset, sink)
        self.sinks[key] = self.sinks.get(key, 0) + amount

    def add(self, lot: Lot, at: int, source: str) -> Lot:
        lot.age = len(self.lots)
        lot.waiting = lot.starts > at
        self.lots.append(lot)
        self.pour(lot.bucket, source, -lot.credited)
        self.pots[lot.bucket].last = at
        return lot

    def break_off(self, lot: Lot, at: int) -> int:
        rest = lot.left()
        lot.debited += rest
        self.pour(lot.bucket, "breakage", rest)
        self.pots[lot.bucket].last = at
        return rest

    # -- what is due -----------------------------------------------------------------------------

    def moment(self, pots: list[int], now: int) -> int:
        """Do all that is due on the buckets, then return the instant of what comes next."""
        wide = set(pots)
        while True:
            at = max([now, *(self.pots[pot].last + 1 for pot in pots)])
            # A cap's holds end with what is due on the bucket that it caps.
            wide |= {h.bucket for h in self.open_holds() if h.cap in pots and h.ends <= at}
            due = [event for pot in wide for event in self.events(pot) if event[0] <= at]
            if not due:
                return at
            # Before a hold ends, what is due on its cap must have happened.
            caps = {event[4].cap: event[0] for event in due if event[1] == 0}
            due += [e for cap in caps for e in self.lot_events(cap) if e[0] <= caps[cap]]
            when, kind, _, pot, subject = min(due, key=lambda event: event[:4])
            happen = (self.hold_ends, self.lot_ends, self.lot_starts, self.period_begins)[kind]
            happen(subject, max(when, self.pots[pot].last + 1), at)

    def open_holds(self) -> list[Promise]:
        return [promise for promise in self.promises.values() if promise.state == "open"]

    def events(self, pot: int) -> list[Any]:
        holds = [(h.ends, 0, h.id, pot, h) for h in self.open_holds() if h.bucket == pot]
        plans = [(plan.due(), 3, plan.id, pot, plan) for plan in self.plans if plan.bucket == pot]
        return holds + plans + self.lot_events(pot)

    def lot_events(self, pot: int | None) -> list[Any]:
        lots = [lot for lot in self.lots if lot.bucket == pot and lot.left() > 0]
        starts = [(lot.starts, 2, lot.age, pot, lot) for lot in lots if lot.waiting]
        return starts + [(lot.expires, 1, lot.age, pot, lot) for lot in lots if not lot.waiting]

    def hold_ends(self, promise: Promise, at: int, _until: int) -> None:
        if promise.cap is not None:
            at = max(at, self.pots[promise.cap].last + 1)
        amount = promise.amount if promise.on_expiry == "capture" else 0
        self.resolve(promise, amount, at, "captured" if amount else "expired")

    def lot_starts(self, lot: Lot, at: int, _until: int) -> None:
        lot.waiting = False
        self.pots[lot.bucket].last = at

    def lot_ends(self, lot: Lot, at: int, _until: int) -> None:
        rest = self.break_off(lot, at)
        for plan in self.plans:
            if plan.id == lot.schedule and lot.period == plan.next_period - 1:
                plan.carry = rest

    def period_begins(self, plan: Plan, at: int, until: int) -> None:
        number = plan.next_period
        start = plan.anchor + number * plan.length
        amount = plan.amount + min(plan.carry, plan.rollover)
        plan.next_period += 1
        plan.carry = 0
        if (until - plan.anchor) // plan.length - number > 65:
            # Of a long idle time the journal has the last 65 periods only, and the present one.
            plan.carry = amount
            self.unwritten.append((plan.bucket, start, start + plan.length))
            return
        lot = Lot(plan.bucket, amount, plan.priority, 0, start, min(start + plan.length, plan.ends))
        lot.schedule, lot.period = plan.id, number
        self.add(lot, at, "world")

    def resolve(self, promise: Promise, amount: int, at: int, state: str) -> None:
        """End a hold: so many of its units are taken, the others go back."""
        promise.state, promise.captured = state, amount
        for parts, sink in ((promise.parts, promise.sink), (promise.cap_parts, "cap")):
            for place, lot in enumerate(parts):
                lot.pending -= 1
                self.pots[lot.bucket].last = at
                if place < amount:
                    lot.debited += 1
                    self.pour(lot.bucket, sink, 1)
            for lot in parts[amount:]:
                if lot.expires <= at and lot.left() > 0:
                    self.break_off(lot, at)
