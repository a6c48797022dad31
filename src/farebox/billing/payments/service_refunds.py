"""Refunds: asked for within what was paid, made by the worker, entered in the books once.

Whoever changes a refund locks its payment first, so that two refunds, or a refund and a chargeback,
never give back the same money twice without it being seen.
"""

from typing import Any

import msgspec
import sqlalchemy as sa

from farebox.billing.books.model import CASH, SUSPENSE, About, Line
from farebox.billing.books.service import post
from farebox.billing.payments import store
from farebox.billing.payments.model import (
    WALLET,
    Payment,
    PaymentNotSo,
    Refund,
    RefundDiffers,
    RefundUnknown,
)
from farebox.billing.payments.model_outcomes import Outcome, Verb
from farebox.billing.payments.rules import moved
from farebox.billing.payments.service import changed, lock_payment, locked
from farebox.billing.payments.service_work import columns_of, stand_of
from farebox.billing.pricing.model_money import RefundRefused
from farebox.billing.wallets.model import Short, WalletShort
from farebox.billing.wallets.service import fill, take
from farebox.events.service import publish
from farebox.kernel.amounts import checked_amount
from farebox.kernel.ids import record_id
from farebox.kernel.refusals import TryAgain
from farebox.platform.model import Page
from farebox.platform.rules import checked_limit, checked_text, page_of
from farebox.storage import Tx


def request_refund(tx: Tx, payment: str, amount: int, key: str) -> Refund:
    """Write down that a payment is given back, in whole or in part; the worker does it.

    The same `key` again gets the first refund. What a top-up had put into a wallet is taken out of
    it now, from its paid money. Refuses more than is left of the payment
    (`refund_exceeds_payment`) or in the wallet (`wallet_short`), a payment that did not succeed
    (`payment_state_refused`), `payment_unknown`, and another refund under the key
    (`refund_differs`).
    """
    checked_amount(amount)
    checked_text(key, "a key", longest=255)
    paid = lock_payment(tx, payment)
    known = tx.one(sa.select(store.refund).where(store.refund.c.key == key))
    if known is not None:
        if (known.payment, known.amount) != (payment, amount):
            raise RefundDiffers
        return store.refund_of(known)
    if paid.state != "succeeded":
        raise PaymentNotSo(f"the payment is {paid.state}")
    if amount > paid.refundable:
        raise RefundRefused(f"at most {paid.refundable} can be given back", left=paid.refundable)
    made = Refund(
        id=record_id("rfd"), key=key, payment=payment, amount=amount, currency=paid.currency,
        gateway=paid.gateway, state="created", provider_reference=None, reason=None,
        created_at=tx.now_us, changed_at=tx.now_us, ended_at=None, attention=None,
    )  # fmt: skip
    row = {**msgspec.structs.asdict(made), **store.NEW, "due_at": tx.now_us}
    try:
        tx.run(store.refund.insert(), row)
    except sa.exc.IntegrityError as error:
        # The key was taken meanwhile, by a refund of another payment.
        raise TryAgain from error
    changed(tx, payment, {"refunding": paid.refunding + amount})
    _out_of_wallet(tx, paid, made)
    tell_refund(tx, made)
    return made


def find_refund(tx: Tx, refund: str) -> Refund | None:
    """Return a refund or None."""
    row = tx.one(sa.select(store.refund).where(store.refund.c.id == refund))
    return None if row is None else store.refund_of(row)


def read_refund(tx: Tx, refund: str) -> Refund:
    """Return a refund; refuses an unknown one (`refund_unknown`)."""
    found = find_refund(tx, refund)
    if found is None:
        raise RefundUnknown
    return found


def refunds_of(tx: Tx, payment: str) -> list[Refund]:
    """Return the refunds of a payment, oldest first."""
    ours = sa.select(store.refund).where(store.refund.c.payment == payment)
    return [store.refund_of(row) for row in tx.run(ours.order_by(store.refund.c.id))]


def list_refunds(
    tx: Tx, *, attention: bool | None = None, before: str | None = None, limit: int = 100
) -> Page[Refund]:
    """Return refunds newest first; `attention` chooses those that a person must look at."""
    table = store.refund
    statement = sa.select(table).order_by(table.c.id.desc())
    if attention is not None:
        wanted = table.c.attention.is_not(None) if attention else table.c.attention.is_(None)
        statement = statement.where(wanted)
    if before is not None:
        statement = statement.where(table.c.id < before)
    rows = tx.run(statement.limit(checked_limit(limit) + 1)).all()
    return page_of([store.refund_of(row) for row in rows], limit, lambda one: one.id)


