"""The table: to the screen, to `results/latest.json`, to `RESULTS.md` and into the README."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from bench.machine import Machine, lines
from bench.model import Judged, Row, Sizes, ratio, rounded_down, rounded_up, verdict

HERE = Path(__file__).parent
BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"
_HEAD = ("what", "ours", "peer", "ratio", "floor", "aim", "verdict")
_TIMES = frozenset({"ms", "us"})


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """One run: where, how much, and every row of it."""

    machine: Machine
    sizes: Sizes
    command: str
    rows: Sequence[Row]


def show(report: Report) -> str:
    """Draw the table for a terminal."""
    table = [_HEAD, *(_cells(row) for row in report.rows)]
    widths = [max(len(line[column]) for line in table) for column in range(len(_HEAD))]
    drawn = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in table
    ]
    drawn.insert(1, "  ".join("-" * width for width in widths))
    notes = [f"  {number}. {text}" for number, text in enumerate(_notes(report), start=1)]
    return "\n".join([*drawn, "", *lines(report.machine), _run(report), *notes])


def markdown(report: Report) -> str:
    """Write the same table for the README."""
    body = [f"| {' | '.join(_HEAD)} |", "|---|---:|---:|---:|---:|---:|---|"]
    body += [f"| {' | '.join(_cells(row))} |" for row in report.rows]
    facts = [f"- {line}" for line in [*lines(report.machine), _run(report)]]
    notes = [f"{number}. {text}" for number, text in enumerate(_notes(report), start=1)]
    return "\n".join([*body, "", *facts, "", *notes]).rstrip() + "\n"


def save(report: Report, folder: Path = HERE) -> None:
    """Write `results/latest.json` and `RESULTS.md`."""
    (folder / "results").mkdir(exist_ok=True)
    encoded = msgspec.json.format(msgspec.json.encode(report), indent=1)
    (folder / "results" / "latest.json").write_bytes(encoded + b"\n")
    text = f"# Measured figures\n\n{BEGIN}\n{markdown(report)}{END}\n"
    (folder / "RESULTS.md").write_text(text, encoding="utf-8")


def load(folder: Path = HERE) -> Report | None:
    """Read the last run back; None where there was none, or one of another form."""
    path = folder / "results" / "latest.json"
    try:
        return msgspec.json.decode(path.read_bytes(), type=Report)
    except (FileNotFoundError, msgspec.ValidationError):
        return None


def replace_block(document: Path, report: Report) -> None:
    """Put the table between the two marks of `document`; refuse a document without them."""
    text = document.read_text(encoding="utf-8")
    before, begun, rest = text.partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not begun or not ended:
        raise SystemExit(f"{document.name} has no {BEGIN} ... {END}")
    document.write_text(f"{before}{BEGIN}\n{markdown(report)}{END}{after}", encoding="utf-8")


def _cells(row: Row) -> tuple[str, ...]:
    bounds = (_bound(row, row.floor), _bound(row, row.aim))
    if row.ours is None:
        return (row.what, "not measured", "", "", *bounds, "not measured")
    value = ratio(row)
    high = row.judged in {Judged.RATIO, Judged.NOTHING} and row.unit not in _TIMES
    peer = ""
    if row.peer is not None:
        peer = f"{_amount(row.peer, row.unit, down=not high)} {row.peer_name}"
    return (
        row.what,
        _amount(row.ours, row.unit, down=high),
        peer,
        "" if value is None else (rounded_down(value, 2) if high else rounded_up(value, 2)),
        *bounds,
        verdict(row),
    )


def _amount(value: float, unit: str, *, down: bool) -> str:
    digits = 2 if unit in _TIMES else 0
    return f"{(rounded_down if down else rounded_up)(value, digits)} {unit}"


def _bound(row: Row, bound: float | None) -> str:
    if bound is None:
        return ""
    if row.judged is Judged.TIME:
        return f"< {bound:g} {row.unit}"
    return f"<= {bound:g}" if row.judged is Judged.RATIO_AT_MOST else f"{bound:g}"


def _run(report: Report) -> str:
    sizes = report.sizes
    rounds = f"{sizes.rounds} rounds of {sizes.seconds:g} s a side, sides in turn, medians"
    return f"`{report.command}`: {sizes.name} run, {rounds}; the load generator on the same machine"


def _notes(report: Report) -> list[str]:
    """Say each note once, with the rows that it is about."""
    latest = max((row.run for row in report.rows), default="")
    notes: dict[str, list[str]] = {}
    for row in report.rows:
        if row.note:
            notes.setdefault(row.note, []).append(row.what)
        if row.run and row.run != latest:
            notes.setdefault(f"measured in an earlier run: {row.run}", []).append(row.what)
    return [f"{'; '.join(dict.fromkeys(whats))}: {note}" for note, whats in notes.items()]
