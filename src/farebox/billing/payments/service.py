"""Payments: opened, found, canceled, said by a person. What gateways answer is in service_work."""

from typing import Any

import msgspec
import sqlalchemy as sa

from farebox.billing.payments import store
from farebox.billing.payments.model import (
    GATEWAYS,
    MANUAL,
    UNDER_WAY,
    GatewayCall,
    GatewayUnknown,
    Method,
    MethodUnknown,
    Payment,
    PaymentDiffers,
    PaymentNotSo,
    PaymentState,
    PaymentUnderWay,
    PaymentUnknown,
    Purpose,
)
from farebox.billing.payments.rules_cards import checked_no_card
from farebox.billing.pricing.service_currency import scale_of
from farebox.events.service import publish
from farebox.kernel.amounts import checked_amount
from farebox.kernel.ids import record_id
from farebox.kernel.refusals import TryAgain
from farebox.platform.model import LONGEST_LABEL, Page
from farebox.platform.rules import checked_limit, checked_text, page_of
from farebox.storage import Tx


def open_intent(
    tx: Tx,
    *,
    customer: str,
    amount: int,
    currency: str,
    purpose: Purpose,
    reference: str,
    method: str | None = None,
    gateway: str | None = None,
    key: str,
) -> Payment:
    """Write down that a customer is to pay; a worker asks the gateway once this has committed.

    `amount` is in the currency's smallest unit, 1 to 2^53 - 1. `reference` is the order, invoice or
    top-up that it is for. The gateway is that of the `method`; with neither given that of the
    customer's standard method, and without one a manual transfer. The same `key` again gets the
    first payment.

    Refuses another payment under the key (`payment_differs`), a second one for the same reference
    while one is under way (`payment_under_way`), and what is unknown: `currency_unknown`,
    `payment_method_unknown`, `payment_gateway_unknown`.
    """
    checked_amount(amount)
    scale_of(currency)
    checked_text(key, "a key", longest=255)
    checked_text(reference, "a reference", longest=LONGEST_LABEL)
    if (known := payment_of_key(tx, key)) is not None:
        asked = (customer, amount, currency, purpose, reference)
        first = (known.customer, known.amount, known.currency, known.purpose, known.reference)
        if asked != first:
            raise PaymentDiffers
        return known
    checked_no_card(reference)
    chosen = _chosen(tx, customer, method, gateway)
    if any(one.state in UNDER_WAY for one in payments_of(tx, purpose, reference)):
        raise PaymentUnderWay
    made = Payment(
        id=record_id("pay"), key=key, customer=customer, amount=amount, currency=currency,
        purpose=purpose, reference=reference, gateway=chosen[0], method=chosen[1], state="created",
        provider_reference=None, reason=None, final=False, action_url=None, refunded=0, refunding=0,
        charged_back=0, created_at=tx.now_us, changed_at=tx.now_us, ended_at=None, attention=None,
    )  # fmt: skip
    row = {**msgspec.structs.asdict(made), **store.NEW, "final": 0, "abandoning": 0}
    row["due_at"] = tx.now_us
    try:
        tx.insert_many(store.payment, tuple(row), [tuple(row.values())])
    except sa.exc.IntegrityError as error:
        # Somebody else opened one meanwhile: look at what is there now.
        raise TryAgain from error
    tell_payment(tx, made)
    return made


def _chosen(
    tx: Tx, customer: str, method: str | None, gateway: str | None
) -> tuple[str, str | None]:
    """Return the gateway and the method of a payment."""
    if gateway is not None and gateway not in GATEWAYS:
        raise GatewayUnknown(f"there is no gateway {gateway!r}")
    ours = sa.and_(store.method.c.customer == customer, store.method.c.state == "active")
    if method is not None:
        row = tx.one(sa.select(store.method).where(ours, store.method.c.id == method))
        if row is None:
            raise MethodUnknown
    elif gateway is None:
        row = tx.one(sa.select(store.method).where(ours, store.method.c.standard == 1))
    else:
        return gateway, None
    if row is None:
        return MANUAL, None
    found: Method = store.method_of(row)
    if gateway not in {None, found.gateway}:
        raise MethodUnknown(f"this payment method is not one of {gateway}")
    return found.gateway, found.id


def find_payment(tx: Tx, payment: str) -> Payment | None:
    """Return a payment or None."""
    row = tx.one(sa.select(store.payment).where(store.payment.c.id == payment))
    return None if row is None else store.payment_of(row)


def read_payment(tx: Tx, payment: str) -> Payment:
    """Return a payment; refuses an unknown one (`payment_unknown`)."""
    found = find_payment(tx, payment)
    if found is None:
        raise PaymentUnknown
    return found


