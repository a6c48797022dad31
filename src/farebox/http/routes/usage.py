"""Usage: reports of what was used elsewhere, one or many, and what they say."""

from dataclasses import replace
from typing import Annotated, Any, Final

import msgspec
from litestar import post
from litestar.di import NamedDependency
from litestar.enums import RequestEncodingType
from litestar.params import JSONBody, QueryParameter, RawBody
from msgspec import Meta

from farebox.access.flows.record_usage import record_usage
from farebox.access.usage.model import (
    MOST_REPORTS,
    NotRecorded,
    Report,
    Result,
    Standing,
    UsageRefused,
)
from farebox.access.usage.service_report import record_reports
from farebox.http.deps import AnyRequest, Command
from farebox.http.gate import decode_strictly
from farebox.http.refusals import ContentTypeRefused, FieldsInvalid
from farebox.http.wire import Amount, Body, Id, Metadata, Time, View, read_time, show_time
from farebox.kernel import ids
from farebox.kernel.refusals import Refusal
from farebox.storage import Tx

TAGS = ["Usage"]
LARGEST_BATCH: Final = 16 * 1024 * 1024
NDJSON: Final = "application/x-ndjson"
ProductName = Annotated[str, Meta(min_length=1, max_length=128, pattern=r"^[!-~]+$")]
EventId = Annotated[
    str, Meta(min_length=1, max_length=255, pattern=r"^[!-~]+$", description="Unique in its source")
]
EventSource = Annotated[
    str, Meta(min_length=1, max_length=255, pattern=r"^[!-~]+$", description="Who counted it")
]
WithQuota = Annotated[
    bool, QueryParameter(name="quota", description="Say with each record how its quota stands")
]


class ReportUsage(Body, frozen=True):
    """What was used, once under its `source` and `id`; the source is the caller unless named.

    A use names `consumer` and `product`; `at` is when it was used, by default now. With the
    `operation` of a decision it counts nothing twice. A correction names in `corrects` the record
    (`use_...`) or decision (`op_...`) and in `quantity` how much of it is taken back, by default
    the rest.
    """

    id: EventId
    source: EventSource | None = None
    consumer: Id | None = None
    product: ProductName | None = None
    quantity: Amount | None = None
    at: Time | None = None
    group: Id | None = None
    operation: Id | None = None
    corrects: Id | None = None
    metadata: Metadata | None = None


class QuotaView(View, frozen=True):
    """How a quota stands after the record: what was used above it is its overage."""

    limit: int
    used: int
    remaining: int
    overage: int


class RecordResult(View, frozen=True, omit_defaults=True):
    """What became of a report. Of one that was refused, `code` says why, and nothing is stored.

    `drawn` came from buckets, `overage` was above what they had. `late` says that the period of
    its time was over; it counts in the one that begins at `period`. `repeated` says that it had
    been recorded before: then the rest is the first answer.
    """

    accepted: bool
    source: str | None = None
    id: str | None = None
    record: str | None = None
    repeated: bool = False
    code: str | None = None
    detail: str | None = None
    consumer: str | None = None
    product: str | None = None
    group: str | None = None
    quantity: int | None = None
    drawn: int | None = None
    overage: int | None = None
    at: Time | None = None
    recorded_at: Time | None = None
    period: Time | None = None
    late: bool | None = None
    quota: QuotaView | None = None


class BatchResult(View, frozen=True):
    """What became of each report, in their order. `accepted` counts the repeated ones too."""

    accepted: int
    repeated: int
    refused: int
    results: list[RecordResult]


_one: Final = msgspec.json.Decoder(ReportUsage)
_many: Final = msgspec.json.Decoder(Annotated[list[msgspec.Raw], Meta(max_length=MOST_REPORTS)])
_metadata: Final = msgspec.json.Encoder().encode


def report_of(said: ReportUsage, caller: str) -> Report | NotRecorded:
    """Return what was said as a report; an id of another form is nobody's."""
    source = said.source or caller
    operation = corrects = None
    if said.operation is not None:
        operation = ids.parse("op", said.operation)
        if operation is None:
            return _no(said, source, "operation_unknown", "there is no such decision")
    if said.corrects is not None:
        corrects = ids.parse("use", said.corrects) or ids.parse("op", said.corrects)
        if corrects is None:
            return _no(said, source, "usage_unknown", "there is no such usage record or decision")
    return Report(
        source=source,
        event=said.id,
        consumer=said.consumer,
        product=said.product,
        quantity=said.quantity,
        at=None if said.at is None else read_time(said.at),
        group=said.group,
        operation=operation,
        corrects=corrects,
        metadata=None if said.metadata is None else _metadata(said.metadata).decode(),
    )


def _no(said: ReportUsage, source: str, code: str, detail: str) -> NotRecorded:
    return NotRecorded(source=source, event=said.id, code=code, detail=detail)


def show_quota(found: Standing | None) -> QuotaView | None:
    """Return a quota's standing as the API shows it."""
    if found is None:
        return None
    return QuotaView(
        limit=found.limit, used=found.used, remaining=found.remaining, overage=found.overage
    )


def show_result(result: Result) -> RecordResult:
    """Return what became of a report as the API shows it."""
    if isinstance(result, NotRecorded):
        return RecordResult(
            accepted=False,
            source=result.source or None,
            id=result.event or None,
            code=result.code,
            detail=result.detail,
        )
    one = result.record
    return RecordResult(
        accepted=True,
        source=one.source,
        id=one.event,
        record=ids.show("use", one.id),
        repeated=result.repeated,
        consumer=one.consumer,
        product=one.product,
        group=one.group,
        quantity=one.quantity,
        drawn=one.drawn,
        overage=one.overage,
        at=show_time(one.at),
        recorded_at=show_time(one.recorded_at),
        period=show_time(one.period),
        late=one.late,
        quota=show_quota(one.quota),
    )


