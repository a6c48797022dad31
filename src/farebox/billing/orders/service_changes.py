"""Longer and shorter rentals: quoted, charged on the rental's order, undone if access cannot.

A longer period is charged before access changes the rental, and given back in full if it cannot. A
shorter one is given back only once access has changed it. There is one change of a rental at a
time.
"""

from typing import Any

import msgspec
import sqlalchemy as sa

from farebox.billing.orders import store
from farebox.billing.orders.model import Order, OrderLine, OrderStateRefused
from farebox.billing.orders.model_changes import (
    ChangeState,
    RentalChange,
    RentalQuote,
    RentalUnknown,
    ShorteningRefused,
)
from farebox.billing.orders.model_refunds import RefundFacts
from farebox.billing.orders.rules import share
from farebox.billing.orders.rules_changes import difference
from farebox.billing.orders.rules_refunds import percent_of, refund_of
from farebox.billing.orders.service import line_of_rental, lines_of, lock_order, read_order
from farebox.billing.orders.service_paying import charge_more, charges_of, left_of
from farebox.billing.orders.service_policies import read_policy
from farebox.billing.orders.service_refunds import give_back_of_line
from farebox.billing.wallets.model import Short, WalletShort
from farebox.storage import Tx


def quote_change(tx: Tx, rental: str, to_hours: int) -> RentalQuote:
    """Return what another period of a rental would cost, or bring back, now.

    Refuses `rental_unknown`, `period_not_priced`, `shortening_refused`.
    """
    line = line_of_rental(tx, rental)
    if line is None:
        raise RentalUnknown
    return _quote(tx, read_order(tx, line.order), line, to_hours)


def currency_of_rental(tx: Tx, rental: str) -> str | None:
    """Return what a rental is charged in, or None where no order has sold it."""
    line = line_of_rental(tx, rental)
    return None if line is None else read_order(tx, line.order).currency


def order_of_rental(tx: Tx, rental: str) -> tuple[Order, OrderLine]:
    """Return the order and line that sold a rental, locked; refuses `rental_unknown`."""
    line = line_of_rental(tx, rental)
    if line is None:
        raise RentalUnknown
    order = lock_order(tx, line.order)
    [fresh] = [each for each in lines_of(tx, order.id) if each.id == line.id]
    return order, fresh


def begin_change(
    tx: Tx, rental: str, *, change_id: str, from_hours: int, to_hours: int
) -> RentalChange | None:
    """Charge for another period of a rental; None where that was done already.

    Refuses what `quote_change` refuses, `order_state_refused` for a rental that was given back or
    is being changed, or has another period by now, and `wallet_short`.
    """
    order, line = order_of_rental(tx, rental)
    pending = pending_change(tx, line.id)
    if pending is not None and pending.to_hours == to_hours:
        return None
    if line.period_hours == to_hours:
        return None
    if pending is not None or line.state != "granted" or line.period_hours != from_hours:
        raise OrderStateRefused("the rental is not as it was when this was asked for")
    quote = _quote(tx, order, line, to_hours)
    if quote.amount > 0:
        taxes = difference(line, from_hours=from_hours, to_hours=to_hours).taxes
        paid = charge_more(tx, order, line, gross=quote.amount, taxes=taxes, key=change_id)
        if isinstance(paid, Short):
            raise WalletShort(missing=paid.missing, available=paid.available)
    made = RentalChange(
        id=change_id,
        line=line.id,
        rental=rental,
        from_hours=from_hours,
        to_hours=to_hours,
        amount=quote.amount,
        state="paid",
        at=tx.now_us,
    )
    tx.run(store.change.insert(), store.row_of(made, store.change))
    return made


