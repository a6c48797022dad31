"""Orders: opened once under a key, moved by facts through the one table of states.

An order is opened unpaid. Whatever moves it afterwards locks its row first, so two at once are one
after the other. When it leaves its open states its closing event is published in that transaction;
the database holds that an open order has a due time and a closed one has its event.
"""

import hashlib
from collections.abc import Sequence
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from farebox.billing.customers.service import read_customer
from farebox.billing.orders import store
from farebox.billing.orders.model import (
    HOLD_US,
    MOST_LINES,
    Bought,
    CartEmpty,
    CartFull,
    Fact,
    LineState,
    Order,
    OrderLine,
    OrderTaken,
    OrderUnknown,
    PayBy,
    State,
)
from farebox.billing.orders.rules import after_fact, closing_event
from farebox.billing.orders.rules_carts import check_shown
from farebox.billing.orders.service_lines import (
    LineTotal,
    LineTotals,
    offer_kind,
    quote_lines_of,
    totals_of,
)
from farebox.billing.orders.service_policies import commission_percent, read_policy
from farebox.billing.pricing.service_coupons import discounts_for, redeem, use_discounts
from farebox.billing.pricing.service_prices import use_price
from farebox.events.service import publish
from farebox.kernel.clock import show_time
from farebox.kernel.ids import record_id
from farebox.kernel.refusals import TryAgain
from farebox.platform.model import Page
from farebox.platform.rules import checked_limit, checked_text, page_of
from farebox.storage import Tx

LONGEST_KEY: Final = 255


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """How an order is to be paid, and what was shown to whoever confirmed it.

    With `buy_at_once` a wallet that is short pays as soon as it is filled.
    """

    pay_by: PayBy = "wallet"
    method: str | None = None
    gateway: str | None = None
    buy_at_once: bool = False
    shown_total: int | None = None


def open_order(
    tx: Tx,
    *,
    customer: str,
    currency: str,
    lines: Sequence[Bought],
    key: str,
    terms: Terms | None = None,
    guaranteed: bool = False,
    cart: str | None = None,
    coupons: Sequence[str] = (),
    purchases: Sequence[str | None] = (),
    order_id: str | None = None,
) -> Order:
    """Open an order, unpaid; once for each key of a customer, the same key returns the first.

    `guaranteed` says that a total below the shown one may be charged. `purchases` are access's ids
    of purchases that are begun already, line by line. Refuses another order under the key
    (`order_taken`), a total that was not shown (`price_changed`), nothing to buy (`cart_empty`),
    and what prices, coupons and taxes refuse.
    """
    terms = terms or Terms()
    checked_text(key, "a key", longest=LONGEST_KEY)
    fingerprint = _fingerprint(cart, currency, lines, coupons, terms)
    if (known := order_of_key(tx, customer, key)) is not None:
        return _same(tx, known, fingerprint)
    if not lines:
        raise CartEmpty
    if len(lines) > MOST_LINES:
        raise CartFull
    read_customer(tx, customer)
    names = {f"{number}": bought for number, bought in enumerate(lines, 1)}
    claim = cart or f"{customer}:{key}"
    for code in coupons:
        asked = quote_lines_of(tx, names)
        redeem(tx, code, customer, lines=asked, currency=currency, claim=_short(claim))
    totals = totals_of(tx, customer, names)
    check_shown(terms.shown_total, totals.total, guaranteed=guaranteed)
    made = _order(tx, customer, currency, totals, terms, cart=cart, order_id=order_id)
    row = store.row_of(made, store.order, key=key, fingerprint=fingerprint)
    if not tx.insert_unless_taken(store.order, row):
        if order_of_key(tx, customer, key) is None:
            raise OrderTaken
        # Somebody has used the key since we looked: look again.
        raise TryAgain
    for number, (name, bought) in enumerate(names.items()):
        purchase = purchases[number] if number < len(purchases) else None
        line = totals.lines[name]
        _write_line(tx, made, bought, line, number=number + 1, purchase=purchase)
    # Counted now, not when the money moves: no other order is quoted with the same coupon.
    held = {each.coupon.code: each for each in discounts_for(tx, customer)}
    use_discounts(tx, [held[code] for code in made.coupons], bill=made.id)
    publish(tx, type="order.created", subject=made.id, data=facts_of(tx, made))
    return made


def order_of_key(tx: Tx, customer: str, key: str) -> Order | None:
    """Return the order that a customer's key has made, or None."""
    here = (store.order.c.customer == customer, store.order.c.key == key)
    row = tx.one(sa.select(store.order).where(*here))
    return None if row is None else store.order_of(row)


