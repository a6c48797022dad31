"""What was used: by time, record by record, period by period; and what is counted of products."""

from typing import Annotated, Literal

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter

from farebox.access.consumers.model import ConsumerUnknown
from farebox.access.consumers.service import read_consumer
from farebox.access.flows.aggregate_usage import snapshot_usage
from farebox.access.usage.model import UsageRecord, UsageUnknown
from farebox.access.usage.service_periods import list_periods
from farebox.access.usage.service_queries import list_records, read_record, usage_by_time
from farebox.http.deps import Command, Desk
from farebox.http.routes.usage import QuotaView, show_quota
from farebox.http.wire import (
    Body,
    Id,
    IdFilter,
    Limit,
    NumberCursor,
    Page,
    Time,
    View,
    ZoneParameter,
    show_end,
    show_time,
)
from farebox.kernel import ids
from farebox.kernel.clock import SECOND_US, parse_time
from farebox.storage import Tx

TAGS = ["Usage"]
_MONTH_US = 30 * 86_400 * SECOND_US
_SLOT_US = 900 * SECOND_US
BucketOfTime = Annotated[
    Literal["hour", "day", "month"], QueryParameter(name="bucket", description="Of time")
]
_QUARTER = "The start of a quarter of an hour"
From = Annotated[str | None, QueryParameter(name="from", format="date-time", description=_QUARTER)]
Until = Annotated[str | None, QueryParameter(name="to", format="date-time", description=_QUARTER)]
Source = Annotated[
    str | None, QueryParameter(name="source", min_length=1, max_length=255, pattern=r"^[!-~]+$")
]
Event = Annotated[
    str | None, QueryParameter(name="id", min_length=1, max_length=255, pattern=r"^[!-~]+$")
]


class UsageBucket(View, frozen=True):
    """What was used of a product in one hour, day or month; the maximum is of single uses."""

    start: Time
    end: Time
    product: str
    count: int
    quantity: int
    maximum: int


class UsageView(View, frozen=True):
    """What was used, by time and product; buckets in which nothing was used are left out."""

    items: list[UsageBucket]


class RecordView(View, frozen=True, omit_defaults=True):
    """A usage record. A correction has a negative quantity; `decided` was counted elsewhere."""

    record: str
    source: str
    id: str
    kind: str
    consumer: str
    product: str
    quantity: int
    drawn: int
    overage: int
    at: Time
    recorded_at: Time
    period: Time
    late: bool
    reporter: str
    group: str | None = None
    operation: str | None = None
    corrects: str | None = None
    remains: int | None = None
    quota: QuotaView | None = None
    metadata: str | None = None


class PeriodView(View, frozen=True):
    """A period in which something was used; closed, it was told by the event."""

    start: Time
    end: Time | None
    closed_at: Time | None
    event: str | None


class AskSnapshot(Body, frozen=True):
    """Whose use is to be told so far."""

    consumer: Id


class SnapshotView(View, frozen=True):
    """The event that tells it."""

    event: str


def show_record(one: UsageRecord) -> RecordView:
    """Return a record as the API shows it."""
    return RecordView(
        record=ids.show("use", one.id),
        source=one.source,
        id=one.event,
        kind=one.kind,
        consumer=one.consumer,
        product=one.product,
        quantity=one.quantity,
        drawn=one.drawn,
        overage=one.overage,
        at=show_time(one.at),
        recorded_at=show_time(one.recorded_at),
        period=show_time(one.period),
        late=one.late,
        reporter=one.reporter,
        group=one.group,
        operation=None if one.operation is None else ids.show("op", one.operation),
        corrects=None if one.corrects is None else ids.show("use", one.corrects),
        remains=one.remains,
        quota=show_quota(one.quota),
        metadata=one.metadata,
    )


def own_consumer(desk: Desk, consumer: str | None) -> str | None:
    """Return whose usage is asked for: a consumer's own, whatever it names."""
    if desk.principal.kind != "consumer":
        return consumer
    consumer = consumer or desk.principal.id
    desk.must_own(consumer, ConsumerUnknown)
    return consumer


