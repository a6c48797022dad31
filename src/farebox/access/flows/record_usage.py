"""Record what was used elsewhere: single reports, and batches in portions (source 002, flow 3).

A batch is recorded in transactions of 1,000 reports, consumer by consumer, so that decisions never
wait long for a writer. That is safe to repeat, because each report is recorded once under its own
key.
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
    results: dict[int, Result] = {}
    order = _by_consumer(reports)
    for start in range(0, len(order), PORTION):
        places = order[start : start + PORTION]
        work = partial(
            record_reports,
            reporter=actor.id,
            reports=[reports[place] for place in places],
            grace_us=grace_us,
            with_quota=with_quota,
        )
        results.update(zip(places, database.run(work), strict=True))
    return [results[place] for place in range(len(reports))]


def _by_consumer(reports: Sequence[Report]) -> list[int]:
    """Return the places of reports, those of a consumer together and in their order.

    So a portion has many reports of few consumers, whose buckets are loaded and written once. What
    has the same key stays together as well, so that the first of them is the one that counts.
    """
    first: dict[tuple[str, str], str] = {}
    for one in reports:
        first.setdefault((one.source, one.event), one.consumer or "")
    return sorted(
        range(len(reports)),
        key=lambda place: first[reports[place].source, reports[place].event],
    )
