"""Grants that usage burns down, as OpenMeter's credit engine has them.

A feature is one bucket. Usage is never refused: what the bucket has not is overage, which we post
to the receivable (a hold at most, captured in full with `over_capture: debt`). Theirs lets later
credit pay for earlier overage: when a grant takes effect, recurs or rolls over, what is owed is
used from the bucket, towards the receivable. A recurring grant is a schedule; a reset voids what
does not roll over.

Times are offsets from the start. Theirs asks for balances at the end of a half-open period, so
"at T" reads the last instant before T, unless the case itself does something at T.
"""

import random
import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final, cast

import msgspec

from farebox.kernel import ids
from farebox.kernel.clock import SECOND_US, parse_time
from farebox.kernel.periods import Unit, period_at
from farebox.ledger.model import (
    FOREVER,
    Capture,
    Grant,
    Hold,
    Look,
    Sink,
    Source,
    Use,
    Void,
    sink_id,
)
from farebox.ledger.reading import BucketView
from tests.golden.cases import Case, Strange
from tests.golden.family import Family, applied, expects, op, shape

GRANT: Final = shape(
    "id amount priority effective", "expires void recurs max_rollover min_rollover"
)
MANY: Final = shape("repeat template", "override")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_UNITS: Final = {"hourly": "hour", "daily": "day", "weekly": "week", "monthly": "month",
                 "yearly": "year", "annually": "year"}  # fmt: skip
_OFFSET: Final = re.compile(r"(?P<sign>[+-])(?P<parts>(\d+[smhdw])+|0)")
# What happens at one instant: what ends and starts first, then the case's own steps in order.
_BOUNDARY, _STEP = 0, 1


class Given(msgspec.Struct):
    """One grant of a case; `made` are the ledger's grants that it became, `schedule` its own."""

    id: str
    amount: int
    priority: int
    effective: int
    expires: int
    void: int | None
    recurs: tuple[Unit, int] | None
    rollover: tuple[int, int]
    made: list[int] = msgspec.field(default_factory=list)
    schedule: int | None = None

    def active(self, at: int) -> bool:
        """Tell whether it counts at an instant."""
        ends = self.expires if self.void is None else min(self.expires, self.void)
        return self.effective <= at < ends


def offset_us(text: str) -> int:
    """Read an offset such as `+1d1h`, `-1h` or `+0`."""
    found = _OFFSET.fullmatch(text)
    if found is None:
        raise Strange(f"{text!r} is not an offset")
    parts = re.findall(r"(\d+)([smhdw])", found["parts"])
    total = sum(int(count) * _SECONDS[unit] for count, unit in parts) * SECOND_US
    return -total if found["sign"] == "-" else total


