"""The books in the words of plain-text accounting: Beancount and hledger.

In both a debit is positive, so an account's balance there is ours with the other sign. Each
operation is one transaction, dated in UTC; every account is opened before, and asserted to the last
unit after, so that the official programs prove the export themselves.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from typing import Final, Literal

import msgspec

from farebox.billing.books.model import CHART, BookEntry, Kind
from farebox.kernel import ids
from farebox.kernel.amounts import show_amount

Format = Literal["beancount", "hledger"]
_ROOTS: Final[Mapping[Kind, str]] = {
    "asset": "Assets", "liability": "Liabilities", "income": "Income", "expense": "Expenses",
}  # fmt: skip
_OTHER: Final = re.compile(r"[^A-Za-z0-9]")
EQUITY: Final = "Equity:Opening"


def account_names(names: Iterable[str]) -> dict[str, str]:
    """Return accounts' names in both programs: `tax:de-19` is `Liabilities:Tax:De-19`.

    No two become one: of names that differ only in what the programs do not allow, the later ones
    get a number.
    """
    made: dict[str, str] = {}
    taken: set[str] = set()
    for name in sorted(names):
        head, _, whose = name.partition(":")
        parts = [_ROOTS[CHART[head]], _component(head), *([_component(whose)] if whose else [])]
        shown = plain = ":".join(parts)
        number = 1
        while shown in taken:
            number += 1
            shown = f"{plain}-{number}"
        taken.add(shown)
        made[name] = shown
    return made


def _component(word: str) -> str:
    """Return a word as both programs take it: letters, digits, hyphens, a capital first."""
    plain = _OTHER.sub("-", word)
    return plain[0].upper() + plain[1:] if plain[0].isalnum() else f"X{plain}"


def openings(form: Format, names: Mapping[str, str], opened: Mapping[str, date]) -> Iterator[str]:
    """Yield what must stand before all transactions: each account, whatever its currencies."""
    if form == "hledger" or not opened:
        return
    yield f"{min(opened.values())} open {EQUITY}"
    for name in sorted(opened):
        yield f"{opened[name]} open {names[name]}"
    yield ""


def export(
    entries: Iterable[BookEntry],
    *,
    form: Format,
    currency: str,
    scale: int,
    names: Mapping[str, str],
    begins: date,
    opening: Mapping[str, int],
    closing: Mapping[str, int],
    until: date,
) -> Iterator[str]:
    """Yield one currency's lines: what was there, each operation, what is there then.

    `entries` come in the order of the log; `names` are from `account_names`; `begins` is a day
    before no entry, `until` the first day after them; `opening` and `closing` are balances
    (credits less debits) before and after them.
    """
    writer = _Writer(form, currency, scale, names)
    if moved := sorted((name, -amount) for name, amount in opening.items() if amount):
        yield from writer.transaction(begins, "opening", (), moved)
    for operation, rows in groupby(entries, key=lambda each: each.operation):
        yield from writer.entry(operation, list(rows))
    yield from writer.assertions(closing, until)


class _Writer:
    """Writes one currency's transactions in one form."""

    def __init__(self, form: Format, currency: str, scale: int, names: Mapping[str, str]) -> None:
        self._form = form
        self._currency = currency
        self._scale = scale
        self._names = names

    def entry(self, operation: int, rows: list[BookEntry]) -> Iterator[str]:
        """Yield the transaction of an operation."""
        first = rows[0]
        day = datetime.fromtimestamp(first.at // 1_000_000, UTC).date()
        about = msgspec.to_builtins(first.about)
        facts = [("operation", ids.show("op", operation))]
        facts += [(key, text) for key, text in about.items() if key != "kind" and text]
        sides: list[tuple[str, int]] = []
        for row in rows:
            sides += [(row.debit, row.amount), (row.credit, -row.amount)]
        yield from self.transaction(day, first.about.kind, facts, sides)

    def transaction(
        self,
        day: date,
        words: str,
        facts: Iterable[tuple[str, str]],
        sides: Iterable[tuple[str, int]],
    ) -> Iterator[str]:
        """Yield one transaction; amounts are debits where positive."""
        bean = self._form == "beancount"
        yield f"{day} * {_quoted(words)}" if bean else f"{day} {words}"
        for key, text in facts:
            yield f"  {key}: {_quoted(text)}" if bean else f"    ; {key}: {text}"
        written = list(sides)
        for name, amount in written:
            yield f"  {self._names[name]}  {self._money(amount)}"
        if rest := -sum(amount for _, amount in written):
            yield f"  {EQUITY}  {self._money(rest)}"
        yield ""

    def assertions(self, closing: Mapping[str, int], until: date) -> Iterator[str]:
        """Yield what every account must hold at the end, those that hold nothing included."""
        held = [(shown, -closing.get(name, 0)) for name, shown in sorted(self._names.items())]
        if self._form == "beancount":
            for shown, amount in held:
                # Without a tolerance of its own the program would let a cent pass.
                exact = f"{show_amount(amount, self._scale)} ~ 0 {self._currency}"
                yield f"{until} balance {shown}  {exact}"
        else:
            yield f"{until} balances"
            for shown, amount in held:
                yield f"  {shown}  {self._money(0)} = {self._money(amount)}"
        yield ""

    def _money(self, amount: int) -> str:
        return f"{show_amount(amount, self._scale)} {self._currency}"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def day_of(at: int) -> date:
    """Return the day of an instant, in UTC."""
    return datetime.fromtimestamp(at // 1_000_000, UTC).date()


def day_after(at: int) -> date:
    """Return the day after that of an instant, in UTC."""
    return day_of(at) + timedelta(days=1)