def find_order(tx: Tx, order_id: str) -> Order | None:
    """Return an order or None."""
    row = tx.one(sa.select(store.order).where(store.order.c.id == order_id))
    return None if row is None else store.order_of(row)


def read_order(tx: Tx, order_id: str) -> Order:
    """Return an order; refuses `order_unknown`."""
    found = find_order(tx, order_id)
    if found is None:
        raise OrderUnknown
    return found


def lock_order(tx: Tx, order_id: str) -> Order:
    """Return an order, which nobody else changes until the commit; refuses `order_unknown`."""
    row = tx.one(sa.select(store.order).where(store.order.c.id == order_id).with_for_update())
    if row is None:
        raise OrderUnknown
    return store.order_of(row)


def lines_of(tx: Tx, order_id: str) -> tuple[OrderLine, ...]:
    """Return an order's lines in their order."""
    table = store.line
    rows = tx.run(sa.select(table).where(table.c.order_id == order_id).order_by(table.c.number))
    return tuple(store.line_of(row) for row in rows)


def list_orders(
    tx: Tx,
    *,
    customer: str | None = None,
    state: State | None = None,
    after: str | None = None,
    limit: int = 100,
) -> Page[Order]:
    """Return orders in the order of their ids."""
    table = store.order
    statement = sa.select(table).order_by(table.c.id)
    if customer is not None:
        statement = statement.where(table.c.customer == customer)
    if state is not None:
        statement = statement.where(table.c.state == state)
    if after is not None:
        statement = statement.where(table.c.id > after)
    rows = tx.run(statement.limit(checked_limit(limit) + 1))
    return page_of([store.order_of(row) for row in rows], limit, lambda one: one.id)


def orders_waiting(tx: Tx, limit: int, *, after: str = "") -> list[Order]:
    """Return orders that are to be paid as soon as their customers' wallets are filled, by id."""
    table = store.order
    waits = (table.c.state == "awaiting_funds", table.c.buy_at_once == 1, table.c.id > after)
    rows = tx.run(sa.select(table).where(*waits).order_by(table.c.id).limit(limit))
    return [store.order_of(row) for row in rows]


def due_orders(tx: Tx, limit: int) -> list[str]:
    """Return open orders whose time is over, the longest first."""
    table = store.order
    due = sa.select(table.c.id).where(table.c.due_at <= tx.now_us).order_by(table.c.due_at)
    return [row.id for row in tx.run(due.limit(limit))]


def step_order(tx: Tx, order: Order, fact: Fact, **facts: Any) -> Order:  # noqa: ANN401 - fields of it
    """Move a locked order by a fact, and publish its closing event if that closes it.

    A fact that changes no state changes nothing but the fields that are named.
    """
    after = after_fact(order.state, fact)
    told = closing_event(order.state, after)
    if told is not None:
        facts |= {"ended_by": told, "due_at": None}
    made = keep_order(tx, order, state=after, **facts)
    if told is not None:
        publish(tx, type=told, subject=made.id, data=facts_of(tx, made))
    return made


def keep_order(tx: Tx, order: Order, **facts: Any) -> Order:  # noqa: ANN401 - fields of it
    """Write what has changed of a locked order."""
    new = msgspec.structs.replace(order, updated_at=tx.now_us, **facts)
    row = store.row_of(new, store.order, key="", fingerprint="")
    del row["key"], row["fingerprint"]
    tx.run(store.order.update().where(store.order.c.id == new.id).values(row))
    return new


def keep_line(tx: Tx, line: OrderLine, **facts: Any) -> OrderLine:  # noqa: ANN401 - fields of it
    """Write what has changed of a line of a locked order."""
    new = msgspec.structs.replace(line, **facts)
    row = store.row_of(new, store.line, item=_item_of(new))
    tx.run(store.line.update().where(store.line.c.id == new.id).values(row))
    return new


def set_lines(
    tx: Tx,
    lines: Sequence[OrderLine],
    state: LineState,
    **facts: Any,  # noqa: ANN401 - fields of it
) -> None:
    """Give lines of a locked order another state."""
    for line in lines:
        keep_line(tx, line, state=state, **facts)


def line_of_purchase(tx: Tx, purchase: str) -> OrderLine | None:
    """Return the line that a purchase of access is for, or None."""
    row = tx.one(sa.select(store.line).where(store.line.c.purchase == purchase))
    return None if row is None else store.line_of(row)


def line_of_rental(tx: Tx, rental: str) -> OrderLine | None:
    """Return the line that has sold a rental, or None."""
    row = tx.one(sa.select(store.line).where(store.line.c.rental == rental))
    return None if row is None else store.line_of(row)


