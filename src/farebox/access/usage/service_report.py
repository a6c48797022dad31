"""Recording what was reported: each report once, drawn from what is left, the rest as overage.

A batch is read, judged, drawn and written as a whole, in a number of statements that does not
depend on how many reports it has. One that is refused leaves no trace, so that it may be sent
again; the others of the batch are recorded.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
import sqlalchemy as sa

from farebox.access.consumers.service_many import lock_consumers
from farebox.access.subscriptions.model import QuotaStanding
from farebox.access.subscriptions.service_quotas import quotas_of
from farebox.access.usage import store
from farebox.access.usage.model import (
    GRACE_US,
    NotRecorded,
    Recorded,
    Report,
    Result,
    Standing,
    UsageRecord,
)
from farebox.access.usage.service_drawing import draw, given_back, overage_buckets
from farebox.access.usage.service_facts import Calendars, calendars_of
from farebox.access.usage.service_judging import (
    Facts,
    Key,
    PlannedRecord,
    ReportRefused,
    judged,
    taken_back,
)
from farebox.kernel.refusals import TryAgain
from farebox.ledger import reading
from farebox.ledger.model import Applied, Denied, Outcome, Refused
from farebox.ledger.service import Ledger, fingerprint_of
from farebox.storage import Tx

_ledger = Ledger()
_AT_ONCE: Final = 1_000
_encode = msgspec.msgpack.Encoder().encode
_DIFFERS: Final = "another record was reported under this source and id"
_ABOVE: Final = "more than is left of it cannot be taken back"


def record_reports(
    tx: Tx,
    reporter: str,
    reports: Sequence[Report],
    *,
    grace_us: int = GRACE_US,
    with_quota: bool = True,
) -> list[Result]:
    """Record what is new of these reports and return a result for each, in their order.

    One that was recorded before has its first answer; under the same key something else is
    `usage_differs`. Codes of what is refused: `consumer_unknown`, `product_unknown`,
    `operation_unknown`, `usage_unknown`, `not_a_member`, `report_incomplete`, `usage_in_future`,
    `usage_differs`, `operation_differs`, `correction_refused`, `reversal_exceeds`, `bucket_fault`.
    """
    prints = [fingerprint_of(_encode(one)) for one in reports]
    # Whoever else reports the same of the same consumers comes after us, and then finds it here.
    lock_consumers(tx, {one.consumer for one in reports if one.consumer is not None})
    answers: dict[Key, tuple[bytes, UsageRecord | NotRecorded]] = {
        key: (one.fingerprint, one) for key, one in _known(tx, reports).items()
    }
    fresh: dict[Key, int] = {}
    for place, one in enumerate(reports):
        key = (one.source, one.event)
        if key not in answers:
            fresh.setdefault(key, place)
    new = [(reports[place], prints[place]) for place in fresh.values()]
    made = _record(tx, reporter, new, grace_us=grace_us, with_quota=with_quota)
    answers.update({key: (prints[place], made[key]) for key, place in fresh.items()})
    results: list[Result] = []
    for place, one in enumerate(reports):
        key = (one.source, one.event)
        fingerprint, answer = answers[key]
        if fingerprint != prints[place]:
            results.append(_no(one, "usage_differs", _DIFFERS))
        elif isinstance(answer, NotRecorded):
            results.append(answer)
        else:
            results.append(Recorded(record=answer, repeated=fresh.get(key) != place))
    return results


def _no(report: Report, code: str, detail: str) -> NotRecorded:
    return NotRecorded(source=report.source, event=report.event, code=code, detail=detail)


def _known(tx: Tx, reports: Sequence[Report]) -> dict[Key, UsageRecord]:
    """Return what was recorded under the keys of these reports."""
    by_source: dict[str, list[str]] = {}
    for one in reports:
        by_source.setdefault(one.source, []).append(one.event)
    found: dict[Key, UsageRecord] = {}
    record = store.record
    for source, events in by_source.items():
        for start in range(0, len(events), _AT_ONCE):
            here = record.c.event.in_(events[start : start + _AT_ONCE])
            for row in tx.run(sa.select(record).where(record.c.source == source, here)):
                found[row.source, row.event] = store.record_of(row)
    return found


def _record(
    tx: Tx,
    reporter: str,
    reports: Sequence[tuple[Report, bytes]],
    *,
    grace_us: int,
    with_quota: bool,
) -> dict[Key, UsageRecord | NotRecorded]:
    """Judge, draw and write reports that are new."""
    if not reports:
        return {}
    facts = Facts(tx, [one for one, _ in reports])
    answers: dict[Key, UsageRecord | NotRecorded] = {}
    plans: list[PlannedRecord] = []
    for one, fingerprint in reports:
        try:
            plans.append(judged(one, fingerprint, facts))
        except ReportRefused as refused:
            answers[one.source, one.event] = _no(one, refused.code, refused.detail)
    spills = overage_buckets(tx, plans)
    made: list[UsageRecord] = []
    writing = _Writing(tx, facts, spills, reporter=reporter, grace_us=grace_us)
    for plan, outcome in writing.drawn(plans):
        if isinstance(outcome, (Denied, Refused)):
            code = "reversal_exceeds" if plan.target is not None else outcome.code
            detail = _ABOVE if plan.target is not None else code.replace("_", " ")
            answers[plan.report.source, plan.report.event] = _no(plan.report, code, detail)
        else:
            made.append(writing.record(plan, outcome))
    if with_quota and made:
        made = _with_standings(tx, made, facts, spills)
    # In one order for all writers, so that two who have the same records wait and do not clash.
    made.sort(key=lambda one: (one.source, one.event))
    rows = [store.row_of(one) for one in made]
    if tx.insert_missing(store.record, "source, event", store.RECORD, rows) != len(rows):
        # Somebody recorded one of them meanwhile: look again.
        raise TryAgain
    return answers | {(one.source, one.event): one for one in made}


class _Writing:
    """Turns reports that were drawn into records."""

    def __init__(
        self, tx: Tx, facts: Facts, spills: Mapping[Key, int], *, reporter: str, grace_us: int
    ) -> None:
        self._tx = tx
        self._facts = facts
        self._spills = spills
        self._reporter = reporter
        self._grace_us = grace_us
        self._calendars = Calendars({})
        self._returned: dict[int, int] = {}
        self._taken: dict[int, int] = {}
        self._now = 0

    def drawn(self, plans: Sequence[PlannedRecord]) -> list[tuple[PlannedRecord, Outcome | None]]:
        """Draw for all of them; None is what a decision drew already."""
        outcomes = draw(self._tx, plans, self._spills)
        done = list(zip(plans, outcomes, strict=True))
        # Read after the buckets were locked: whoever takes this time is seen by `usages.end`, and
        # corrections of the same record have waited for each other.
        self._now = self._tx.now_us
        drawers = {name: one.drawer for name, one in self._facts.drawers.items()}
        self._calendars = calendars_of(self._tx, drawers)
        back = [
            (plan.target.operation, outcome)
            for plan, outcome in done
            if plan.target is not None and isinstance(outcome, Applied)
        ]
        if back:
            self._returned = given_back(self._tx, [outcome for _, outcome in back])
            self._taken = taken_back(self._tx, sorted({number for number, _ in back}))
        return done

    def record(self, plan: PlannedRecord, outcome: Applied | None) -> UsageRecord:
        """Return the record of a report."""
        report = plan.report
        at, group, metadata = report.at, report.group, report.metadata
        kind, counted, sign, covered = "report", 1, 1, 0
        remains: int | None = None
        if plan.decided is not None:
            kind, counted, at = "decided", 0, plan.decided.at
        elif plan.target is not None:
            target = plan.target
            assert outcome is not None
            taken = self._taken.get(target.operation, 0) + plan.quantity
            self._taken[target.operation] = taken
            remains = target.whole - taken
            kind, counted, sign = "correction", 0 if remains else -1, -1
            at, group, metadata = target.at, target.group, target.metadata
            covered = self._returned[outcome.operation]
        elif outcome is not None:
            covered = self._covered(plan, outcome)
            group = group or self._group(plan, outcome)
        at = self._now if at is None else at
        place = self._calendars.of(plan.consumer).place(at, self._now, self._grace_us)
        counts = plan.decided is None
        return UsageRecord(
            seq=0,
            id=plan.number,
            source=report.source,
            event=report.event,
            fingerprint=plan.fingerprint,
            kind=kind,  # type: ignore[arg-type] # one of the three above
            consumer=plan.consumer,
            product=plan.product,
            group=group,
            quantity=sign * plan.quantity,
            drawn=sign * covered if counts else 0,
            overage=sign * (plan.quantity - covered) if counts else 0,
            counted=counted,
            at=at,
            recorded_at=self._now,
            period=place.period.start,
            late=place.late,
            operation=report.operation,
            corrects=report.corrects,
            remains=remains,
            reporter=self._reporter,
            quota=None,
            metadata=metadata,
        )

    def _covered(self, plan: PlannedRecord, outcome: Applied) -> int:
        """Return what came from buckets that count no overage."""
        above = {source.bucket for source in plan.sources if source.overage}
        spill = self._spills.get((plan.consumer, plan.product))
        return sum(
            part for bucket, _, part in outcome.drawn if bucket not in above and bucket != spill
        )

    def _group(self, plan: PlannedRecord, outcome: Applied) -> str | None:
        """Return the group whose bucket was drawn first, if it was a group's."""
        groups = self._facts.drawers[plan.consumer].groups
        if not groups or not outcome.drawn:
            return None
        first = outcome.drawn[0][0]
        holders = [source.holder for source in plan.sources if source.bucket == first]
        return holders[0] if holders and holders[0] in groups else None


