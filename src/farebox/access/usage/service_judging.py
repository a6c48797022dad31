"""Judging reports: what they name is loaded for all of them at once, then each is looked at."""

from collections.abc import Sequence
from typing import Final

import msgspec
import sqlalchemy as sa

from farebox.access.buckets.model import BucketSource
from farebox.access.buckets.service_many import records_of, sources_of_many
from farebox.access.catalog.service import find_product
from farebox.access.consumers.service_many import drawers_of
from farebox.access.entitlements.service_access import open_sources
from farebox.access.usage import store
from farebox.access.usage.model import FUTURE_US, Report
from farebox.kernel import ids
from farebox.ledger import usages
from farebox.ledger.usages import DecidedUse
from farebox.storage import Tx

_AT_ONCE: Final = 1_000
Key = tuple[str, str]


class ReportRefused(Exception):
    """This report cannot be recorded."""

    def __init__(self, code: str, detail: str) -> None:
        self.code = code
        self.detail = detail
        super().__init__(detail)


class Target(msgspec.Struct):
    """What a correction takes back, and how much of it is left to take."""

    operation: int
    consumer: str
    product: str
    group: str | None
    at: int
    metadata: str | None
    whole: int
    left: int


class PlannedRecord(msgspec.Struct):
    """A report that will be recorded, with the id of its record."""

    report: Report
    fingerprint: bytes
    number: int
    consumer: str
    product: str
    quantity: int
    sources: tuple[BucketSource, ...] = ()
    decided: DecidedUse | None = None
    target: Target | None = None


class Facts:
    """What the reports of a batch are judged by."""

    def __init__(self, tx: Tx, reports: Sequence[Report]) -> None:
        self.now = tx.now_us
        named = {one.product for one in reports if one.product is not None}
        self.products = {code for code in sorted(named) if find_product(tx, code) is not None}
        asked = {n for one in reports for n in (one.operation, one.corrects) if n is not None}
        numbers = sorted(asked)
        self.decided = usages.decided_uses(tx, numbers)
        self.targets = _targets(tx, sorted(n for n in numbers if n not in self.decided))
        records = records_of(tx, [use.bucket for use in self.decided.values()])
        for number, use in self.decided.items():
            bucket = records.get(use.bucket)
            group = bucket.holder if bucket is not None and bucket.holder_kind == "group" else None
            self.targets[number] = Target(
                number, use.actor, use.product, group, use.at, use.meta, use.taken, use.taken
            )
        for number, taken in taken_back(tx, sorted(self.targets)).items():
            self.targets[number].left -= taken
        people = {one.consumer for one in reports if one.consumer is not None}
        people |= {one.consumer for one in self.targets.values()}
        self.drawers = drawers_of(tx, people)
        self.sources = self._sources(tx, reports)

    def _sources(self, tx: Tx, reports: Sequence[Report]) -> dict[Key, tuple[BucketSource, ...]]:
        """Return where the consumers of these reports may draw now, by (consumer, product)."""
        uses = [one for one in reports if one.operation is None and one.corrects is None]
        wanted = {one.consumer for one in uses if one.consumer is not None}
        holders = {one: self.drawers[one].holders for one in wanted if one in self.drawers}
        found = sources_of_many(tx, holders, self.products)
        flat = [source for each in found.values() for source in each]
        if all(source.origin is None for source in flat):
            return found
        named = sorted({holder for each in holders.values() for holder in each})
        usable = {source.bucket for source in open_sources(tx, flat, named)}
        return {
            key: tuple(source for source in each if source.bucket in usable)
            for key, each in found.items()
        }


