"""Chargebacks: money that a customer's bank took back, as their gateway tells of it.

They are facts: the money is gone when we hear of it. What we wanted to give back ourselves and
nobody was asked for yet is canceled; where the gateway was asked already, both may happen, and
then a person looks (`returned_twice`).
"""

from typing import Any

import msgspec
import sqlalchemy as sa

from farebox.billing.books.model import CASH, CHARGEBACKS, FEES, About, Line
from farebox.billing.books.service import post
from farebox.billing.payments import store
from farebox.billing.payments.model import (
    Chargeback,
    ChargebackState,
    ChargebackUnknown,
    Payment,
    Refund,
)
from farebox.billing.payments.model_outcomes import Disputed
from farebox.billing.payments.rules import CHARGEBACK
from farebox.billing.payments.service import changed, locked, read_payment
from farebox.billing.payments.service_refunds import cancel_refund, refunds_of, request_refund
from farebox.billing.wallets.model import Paid
from farebox.billing.wallets.service import balance_of, fill, find_wallet, lock_wallet, take
from farebox.events.service import publish
from farebox.kernel.ids import record_id
from farebox.kernel.refusals import TryAgain
from farebox.platform.model import Page
from farebox.platform.rules import checked_limit, page_of
from farebox.storage import Tx


def note_chargeback(tx: Tx, gateway: str, said: Disputed) -> Chargeback | None:
    """Record what a gateway says of a chargeback; returns it where its state is a new one.

    None is said too of what is no payment of ours. A word that comes late, `opened` after `won`,
    changes nothing; one whose `opened` never came is opened first.
    """
    payment = _payment_of(tx, gateway, said)
    if payment is None:
        return None
    row = locked(tx, store.payment, payment)
    assert row is not None
    if row.state != "succeeded":
        return None
    known = find_chargeback(tx, gateway, said.reference)
    if known is None:
        known = _opened(tx, store.payment_of(row), said)
        return known if said.state == "opened" else _closed(tx, known, said.state)
    if said.state not in CHARGEBACK[known.state]:
        return None
    return _closed(tx, known, said.state)


def _payment_of(tx: Tx, gateway: str, said: Disputed) -> str | None:
    table = store.payment
    ours = table.c.gateway == gateway
    if said.payment is not None:
        here = sa.and_(ours, table.c.id == said.payment)
    elif said.charge is not None:
        here = sa.and_(ours, table.c.provider_reference == said.charge)
    else:
        return None
    found = tx.one(sa.select(table.c.id).where(here))
    return None if found is None else str(found.id)


def find_chargeback(tx: Tx, gateway: str, reference: str) -> Chargeback | None:
    """Return the chargeback that a gateway calls so, or None."""
    table = store.chargeback
    here = sa.and_(table.c.gateway == gateway, table.c.provider_reference == reference)
    row = tx.one(sa.select(table).where(here))
    return None if row is None else store.chargeback_of(row)


def _opened(tx: Tx, paid: Payment, said: Disputed) -> Chargeback:
    # The bank cannot take back more than was paid; what it says beyond that, a person reads.
    amount = min(said.amount or paid.amount, paid.amount - paid.charged_back)
    odd = said.amount not in {amount, 0}
    if amount < 1:
        amount, odd = paid.amount, True
    made = Chargeback(
        id=record_id("cbk"), payment=paid.id, gateway=paid.gateway,
        provider_reference=said.reference, amount=amount, currency=paid.currency, state="opened",
        reason=said.reason, recovered=0, opened_at=tx.now_us, changed_at=tx.now_us,
    )  # fmt: skip
    if not tx.insert_unless_taken(store.chargeback, msgspec.structs.asdict(made)):
        # The same dispute was said of another payment meanwhile: look again.
        raise TryAgain
    cash = f"{CASH}:{paid.gateway}"
    lines = [Line(CHARGEBACKS, cash, amount)]
    if said.fee > 0:
        lines.append(Line(f"{FEES}:{paid.gateway}", cash, said.fee))
    post(tx, paid.currency, lines, _about(paid), key=f"{made.id}:opened")
    now = changed(tx, paid.id, {"charged_back": _taken_back(tx, paid)})
    now = _without_refunds(tx, now, made)
    # After the refunds: what one of them had taken out of the wallet is there again.
    made = _recovered(tx, paid, made)
    if odd or now.refunded + now.refunding + now.charged_back > now.amount:
        changed(tx, paid.id, {"attention": "chargeback_amount" if odd else "returned_twice"})
    _tell(tx, made)
    return made


def _taken_back(tx: Tx, paid: Payment) -> int:
    """Return what banks have taken back of a payment and not brought again, at most all of it.

    Added up each time: of several chargebacks of one payment a won one brings its own alone.
    """
    table = store.chargeback
    here = (table.c.payment == paid.id, table.c.state != "won")
    found = sa.select(sa.func.coalesce(sa.func.sum(table.c.amount), 0)).where(*here)
    return min(paid.amount, int(tx.run(found).scalar_one()))