def record_one(command: Command, report: Report | NotRecorded) -> RecordResult:
    """Record one report and answer with its quota; what is refused is a problem."""

    def work(tx: Tx) -> RecordResult:
        result: Result
        if isinstance(report, NotRecorded):
            result = report
        else:
            (result,) = record_reports(
                tx, command.actor.id, [report], grace_us=command.services.usage_grace_us
            )
        if isinstance(result, NotRecorded):
            raise UsageRefused(result.code, result.detail)
        return show_result(result)

    return command.answer(RecordResult, work)


def record_many(
    command: Command, reports: list[Report | NotRecorded], *, with_quota: bool
) -> BatchResult:
    """Record a batch; each report has a result of its own.

    Under an Idempotency-Key the whole batch is one transaction, else it is done in portions.
    """
    good = [one for one in reports if isinstance(one, Report)]
    grace_us = command.services.usage_grace_us

    def shown(results: list[Result]) -> BatchResult:
        made = iter(results)
        found = [show_result(next(made) if isinstance(one, Report) else one) for one in reports]
        return BatchResult(
            accepted=sum(one.accepted for one in found),
            repeated=sum(one.repeated for one in found),
            refused=sum(not one.accepted for one in found),
            results=found,
        )

    if command.once is None:
        return shown(
            record_usage(
                command.database, command.actor, good, grace_us=grace_us, with_quota=with_quota
            )
        )
    return command.answer(
        BatchResult,
        lambda tx: shown(
            record_reports(tx, command.actor.id, good, grace_us=grace_us, with_quota=with_quota)
        ),
    )


def read_each(
    decode: Any,  # noqa: ANN401 - a function from raw JSON to one report
    raws: list[msgspec.Raw] | list[bytes],
) -> list[Report | NotRecorded]:
    """Read each part of a batch by itself; one that does not fit is refused alone."""
    found: list[Report | NotRecorded] = []
    for raw in raws:
        try:
            found.append(decode(raw))
        except Refusal as refused:
            source, event = _key_of(bytes(raw))
            detail = refused.detail or refused.message()
            found.append(NotRecorded(source=source, event=event, code=refused.code, detail=detail))
    return found


def _key_of(raw: bytes) -> tuple[str, str]:
    """Return source and id of what does not fit, as far as they can be read, to name it by."""
    try:
        said = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return "", ""
    if not isinstance(said, dict):
        return "", ""
    source, event = said.get("source"), said.get("id")
    return (
        source if isinstance(source, str) else "",
        event if isinstance(event, str) else "",
    )


def media_type_of(request: AnyRequest) -> str:
    """Return the content type of a request, without its parameters."""
    media_type, options = request.content_type
    if options.get("charset", "utf-8").lower().strip('"') not in {"utf-8", "utf8", "us-ascii"}:
        raise ContentTypeRefused("send UTF-8")
    return media_type.lower()


def with_body(command: Command, body: bytes) -> Command:
    """Let the body be part of what an Idempotency-Key stands for."""
    return replace(command, payload=command.payload + body)


def read_objects(body: bytes) -> list[msgspec.Raw]:
    """Return the parts of a JSON array; refuses what is no array of at most 10,000 objects."""
    raws: list[msgspec.Raw] = decode_strictly(_many, body)
    if not all(bytes(raw).startswith(b"{") for raw in raws):
        raise FieldsInvalid("a batch is an array of objects")
    return raws


def split_lines(body: bytes) -> list[bytes]:
    """Return the lines of newline-delimited JSON; refuses more than 10,000."""
    lines = [line for line in body.split(b"\n") if line.strip()]
    if len(lines) > MOST_REPORTS:
        raise FieldsInvalid(f"a batch has at most {MOST_REPORTS} reports")
    return lines


@post("/v1/usage", operation_id="reportUsage", tags=TAGS, status_code=200, sync_to_thread=True)
def report_usage(data: JSONBody[ReportUsage], command: NamedDependency[Command]) -> RecordResult:
    """Record one use or correction, and answer how the quota stands after it."""
    return record_one(command, report_of(data, command.principal.id))


@post(
    "/v1/usage/batch",
    operation_id="reportUsageBatch",
    tags=TAGS,
    status_code=200,
    sync_to_thread=True,
    request_max_body_size=LARGEST_BATCH,
    opt={"reads": {RequestEncodingType.JSON.value: None, NDJSON: None}},
)
def report_batch(
    *,
    body: RawBody,
    request: AnyRequest,
    command: NamedDependency[Command],
    with_quota: WithQuota = False,
) -> BatchResult:
    """Record up to 10,000 uses: a JSON array, or a report a line (NDJSON).

    Each is judged by itself, as one sent alone. A batch may be sent again as a whole.
    """
    media_type = media_type_of(request)
    caller = command.principal.id
    raws: list[msgspec.Raw] | list[bytes]
    if media_type == RequestEncodingType.JSON.value:
        raws = read_objects(body)
    elif media_type == NDJSON:
        raws = split_lines(body)
    else:
        raise ContentTypeRefused(f"send {RequestEncodingType.JSON.value} or {NDJSON}")
    reports = read_each(lambda raw: report_of(decode_strictly(_one, raw), caller), raws)
    return record_many(with_body(command, body), reports, with_quota=with_quota)


HANDLERS = (report_usage, report_batch)
