"""Refunds: quoted by the policy that a line was bought under, given back where it came from.

A total never changes: a refund is an object of its own, made of parts of charges. Money that a
wallet gave returns to it, paid money as such and bonus as bonus; money of a gateway goes back
through it. A seller's part and our commission go back in proportion.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from farebox.billing.books.model import CHARGEBACKS, REFUNDS, REVENUE, SUSPENSE, About, Line
from farebox.billing.books.service import post
from farebox.billing.orders import store
from farebox.billing.orders.model import Charge, Order, OrderLine, OrderStateRefused
from farebox.billing.orders.model_refunds import (
    LineUnknown,
    NothingToRefund,
    Reason,
    Refund,
    RefundExceeds,
    RefundFacts,
    RefundKind,
    RefundPart,
    RefundQuote,
)
from farebox.billing.orders.rules_refunds import parts_of, percent_of, refund_of
from farebox.billing.orders.service import (
    keep_order,
    line_facts,
    lines_of,
    lock_order,
    read_order,
    set_lines,
)
from farebox.billing.orders.service_paying import about_line, charges_of, split_of
from farebox.billing.orders.service_policies import read_policy
from farebox.billing.payments.service import find_payment
from farebox.billing.payments.service_refunds import request_refund
from farebox.billing.wallets.service import give_back
from farebox.events.service import publish
from farebox.kernel.ids import record_id
from farebox.platform.model import Actor
from farebox.platform.service_audit import record
from farebox.storage import Tx

KEPT: Final = frozenset({"pinned", "granted"})
"""Lines that may be returned: not those that could not be granted, or were returned already."""


def quote_returns(
    tx: Tx, order_id: str, lines: Sequence[str] | None, reason: Reason
) -> list[RefundQuote]:
    """Return what would go back for lines of an order now (all that are kept, if none is named).

    Refuses `order_unknown`, `order_line_unknown`.
    """
    order = read_order(tx, order_id)
    return [_quote(tx, order, line, reason) for line in _chosen(tx, order, lines)]


def return_lines(
    tx: Tx,
    actor: Actor,
    order_id: str,
    lines: Sequence[str] | None,
    *,
    reason: Reason = "own_wish",
    accept_nothing: bool = False,
    note: str | None = None,
) -> Refund:
    """Take lines back and give back what their policies say; publishes `refund.issued`.

    Refuses an order that was not paid and a line that was returned already
    (`order_state_refused`), and (`nothing_to_refund`) where nothing goes back, unless that is
    accepted.
    """
    order = lock_order(tx, order_id)
    chosen = _chosen(tx, order, lines)
    if not chosen or any(line.state not in KEPT for line in chosen) or order.ended_by is None:
        raise OrderStateRefused("there is nothing to return")
    if order.ended_by != "order.completed":
        raise OrderStateRefused("the order was not paid")
    amounts = {line.id: _quote(tx, order, line, reason).amount for line in chosen}
    if not sum(amounts.values()) and not accept_nothing:
        raise NothingToRefund
    set_lines(tx, chosen, "returned")
    made = _give(tx, order, "return", reason, amounts, note=note)
    record(tx, actor, "order.lines_returned", f"order:{order.id}", after=made)
    return made


def allow(
    tx: Tx,
    actor: Actor,
    order_id: str,
    amount: int,
    *,
    lines: Sequence[str] | None = None,
    reason: Reason = "our_fault",
    note: str | None = None,
) -> Refund:
    """Give back an amount and leave what was bought; publishes `allowance.issued`.

    It is taken from the order's lines in their order, or from those that are named. Refuses
    (`refund_exceeds_charge`) more than was charged for them and has not gone back.
    """
    order = lock_order(tx, order_id)
    left, amounts = amount, {}
    for line in _chosen(tx, order, lines, kept=False):
        room = sum(each.gross - each.refunded for each in charges_of(tx, order.id, [line.id]))
        amounts[line.id] = min(left, room)
        left -= amounts[line.id]
    if left or amount < 1:
        raise RefundExceeds(f"at most {amount - left} can go back")
    made = _give(tx, order, "allowance", reason, amounts, note=note)
    record(tx, actor, "order.allowance", f"order:{order.id}", after=made)
    return made


def undo_lines(tx: Tx, order: Order, lines: Sequence[OrderLine], why: str) -> Refund:
    """Give back in full what could not be granted, of a locked order that was paid."""
    set_lines(tx, lines, "failed")
    amounts = {
        line.id: sum(each.gross - each.refunded for each in charges_of(tx, order.id, [line.id]))
        for line in lines
    }
    return _give(tx, order, "undone", "our_fault", amounts, note=why)


def give_back_of_line(
    tx: Tx, order: Order, line: OrderLine, amount: int, *, kind: RefundKind, note: str
) -> Refund:
    """Give back so much of a line of a locked order and leave what was bought as it is."""
    return _give(tx, order, kind, "own_wish", {line.id: amount}, note=note)


def take_back(tx: Tx, order: Order, *, amount: int, why: str) -> None:
    """Let access take back what a locked order sold, whose money is gone: nothing goes back for it.

    Publishes `refund.issued`, as a return does. What is taken back already changes nothing.
    """
    kept = [line for line in lines_of(tx, order.id) if line.state in KEPT]
    if not kept:
        return
    set_lines(tx, kept, "returned")
    keep_order(tx, order, reason=why)
    data = {
        "orderId": order.id,
        "refundId": None,
        "consumerId": order.customer,
        "kind": why,
        "amount": amount,
        "currency": order.currency,
        "reason": why,
        "lines": [line_facts(line) for line in kept],
    }
    publish(tx, type="refund.issued", subject=order.id, data=data)


def refunds_of(tx: Tx, order_id: str) -> list[Refund]:
    """Return an order's refunds, oldest first."""
    table, part = store.refund, store.part
    rows = tx.run(sa.select(table).where(table.c.order_id == order_id).order_by(table.c.id)).all()
    here = part.c.refund.in_([row.id for row in rows])
    parts: dict[str, list[RefundPart]] = {row.id: [] for row in rows}
    for row in tx.run(sa.select(part).where(here).order_by(part.c.refund, part.c.charge)):
        parts[row.refund].append(store.part_of(row))
    return [store.refund_of(row, tuple(parts[row.id])) for row in rows]


