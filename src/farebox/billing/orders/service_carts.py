"""Carts: what is wanted, at a price that is guaranteed for a while.

A line's price is guaranteed for half an hour from its adding or its last renewal. If the price
falls meanwhile, the lower one holds; when the guarantee is over, the line stays and costs what it
costs then. Places are held by access, not here.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from farebox.billing.copies.service import find_item
from farebox.billing.customers.service import ensure_customer
from farebox.billing.orders import store
from farebox.billing.orders.model import (
    HOLD_US,
    MOST_LINES,
    MOST_RENEWALS,
    Bought,
    CartConverted,
    CartFull,
    CartLineUnknown,
    CartUnknown,
    NotForSale,
    RenewalsUsedUp,
    Wish,
    WishRefused,
)
from farebox.billing.orders.model_carts import Cart, CartLine, SeenCart, SeenLine
from farebox.billing.orders.rules import added_up
from farebox.billing.orders.rules_carts import Standing, price_now
from farebox.billing.orders.service_lines import (
    RENTAL,
    LineTotal,
    LineTotals,
    bought_of,
    currency_for,
    totals_of,
)
from farebox.billing.pricing.model_coupons import CouponUnknown
from farebox.billing.pricing.model_money import (
    CouponNotForThis,
    CouponNotValidNow,
    CouponUsedUp,
    CurrenciesMixed,
)
from farebox.billing.pricing.service_coupons import find_coupon
from farebox.billing.pricing.service_currency import scale_of
from farebox.billing.pricing.service_prices import use_price
from farebox.kernel.ids import record_id
from farebox.kernel.refusals import TryAgain
from farebox.platform.model import Page
from farebox.platform.rules import checked_limit, page_of
from farebox.storage import Tx

MOST_COUPONS: Final = 10
COUPON_REFUSALS: Final = (CouponUnknown, CouponNotValidNow, CouponUsedUp, CouponNotForThis)
_NOTHING: Final = LineTotal(fee=0, discount=0, net=0, tax=0, taxes={}, gross=0)
_EMPTY: Final = LineTotals(lines={}, fees=0, discount=0, tax=0, total=0, coupons=())


def open_cart(tx: Tx, customer: str, currency: str) -> Cart:
    """Return a customer's open cart, made at first; an empty one takes the currency asked for.

    Refuses `customer_unknown`, `currency_unknown`, and `currencies_mixed` where there are lines in
    another currency.
    """
    scale_of(currency)
    payer = ensure_customer(tx, "consumer", customer)
    found = find_open_cart(tx, payer.id)
    if found is None:
        now = tx.now_us
        made = Cart(
            id=record_id("crt"), customer=payer.id, currency=currency, created_at=now,
            changed_at=now,
        )  # fmt: skip
        row = store.row_of(made, store.cart)
        statement = tx.insert_of(store.cart).values(row).on_conflict_do_nothing()
        tx.run(statement)
        found = find_open_cart(tx, payer.id)
        if found is None:
            raise TryAgain
    cart = locked_cart(tx, found.id)
    if cart.currency == currency:
        return cart
    if lines_of(tx, cart.id):
        raise CurrenciesMixed(f"the cart is in {cart.currency}")
    return _change(tx, cart, currency=currency)


def find_open_cart(tx: Tx, customer: str) -> Cart | None:
    """Return a customer's open cart or None."""
    table = store.cart
    row = tx.one(sa.select(table).where(table.c.customer == customer, table.c.order_id.is_(None)))
    return None if row is None else store.cart_of(row)


def read_cart(tx: Tx, cart_id: str) -> Cart:
    """Return a cart; refuses `cart_unknown`."""
    row = tx.one(sa.select(store.cart).where(store.cart.c.id == cart_id))
    if row is None:
        raise CartUnknown
    return store.cart_of(row)


def locked_cart(tx: Tx, cart_id: str) -> Cart:
    """Return a cart, which nobody else changes until the commit: lock first, then read lines."""
    row = tx.one(sa.select(store.cart).where(store.cart.c.id == cart_id).with_for_update())
    if row is None:
        raise CartUnknown
    return store.cart_of(row)


def list_carts(
    tx: Tx, *, customer: str | None = None, after: str | None = None, limit: int = 100
) -> Page[Cart]:
    """Return carts in the order of their ids."""
    table = store.cart
    statement = sa.select(table).order_by(table.c.id)
    if customer is not None:
        statement = statement.where(table.c.customer == customer)
    if after is not None:
        statement = statement.where(table.c.id > after)
    rows = tx.run(statement.limit(checked_limit(limit) + 1))
    return page_of([store.cart_of(row) for row in rows], limit, lambda one: one.id)