def _targets(tx: Tx, numbers: Sequence[int]) -> dict[int, Target]:
    """Return the records that corrections name, as what they take back."""
    record = store.record
    found = {}
    for start in range(0, len(numbers), _AT_ONCE):
        here = record.c.id.in_(numbers[start : start + _AT_ONCE])
        for row in tx.run(sa.select(record).where(here)):
            one = store.record_of(row)
            # What counts nothing by itself leaves nothing to take back.
            left = one.quantity if one.kind == "report" else -1
            found[one.id] = Target(
                one.id, one.consumer, one.product, one.group, one.at, one.metadata, left, left
            )
    return found


def taken_back(tx: Tx, numbers: Sequence[int]) -> dict[int, int]:
    """Return how much earlier corrections took back."""
    record = store.record
    taken = sa.cast(-sa.func.sum(record.c.quantity), sa.BigInteger).label("taken")
    found: dict[int, int] = {}
    for start in range(0, len(numbers), _AT_ONCE):
        here = record.c.corrects.in_(numbers[start : start + _AT_ONCE])
        statement = sa.select(record.c.corrects, taken).where(here).group_by(record.c.corrects)
        found.update((row.corrects, row.taken) for row in tx.run(statement))
    return found


def judged(report: Report, fingerprint: bytes, facts: Facts) -> PlannedRecord:
    """Return how a report will be recorded, or raise why not (`ReportRefused`)."""
    if report.at is not None and report.at > facts.now + FUTURE_US:
        raise ReportRefused("usage_in_future", "the time of use lies more than 5 minutes ahead")
    if report.corrects is not None:
        return _correction(report, fingerprint, facts)
    if report.consumer is None or report.product is None:
        raise ReportRefused("report_incomplete", "a use names its consumer and its product")
    drawer = facts.drawers.get(report.consumer)
    if drawer is None:
        raise ReportRefused("consumer_unknown", "there is no such consumer")
    if report.product not in facts.products:
        raise ReportRefused("product_unknown", "there is no such product")
    if report.group is not None and report.group not in drawer.groups:
        raise ReportRefused("not_a_member", "the consumer is not a member of this group")
    plan = PlannedRecord(
        report, fingerprint, ids.mint(), report.consumer, report.product, report.quantity or 1
    )
    if report.operation is not None:
        plan.decided = _decided(report, plan.quantity, facts)
        return plan
    plan.sources = tuple(
        source
        for source in facts.sources.get((report.consumer, report.product), ())
        if report.group is None or source.holder == report.group
    )
    return plan


def _decided(report: Report, quantity: int, facts: Facts) -> DecidedUse:
    assert report.operation is not None
    use = facts.decided.get(report.operation)
    if use is None:
        raise ReportRefused("operation_unknown", "there is no such decision")
    if (use.actor, use.product) != (report.consumer, report.product) or quantity > use.taken:
        raise ReportRefused(
            "operation_differs", "the decision was another consumer's or product's, or took less"
        )
    return use


def _correction(report: Report, fingerprint: bytes, facts: Facts) -> PlannedRecord:
    others = (report.at, report.group, report.operation, report.metadata)
    if any(each is not None for each in others):
        raise ReportRefused(
            "report_incomplete", "a correction names what it corrects and how much of it"
        )
    assert report.corrects is not None
    target = facts.targets.get(report.corrects)
    if target is None:
        raise ReportRefused("usage_unknown", "there is no such usage record or decision")
    if report.consumer not in {None, target.consumer} or report.product not in {
        None,
        target.product,
    }:
        raise ReportRefused("correction_refused", "the record is another consumer's or product's")
    if target.consumer not in facts.drawers:
        raise ReportRefused("correction_refused", "the decision was made for no consumer")
    if target.left < 0:
        raise ReportRefused("correction_refused", "correct the record or decision that counts")
    quantity = target.left if report.quantity is None else report.quantity
    if not 0 < quantity <= target.left:
        raise ReportRefused("reversal_exceeds", f"{target.left} is left that could be taken back")
    target.left -= quantity
    return PlannedRecord(
        report, fingerprint, ids.mint(), target.consumer, target.product, quantity,
        target=msgspec.structs.replace(target),
    )  # fmt: skip