def facts_of(tx: Tx, order: Order) -> dict[str, Any]:
    """Return what events say of an order.

    Once it has ended, an item that access was never asked to pin is named by its line alone: access
    knows nothing of its purchase.
    """
    over = order.ended_by is not None
    return {
        "orderId": order.id,
        "consumerId": order.customer,
        "currency": order.currency,
        "total": order.total,
        "discount": order.discount,
        "reason": order.reason,
        "lines": [
            {"lineId": line.id} if over and line.state == "open" else line_facts(line)
            for line in lines_of(tx, order.id)
        ],
    }


def line_facts(line: OrderLine) -> dict[str, Any]:
    """Return what events say of a line, in the words that access knows things by."""
    wish = line.wish
    named: dict[str, Any] = {
        "lineId": line.id, "title": line.title, "gross": line.gross, "state": line.state,
    }  # fmt: skip
    if wish.kind == "item":
        start = line.starts_at if line.period_hours is not None else None
        return {
            **named,
            "itemId": wish.code,
            "offer": wish.offer,
            "purchaseId": line.purchase,
            "periodHours": line.period_hours,
            "startsAt": None if start is None else show_time(start),
        }
    if wish.kind == "product":
        return {**named, "productId": wish.code, "addonProductIds": list(wish.add_ons)}
    return {
        **named, "bucketId": wish.bucket, "creditsOf": wish.code, "credits": wish.quantity,
    }  # fmt: skip


def _order(
    tx: Tx,
    customer: str,
    currency: str,
    totals: LineTotals,
    terms: Terms,
    *,
    cart: str | None,
    order_id: str | None,
) -> Order:
    return Order(
        id=order_id or record_id("ord"),
        customer=customer,
        currency=currency,
        state=after_fact("cart", "confirmed"),
        pay_by=terms.pay_by,
        buy_at_once=terms.buy_at_once,
        method=terms.method,
        gateway=terms.gateway,
        fees=totals.fees,
        discount=totals.discount,
        tax=totals.tax,
        total=totals.total,
        charged=0,
        refunded=0,
        coupons=totals.coupons,
        cart=cart,
        due_at=tx.now_us + HOLD_US,
        created_at=tx.now_us,
        updated_at=tx.now_us,
    )


def _write_line(
    tx: Tx, order: Order, bought: Bought, total: LineTotal, *, number: int, purchase: str | None
) -> None:
    use_price(tx, bought.price, bought.price_version)
    wish = bought.wish
    policy = read_policy(tx, offer_kind(tx, wish))
    owner = bought.owner
    made = OrderLine(
        id=record_id("orl"),
        order=order.id,
        number=number,
        wish=wish,
        title=bought.title,
        price=bought.price,
        price_version=bought.price_version,
        book=bought.book,
        list_fee=bought.list_fee,
        fee=total.fee,
        promotion=bought.promotion,
        discount=total.discount,
        net=total.net,
        tax=total.tax,
        taxes=total.taxes,
        gross=total.gross,
        owner=owner,
        commission_percent=None if owner is None else commission_percent(tx, owner),
        policy=policy.code,
        policy_version=policy.version,
        # Only an item has a place that access pins; everything else waits for the money alone.
        state="open" if wish.kind == "item" and purchase is None else "pinned",
        purchase=purchase or (record_id("pur") if wish.kind == "item" else None),
        starts_at=wish.starts_at if bought.begins_at is None else bought.begins_at,
        period_hours=wish.period_hours,
    )
    tx.run(store.line.insert(), store.row_of(made, store.line, item=_item_of(made)))


def _item_of(line: OrderLine) -> str | None:
    return line.wish.code if line.wish.kind == "item" else None


def _same(tx: Tx, known: Order, fingerprint: str) -> Order:
    row = tx.one(sa.select(store.order.c.fingerprint).where(store.order.c.id == known.id))
    if row is None or row.fingerprint != fingerprint:
        raise OrderTaken
    return known


def _fingerprint(
    cart: str | None, currency: str, lines: Sequence[Bought], coupons: Sequence[str], terms: Terms
) -> str:
    """Return what makes a request what it is: of a cart the cart, whatever prices do meanwhile."""
    what = [cart] if cart is not None else [currency, [line.wish for line in lines], coupons]
    return hashlib.sha256(msgspec.json.encode([what, terms])).hexdigest()


def _short(claim: str) -> str:
    """Return a claim that fits its column whatever key a customer has minted."""
    return hashlib.sha256(claim.encode()).hexdigest()