def note_refund(
    tx: Tx, refund: str, verb: Verb, outcome: Outcome, *, claim: str | None
) -> Refund | None:
    """Record an outcome of a refund; returns it where its state is a new one, else None.

    What succeeded has left by the gateway and is taken from suspense: whoever settles the refund
    puts it there. What the bank sends back days later (`returned`) is in suspense again.
    """
    before = read_refund(tx, refund)
    paid = _locked_payment(tx, before.payment)
    row = locked(tx, store.refund, refund)
    assert row is not None
    move = moved(stand_of("refund", row, claim), verb, outcome, now=tx.now_us)
    if move is None:
        return None
    made = _changed(tx, refund, columns_of(move, now=tx.now_us))
    if made.state == row.state:
        if made.attention != row.attention:
            tell_refund(tx, made)
        return None
    if made.state == "succeeded":
        sums = {"refunding": paid.refunding - made.amount, "refunded": paid.refunded + made.amount}
        changed(tx, paid.id, sums)
        _enter(tx, paid, made, f"{made.id}:paid", back=True)
    elif made.state == "returned":
        changed(tx, paid.id, {"refunded": paid.refunded - made.amount})
        _enter(tx, paid, made, f"{made.id}:returned", back=False)
        _into_wallet(tx, paid, made)
    elif made.state == "failed":
        changed(tx, paid.id, {"refunding": paid.refunding - made.amount})
        _into_wallet(tx, paid, made)
    tell_refund(tx, made)
    return made


def cancel_refund(tx: Tx, paid: Payment, refund: Refund, why: str) -> Refund:
    """Let a refund that nobody was asked for not be made; its payment is locked already."""
    assert refund.state == "created"
    ended = {"state": "canceled", "reason": why, "due_at": None, "ended_at": tx.now_us}
    made = _changed(tx, refund.id, ended)
    changed(tx, paid.id, {"refunding": paid.refunding - refund.amount})
    _into_wallet(tx, paid, made)
    tell_refund(tx, made)
    return made


def look_at_refund(tx: Tx, refund: str) -> Refund:
    """Let the gateway be asked now what came of a refund that is not decided."""
    row = locked(tx, store.refund, refund)
    if row is None:
        raise RefundUnknown
    if row.state not in {"processing", "unknown"}:
        raise PaymentNotSo(f"the refund is {row.state}")
    return _changed(tx, refund, {"due_at": tx.now_us, "looks": 0, "attention": None})


def tell_refund(tx: Tx, one: Refund) -> None:
    """Publish how a refund stands."""
    said = {
        "refundId": one.id, "paymentId": one.payment, "amount": one.amount,
        "currency": one.currency, "gateway": one.gateway, "state": one.state,
        "reason": one.reason, "attention": one.attention,
    }  # fmt: skip
    publish(tx, type="refund.updated", subject=one.payment, data=said)


def _locked_payment(tx: Tx, payment: str) -> Payment:
    row = locked(tx, store.payment, payment)
    assert row is not None
    return store.payment_of(row)


def _changed(tx: Tx, refund: str, values: dict[str, Any]) -> Refund:
    here = store.refund.c.id == refund
    tx.run(store.refund.update().where(here).values(**values, changed_at=tx.now_us))
    return read_refund(tx, refund)


def _about(paid: Payment, refund: Refund) -> About:
    return About(kind="refund", customer=paid.customer, payment=paid.id, refund=refund.id)


def _enter(tx: Tx, paid: Payment, refund: Refund, key: str, *, back: bool) -> None:
    if paid.gateway == WALLET:
        return  # The wallet was given it out of suspense by the ledger's own command.
    cash = f"{CASH}:{paid.gateway}"
    debit, credit = (SUSPENSE, cash) if back else (cash, SUSPENSE)
    post(tx, paid.currency, [Line(debit, credit, refund.amount)], _about(paid, refund), key=key)


def _out_of_wallet(tx: Tx, paid: Payment, refund: Refund) -> None:
    """Take what a top-up had brought out of the wallet, so that it is not spent meanwhile."""
    if paid.purpose != "top_up":
        return
    taken = take(
        tx, paid.customer, paid.currency, refund.amount, part="paid", to_account=SUSPENSE,
        about=_about(paid, refund), key=f"{refund.id}:taken",
    )  # fmt: skip
    if isinstance(taken, Short):
        raise WalletShort(available=taken.available, missing=taken.missing)


def _into_wallet(tx: Tx, paid: Payment, refund: Refund) -> None:
    """Put back what was taken for a refund that was not made."""
    if paid.purpose == "top_up":
        fill(
            tx, paid.customer, paid.currency, refund.amount, source_account=SUSPENSE,
            about=_about(paid, refund), key=f"{refund.id}:put_back",
        )  # fmt: skip