def payment_of_key(tx: Tx, key: str) -> Payment | None:
    """Return the payment that was opened under a key, or None."""
    row = tx.one(sa.select(store.payment).where(store.payment.c.key == key))
    return None if row is None else store.payment_of(row)


def payments_of(tx: Tx, purpose: Purpose, reference: str) -> list[Payment]:
    """Return the payments for an order, invoice or top-up, oldest first."""
    here = sa.and_(store.payment.c.purpose == purpose, store.payment.c.reference == reference)
    rows = tx.run(sa.select(store.payment).where(here).order_by(store.payment.c.id))
    return [store.payment_of(row) for row in rows]


def list_payments(
    tx: Tx,
    *,
    customer: str | None = None,
    state: PaymentState | None = None,
    attention: bool | None = None,
    before: str | None = None,
    limit: int = 100,
) -> Page[Payment]:
    """Return payments newest first; `attention` chooses those that a person must look at."""
    table = store.payment
    statement = sa.select(table).order_by(table.c.id.desc())
    if customer is not None:
        statement = statement.where(table.c.customer == customer)
    if state is not None:
        statement = statement.where(table.c.state == state)
    if attention is not None:
        wanted = table.c.attention.is_not(None) if attention else table.c.attention.is_(None)
        statement = statement.where(wanted)
    if before is not None:
        statement = statement.where(table.c.id < before)
    rows = tx.run(statement.limit(checked_limit(limit) + 1)).all()
    return page_of([store.payment_of(row) for row in rows], limit, lambda one: one.id)


def calls_of(tx: Tx, subject: str) -> list[GatewayCall]:
    """Return the last hundred calls of a gateway about one of ours, oldest first."""
    table = store.call
    newest = sa.select(table).where(table.c.subject == subject).order_by(table.c.seq.desc())
    return [store.call_of(row) for row in tx.run(newest.limit(100))][::-1]


def call_off(tx: Tx, payment: str) -> Payment:
    """Let a payment not be made: at once where nothing was asked, else its gateway calls it off.

    Repeating changes nothing. Refuses (`payment_state_refused`) one that has ended, and one that
    may be taking the money at this moment.
    """
    row = locked(tx, store.payment, payment)
    if row is None:
        raise PaymentUnknown
    if row.state == "created":
        values = {"state": "failed", "reason": "canceled", "due_at": None, "ended_at": tx.now_us}
        return changed(tx, payment, values)
    if row.state == "action_required":
        return changed(tx, payment, {"abandoning": 1, "due_at": tx.now_us, "looks": 0})
    raise PaymentNotSo(f"the payment is {row.state}")


def look_again(tx: Tx, payment: str) -> Payment:
    """Let the gateway be asked now what came of a payment that is not decided."""
    row = locked(tx, store.payment, payment)
    if row is None:
        raise PaymentUnknown
    if row.state not in UNDER_WAY:
        raise PaymentNotSo(f"the payment is {row.state}")
    return changed(tx, payment, {"due_at": tx.now_us, "looks": 0, "attention": None})


def lock_payment(tx: Tx, payment: str) -> Payment:
    """Return a payment that nobody else changes until the commit; refuses `payment_unknown`."""
    row = locked(tx, store.payment, payment)
    if row is None:
        raise PaymentUnknown
    return store.payment_of(row)


def locked(tx: Tx, table: sa.Table, id_: str) -> sa.Row[Any] | None:
    """Return a row, which nobody else changes until this transaction ends."""
    return tx.one(sa.select(table).where(table.c.id == id_).with_for_update())


def changed(tx: Tx, payment: str, values: dict[str, Any]) -> Payment:
    """Write what has changed of a locked payment, and tell others of a new state."""
    before = read_payment(tx, payment)
    here = store.payment.c.id == payment
    tx.run(store.payment.update().where(here).values(**values, changed_at=tx.now_us))
    made = read_payment(tx, payment)
    if (made.state, made.attention) != (before.state, before.attention):
        tell_payment(tx, made)
    return made


def tell_payment(tx: Tx, one: Payment) -> None:
    """Publish how a payment stands."""
    said = {
        "paymentId": one.id, "customer": one.customer, "amount": one.amount,
        "currency": one.currency, "purpose": one.purpose, "reference": one.reference,
        "gateway": one.gateway, "state": one.state, "reason": one.reason,
        "actionUrl": one.action_url, "attention": one.attention,
    }  # fmt: skip
    publish(tx, type="payment.updated", subject=one.id, data=said)


def set_aside(tx: Tx, payment: str) -> Payment:
    """Note that a person has looked at a payment that has ended. Repeating changes nothing.

    One that is not decided is decided by their word or by another look, never by this.
    """
    row = locked(tx, store.payment, payment)
    if row is None:
        raise PaymentUnknown
    if row.state in UNDER_WAY:
        raise PaymentNotSo(f"the payment is {row.state}")
    return changed(tx, payment, {"attention": None})