def _chosen(
    tx: Tx, order: Order, lines: Sequence[str] | None, *, kept: bool = True
) -> list[OrderLine]:
    every = {line.id: line for line in lines_of(tx, order.id)}
    if lines is None:
        return [line for line in every.values() if line.state in KEPT or not kept]
    if unknown := set(lines) - set(every):
        raise LineUnknown(f"the order has no line {min(unknown)}")
    return [every[name] for name in dict.fromkeys(lines)]


def _quote(tx: Tx, order: Order, line: OrderLine, reason: Reason) -> RefundQuote:
    policy = read_policy(tx, line.policy, line.policy_version)
    charges = charges_of(tx, order.id, [line.id])
    facts = RefundFacts(
        now=tx.now_us,
        ordered_at=min((each.at for each in charges), default=order.created_at),
        starts_at=line.starts_at,
        played_at=line.played_at,
        reason=reason,
    )
    percent = percent_of(policy.rules, facts)
    charged = sum(each.gross for each in charges)
    refunded = sum(each.refunded for each in charges)
    return RefundQuote(
        line=line.id,
        percent=percent,
        amount=refund_of(percent, charged, refunded),
        policy=policy.code,
        policy_version=policy.version,
    )


def _give(
    tx: Tx,
    order: Order,
    kind: RefundKind,
    reason: Reason,
    amounts: Mapping[str, int],
    *,
    note: str | None,
) -> Refund:
    """Write a refund, take its parts back out of the books, and let the money go back."""
    charges = {each.id: each for each in charges_of(tx, order.id, list(amounts))}
    parts = tuple(
        part
        for line, amount in amounts.items()
        if amount
        for part in parts_of([each for each in charges.values() if each.line == line], amount)
    )
    made = Refund(
        id=record_id("orf"),
        order=order.id,
        customer=order.customer,
        currency=order.currency,
        kind=kind,
        reason=reason,
        amount=sum(part.gross for part in parts),
        note=note,
        at=tx.now_us,
        parts=parts,
    )
    tx.run(store.refund.insert(), store.row_of(made, store.refund))
    lines = {line.id: line for line in lines_of(tx, order.id)}
    for part in parts:
        line, charge = lines[part.line], charges[part.charge]
        _take_back(tx, order, line, charge, part=part, refund=made.id)
    _return_money(tx, order, charges, made)
    keep_order(tx, order, refunded=order.refunded + made.amount)
    _tell(tx, made, [lines[name] for name in amounts])
    return made


