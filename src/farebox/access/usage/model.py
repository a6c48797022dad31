"""What was used: reports, their records, the sums of periods, and who is told of a limit."""

from typing import ClassVar, Final, Literal

import msgspec

from farebox.kernel.clock import SECOND_US
from farebox.kernel.periods import Unit
from farebox.kernel.refusals import Refusal

RecordKind = Literal["report", "decided", "correction"]
AggregationKind = Literal["count", "sum", "maximum", "unique"]
Bucketing = Literal["hour", "day", "month"]

MOST_REPORTS: Final = 10_000
"""Most reports in one batch."""
SLOT_US: Final = 900 * SECOND_US
"""Rollups count by quarters of an hour: the offsets of all zones are whole ones."""
FUTURE_US: Final = 300 * SECOND_US
"""So far ahead of us the clock of a reporter may be."""
GRACE_US: Final = 3_600 * SECOND_US
"""So long after its end a period stays open for late reports, unless a setting says otherwise."""
LONGEST_NAME: Final = 64
MOST_AGGREGATIONS: Final = 20
"""Most declared aggregations of one product."""
MOST_PARTS: Final = 1_000
"""Most parts of one aggregation that an event carries."""
NOTICE_PERCENTS: Final = (80, 100)


class Report(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """What a reporter says, keyed by `source` and `event`.

    A use names consumer and product; `operation` is the decision that counted it already.
    `corrects` is the record or decision of which `quantity` (None: the rest) is taken back.
    `at` is the time of use (None: now), `metadata` JSON text.
    """

    source: str
    event: str
    consumer: str | None = None
    product: str | None = None
    quantity: int | None = None
    at: int | None = None
    group: str | None = None
    operation: int | None = None
    corrects: int | None = None
    metadata: str | None = None


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How a quota stands: `used` of `limit`, `remaining`, and the `overage` above it."""

    limit: int
    used: int
    remaining: int
    overage: int


class UsageRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One record, never changed. Its id is also the ledger's operation that drew or gave back.

    `drawn` came from buckets and `overage` was above them; a correction has both negative. A
    `decided` record was counted by its decision. `period` is the start of the consumer's period
    in which it counts, `late` says that this is not the period of its time.
    """

    seq: int
    id: int
    source: str
    event: str
    fingerprint: bytes
    kind: RecordKind
    consumer: str
    product: str
    group: str | None
    quantity: int
    drawn: int
    overage: int
    counted: int
    at: int
    recorded_at: int
    period: int
    late: bool
    operation: int | None
    corrects: int | None
    remains: int | None
    reporter: str
    quota: Standing | None
    metadata: str | None


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """A report that is stored, by this call or, `repeated`, by an earlier one."""

    record: UsageRecord
    repeated: bool = False


class NotRecorded(msgspec.Struct, frozen=True, kw_only=True):
    """A report that was refused and changed nothing."""

    source: str
    event: str
    code: str
    detail: str


Result = Recorded | NotRecorded


class Terms(msgspec.Struct, frozen=True):
    """From when on a consumer's periods are counted how."""

    since: int
    unit: Unit
    count: int
    anchor: int
    zone: str


class UsagePeriod(msgspec.Struct, frozen=True):
    """One period of a consumer, half-open, in microseconds."""

    start: int
    end: int


class Place(msgspec.Struct, frozen=True):
    """The period in which a use counts, and whether that is not the one of its time."""

    period: UsagePeriod
    late: bool


class Used(msgspec.Struct, frozen=True, array_like=True):
    """One use on its way into the sums; a correction takes back and leaves `remains`."""

    consumer: str
    product: str
    group: str
    at: int
    period: int
    late: bool
    counted: int
    quantity: int
    largest: int
    remains: int | None
    metadata: str | None


class Sums(msgspec.Struct):
    """Number of uses, their quantity, and the largest single one."""

    uses: int = 0
    quantity: int = 0
    maximum: int = 0


class UsageSlot(msgspec.Struct, frozen=True, kw_only=True):
    """What was used of a product in one bucket of time."""

    start: int
    end: int
    product: str
    uses: int
    quantity: int
    maximum: int


class Aggregation(msgspec.Struct, frozen=True, kw_only=True):
    """What else is counted of a product: by `split_by`, a name in the metadata, in parts.

    `unique` counts the different values of `dimension`, another name in the metadata.
    """

    product: str
    name: str
    kind: AggregationKind
    dimension: str | None
    split_by: str | None
    created_at: int


class PeriodRow(msgspec.Struct, frozen=True, kw_only=True):
    """A consumer's period with use in it, and, once it is closed, the event that told of it."""

    consumer: str
    starts_at: int
    ends_at: int
    closed_at: int | None
    event: str | None


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """How far the rollups have come; all that was done before `settled_until` is in them."""

    journal: int
    records: int
    marked_journal: int
    marked_records: int
    marked_at: int
    settled_until: int


class LowMark(msgspec.Struct, frozen=True, kw_only=True):
    """At or below `level` a bucket is low; `told` until it is filled above it again."""

    bucket: int
    level: int
    told: bool


class UsageRefused(Refusal):
    """The report cannot be recorded."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code  # type: ignore[misc] # the code of the result that was refused


class AggregationUnknown(Refusal):
    """There is no such aggregation."""

    code: ClassVar[str] = "aggregation_unknown"


class AggregationTaken(Refusal):
    """The product has an aggregation of this name, and what it counts does not change."""

    code: ClassVar[str] = "aggregation_taken"


class AggregationRefused(Refusal):
    """A unique count has a dimension, and only that."""

    code: ClassVar[str] = "aggregation_refused"


class SpanRefused(Refusal):
    """Usage cannot be shown so."""

    code: ClassVar[str] = "span_refused"


class TooManyAggregations(Refusal):
    """A product has at most 20 aggregations."""

    code: ClassVar[str] = "too_many_aggregations"


class UsageUnknown(Refusal):
    """There is no such usage record."""

    code: ClassVar[str] = "usage_unknown"


class LowMarkUnknown(Refusal):
    """The bucket has no low mark."""

    code: ClassVar[str] = "low_mark_unknown"