def _with_standings(
    tx: Tx, made: Sequence[UsageRecord], facts: Facts, spills: Mapping[Key, int]
) -> list[UsageRecord]:
    """Say on each record how its quota stands after all of them."""
    named = {holder for one in made for holder in facts.drawers[one.consumer].holders}
    quotas: dict[Key, QuotaStanding] = {}
    for quota in quotas_of(tx, sorted(named)):
        quotas.setdefault((quota.holder, quota.product), quota)
    if not quotas:
        return list(made)
    standings: dict[Key, Standing | None] = {}
    for one in made:
        key = (one.consumer, one.product)
        if key not in standings:
            holders = facts.drawers[one.consumer].holders
            found = [quotas[h, one.product] for h in holders if (h, one.product) in quotas]
            standings[key] = _standing(tx, found[0], spills.get(key)) if found else None
    return [
        msgspec.structs.replace(one, quota=standings[one.consumer, one.product]) for one in made
    ]


def _standing(tx: Tx, quota: QuotaStanding, spill: int | None) -> Standing:
    """Show a quota, with what was posted above it in its period."""
    above = quota.overage
    if quota.overage_bucket is None and spill is not None:
        before = reading.as_of(_ledger, tx, spill, quota.period_from - 1)
        above = before - reading.bucket_view(_ledger, tx, spill).available
    return Standing(limit=quota.limit, used=quota.used, remaining=quota.remaining, overage=above)
