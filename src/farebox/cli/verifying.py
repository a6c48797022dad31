"""`farebox verify`: prove every stored balance of every service that is served here."""

import sys

from rich.console import Console
from rich.progress import Progress, TextColumn, TimeElapsedColumn

from farebox.kernel.clock import SystemClock
from farebox.ledger.verify import Report, verify
from farebox.wiring.services import opened
from farebox.wiring.settings import Service, Settings


def run_verify(settings: Settings) -> None:
    """Verify, with progress on standard error; exits with 1 if something is not explained."""
    reports = [_verified(settings, service) for service in settings.served]
    for report in reports:
        for fault in report.faults:
            print(f"bkt_{fault.bucket:016x}: {fault.what}")
    buckets = sum(report.buckets for report in reports)
    entries = sum(report.entries for report in reports)
    faults = sum(len(report.faults) for report in reports)
    print(f"{buckets} buckets, {entries} entries, {faults} faults")
    sys.exit(1 if faults else 0)


def _verified(settings: Settings, service: Service) -> Report:
    report = Report()
    shown = Progress(
        TextColumn("{task.description}"), TimeElapsedColumn(), console=Console(stderr=True)
    )
    with opened(settings, SystemClock(), service=service) as database, shown:
        task = shown.add_task(f"opening the books of {service}", total=None)
        for report in verify(database):
            text = f"{service}: {report.buckets:,} buckets, {report.entries:,} entries proved"
            shown.update(task, description=text)
    return report
