"""Lots of credit with an end: in which order they are used, what breaks off, what was when.

`T10` is an hour like any other, ten after the first; `Sep 1` is a day of one year. Each step is
played at its own instant, in the order of these instants.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from farebox.kernel.clock import SECOND_US, parse_time
from farebox.ledger.model import (
    FOREVER,
    INCLUDED,
    PURCHASED,
    Applied,
    Grant,
    Kind,
    Reverse,
    Source,
    Use,
)
from farebox.ledger.reading import HistoryEntry
from tests.golden.cases import Case, Strange, Wrong
from tests.golden.family import Family, applied, expects, op, shape

HOUR_US: Final = 3600 * SECOND_US
LOT: Final = shape("id priority expires", "available balance category effective_at created_at")
CLASSES: Final = {"promotional": INCLUDED, "paid": PURCHASED}
WORDS: Final = {Kind.GRANT: "funded", Kind.USE: "consumed", Kind.BREAKAGE: "expired",
                Kind.REVERSE: "corrected", Kind.VOID: "voided"}  # fmt: skip
_YEAR: Final = 2026
_HOUR: Final = re.compile(r"T(\d+)")


class Lots(Family):
    """The vocabulary grant, use."""

    GIVEN = (shape("sources"), shape("grants"), shape())

    @classmethod
    def unread_values(cls, case: Case) -> str | None:
        given = case.given
        for lot in given.get("sources", given.get("grants", ())):
            if not LOT.fits(set(lot)) or ("available" in lot) == ("balance" in lot):
                return f"lot {lot}"
            if lot.get("category", "paid") not in CLASSES:
                return f"category {lot['category']!r}"
        return None

    # -- time ------------------------------------------------------------------------------------

    def instant(self, text: str) -> int:
        """Read an instant: `T10`, `Sep 1`, `2026-09-01` or RFC 3339."""
        if found := _HOUR.fullmatch(text):
            return self.zero + int(found[1]) * HOUR_US
        for form in ("%b %d %Y", "%B %d %Y", "%Y-%m-%d"):
            try:
                day = datetime.strptime(
                    text if form.startswith("%Y") else f"{text} {_YEAR}", form
                ).replace(tzinfo=UTC)
            except ValueError:
                continue
            return parse_time(day.isoformat())
        return parse_time(text)

    # -- playing ---------------------------------------------------------------------------------

    def open(self, given: dict[str, Any]) -> None:
        self.zero = self.stage.begin(parse_time(f"{_YEAR}-01-01T00:00:00Z"))
        self.stage.begin(self.zero - HOUR_US)
        self.bucket = self.stage.bucket(self.stage.asset())
        self.names: dict[int, str] = {}
        self.taken: list[list[list[Any]]] = []
        lots = given.get("sources", given.get("grants", ()))
        # Theirs break a tie by when a lot took effect, then by when it was made; ours by age.
        for lot in sorted(lots, key=self._age):
            made = self._grant(
                lot.get("available", lot.get("balance")),
                self.instant(lot["expires"]) if lot["expires"] is not None else FOREVER,
                lot["priority"],
                CLASSES[lot.get("category", "promotional")],
            )
            self.names[made] = lot["id"]
        self.stage.begin(self.zero)

    def _age(self, lot: dict[str, Any]) -> tuple[int, int]:
        times = (lot.get("effective_at"), lot.get("created_at"))
        first, second = (self.instant(each) if each is not None else 0 for each in times)
        return first, second

    def _grant(self, amount: int, expires: int, priority: int = 0, class_: int = INCLUDED) -> int:
        done = self.stage.do(
            Grant(
                bucket=self.bucket,
                amount=amount,
                priority=priority,
                class_=class_,
                expires_at=expires,
            )
        )
        return done.drawn[0][1]

    def play(self, steps: Sequence[dict[str, Any]]) -> None:
        self.last = self.zero
        for step in sorted(steps, key=self._at):
            if "at" in step:
                self.last = self._at(step)
                self.stage.go(self.last)
            self.step(step)
        self._foreseen = {
            key: self.stage.as_of(self.bucket, self.stage.shown(self.instant(key)))
            for key in self.case.expected.get("asof", ())
            if self.instant(key) >= self.last
        }

    def _at(self, step: dict[str, Any]) -> int:
        return self.instant(step["at"]) if "at" in step else self.zero

    @op("grant", "at amount", "expires priority id")
    def grant(
        self,
        at: str,
        amount: int,
        expires: str | None = None,
        priority: int = 0,
        id: str | None = None,  # noqa: A002 - the field's name
    ) -> None:
        ends = FOREVER if expires is None else self.instant(expires)
        made = self._grant(amount, ends, priority)
        self.names[made] = id if id is not None else f"{amount}@{at}"

    @op("use", "amount", "at")
    def use(self, amount: int, at: str | None = None) -> None:
        done = self.stage.do(Use(sources=(Source(self.bucket),), amount=amount, at_most=True))
        self.taken.append([[self.names[grant], taken] for _, grant, taken in done.drawn])

    # -- judging ---------------------------------------------------------------------------------

    @expects("taken")
    def judge_taken(self, wanted: list[Any], key: str) -> None:
        flat = bool(wanted) and isinstance(wanted[0][0], str)
        if flat and len(self.taken) != 1:
            raise Strange("one list of lots for several uses")
        self.same(self.taken, [wanted] if flat else wanted, key)

    @expects("left")
    def judge_left(self, wanted: dict[str, int], key: str) -> None:
        views = {self.names[each.id]: each for each in self.stage.view(self.bucket).grants}
        for name, left in wanted.items():
            self.same(name in self.names.values(), True, f"{key}: {name} is a lot")
            self.same(views[name].available if name in views else 0, left, f"{key} of {name}")

    @expects("breakage_at|expired")
    def judge_breakage(self, wanted: dict[str, int], key: str) -> None:
        self.stage.go(max([self.last, *(self.instant(each) for each in wanted)]))
        entries = [e for e in self.stage.history(self.bucket) if e.kind == Kind.BREAKAGE]
        for each, amount in wanted.items():
            at = self.instant(each)
            broke = sum(-entry.change for entry in entries if 0 <= entry.at - at < SECOND_US)
            self.same(broke, amount, f"{key} at {each}")

    @expects(r"available_at_T\d+")
    def judge_available(self, wanted: int, key: str) -> None:
        at = self.instant(key.rpartition("_")[2])
        self.same(self.stage.as_of(self.bucket, self.stage.shown(at)), wanted, key)

    @expects("asof")
    def judge_as_of(self, wanted: dict[str, int], key: str) -> None:
        """Compare the past twice: as it was foreseen or read at once, and when all is long over."""
        for each, foreseen in self._foreseen.items():
            self.same(foreseen, wanted[each], f"{key} {each}, before it came")
        self.stage.go(max([self.last, *(self.instant(each) for each in wanted)]) + HOUR_US)
        for each, amount in wanted.items():
            at = self.stage.shown(self.instant(each))
            self.same(self.stage.as_of(self.bucket, at), amount, f"{key} {each}")

    @expects(r"history_asof_T\d+")
    def judge_history(self, wanted: list[list[Any]], key: str) -> None:
        until = self.stage.shown(self.instant(key.rpartition("_")[2]))
        if self.stage.now < until:
            self.stage.go(until)
        lines: list[list[Any]] = []
        last: HistoryEntry | None = None
        for entry in self.stage.history(self.bucket):
            if entry.at > until:
                continue
            hour, rest = divmod(entry.at - self.zero, HOUR_US)
            if rest >= SECOND_US or entry.kind not in WORDS:
                raise Wrong(f"{key}: an entry {entry.kind.name} at {hour}:{rest}")
            if last is not None and (last.operation, last.kind) == (entry.operation, entry.kind):
                lines[-1][2] += entry.change
            else:
                lines.append([f"T{hour}", WORDS[entry.kind], entry.change])
            last = entry
        self.same(lines, wanted, key)


class Corrections(Family):
    """The vocabulary correct, alt_correct: give back what a use took, last first.

    `correct` goes on from the one before, `alt_correct` starts from the use again.
    """

    GIVEN = (shape("used"),)

    def open(self, given: dict[str, Any]) -> None:
        self.used = [(label.partition("(")[0], amount) for label, amount in given["used"]]
        self.labels = [label for label, _ in given["used"]]
        self.restored: dict[int, list[list[Any]]] = {}
        self.main = self._use()

    def _use(self) -> tuple[int, dict[int, str]]:
        """Use lots whole, in the order in which the case says they were used."""
        self.stage.begin()
        bucket = self.stage.bucket(self.stage.asset())
        names = {}
        for place, (name, amount) in enumerate(self.used):
            expires = FOREVER
            if found := _HOUR.search(self.labels[place]):
                expires = self.stage.now + int(found[1]) * HOUR_US
            done = self.stage.do(
                Grant(bucket=bucket, amount=amount, priority=place, expires_at=expires)
            )
            names[done.drawn[0][1]] = name
        total = sum(amount for _, amount in self.used)
        used = self.stage.do(Use(sources=(Source(bucket),), amount=total))
        drawn = [(names[grant], amount) for _, grant, amount in used.drawn]
        self.same(drawn, self.used, "the order in which lots were used")
        return used.operation, names

    def _correct(self, main: tuple[int, dict[int, str]], amount: int) -> None:
        outcome: Applied = applied(self.stage.send(Reverse(operation=main[0], amount=amount))[0])
        self.restored[amount] = [[main[1][grant], back] for _, grant, back in outcome.drawn]

    @op("correct", "amount")
    def correct(self, amount: int) -> None:
        self._correct(self.main, amount)

    @op("alt_correct", "amount")
    def alt_correct(self, amount: int) -> None:
        self._correct(self._use(), amount)

    @expects(r"correct_\d+_restores")
    def judge_restored(self, wanted: list[list[Any]], key: str) -> None:
        self.same(self.restored.get(int(key.split("_")[1])), wanted, key)