def lines_of(tx: Tx, cart_id: str) -> tuple[CartLine, ...]:
    """Return a cart's lines, oldest first."""
    table = store.cart_line
    rows = tx.run(sa.select(table).where(table.c.cart == cart_id).order_by(table.c.id))
    return tuple(store.cart_line_of(row) for row in rows)


def put_line(tx: Tx, cart_id: str, wish: Wish) -> CartLine:
    """Put a wish into a cart, at a price that is guaranteed from now on.

    What is in the cart already is not put in twice: the same wish keeps its line and its guarantee,
    another period or start of the same offer changes the line. Refuses `cart_converted`,
    `cart_full`, `wish_refused`, `not_for_sale`, and (`value_invalid`) a sum beyond 2^53 - 1.
    """
    cart = _open(tx, cart_id)
    held = lines_of(tx, cart.id)
    same = next((each for each in held if _place(each.wish) == _place(wish)), None)
    if same is not None and same.wish == wish:
        return same
    bought = bought_of(tx, wish, cart.currency)
    if same is None and len(held) >= MOST_LINES:
        raise CartFull
    made = _line(tx, cart, bought, line_id=record_id("crl") if same is None else same.id)
    if same is not None and msgspec.structs.replace(same.wish, starts_at=wish.starts_at) == wish:
        # Only the start moves: the price was guaranteed for it already, and for no longer.
        made = msgspec.structs.replace(same, wish=wish)
    added_up([made.fee, *(each.fee for each in held if each.id != made.id)])
    tx.upsert(store.cart_line, store.row_of(made, store.cart_line), key=("id",))
    _change(tx, cart)
    return made


def remove_line(tx: Tx, cart_id: str, line_id: str) -> None:
    """Take a line out of a cart; refuses `cart_converted`, `cart_line_unknown`."""
    cart = _open(tx, cart_id)
    table = store.cart_line
    here = sa.and_(table.c.id == line_id, table.c.cart == cart.id)
    if tx.one(table.delete().where(here).returning(table.c.id)) is None:
        raise CartLineUnknown
    _change(tx, cart)


def renew_line(tx: Tx, cart_id: str, line_id: str) -> CartLine:
    """Guarantee a line's price anew: the one that holds now, the guaranteed one if that is lower.

    Refuses (`guarantee_used_up`) an eleventh time, and what `put_line` refuses.
    """
    cart = _open(tx, cart_id)
    line = next((each for each in lines_of(tx, cart.id) if each.id == line_id), None)
    if line is None:
        raise CartLineUnknown
    if line.renewals >= MOST_RENEWALS:
        raise RenewalsUsedUp
    now = standing_of(tx, cart, line).bought
    if now is None:
        raise NotForSale
    made = msgspec.structs.replace(
        _line(tx, cart, now, line_id=line.id), renewals=line.renewals + 1, added_at=line.added_at
    )
    tx.upsert(store.cart_line, store.row_of(made, store.cart_line), key=("id",))
    _change(tx, cart)
    return made


def set_coupons(tx: Tx, cart_id: str, codes: Sequence[str]) -> Cart:
    """Set which coupons are to be redeemed with a cart; refuses `coupon_unknown`."""
    cart = _open(tx, cart_id)
    wanted = tuple(dict.fromkeys(codes))
    if len(wanted) > MOST_COUPONS:
        raise WishRefused(f"a cart has at most {MOST_COUPONS} coupons")
    for code in wanted:
        find_coupon(tx, code)
    return _change(tx, cart, coupons=wanted)


def see_cart(tx: Tx, cart: Cart) -> SeenCart:
    """Return a cart as it would be bought now, each line with its problems.

    Coupons that would be refused take nothing off here; whoever completes the cart is told.
    """
    lines = lines_of(tx, cart.id)
    found = {line.id: standing_of(tx, cart, line) for line in lines}
    good = {name: one.bought for name, one in found.items() if one.bought is not None}
    totals = _totals(tx, cart, good)
    return SeenCart(
        cart=cart,
        lines=tuple(
            _seen(line, found[line.id], totals.lines.get(line.id, _NOTHING)) for line in lines
        ),
        fees=totals.fees,
        discount=totals.discount,
        tax=totals.tax,
        total=totals.total,
    )


