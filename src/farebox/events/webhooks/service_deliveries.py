"""Deliveries of webhooks: noted when an event happens, claimed, attempted, ended.

An attempt takes three steps, so that nobody outside is called while a transaction is open: claim
(the delivery's `due_at` moves to when the attempt is taken for lost), call, record. Whoever dies in
between leaves a delivery that is due again after `LEASE_US`, under the same id.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from farebox.events.model import Event
from farebox.events.webhooks import store
from farebox.events.webhooks.model import (
    Answer,
    Attempt,
    Delivery,
    DeliveryState,
    DeliveryUnknown,
    DisabledBecause,
    Endpoint,
    EndpointDisabled,
    Parcel,
)
from farebox.events.webhooks.rules import (
    GONE,
    has_failed_for_long,
    is_success,
    next_due,
    wants,
)
from farebox.events.webhooks.service import locked_endpoint, read_endpoint, secrets_of
from farebox.kernel.clock import SECOND_US
from farebox.kernel.ids import record_id
from farebox.storage import Tx

LEASE_US: Final = 120 * SECOND_US
"""Longer than an attempt can last: resolving a name may take 40 s, the rest 20 s."""
MOST_PER_ENDPOINT: Final = 4
_encode = msgspec.json.Encoder().encode


def note_events(tx: Tx, events: Sequence[Event]) -> int:
    """Note a delivery of each event to each endpoint that wants it; returns how many are new.

    Noting an event again changes nothing.
    """
    active = tx.run(sa.select(store.endpoint).where(store.endpoint.c.state == "active"))
    endpoints = [store.endpoint_of(row) for row in active]
    noted = 0
    for event in events:
        wanting = [one.id for one in endpoints if wants(one.types, event.type)]
        if wanting:
            noted += _note(tx, event, wanting)
    return noted


def _note(tx: Tx, event: Event, endpoints: Sequence[str]) -> int:
    body = {"event": event.id, "type": event.type, "body": _encode(event).decode()}
    tx.insert_once(store.message, {**body, "at": tx.now_us}, key=("event",))
    rows = [_delivery_row(tx, event.id, endpoint) for endpoint in endpoints]
    return sum(tx.insert_once(store.delivery, row, key=("event", "endpoint")) for row in rows)


def _delivery_row(tx: Tx, event: str, endpoint: str) -> dict[str, Any]:
    return {
        "id": record_id("whd"),
        "endpoint": endpoint,
        "event": event,
        "state": "waiting",
        "tries": 0,
        "attempts": 0,
        "due_at": tx.now_us,
        "created_at": tx.now_us,
        "ended_at": None,
    }


def anything_due(tx: Tx) -> bool:
    """Tell whether there is something to claim; it changes nothing and waits for nobody."""
    return bool(_endpoints_with_due(tx))


def first_due() -> sa.ColumnElement[int | None]:
    """Return when the first delivery is due, for a statement that asks more at once."""
    ours, delivery = store.endpoint, store.delivery
    of_one = sa.select(sa.func.min(delivery.c.due_at)).where(delivery.c.endpoint == ours.c.id)
    each = sa.select(of_one.scalar_subquery().label("due_at")).where(ours.c.state == "active")
    return sa.select(sa.func.min(each.subquery().c.due_at)).scalar_subquery()


def claim(tx: Tx, most: int, *, busy: Mapping[str, int] | None = None) -> tuple[Parcel, ...]:
    """Take up to so many due deliveries for ourselves, the endpoints in turn.

    `busy` says how many attempts at an endpoint are under way here. An endpoint gets at most
    `MOST_PER_ENDPOINT` at once, a failing one a single one: who is slow keeps nobody else waiting.
    """
    under_way = busy or {}
    parcels: list[Parcel] = []
    for endpoint in _endpoints_with_due(tx):
        room = 1 if endpoint.failing_since is not None else MOST_PER_ENDPOINT
        room = min(room - under_way.get(endpoint.id, 0), most - len(parcels))
        if room > 0:
            parcels += _claim_of(tx, endpoint, room)
        if len(parcels) >= most:
            break
    return tuple(parcels)


def _endpoints_with_due(tx: Tx) -> list[Endpoint]:
    """Return the active endpoints for which something is due, whoever has waited longest first."""
    ours, delivery = store.endpoint, store.delivery
    first_due = (
        sa.select(sa.func.min(delivery.c.due_at))
        .where(delivery.c.endpoint == ours.c.id, delivery.c.due_at <= tx.now_us)
        .scalar_subquery()
    )
    with_due = sa.select(ours, first_due.label("first_due")).where(ours.c.state == "active")
    found = with_due.subquery()
    due = sa.select(found).where(found.c.first_due.is_not(None)).order_by(found.c.first_due)
    return [store.endpoint_of(row) for row in tx.run(due).all()]


def _claim_of(tx: Tx, endpoint: Endpoint, most: int) -> list[Parcel]:
    delivery, message = store.delivery, store.message
    due = sa.select(delivery).where(
        delivery.c.endpoint == endpoint.id, delivery.c.due_at <= tx.now_us
    )
    # Another worker may be claiming too: what it has locked is its own.
    mine = due.order_by(delivery.c.due_at, delivery.c.id).limit(most)
    rows = tx.run(mine.with_for_update(skip_locked=True)).all()
    claim_until = tx.now_us + LEASE_US
    taken = delivery.c.id.in_([row.id for row in rows])
    tx.run(delivery.update().where(taken).values(due_at=claim_until))
    ids = message.c.event.in_([row.event for row in rows])
    bodies = {row.event: row.body for row in tx.run(sa.select(message).where(ids))}
    secrets = secrets_of(tx, [endpoint.id])[endpoint.id]
    return [
        Parcel(
            delivery=row.id,
            endpoint=endpoint.id,
            event=row.event,
            url=endpoint.url,
            body=bodies[row.event].encode(),
            secrets=secrets,
            tries=row.tries,
            number=row.attempts + 1,
            claim=claim_until,
        )
        for row in rows
    ]


def record_answer(tx: Tx, parcel: Parcel, answer: Answer) -> DisabledBecause | None:
    """Write what came of an attempt; returns why its endpoint is to be disabled, if it is.

    An attempt that lasted until its claim was over is logged and decides nothing any more.
    """
    _log(tx, parcel, answer)
    delivery = store.delivery
    ours = sa.and_(delivery.c.id == parcel.delivery, delivery.c.due_at == parcel.claim)
    values = _outcome(tx, parcel, answer)
    done = delivery.update().where(ours).values(values).returning(delivery.c.id)
    if tx.run(done).first() is None:
        return None
    return _judge(tx, parcel.endpoint, answer)


def _log(tx: Tx, parcel: Parcel, answer: Answer) -> None:
    row = {
        "delivery": parcel.delivery,
        "endpoint": parcel.endpoint,
        "event": parcel.event,
        "number": parcel.number,
        "at": tx.now_us,
        "status": answer.status,
        "duration_ms": answer.duration_ms,
        "error": answer.error,
    }
    tx.run(store.attempt.insert(), row)


def _outcome(tx: Tx, parcel: Parcel, answer: Answer) -> dict[str, Any]:
    counted = {"tries": parcel.tries + 1, "attempts": parcel.number}
    if is_success(answer.status):
        return {**counted, "state": "delivered", "due_at": None, "ended_at": tx.now_us}
    due = next_due(
        parcel.tries + 1,
        tx.now_us,
        delivery=parcel.delivery,
        retry_after_s=answer.retry_after_s,
    )
    if due is None:
        return {**counted, "state": "failed", "due_at": None, "ended_at": tx.now_us}
    return {**counted, "due_at": due}


def _judge(tx: Tx, endpoint: str, answer: Answer) -> DisabledBecause | None:
    """Keep since when an endpoint fails; a receiver that says "gone" is believed at once."""
    ours, failing = store.endpoint.c.id == endpoint, store.endpoint.c.failing_since
    if is_success(answer.status):
        well = store.endpoint.update().where(ours, failing.is_not(None))
        tx.run(well.values(failing_since=None))
        return None
    unwell = store.endpoint.update().where(ours, failing.is_(None))
    tx.run(unwell.values(failing_since=tx.now_us))
    if answer.status == GONE:
        return "gone"
    since = read_endpoint(tx, endpoint).failing_since
    return "failing" if has_failed_for_long(since, tx.now_us) else None


def resend(tx: Tx, endpoint: str, delivery: str) -> Delivery:
    """Send a message again, now and with all its tries, however the delivery has ended.

    Refuses one that is not this endpoint's (`webhook_delivery_unknown`) and a disabled endpoint
    (`webhook_disabled`).
    """
    if locked_endpoint(tx, endpoint).state == "disabled":
        raise EndpointDisabled
    read_delivery(tx, endpoint, delivery)
    again = {"state": "waiting", "tries": 0, "due_at": tx.now_us, "ended_at": None}
    tx.run(store.delivery.update().where(store.delivery.c.id == delivery).values(again))
    return read_delivery(tx, endpoint, delivery)


def read_delivery(tx: Tx, endpoint: str, delivery: str) -> Delivery:
    """Return a delivery to an endpoint; refuses another one (`webhook_delivery_unknown`)."""
    ours = sa.and_(store.delivery.c.id == delivery, store.delivery.c.endpoint == endpoint)
    row = tx.one(_with_type().where(ours))
    if row is None:
        raise DeliveryUnknown
    return store.delivery_of(row)


def list_deliveries(
    tx: Tx, endpoint: str, *, state: DeliveryState | None, before: str | None, rows: int
) -> list[Delivery]:
    """Return up to so many deliveries to an endpoint, newest first."""
    read_endpoint(tx, endpoint)
    statement = _with_type().where(store.delivery.c.endpoint == endpoint)
    if state is not None:
        statement = statement.where(store.delivery.c.state == state)
    if before is not None:
        statement = statement.where(store.delivery.c.id < before)
    newest = statement.order_by(store.delivery.c.id.desc()).limit(rows)
    return [store.delivery_of(row) for row in tx.run(newest)]


def list_attempts(
    tx: Tx, endpoint: str, *, delivery: str | None, before: int | None, rows: int
) -> list[Attempt]:
    """Return up to so many attempts at an endpoint, newest first."""
    read_endpoint(tx, endpoint)
    attempt = store.attempt
    statement = sa.select(attempt).where(attempt.c.endpoint == endpoint)
    if delivery is not None:
        statement = statement.where(attempt.c.delivery == delivery)
    if before is not None:
        statement = statement.where(attempt.c.seq < before)
    newest = statement.order_by(attempt.c.seq.desc()).limit(rows)
    return [store.attempt_of(row) for row in tx.run(newest)]


def forget_before(tx: Tx, before_us: int, *, rows: int = 1_000) -> int:
    """Forget up to so many deliveries that ended before an instant, with their attempts.

    Messages go when nothing refers to them any more. Returns how many deliveries went.
    """
    delivery, message = store.delivery, store.message
    old = sa.select(delivery.c.id, delivery.c.event).where(delivery.c.ended_at < before_us)
    found = tx.run(old.order_by(delivery.c.id).limit(rows).with_for_update()).all()
    ids = [row.id for row in found]
    tx.run(store.attempt.delete().where(store.attempt.c.delivery.in_(ids)))
    tx.run(delivery.delete().where(delivery.c.id.in_(ids)))
    needed = sa.select(delivery.c.event).where(delivery.c.event == message.c.event).exists()
    gone = message.c.event.in_([row.event for row in found])
    tx.run(message.delete().where(gone, ~needed))
    return len(ids)


def _with_type() -> Any:  # noqa: ANN401 - a Select's type says only its columns' Python types
    delivery, message = store.delivery, store.message
    fields = (delivery.c[name] for name in Delivery.__struct_fields__ if name != "type")
    joined = delivery.join(message, message.c.event == delivery.c.event)
    return sa.select(*fields, message.c.type).select_from(joined)