def _without_refunds(tx: Tx, paid: Payment, one: Chargeback) -> Payment:
    """Cancel refunds that nobody was asked for, newest first, while more goes than came.

    What the bank has not taken of one that is canceled is asked for anew.
    """
    for refund in reversed(refunds_of(tx, paid.id)):
        over = paid.refunded + paid.refunding + paid.charged_back - paid.amount
        if over <= 0:
            break
        # Locked before it is believed: the worker may be about to ask for it.
        row = locked(tx, store.refund, refund.id)
        assert row is not None
        if row.state == "created":
            cancel_refund(tx, paid, refund, "charged_back")
            if over < refund.amount:
                request_refund(tx, paid.id, refund.amount - over, f"{refund.key}:{one.id}")
            paid = read_payment(tx, paid.id)
    return paid


def lost_of_refunds(tx: Tx, payment: str) -> list[tuple[Refund, int]]:
    """Return the refunds that chargebacks have canceled, and what of each was not asked anew."""
    every = refunds_of(tx, payment)
    lost = []
    for refund in every:
        if (refund.state, refund.reason) == ("canceled", "charged_back"):
            anew = [each for each in every if each.key.rpartition(":")[0] == refund.key]
            lost.append((refund, refund.amount - sum(each.amount for each in anew)))
    return lost


def _recovered(tx: Tx, paid: Payment, one: Chargeback) -> Chargeback:
    """Take back what a top-up had brought, as far as the wallet's paid money goes."""
    if paid.purpose != "top_up":
        return one
    # Locked before it is read: whoever pays from it at this moment has gone first, or waits.
    if (wallet := find_wallet(tx, paid.customer, paid.currency)) is not None:
        lock_wallet(tx, wallet)
    there = min(one.amount, balance_of(tx, paid.customer, paid.currency).paid)
    if there < 1:
        return one
    taken = take(
        tx, paid.customer, paid.currency, there, part="paid", to_account=CHARGEBACKS,
        about=_about(paid), key=f"{one.id}:recovered",
    )  # fmt: skip
    return _changed(tx, one.id, {"recovered": there}) if isinstance(taken, Paid) else one


def _closed(tx: Tx, one: Chargeback, to: ChargebackState) -> Chargeback:
    made = _changed(tx, one.id, {"state": to})
    if to == "won":
        paid = read_payment(tx, one.payment)
        line = Line(f"{CASH}:{one.gateway}", CHARGEBACKS, one.amount)
        post(tx, one.currency, [line], _about(paid), key=f"{one.id}:won")
        changed(tx, paid.id, {"charged_back": _taken_back(tx, paid)})
        if one.recovered:
            fill(
                tx, paid.customer, paid.currency, one.recovered, source_account=CHARGEBACKS,
                about=_about(paid), key=f"{one.id}:put_back",
            )  # fmt: skip
    _tell(tx, made)
    return made


def read_chargeback(tx: Tx, chargeback: str) -> Chargeback:
    """Return a chargeback; refuses an unknown one (`chargeback_unknown`)."""
    row = tx.one(sa.select(store.chargeback).where(store.chargeback.c.id == chargeback))
    if row is None:
        raise ChargebackUnknown
    return store.chargeback_of(row)


def list_chargebacks(
    tx: Tx,
    *,
    payment: str | None = None,
    state: ChargebackState | None = None,
    before: str | None = None,
    limit: int = 100,
) -> Page[Chargeback]:
    """Return chargebacks newest first."""
    table = store.chargeback
    statement = sa.select(table).order_by(table.c.id.desc())
    if payment is not None:
        statement = statement.where(table.c.payment == payment)
    if state is not None:
        statement = statement.where(table.c.state == state)
    if before is not None:
        statement = statement.where(table.c.id < before)
    rows = tx.run(statement.limit(checked_limit(limit) + 1)).all()
    return page_of([store.chargeback_of(row) for row in rows], limit, lambda one: one.id)


def _changed(tx: Tx, chargeback: str, values: dict[str, Any]) -> Chargeback:
    here = store.chargeback.c.id == chargeback
    tx.run(store.chargeback.update().where(here).values(**values, changed_at=tx.now_us))
    return read_chargeback(tx, chargeback)


def _about(paid: Payment) -> About:
    return About(kind="chargeback", customer=paid.customer, payment=paid.id)


def _tell(tx: Tx, one: Chargeback) -> None:
    said = {
        "chargebackId": one.id, "paymentId": one.payment, "amount": one.amount,
        "currency": one.currency, "gateway": one.gateway, "state": one.state,
    }  # fmt: skip
    publish(tx, type="chargeback.updated", subject=one.payment, data=said)