def _take_back(
    tx: Tx, order: Order, line: OrderLine, charge: Charge, *, part: RefundPart, refund: str
) -> None:
    """Put a part of a charge into suspense again, out of where the sale has put it."""
    row = store.row_of(part, store.part, refund=refund)
    tx.run(store.part.insert(), row)
    table = store.charge
    # The CHECK of the column refuses more than was charged, whoever else is at it.
    more = table.update().where(table.c.id == charge.id)
    tx.run(more.values(refunded=table.c.refunded + part.gross))
    back = msgspec.structs.replace(
        charge, gross=part.gross, taxes=part.taxes, commission=part.commission
    )
    # What was ours is not lowered: refunds stand beside the revenue, so both can be read.
    entry = [
        Line(REFUNDS if account == REVENUE else account, SUSPENSE, amount)
        for account, amount in split_of(back)
    ]
    about = about_line(order, line, "refund", payment=charge.payment, refund=refund)
    post(tx, order.currency, entry, about, key=f"{refund}:{charge.id}")


def _return_money(tx: Tx, order: Order, charges: Mapping[str, Charge], refund: Refund) -> None:
    """Let the parts go where they came from, each source once."""
    by_source: dict[tuple[int | None, str | None], int] = {}
    for part in refund.parts:
        source = (charges[part.charge].operation, charges[part.charge].payment)
        by_source[source] = by_source.get(source, 0) + part.gross
    about = About(kind="refund", customer=order.customer, order=order.id, refund=refund.id)
    for (operation, payment), amount in by_source.items():
        if operation is not None:
            give_back(tx, operation, amount, about=about, key=f"{refund.id}:{operation}")
        elif payment is not None:
            _through_gateway(tx, payment, amount, order, refund)


def _through_gateway(tx: Tx, payment: str, amount: int, order: Order, refund: Refund) -> None:
    """Send back through its gateway what no bank has taken back; that part is at our cost already.

    Refuses (`refund_exceeds_payment`) what else is not left of the payment.
    """
    paid = find_payment(tx, payment)
    assert paid is not None
    missing = max(amount - paid.refundable, 0)
    disputed = min(missing, paid.charged_back)
    if amount > disputed:
        request_refund(tx, payment, amount - disputed, key=f"{refund.id}:{payment}")
    if disputed:
        about = About(kind="refund", customer=order.customer, order=order.id, refund=refund.id)
        returned = [Line(SUSPENSE, CHARGEBACKS, disputed)]
        post(tx, order.currency, returned, about, key=f"{refund.id}:{payment}:charged_back")


def _tell(tx: Tx, refund: Refund, lines: Sequence[OrderLine]) -> None:
    """Publish a refund: of what is taken back by the name that lets access take it back."""
    taken = refund.kind in {"return", "undone"}
    data = {
        "orderId": refund.order,
        "refundId": refund.id,
        "consumerId": refund.customer,
        "kind": refund.kind,
        "amount": refund.amount,
        "currency": refund.currency,
        "reason": refund.reason,
        "lines": [_named(refund, line) for line in lines],
    }
    publish(
        tx,
        type="refund.issued" if taken else "allowance.issued",
        subject=refund.order,
        data=data,
    )


def _named(refund: Refund, line: OrderLine) -> dict[str, Any]:
    """Return a line as the event names it: only what was given by access can be taken back."""
    if refund.kind == "undone" and line.wish.kind != "item":
        return {"lineId": line.id, "title": line.title}
    return line_facts(line)
