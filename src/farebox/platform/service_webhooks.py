"""Webhooks as operators have them: every change is audited, and others hear of a disabled one."""

from collections.abc import Sequence
from typing import Final

from farebox.events.service import publish
from farebox.events.webhooks import service, service_deliveries
from farebox.events.webhooks.model import (
    LONGEST_DESCRIPTION,
    Answer,
    Attempt,
    Delivery,
    DeliveryState,
    DisabledBecause,
    Endpoint,
    NewEndpoint,
    Parcel,
)
from farebox.kernel.refusals import ValueRefused
from farebox.platform.model import SYSTEM, Actor, Page
from farebox.platform.rules import checked_limit, checked_text, page_of
from farebox.platform.service_audit import record
from farebox.storage import Tx

_LONGEST_NUMBER: Final = 18


def create_webhook(
    tx: Tx,
    actor: Actor,
    *,
    url: str,
    types: Sequence[str] = (),
    description: str = "",
    private: bool = False,
) -> NewEndpoint:
    """Make a webhook with its first secret, which is returned here and never again.

    Refuses `value_invalid`, `webhook_address_refused` (unless `private`), `too_many_webhooks`.
    """
    made = service.create_endpoint(
        tx, url=url, types=types, description=_checked(description), private=private
    )
    record(tx, actor, "webhook.created", made.endpoint.id, after=made.endpoint)
    return made


def update_webhook(
    tx: Tx,
    actor: Actor,
    endpoint: str,
    *,
    url: str | None = None,
    types: Sequence[str] | None = None,
    description: str | None = None,
    private: bool = False,
) -> Endpoint:
    """Change what is given; refuses as when making one, and `webhook_unknown`."""
    old, new = service.change_endpoint(
        tx,
        endpoint,
        url=url,
        types=types,
        description=None if description is None else _checked(description),
        private=private,
    )
    if new != old:
        record(tx, actor, "webhook.updated", endpoint, before=old, after=new)
    return new


def disable_webhook(
    tx: Tx, actor: Actor, endpoint: str, because: DisabledBecause = "operator"
) -> Endpoint:
    """Send nothing more to a webhook until it is enabled; repeating changes nothing."""
    old, new = service.disable_endpoint(tx, endpoint, because)
    if new != old:
        record(tx, actor, "webhook.disabled", endpoint, before=old, after=new)
        told = {"webhook": endpoint, "url": new.url, "because": because}
        publish(tx, type="webhook.disabled", subject=endpoint, data=told)
    return new


def enable_webhook(tx: Tx, actor: Actor, endpoint: str) -> Endpoint:
    """Send to a webhook again, what waits for it first; repeating changes nothing."""
    old, new = service.enable_endpoint(tx, endpoint)
    if new != old:
        record(tx, actor, "webhook.enabled", endpoint, before=old, after=new)
    return new


def rotate_webhook_secret(tx: Tx, actor: Actor, endpoint: str, *, overlap_us: int) -> NewEndpoint:
    """Make a new secret; until the overlap ends, messages are signed with the old ones as well."""
    secret = service.rotate_secret(tx, endpoint, overlap_us=overlap_us)
    ends = {"older_secrets_end_at": tx.now_us + overlap_us}
    record(tx, actor, "webhook.secret_rotated", endpoint, after=ends)
    return NewEndpoint(endpoint=service.read_endpoint(tx, endpoint), secret=secret)


def resend_delivery(tx: Tx, actor: Actor, endpoint: str, delivery: str) -> Delivery:
    """Send a message again, now and with all its tries."""
    again = service_deliveries.resend(tx, endpoint, delivery)
    record(tx, actor, "webhook.delivery_resent", endpoint, after={"delivery": delivery})
    return again


def record_answer(tx: Tx, parcel: Parcel, answer: Answer) -> None:
    """Write what came of an attempt, and disable the webhook that has failed for days or is gone.

    The working thread's commit of an attempt: see `events.webhooks.service_deliveries`.
    """
    because = service_deliveries.record_answer(tx, parcel, answer)
    if because is not None:
        disable_webhook(tx, SYSTEM, parcel.endpoint, because)


def read_webhook(tx: Tx, endpoint: str) -> Endpoint:
    """Return a webhook; refuses an unknown one (`webhook_unknown`)."""
    return service.read_endpoint(tx, endpoint)


def list_webhooks(tx: Tx, *, after: str | None = None, limit: int = 100) -> Page[Endpoint]:
    """Return webhooks in the order of their ids."""
    found = service.list_endpoints(tx, after=after, rows=checked_limit(limit) + 1)
    return page_of(found, limit, lambda one: one.id)


def list_deliveries(
    tx: Tx,
    endpoint: str,
    *,
    state: DeliveryState | None = None,
    before: str | None = None,
    limit: int = 100,
) -> Page[Delivery]:
    """Return a webhook's deliveries, newest first."""
    rows = checked_limit(limit) + 1
    found = service_deliveries.list_deliveries(tx, endpoint, state=state, before=before, rows=rows)
    return page_of(found, limit, lambda one: one.id)


def list_attempts(
    tx: Tx,
    endpoint: str,
    *,
    delivery: str | None = None,
    before: str | None = None,
    limit: int = 100,
) -> Page[Attempt]:
    """Return the calls of a webhook and what came of them, newest first."""
    rows = checked_limit(limit) + 1
    found = service_deliveries.list_attempts(
        tx, endpoint, delivery=delivery, before=_number(before), rows=rows
    )
    return page_of(found, limit, lambda one: str(one.seq))


def _checked(description: str) -> str:
    return checked_text(description, "a description", longest=LONGEST_DESCRIPTION, least=0)


def _number(cursor: str | None) -> int | None:
    if cursor is None:
        return None
    if not cursor.isascii() or not cursor.isdigit() or len(cursor) > _LONGEST_NUMBER:
        raise ValueRefused("this cursor is not of this list")
    return int(cursor)