def finish_change(tx: Tx, rental: str, hours: int) -> None:
    """Note that access has changed a rental; what a shorter one costs less goes back now.

    Of a line that was returned meanwhile nothing more goes back: that was reckoned by its policy.
    """
    order, line = order_of_rental(tx, rental)
    pending = pending_change(tx, line.id)
    if pending is None or pending.to_hours != hours:
        return
    if pending.amount < 0 and line.state != "returned":
        note = f"{pending.from_hours} to {pending.to_hours} hours"
        # An allowance may have given it back meanwhile.
        amount = min(-pending.amount, left_of(tx, line))
        if amount > 0:
            give_back_of_line(tx, order, line, amount, kind="shortened", note=note)
    _end(tx, pending, "done")


def undo_change(tx: Tx, rental: str, reason: str) -> None:
    """Give back in full what a change has cost that access could not do.

    Of a line that was returned meanwhile, the part of it that has not gone back with the line.
    """
    order, line = order_of_rental(tx, rental)
    pending = pending_change(tx, line.id)
    if pending is None:
        return
    left = left_of(tx, line)
    amount = min(pending.amount, left)
    if line.state == "returned":
        charged = sum(each.gross for each in charges_of(tx, order.id, [line.id]))
        amount = share(pending.amount, left, charged)
    if amount > 0:
        give_back_of_line(tx, order, line, amount, kind="change_undone", note=reason)
    _end(tx, pending, "undone", reason=reason)


def pending_change(tx: Tx, line: str) -> RentalChange | None:
    """Return the change of a line that is charged and not done, or None."""
    table = store.change
    row = tx.one(sa.select(table).where(table.c.line == line, table.c.state == "paid"))
    return None if row is None else store.change_of(row)


def changes_of(tx: Tx, order_id: str) -> list[RentalChange]:
    """Return the changes of an order's rentals, oldest first."""
    table = store.change
    statement = sa.select(table).join(store.line, store.line.c.id == table.c.line)
    rows = tx.run(statement.where(store.line.c.order_id == order_id).order_by(table.c.at))
    return [store.change_of(row) for row in rows]


def _quote(tx: Tx, order: Order, line: OrderLine, to_hours: int) -> RentalQuote:
    assert line.period_hours is not None, "a rental has a period"
    found = difference(line, from_hours=line.period_hours, to_hours=to_hours)
    amount = found.gross
    if amount < 0:
        # What support has given for nothing brings nothing back.
        changes = [each for each in changes_of(tx, order.id) if each.line == line.id]
        paid = sum(each.amount for each in changes if each.state == "done")
        assert line.wish.period_hours is not None, "a rental was bought for a period"
        first = difference(line, from_hours=line.wish.period_hours, to_hours=to_hours)
        amount = -_back(tx, order, line, max(0, min(-amount, paid - first.gross)))
    return RentalQuote(
        order=order.id,
        line=line.id,
        currency=order.currency,
        from_hours=line.period_hours,
        to_hours=to_hours,
        fee_before=found.fee_before,
        fee_after=found.fee_after,
        net=found.net,
        tax=sum(found.taxes.values()),
        amount=amount,
    )


def _back(tx: Tx, order: Order, line: OrderLine, less: int) -> int:
    """Return what a shorter rental brings back; refuses (`shortening_refused`) where nothing."""
    if line.starts_at is None or line.starts_at <= tx.now_us:
        raise ShorteningRefused("the rental has started")
    charges = charges_of(tx, order.id, [line.id])
    facts = RefundFacts(
        now=tx.now_us,
        ordered_at=min((each.at for each in charges), default=order.created_at),
        starts_at=line.starts_at,
        played_at=line.played_at,
    )
    rules = read_policy(tx, line.policy, line.policy_version).rules
    left = sum(each.gross - each.refunded for each in charges)
    amount = min(refund_of(percent_of(rules, facts), less, 0), left)
    if not amount:
        raise ShorteningRefused
    return amount


def _end(tx: Tx, change: RentalChange, state: ChangeState, **facts: Any) -> None:  # noqa: ANN401 - fields of it
    new = msgspec.structs.replace(change, state=state, ended_at=tx.now_us, **facts)
    here = store.change.c.id == new.id
    tx.run(store.change.update().where(here).values(store.row_of(new, store.change)))
