"""What another billing system says, one event a request (source 003)."""

from typing import Annotated, Any, Literal

import msgspec
from litestar import post
from litestar.di import NamedDependency
from litestar.params import JSONBody
from msgspec import Meta

from farebox.access.flows.process_external import ExternalType, process_external
from farebox.http.deps import Command
from farebox.http.wire import ONE_LINE, Body, View
from farebox.storage import Tx

TAGS = ["Billing events"]
Text = Annotated[str, Meta(min_length=1, max_length=256, pattern=ONE_LINE)]


class EventMeta(View, frozen=True):
    """Which event this is, when it happened (RFC 3339), and whose word it is."""

    eventId: Text  # noqa: N815 - the source's word
    occurredAt: Text  # noqa: N815 - the source's word
    source: Text


class BillingEvent(Body, frozen=True):
    """An event in the words of its system; what its payload has beside that is let through."""

    type: ExternalType
    payload: dict[str, Any]
    meta: EventMeta
    version: int | None = None


class ProcessedView(View, frozen=True):
    """What was done with an event, now or when it first came; which entitlements it changed."""

    event_id: str
    outcome: Literal["applied", "skipped", "stale"]
    repeated: bool
    entitlements: list[str]


@post(
    "/v1/billing-events",
    operation_id="postBillingEvent",
    tags=TAGS,
    status_code=200,
    sync_to_thread=True,
)
def post_billing_event(
    data: JSONBody[BillingEvent], command: NamedDependency[Command]
) -> ProcessedView:
    """Turn an event into entitlements, once by its source and id."""

    def work(tx: Tx) -> ProcessedView:
        done = process_external(tx, msgspec.to_builtins(data), actor=command.actor)
        return ProcessedView(
            event_id=done.event_id,
            outcome=done.outcome,
            repeated=done.repeated,
            entitlements=list(done.entitlements),
        )

    return command.answer(ProcessedView, work)


HANDLERS = (post_billing_event,)