class Grants(Family):
    """The vocabulary use, evaluate, reset with offsets."""

    GIVEN = (shape("start grants"),)

    @classmethod
    def unread_values(cls, case: Case) -> str | None:
        for grant in case.given["grants"]:
            if not GRANT.fits(set(grant)) and not MANY.fits(set(grant)):
                return f"grant {grant}"
        return None

    # -- opening ---------------------------------------------------------------------------------

    def open(self, given: dict[str, Any]) -> None:
        text = re.sub(r"T(\d\d:\d\d)Z$", r"T\1:00Z", given["start"])
        self.start = parse_time(text)
        self.asset = self.stage.asset("feature")
        self.receivable = sink_id(self.asset.number, Sink.RECEIVABLE)
        self.forgiven = self.counted = 0
        self.read: dict[str, int] | None = None
        self.grants = [grant for facts in given["grants"] for grant in self._spread(facts)]
        instants = [self.start, *(self.start + offset_us(step["at"]) for step in self.case.steps)]
        instants += [grant.effective for grant in self.grants]
        self.stage.begin(min(instants))
        self.bucket = self.stage.bucket(self.asset)
        self._make()

    def _spread(self, facts: dict[str, Any]) -> list[Given]:
        """Return the grants of one line: itself, or the many that its template stands for."""
        if "repeat" not in facts:
            return [self._given(facts)]
        override, template = facts.get("override", {}), facts["template"]
        many = []
        for number in range(facts["repeat"]):
            name = template["id"].replace("{i}", str(number))
            many.append(self._given({**template, "id": name, **override.get(name, {})}))
        if unknown := set(override) - {grant.id for grant in many}:
            raise Strange(f"overrides for {sorted(unknown)}")
        random.Random(1).shuffle(many)
        return many

    def _given(self, facts: dict[str, Any]) -> Given:
        def instant(name: str) -> int | None:
            return self.start + offset_us(facts[name]) if facts.get(name) is not None else None

        recurs = None
        if facts.get("recurs") is not None:
            unit, _, anchor = facts["recurs"].partition("@")
            recurs = (cast("Unit", _UNITS[unit]), self.start + offset_us(anchor or "+0"))
        expires = instant("expires")
        return Given(
            facts["id"], facts["amount"], facts["priority"],
            self.start + offset_us(facts["effective"]),
            FOREVER if expires is None else expires, instant("void"), recurs,
            (facts.get("min_rollover", 0), facts.get("max_rollover", 0)),
        )  # fmt: skip

    def _make(self) -> None:
        """Make all grants in their order: those that have not started wait."""
        plain = [grant for grant in self.grants if grant.recurs is None]
        commands = [self._command(grant, grant.expires) for grant in plain]
        for grant, outcome in zip(plain, self.stage.bulk(commands), strict=True):
            grant.made.append(outcome.drawn[0][1])
        for grant in self.grants:
            if grant.recurs is not None:
                self._recurring(grant, *grant.recurs)

    def _command(self, grant: Given, expires: int, amount: int | None = None) -> Grant:
        return Grant(
            bucket=self.bucket, amount=grant.amount if amount is None else amount,
            priority=grant.priority, starts_at=grant.effective, expires_at=expires,
        )  # fmt: skip

    def _recurring(self, grant: Given, unit: Unit, anchor: int) -> None:
        """Make the schedule, and a grant for the time before the first recurrence."""
        ends = grant.expires if grant.void is None else min(grant.expires, grant.void)
        if grant.effective < anchor:
            first = self.stage.do(self._command(grant, min(anchor, ends)))
            grant.made.append(first.drawn[0][1])
        elif grant.effective > anchor:
            raise Strange(f"{grant.id} recurs from before it takes effect")
        grant.schedule = self.stage.database.run(
            lambda tx: self.stage.ledger.add_schedule(
                tx,
                self.bucket,
                grant.amount,
                unit=unit,
                anchor_at=anchor,
                priority=grant.priority,
                ends_at=ends,
            )
        )

    # -- playing ---------------------------------------------------------------------------------

    def play(self, steps: Sequence[dict[str, Any]]) -> None:
        acts: list[tuple[int, int, int, Callable[[], None]]] = []
        last = max(self.start + offset_us(step["at"]) for step in steps)
        for number, step in enumerate(steps):
            at = self.start + offset_us(step["at"])
            acted = any(other["at"] == step["at"] for other in steps[:number])
            if step["op"] == "evaluate" and not acted:
                at -= 1
            acts.append((at, _STEP, number, partial(self.step, step)))
        for place, at in enumerate(self._boundaries(last)):
            acts.append((at, _BOUNDARY, place, self._boundary))
        for at, _, _, act in sorted(acts, key=lambda each: each[:3]):
            self.stage.begin(at)
            act()
        self._show_exactness(last)

    def _show_exactness(self, last: int) -> None:
        """Show that what ends at the last instant, which theirs still counts, is gone at it."""
        ending = [grant for grant in self.grants if grant.expires == last]
        if ending and self.stage.now < last:
            self.ours("end_of_period")
            self.stage.begin(last)
            left = self._left(self.stage.view(self.bucket), ending)
            self.same(set(left.values()), {0}, "what has ended")

    def _boundaries(self, last: int) -> list[int]:
        """Return when a grant takes effect, is voided or recurs, up to the last step."""
        found: set[int] = set()
        for grant in self.grants:
            found |= {grant.effective, *([] if grant.void is None else [grant.void])}
            if grant.schedule is not None:
                found |= set(self._recurrences(grant, last))
        return sorted(at for at in found if self.stage.now < at <= last)

    def _recurrences(self, grant: Given, last: int) -> list[int]:
        """Return when a schedule's periods begin, as far as the ledger itself foresees them."""
        assert grant.recurs is not None
        unit, at = grant.recurs
        found = []
        while at <= min(last, grant.expires - 1):
            found.append(at)
            period = period_at(unit, 1, grant.recurs[1], "UTC", at)
            assert period is not None
            at = period.end_us
        return found

    def _boundary(self) -> None:
        now = self.stage.now
        for grant in self.grants:
            if grant.void == now and grant.schedule is None:
                for made in grant.made:
                    self.stage.send(Void(grant=made))
        self._pay_overage()

    def _owed(self) -> int:
        return -self.stage.sink_balance(self.receivable) - self.forgiven

    def _pay_overage(self) -> None:
        """Let what is there pay for what is owed."""
        if owed := self._owed():
            pay = Use(
                sources=(Source(self.bucket),), amount=owed, at_most=True, sink=self.receivable
            )
            self.stage.do(pay)

    @op("use", "at amount")
    def use(self, at: str, amount: int) -> None:
        if not amount:
            return
        hold = Hold(
            sources=(Source(self.bucket),), amount=amount, at_most=True, over_capture="debt"
        )
        first, second = ids.mint(), ids.mint()
        capture = Capture(hold=first, amount=amount)
        captured = self.stage.do(hold, capture, operations=(first, second))
        self.same(captured.amount + captured.debt, amount, f"used at {at}")

    def _touch(self) -> None:
        """Let what is due be written, so that schedules have their grants."""
        self.stage.send(Look(sources=(Source(self.bucket),), amount=0))

    @staticmethod
    def _ends(grant: Given, now: int) -> int:
        """Return when what a grant has now ends: with its period where it recurs."""
        ends = grant.expires if grant.void is None else min(grant.expires, grant.void)
        if grant.recurs is None:
            return grant.expires
        unit, anchor = grant.recurs
        period = period_at(unit, 1, anchor, "UTC", now)
        return min(ends, anchor if period is None else period.end_us)

    @op("reset", "at", "preserve_overage")
    def reset(self, at: str, *, preserve_overage: bool = False) -> None:
        now = self.stage.now
        self._touch()
        for grant in self.grants:
            if not grant.active(now):
                continue
            least, most = grant.rollover
            left = self._left(self.stage.view(self.bucket), [grant])[grant.id]
            target = min(most, max(least, left))
            for made in self._ledger_grants(grant):
                over = left - target
                if over > 0:
                    left -= applied(self.stage.send(Void(grant=made, amount=over))[0]).amount
            if target > left:
                more = self._command(grant, self._ends(grant, now), target - left)
                grant.made.append(self.stage.do(more).drawn[0][1])
        if preserve_overage:
            self._pay_overage()
        else:
            self.forgiven += self._owed()
        self.counted = self.stage.own_sink(self.asset, Sink.USAGE)
        view = self.stage.view(self.bucket)
        total = sum(self._left(view, self.grants).values())
        self.same(total, view.available, f"what rolled over {at}")

    @op("evaluate", "at")
    def evaluate(self, at: str) -> None:
        """Read everything that the case may ask for."""
        self._touch()
        view = self.stage.view(self.bucket)
        self.read = self._left(view, self.grants)
        self.overage = self._owed()
        self.usage = self.stage.own_sink(self.asset, Sink.USAGE) - self.counted
        self.same(sum(self.read.values()), view.available, f"the sum of all grants {at}")

    # -- judging ---------------------------------------------------------------------------------

    def _ledger_grants(self, grant: Given) -> list[int]:
        if grant.schedule is None:
            return grant.made
        sql = "SELECT id FROM account WHERE schedule = :schedule"
        return [*grant.made, *(row.id for row in self.stage.rows(sql, schedule=grant.schedule))]

    def _left(self, view: BucketView, grants: Sequence[Given]) -> dict[str, int]:
        """Return what grants have left: nothing where they have not started."""
        left = {each.id: each.available for each in view.grants if not each.waiting}
        return {
            grant.id: sum(left.get(made, 0) for made in self._ledger_grants(grant))
            for grant in grants
        }

    @expects("balances")
    def judge_balances(self, wanted: dict[str, int], key: str) -> None:
        assert self.read is not None
        known = {name for name in wanted if not name.endswith("*")}
        for name, balance in wanted.items():
            if name.endswith("*"):
                meant = {each for each in self.read if each.startswith(name[:-1])} - known
                others = {each for each in meant if self.read[each] != balance}
                self.same(bool(meant) and not others, True, f"{key}: all {name} have {balance}")
            else:
                self.same(self.read[name], balance, f"{key} of {name}")

    @expects("overage")
    def judge_overage(self, wanted: int, key: str) -> None:
        self.same(self.overage, wanted, key)

    @expects("usage_since_reset")
    def judge_usage(self, wanted: int, key: str) -> None:
        self.same(self.usage, wanted, key)
