"""Record what was used elsewhere: single reports, and batches in portions (source 002, flow 3).

A batch is recorded in transactions of 1,000 reports, so that decisions never wait long for a
writer. That is safe to repeat, because each report is recorded once under its own key.
"""

from collections.abc import Sequence
from functools import partial
from typing import Final

from farebox.access.usage.model import GRACE_US, MOST_REPORTS, Report, Result
from farebox.access.usage.service_report import record_reports
from farebox.kernel.refusals import ValueRefused
from farebox.platform.model import Actor
from farebox.storage import Database

PORTION: Final = 1_000


def record_usage(
    database: Database,
    actor: Actor,
    reports: Sequence[Report],
    *,
    grace_us: int = GRACE_US,
    with_quota: bool = False,
) -> list[Result]:
    """Record reports and return a result for each, in their order; see `record_reports`.

    Refuses (`value_invalid`) more than 10,000 at once.
    """
    if len(reports) > MOST_REPORTS:
        raise ValueRefused(f"a batch has at most {MOST_REPORTS} reports")
    results: list[Result] = []
    for start in range(0, len(reports), PORTION):
        work = partial(
            record_reports,
            reporter=actor.id,
            reports=reports[start : start + PORTION],
            grace_us=grace_us,
            with_quota=with_quota,
        )
        results += database.run(work)
    return results
