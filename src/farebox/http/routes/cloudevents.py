"""Usage as CloudEvents 1.0 over HTTP: binary, structured and batched mode.

`source` and `id` of the event are those of the record, `subject` is the consumer unless the data
names one, `time` is when it was used. Extension attributes are ignored, as the standard asks.
"""

from typing import Annotated, Any, Final, Literal
from urllib.parse import unquote

import msgspec
from litestar import post
from litestar.di import NamedDependency
from litestar.enums import RequestEncodingType
from litestar.params import RawBody
from msgspec import Meta

from farebox.access.usage.model import NotRecorded, Report
from farebox.http.deps import AnyRequest, Command
from farebox.http.gate import decode_strictly
from farebox.http.refusals import ContentTypeRefused, FieldsInvalid
from farebox.http.routes.usage import (
    LARGEST_BATCH,
    TAGS,
    BatchResult,
    EventId,
    EventSource,
    ProductName,
    ReportUsage,
    read_each,
    read_objects,
    record_many,
    record_one,
    report_of,
    with_body,
)
from farebox.http.wire import Amount, Body, Id, Metadata, Time

STRUCTURED: Final = "application/cloudevents+json"
BATCHED: Final = "application/cloudevents-batch+json"
_HEADERS: Final = ("id", "source", "specversion", "type", "subject", "time")


class UsageData(Body, frozen=True):
    """What a usage event carries; see `ReportUsage`."""

    consumer: Id | None = None
    product: ProductName | None = None
    quantity: Amount | None = None
    group: Id | None = None
    operation: Id | None = None
    corrects: Id | None = None
    metadata: Metadata | None = None


class UsageEvent(msgspec.Struct, frozen=True, kw_only=True):
    """A CloudEvents 1.0 envelope around a usage report."""

    specversion: Literal["1.0"]
    id: EventId
    source: EventSource
    type: Annotated[str, Meta(min_length=1, max_length=255, pattern=r"^[!-~]+$")]
    data: UsageData
    subject: Id | None = None
    time: Time | None = None
    datacontenttype: Literal["application/json"] = "application/json"


_event: Final = msgspec.json.Decoder(UsageEvent)
_encode: Final = msgspec.json.Encoder().encode


def report_of_event(event: UsageEvent, caller: str) -> Report | NotRecorded:
    """Return the report that an event is."""
    said = event.data
    # A correction finds the consumer by what it corrects.
    subject = event.subject if said.corrects is None else None
    report = ReportUsage(
        id=event.id,
        source=event.source,
        consumer=said.consumer or subject,
        product=said.product,
        quantity=said.quantity,
        at=event.time if said.corrects is None else None,
        group=said.group,
        operation=said.operation,
        corrects=said.corrects,
        metadata=said.metadata,
    )
    return report_of(report, caller)


def mode_of(media_type: str) -> Literal["batched", "structured", "binary"]:
    """Return how a request carries its events, by the standard's rule and in its order."""
    kind = media_type.partition(";")[0].strip().lower()
    if kind.startswith("application/cloudevents-batch"):
        return "batched"
    return "structured" if kind.startswith("application/cloudevents") else "binary"


def attribute_of(header: str) -> str:
    """Return an attribute as it was before it became a header; refuses what is not UTF-8."""
    try:
        return unquote(header, errors="strict")
    except UnicodeDecodeError as error:
        raise FieldsInvalid("a ce- header is percent-encoded UTF-8") from error


def _from_headers(request: AnyRequest, body: bytes) -> bytes:
    """Return an event whose attributes came as headers (binary mode) as one JSON text."""
    named: dict[str, Any] = {
        name: attribute_of(request.headers[f"ce-{name}"])
        for name in _HEADERS
        if f"ce-{name}" in request.headers
    }
    return _encode({**named, "data": msgspec.Raw(body or b"null")})


@post(
    "/v1/usage/cloudevents",
    operation_id="reportUsageEvents",
    tags=TAGS,
    status_code=200,
    sync_to_thread=True,
    request_max_body_size=LARGEST_BATCH,
    opt={"reads": {STRUCTURED: UsageEvent, BATCHED: None}},
)
def report_events(
    body: RawBody, request: AnyRequest, command: NamedDependency[Command]
) -> BatchResult:
    """Record usage that comes as CloudEvents.

    Structured (`application/cloudevents+json`), batched (`application/cloudevents-batch+json`), or
    binary: attributes in `ce-` headers and the data as `application/json`. A single event that is
    refused is a problem; of a batch each event has a result of its own.
    """
    caller = command.principal.id
    media_type, _ = request.content_type
    command = with_body(command, body)
    mode = mode_of(media_type)
    if mode == "batched" and media_type.lower() == BATCHED:
        raws = read_objects(body)
        reports = read_each(lambda raw: report_of_event(decode_strictly(_event, raw), caller), raws)
        return record_many(command, reports, with_quota=False)
    if mode == "structured" and media_type.lower() == STRUCTURED:
        text: bytes = body
    elif media_type.lower() == RequestEncodingType.JSON.value:
        text = _from_headers(request, body)
        command = with_body(command, text)
    else:
        raise ContentTypeRefused(f"send {STRUCTURED}, {BATCHED}, or {'ce-'} headers and JSON")
    event = decode_strictly(_event, text)
    made = record_one(command, report_of_event(event, caller))
    return BatchResult(accepted=1, repeated=int(made.repeated), refused=0, results=[made])


HANDLERS = (report_events,)
