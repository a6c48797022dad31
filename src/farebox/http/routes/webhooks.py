"""Webhooks: where events are pushed to, what was sent and what came of it."""

from typing import Annotated, Literal

import msgspec
from litestar import get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Meta

from farebox.events.webhooks.model import (
    LONGEST_DESCRIPTION,
    LONGEST_URL,
    MOST_TYPES,
    Attempt,
    Delivery,
    DeliveryState,
    DisabledBecause,
    Endpoint,
    EndpointState,
    NewEndpoint,
)
from farebox.http.deps import Command, Desk
from farebox.http.wire import (
    ONE_LINE,
    Body,
    IdFilter,
    Limit,
    NumberCursor,
    Page,
    TextCursor,
    Time,
    View,
    show_end,
    show_time,
)
from farebox.kernel.clock import SECOND_US
from farebox.platform import service_webhooks as service
from farebox.storage import Tx

TAGS = ["Webhooks"]
LONGEST_OVERLAP = 7 * 86_400
Url = Annotated[str, Meta(min_length=1, max_length=LONGEST_URL, pattern=r"^https?://[!-~]*$")]
Description = Annotated[str, Meta(max_length=LONGEST_DESCRIPTION, pattern=ONE_LINE)]
EventType = Annotated[
    str,
    Meta(min_length=1, max_length=128, pattern=r"^[a-z0-9_]+(\.[a-z0-9_]+)*(\.\*)?$"),
]
EventTypes = Annotated[tuple[EventType, ...], Meta(max_length=MOST_TYPES)]
StateFilter = Annotated[
    Literal["waiting", "delivered", "failed", "any"], QueryParameter(name="state")
]


class CreateWebhook(Body, frozen=True):
    """Where to push events. `types` names them (`order.completed`, `order.*`); none is every."""

    url: Url
    types: EventTypes = ()
    description: Description = ""


class UpdateWebhook(Body, frozen=True):
    """What is given is changed; `types` replaces all of them."""

    url: Url | None = None
    types: EventTypes | None = None
    description: Description | None = None


class RotateWebhook(Body, frozen=True):
    """How long messages are signed with the old secret as well."""

    overlap_seconds: Annotated[int, Meta(ge=0, le=LONGEST_OVERLAP)] = 86_400


class WebhookView(View, frozen=True):
    """A receiver of events. `failing_since` is when its unbroken failures began."""

    id: str
    url: str
    types: list[str]
    description: str
    state: EndpointState
    disabled_because: DisabledBecause | None
    failing_since: Time | None
    created_at: Time


class NewWebhookView(WebhookView, frozen=True):
    """A webhook with a new secret, which is shown here and never again."""

    secret: str


class DeliveryView(View, frozen=True):
    """One event on its way to a webhook; `due_at` is the next try, null when none will be."""

    id: str
    webhook: str
    event: str
    type: str
    state: DeliveryState
    attempts: int
    due_at: Time | None
    created_at: Time
    ended_at: Time | None


class AttemptView(View, frozen=True):
    """One call: the receiver's status, or the error for which there is none."""

    seq: int
    delivery: str
    event: str
    number: int
    at: Time
    status: int | None
    duration_ms: int
    error: str | None


def show_webhook(endpoint: Endpoint) -> WebhookView:
    """Return a webhook as the API shows it."""
    return WebhookView(
        id=endpoint.id,
        url=endpoint.url,
        types=list(endpoint.types),
        description=endpoint.description,
        state=endpoint.state,
        disabled_because=endpoint.disabled_because,
        failing_since=show_end(endpoint.failing_since),
        created_at=show_time(endpoint.created_at),
    )


def show_new_webhook(made: NewEndpoint) -> NewWebhookView:
    """Return a webhook with its secret, this once."""
    shown = msgspec.structs.asdict(show_webhook(made.endpoint))
    return NewWebhookView(**shown, secret=made.secret)


def show_delivery(delivery: Delivery) -> DeliveryView:
    """Return a delivery as the API shows it."""
    return DeliveryView(
        id=delivery.id,
        webhook=delivery.endpoint,
        event=delivery.event,
        type=delivery.type,
        state=delivery.state,
        attempts=delivery.attempts,
        due_at=show_end(delivery.due_at),
        created_at=show_time(delivery.created_at),
        ended_at=show_end(delivery.ended_at),
    )


def show_attempt(attempt: Attempt) -> AttemptView:
    """Return an attempt as the API shows it."""
    return AttemptView(
        seq=attempt.seq,
        delivery=attempt.delivery,
        event=attempt.event,
        number=attempt.number,
        at=show_time(attempt.at),
        status=attempt.status,
        duration_ms=attempt.duration_ms,
        error=attempt.error,
    )


@post("/v1/webhooks", operation_id="createWebhook", tags=TAGS, sync_to_thread=True)
def create_webhook(
    data: JSONBody[CreateWebhook], command: NamedDependency[Command]
) -> NewWebhookView:
    """Make a webhook. The answer carries its secret, which is never shown again."""

    def work(tx: Tx) -> NewWebhookView:
        made = service.create_webhook(
            tx,
            command.actor,
            url=data.url,
            types=data.types,
            description=data.description,
            private=command.services.private_webhooks,
        )
        return show_new_webhook(made)

    return command.answer(NewWebhookView, work)