def standing_of(tx: Tx, cart: Cart, line: CartLine) -> Standing:
    """Return a line as it would be bought now."""
    try:
        current = bought_of(tx, line.wish, cart.currency)
    except NotForSale:
        current = None
    return price_now(line, current, tx.now_us)


def line_of(
    tx: Tx, customer: str, item: str, period_hours: int | None = None
) -> tuple[Wish, LineTotal]:
    """Return what an item costs a customer now: as it stands in their cart, else as it is sold.

    Without `period_hours` it is the line in the cart, else the item's only rental or offer. Refuses
    (`not_for_sale`) what is not sold so. Nothing is changed, but that the customer may be made.
    """
    payer = ensure_customer(tx, "consumer", customer)
    cart = find_open_cart(tx, payer.id)
    for line in () if cart is None else lines_of(tx, cart.id):
        wanted = line.wish.kind == "item" and line.wish.code == item
        if cart is None or not wanted or period_hours not in {None, line.wish.period_hours}:
            continue
        now = standing_of(tx, cart, line).bought
        if now is None:
            raise NotForSale
        return line.wish, total_of(tx, payer.id, now)
    wish = _only_wish(tx, item, period_hours)
    bought = bought_of(tx, wish, currency_for(tx, payer.id, wish))
    return wish, total_of(tx, payer.id, bought)


def total_of(tx: Tx, customer: str, bought: Bought) -> LineTotal:
    """Return what one thing comes to for a customer now, with the coupons that they hold."""
    return totals_of(tx, customer, {"1": bought}).lines["1"]


def convert_cart(tx: Tx, cart: Cart, order: str | None) -> Cart:
    """Write what a cart has become, or (None) that it is open again.

    It stays what it was where the customer has another open cart by now.
    """
    if order is None and find_open_cart(tx, cart.customer) is not None:
        return cart
    return _change(tx, cart, order=order)


def _open(tx: Tx, cart_id: str) -> Cart:
    cart = locked_cart(tx, cart_id)
    if cart.order is not None:
        raise CartConverted
    return cart


def _change(tx: Tx, cart: Cart, **facts: Any) -> Cart:  # noqa: ANN401 - fields of it
    new = msgspec.structs.replace(cart, changed_at=tx.now_us, **facts)
    row = store.row_of(new, store.cart)
    tx.run(store.cart.update().where(store.cart.c.id == new.id).values(row))
    return new


def _line(tx: Tx, cart: Cart, bought: Bought, *, line_id: str) -> CartLine:
    """Return a line whose price is guaranteed from now on; its version is kept for it."""
    use_price(tx, bought.price, bought.price_version)
    return CartLine(
        id=line_id,
        cart=cart.id,
        wish=bought.wish,
        price=bought.price,
        price_version=bought.price_version,
        list_fee=bought.list_fee,
        fee=bought.fee,
        promotion=bought.promotion,
        book=bought.book,
        guaranteed_until=tx.now_us + HOLD_US,
        renewals=0,
        added_at=tx.now_us,
    )


def _place(wish: Wish) -> tuple[str | None, ...]:
    """Return what makes two wishes the same line of a cart."""
    return wish.kind, wish.code, wish.offer, wish.bucket


def _only_wish(tx: Tx, item: str, period_hours: int | None) -> Wish:
    copy = find_item(tx, item)
    offers = () if copy is None else copy.offers
    rentals = [each for each in offers if each.kind == RENTAL]
    for offer in rentals or offers:
        hours = period_hours
        if hours is None and len(offer.periods) == 1:
            hours = offer.periods[0]
        if not offer.periods or hours in offer.periods:
            return Wish(kind="item", code=item, offer=offer.code, period_hours=hours)
    raise NotForSale(f"the item {item} is not sold so")


def _totals(tx: Tx, cart: Cart, lines: Mapping[str, Bought]) -> LineTotals:
    if not lines:
        return _EMPTY
    try:
        return totals_of(tx, cart.customer, lines, coupons=cart.coupons)
    except COUPON_REFUSALS:
        return totals_of(tx, cart.customer, lines)


def _seen(line: CartLine, now: Standing, total: LineTotal) -> SeenLine:
    bought = now.bought
    return SeenLine(
        line=line,
        title={} if bought is None else bought.title,
        list_fee=0 if bought is None else bought.list_fee,
        promotion=None if bought is None else bought.promotion,
        fee=total.fee,
        discount=total.discount,
        net=total.net,
        tax=total.tax,
        gross=total.gross,
        problems=now.problems,
    )