@get(
    "/v1/usage",
    operation_id="readUsage",
    tags=TAGS,
    opt={"problems": (404, 409)},
    sync_to_thread=True,
)
def read_usage(
    *,
    desk: NamedDependency[Desk],
    consumer: IdFilter = None,
    product: IdFilter = None,
    group: IdFilter = None,
    bucket: BucketOfTime = "day",
    zone: ZoneParameter = "UTC",
    since: From = None,
    until: Until = None,
) -> UsageView:
    """Read what was used, by hour, day or month of a zone; by default in the last 30 days.

    Name a consumer, a product or a group. It is exact at once, and by the time of use, whatever
    period it counted in.
    """
    consumer = own_consumer(desk, consumer)

    def work(tx: Tx) -> UsageView:
        now = tx.now_us // _SLOT_US * _SLOT_US + _SLOT_US
        before = now if until is None else parse_time(until)
        found = usage_by_time(
            tx,
            since=max(before - _MONTH_US, 0) if since is None else parse_time(since),
            before=before,
            bucketing=bucket,
            zone=zone,
            consumer=consumer,
            product=product,
            group=group,
        )
        return UsageView(
            items=[
                UsageBucket(
                    start=show_time(one.start),
                    end=show_time(one.end),
                    product=one.product,
                    count=one.uses,
                    quantity=one.quantity,
                    maximum=one.maximum,
                )
                for one in found
            ]
        )

    return desk.read(work)


@get(
    "/v1/usage/records",
    operation_id="listUsageRecords",
    tags=TAGS,
    opt={"problems": (404,)},
    sync_to_thread=True,
)
def read_records(
    *,
    desk: NamedDependency[Desk],
    consumer: IdFilter = None,
    product: IdFilter = None,
    source: Source = None,
    event: Event = None,
    limit: Limit = 100,
    cursor: NumberCursor = None,
) -> Page[RecordView]:
    """List usage records in the order in which they came."""
    consumer = own_consumer(desk, consumer)
    page = desk.read(
        lambda tx: list_records(
            tx,
            consumer=consumer,
            product=product,
            source=source,
            event=event,
            after=None if cursor is None else int(cursor),
            limit=limit,
        )
    )
    return Page(items=[show_record(one) for one in page.items], next=page.next)


@get(
    "/v1/usage/records/{record:str}",
    operation_id="readUsageRecord",
    tags=TAGS,
    sync_to_thread=True,
)
def read_usage_record(record: FromPath[str], desk: NamedDependency[Desk]) -> RecordView:
    """Read a usage record."""
    number = ids.parse("use", record)
    if number is None:
        raise UsageUnknown
    found = desk.read(lambda tx: read_record(tx, number))
    desk.must_own(found.consumer, UsageUnknown)
    return show_record(found)


@get(
    "/v1/consumers/{consumer:str}/usage-periods",
    operation_id="listUsagePeriods",
    tags=TAGS,
    sync_to_thread=True,
)
def read_periods(
    consumer: FromPath[str],
    desk: NamedDependency[Desk],
    limit: Limit = 100,
    cursor: NumberCursor = None,
) -> Page[PeriodView]:
    """List the periods in which a consumer used something, newest first."""
    desk.must_own(consumer, ConsumerUnknown)
    before = None if cursor is None else int(cursor)

    def work(tx: Tx) -> Page[PeriodView]:
        read_consumer(tx, consumer)
        page = list_periods(tx, consumer, before=before, limit=limit)
        items = [
            PeriodView(
                start=show_time(one.starts_at),
                end=show_end(one.ends_at),
                closed_at=show_end(one.closed_at),
                event=one.event,
            )
            for one in page.items
        ]
        return Page(items=items, next=page.next)

    return desk.read(work)


@post(
    "/v1/usage/snapshots",
    operation_id="snapshotUsage",
    tags=TAGS,
    status_code=200,
    sync_to_thread=True,
)
def snapshot(data: JSONBody[AskSnapshot], command: NamedDependency[Command]) -> SnapshotView:
    """Let `usage.aggregated` tell what a consumer has used in this period so far, as interim."""
    command.read(lambda tx: read_consumer(tx, data.consumer))
    event = snapshot_usage(
        command.database, data.consumer, grace_us=command.services.usage_grace_us
    )
    return SnapshotView(event=event.id)


HANDLERS = (
    read_usage,
    read_records,
    read_usage_record,
    read_periods,
    snapshot,
)