@get("/v1/webhooks", operation_id="listWebhooks", tags=TAGS, sync_to_thread=True)
def list_webhooks(
    desk: NamedDependency[Desk], limit: Limit = 100, cursor: TextCursor = None
) -> Page[WebhookView]:
    """List webhooks in the order of their ids."""
    page = desk.read(lambda tx: service.list_webhooks(tx, after=cursor, limit=limit))
    return Page(items=[show_webhook(one) for one in page.items], next=page.next)


@get("/v1/webhooks/{webhook:str}", operation_id="readWebhook", tags=TAGS, sync_to_thread=True)
def read_webhook(webhook: FromPath[str], desk: NamedDependency[Desk]) -> WebhookView:
    """Read a webhook."""
    return show_webhook(desk.read(lambda tx: service.read_webhook(tx, webhook)))


@patch("/v1/webhooks/{webhook:str}", operation_id="updateWebhook", tags=TAGS, sync_to_thread=True)
def update_webhook(
    webhook: FromPath[str], data: JSONBody[UpdateWebhook], command: NamedDependency[Command]
) -> WebhookView:
    """Change a webhook; what is on its way already goes to the new URL."""

    def work(tx: Tx) -> WebhookView:
        changed = service.update_webhook(
            tx,
            command.actor,
            webhook,
            url=data.url,
            types=data.types,
            description=data.description,
            private=command.services.private_webhooks,
        )
        return show_webhook(changed)

    return command.answer(WebhookView, work)


@post(
    "/v1/webhooks/{webhook:str}/disable",
    operation_id="disableWebhook",
    tags=TAGS,
    status_code=200,
    sync_to_thread=True,
)
def disable_webhook(webhook: FromPath[str], command: NamedDependency[Command]) -> WebhookView:
    """Send nothing more to a webhook; what waits goes on waiting, later events pass it by."""
    return command.answer(
        WebhookView,
        lambda tx: show_webhook(service.disable_webhook(tx, command.actor, webhook)),
    )


@post(
    "/v1/webhooks/{webhook:str}/enable",
    operation_id="enableWebhook",
    tags=TAGS,
    status_code=200,
    sync_to_thread=True,
)
def enable_webhook(webhook: FromPath[str], command: NamedDependency[Command]) -> WebhookView:
    """Send to a webhook again, what waits for it first."""
    return command.answer(
        WebhookView,
        lambda tx: show_webhook(service.enable_webhook(tx, command.actor, webhook)),
    )


@post(
    "/v1/webhooks/{webhook:str}/rotate",
    operation_id="rotateWebhookSecret",
    tags=TAGS,
    sync_to_thread=True,
)
def rotate_secret(
    webhook: FromPath[str], data: JSONBody[RotateWebhook], command: NamedDependency[Command]
) -> NewWebhookView:
    """Make a new secret; messages carry a signature by each until the overlap ends."""

    def work(tx: Tx) -> NewWebhookView:
        overlap = data.overlap_seconds * SECOND_US
        return show_new_webhook(
            service.rotate_webhook_secret(tx, command.actor, webhook, overlap_us=overlap)
        )

    return command.answer(NewWebhookView, work)


@get(
    "/v1/webhooks/{webhook:str}/deliveries",
    operation_id="listDeliveries",
    tags=TAGS,
    sync_to_thread=True,
)
def list_deliveries(
    webhook: FromPath[str],
    desk: NamedDependency[Desk],
    in_state: StateFilter = "any",
    limit: Limit = 100,
    cursor: TextCursor = None,
) -> Page[DeliveryView]:
    """List a webhook's deliveries, newest first."""
    wanted = None if in_state == "any" else in_state
    page = desk.read(
        lambda tx: service.list_deliveries(tx, webhook, state=wanted, before=cursor, limit=limit)
    )
    return Page(items=[show_delivery(one) for one in page.items], next=page.next)


@get(
    "/v1/webhooks/{webhook:str}/attempts",
    operation_id="listAttempts",
    tags=TAGS,
    sync_to_thread=True,
)
def list_attempts(
    webhook: FromPath[str],
    desk: NamedDependency[Desk],
    delivery: IdFilter = None,
    limit: Limit = 100,
    cursor: NumberCursor = None,
) -> Page[AttemptView]:
    """List the calls of a webhook and what came of them, newest first."""
    page = desk.read(
        lambda tx: service.list_attempts(tx, webhook, delivery=delivery, before=cursor, limit=limit)
    )
    return Page(items=[show_attempt(one) for one in page.items], next=page.next)


@post(
    "/v1/webhooks/{webhook:str}/deliveries/{delivery:str}/resend",
    operation_id="resendDelivery",
    tags=TAGS,
    status_code=200,
    sync_to_thread=True,
)
def resend_delivery(
    webhook: FromPath[str], delivery: FromPath[str], command: NamedDependency[Command]
) -> DeliveryView:
    """Send a message again, now and with all its tries, under the same `webhook-id`."""
    return command.answer(
        DeliveryView,
        lambda tx: show_delivery(service.resend_delivery(tx, command.actor, webhook, delivery)),
    )


HANDLERS = (
    create_webhook,
    list_webhooks,
    read_webhook,
    update_webhook,
    disable_webhook,
    enable_webhook,
    rotate_secret,
    list_deliveries,
    list_attempts,
    resend_delivery,
)
