"""`farebox verify`: prove every stored balance."""

import sys

from rich.console import Console
from rich.progress import Progress, TextColumn, TimeElapsedColumn

from farebox.kernel.clock import SystemClock
from farebox.ledger.verify import Report, verify
from farebox.wiring.services import opened
from farebox.wiring.settings import Settings


def run_verify(settings: Settings) -> None:
    """Verify, with progress on standard error; exits with 1 if something is not explained."""
    report = Report()
    shown = Progress(
        TextColumn("{task.description}"), TimeElapsedColumn(), console=Console(stderr=True)
    )
    with opened(settings, SystemClock()) as database, shown:
        task = shown.add_task("opening the books", total=None)
        for report in verify(database):
            text = f"{report.buckets:,} buckets, {report.entries:,} entries proved"
            shown.update(task, description=text)
    for fault in report.faults:
        print(f"bkt_{fault.bucket:016x}: {fault.what}")
    print(f"{report.buckets} buckets, {report.entries} entries, {len(report.faults)} faults")
    sys.exit(1 if report.faults else 0)
