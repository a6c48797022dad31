"""`python -m bench [figure ...]`: measure, print the table, write it down.

    python -m bench                 everything (`all`), which takes about half an hour
    python -m bench --quick         everything, smaller and shorter
    python -m bench consume keys    these figures only
    python -m bench --readme        put the last table into README.md, measure nothing

A run writes bench/results/latest.json and bench/RESULTS.md. A run of some
figures replaces those rows and leaves the others as they were measured.
"""

import argparse
import shlex
import signal
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence

from bench import (
    billing,
    edge_leases,
    in_process,
    machine,
    metering,
    on_postgres,
    over_http,
    report,
    search,
    store,
    waiting,
)
from bench.model import FULL, QUICK, NotMeasured, Row, Sizes, Wrong
from bench.promises import FIGURES, measured, promised
from bench.rounds import say
from bench.stage import Stage

_MEASURES: Mapping[str, Callable[[Stage], list[Row]]] = {
    "consume": over_http.consume,
    "everything": over_http.everything,
    "keys": over_http.keys,
    "shared": over_http.shared,
    "latency": waiting.latency,
    "one-connection": waiting.one_connection,
    "decisions": waiting.decisions,
    "check": over_http.check,
    "in-process": in_process.in_process,
    "journal": in_process.journal,
    "postgres": on_postgres.postgres,
    "two-workers": waiting.two_workers,
    "billing": billing.billing,
    "lease": edge_leases.lease,
    "search": search.search,
    "store": store.store,
    "usage": metering.usage,
}


def main(arguments: Sequence[str]) -> int:
    """Run the figures that were asked for; 1 when a side failed or answered wrongly."""
    asked = _parser().parse_args(arguments)
    if asked.readme:
        return _into_readme()
    sizes = QUICK if asked.quick else FULL
    wanted = list(FIGURES) if "all" in asked.figures else list(dict.fromkeys(asked.figures))
    command = shlex.join(["python", "-m", "bench", *arguments])
    earlier = report.load()
    rows: list[Row] = []
    failed = False
    # Whoever stops the run must not leave its servers and peers behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with Stage(sizes) as stage:
        where = machine.describe(stage.work)
        for number, figure in enumerate(wanted, 1):
            found, wrong = _measure_one(figure, stage)
            failed = failed or wrong
            rows += [measured(row, run=_run_name(where, sizes)) for row in found]
            # After each one: whoever stops the run here keeps what it has found.
            merged = _merged(rows, earlier, wanted[:number])
            report.save(report.Report(machine=where, sizes=sizes, command=command, rows=merged))
    print(report.show(report.Report(machine=where, sizes=sizes, command=command, rows=rows)))
    return 1 if failed else 0


def _measure_one(figure: str, stage: Stage) -> tuple[list[Row], bool]:
    """Measure a figure; the flag says that a side failed or answered wrongly."""
    say(f"{figure}:")
    try:
        return _measure(figure, stage), False
    except NotMeasured as missing:
        say(f"  not measured: {missing}")
        return _unmeasured(figure, str(missing)), False
    except Wrong as wrong:
        say(f"  WRONG: {wrong}")
        return _unmeasured(figure, f"stopped, because a side answered wrongly: {wrong}"), True
    except Exception as error:  # noqa: BLE001 - one broken figure must not cost the hour before it
        traceback.print_exc()
        return _unmeasured(figure, f"the measurement itself failed: {error!r}"), True


def _measure(figure: str, stage: Stage) -> list[Row]:
    measure = _MEASURES.get(figure)
    return promised(figure) if measure is None else measure(stage)


def _unmeasured(figure: str, why: str) -> list[Row]:
    return [measured(row, note=why) for row in promised(figure)]


def _merged(rows: list[Row], earlier: report.Report | None, wanted: Sequence[str]) -> list[Row]:
    """Keep the table whole and in its order: new rows, else those of the last run, else none."""
    merged: list[Row] = []
    for figure in FIGURES:
        if figure in wanted:
            merged += [row for row in rows if row.figure == figure]
        else:
            kept = [row for row in earlier.rows if row.figure == figure] if earlier else []
            merged += kept or promised(figure)
    return merged


def _run_name(where: machine.Machine, sizes: Sizes) -> str:
    return f"{where.date}, commit {where.commit}, {sizes.name} run"


def _into_readme() -> int:
    last = report.load()
    if last is None:
        print("nothing measured yet: run python -m bench first", file=sys.stderr)
        return 1
    report.replace_block(report.HERE.parent / "README.md", last)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("figures", nargs="*", default="all", choices=[*FIGURES, "all"])
    parser.add_argument("--quick", action="store_true", help="smaller journal, shorter rounds")
    parser.add_argument(
        "--readme", action="store_true", help="write the last table into README.md and stop"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
