"""`farebox export`: billing's books as text, straight from its database."""

import sys
from datetime import UTC, datetime
from pathlib import Path

from farebox.billing.reports.rules_export import Format
from farebox.billing.reports.service import export
from farebox.kernel.clock import SystemClock
from farebox.wiring.services import opened
from farebox.wiring.settings import Settings


def run_export(
    settings: Settings,
    file: Path | None,
    *,
    form: Format,
    since: datetime | None,
    until: datetime | None,
) -> None:
    """Write the books line by line; a file is there whole or not at all."""
    with opened(settings, SystemClock(), service="billing") as database, database.read() as tx:
        first, before = _microseconds(since) or 0, _microseconds(until)
        lines = export(tx, form=form, since=first, before=before)
        if file is None:
            sys.stdout.writelines(f"{line}\n" for line in lines)
            return
        part = file.with_name(f"{file.name}.part")
        with part.open("w", encoding="utf-8") as target:
            target.writelines(f"{line}\n" for line in lines)
        part.replace(file)


def _microseconds(moment: datetime | None) -> int | None:
    if moment is None:
        return None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()) * 1_000_000
