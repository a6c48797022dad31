"""From a wish to what it costs: by the catalogue's copy, the price that holds now, and totals."""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from farebox.billing.copies.model import ItemCopy, OfferCopy
from farebox.billing.copies.service import find_item, find_product
from farebox.billing.customers.service import read_customer
from farebox.billing.customers.service_payer import payer_of
from farebox.billing.orders.model import Bought, NotForSale, Wish
from farebox.billing.orders.rules import check_wish
from farebox.billing.pricing import service_quotes
from farebox.billing.pricing.model_prices import Of, Priced, PriceUnknown
from farebox.billing.pricing.model_promotions import OnSale
from farebox.billing.pricing.model_quotes import QuoteLine
from farebox.billing.pricing.service_prices import find_price, prices_of
from farebox.billing.pricing.service_promotions import Shelf, shelf_of
from farebox.kernel.clock import parse_time
from farebox.kernel.refusals import ValueRefused
from farebox.storage import Tx

RENTAL: Final = "online_rental"


class LineTotal(msgspec.Struct, frozen=True, kw_only=True):
    """What one line comes to; `taxes` by code."""

    fee: int
    discount: int
    net: int
    tax: int
    taxes: dict[str, int]
    gross: int


class LineTotals(msgspec.Struct, frozen=True, kw_only=True):
    """What lines come to together, each by its name, and which coupons took something off."""

    lines: dict[str, LineTotal]
    fees: int
    discount: int
    tax: int
    total: int
    coupons: tuple[str, ...]


def bought_of(tx: Tx, wish: Wish, currency: str) -> Bought:
    """Return a wish with what it costs now.

    Refuses what does not go together (`wish_refused`) and what cannot be bought now
    (`not_for_sale`), also for want of a price in this currency.
    """
    check_wish(wish)
    if wish.kind == "item":
        return _item(tx, wish, currency)
    product = find_product(tx, wish.code)
    if product is None or product.state != "active":
        raise NotForSale(f"there is no product {wish.code} on sale")
    shelf = shelf_of(tx, "product", [wish.code])
    return _bought(wish, {"en": product.name}, _on_sale(shelf, wish, currency))


def _bought(wish: Wish, title: dict[str, str], found: OnSale) -> Bought:
    return Bought(
        wish=wish,
        title=title,
        price=found.price.id,
        price_version=found.price.version,
        list_fee=found.list_fee,
        fee=found.fee,
        promotion=found.promotion,
    )


def currency_for(tx: Tx, customer: str, wish: Wish) -> str:
    """Return the currency in which a customer buys: their own, else the only one that is priced.

    Refuses (`not_for_sale`) where neither tells.
    """
    own = read_customer(tx, customer).currency
    if own is not None:
        return own
    of: Of = "item" if wish.kind == "item" else "product"
    found = {price.currency for price in prices_of(tx, of, wish.code) if price.state == "active"}
    if len(found) != 1:
        raise NotForSale("the customer has no currency, and the price leaves it open")
    return found.pop()


def totals_of(
    tx: Tx,
    customer: str,
    lines: Mapping[str, Bought],
    *,
    coupons: Sequence[str] = (),
) -> LineTotals:
    """Return what lines come to for a customer now, with the coupons that they hold or enter.

    Refuses `currencies_mixed`, `taxes_mixed`, `value_invalid` for a total beyond 2^53 - 1, and what
    a coupon refuses.
    """
    payer = payer_of(read_customer(tx, customer))
    asked = quote_lines_of(tx, lines)
    quoted = service_quotes.total_of(tx, asked, payer, tx.now_us, coupons=coupons)
    discounts = {each.id: each.amount for each in quoted.discount.lines}
    made = {
        each.id: LineTotal(
            fee=lines[each.id].fee,
            discount=discounts.get(each.id, 0),
            net=each.net,
            tax=each.tax,
            taxes=each.by_rate,
            gross=each.gross,
        )
        for each in quoted.tax.lines
    }
    return LineTotals(
        lines=made,
        fees=quoted.fees,
        discount=quoted.discount.total,
        tax=quoted.tax.tax,
        total=quoted.due,
        coupons=tuple(each.coupon.code for each in quoted.redemptions),
    )


def quote_lines_of(tx: Tx, lines: Mapping[str, Bought]) -> list[QuoteLine]:
    """Return lines as coupons and taxes see them, at the fees that they were bought for."""
    return [_quote_line(tx, name, bought) for name, bought in lines.items()]


def _quote_line(tx: Tx, name: str, bought: Bought) -> QuoteLine:
    price = find_price(tx, bought.price, bought.price_version)
    line = service_quotes.line_of(price, name=name, quantity=bought.wish.quantity)
    return msgspec.structs.replace(line, amount=bought.fee)


def _item(tx: Tx, wish: Wish, currency: str) -> Bought:
    item = find_item(tx, wish.code)
    if item is None or item.state != "published":
        raise NotForSale(f"there is no item {wish.code} on sale")
    offer = next((each for each in item.offers if each.code == wish.offer), None)
    if offer is None:
        raise NotForSale(f"the item has no offer {wish.offer}")
    begins_at = _begins_at(offer)
    if begins_at is not None and begins_at <= tx.now_us:
        raise NotForSale("it has begun")
    _check_period(offer, wish)
    shelf = shelf_of(tx, "item", [wish.code])
    return msgspec.structs.replace(
        _bought(wish, item.title, _on_sale(shelf, wish, currency)),
        owner=item.owner,
        book=_book(shelf, item, offer, currency),
        begins_at=begins_at,
    )


def offer_kind(tx: Tx, wish: Wish) -> str:
    """Return what a wish is of, as refund policies name it: an offer's kind, product, credits."""
    if wish.kind != "item":
        return wish.kind
    item = find_item(tx, wish.code)
    offers = () if item is None else item.offers
    return next((each.kind for each in offers if each.code == wish.offer), "purchase")


def _check_period(offer: OfferCopy, wish: Wish) -> None:
    if offer.kind == RENTAL and wish.period_hours not in offer.periods:
        raise NotForSale(f"the offer has the periods {', '.join(map(str, offer.periods))}")
    if offer.kind != RENTAL and (wish.period_hours, wish.starts_at) != (None, None):
        raise NotForSale("only a rental has a period and a start")


def _begins_at(offer: OfferCopy) -> int | None:
    if offer.starts_at is None:
        return None
    try:
        return parse_time(offer.starts_at)
    except ValueRefused as refusal:
        raise NotForSale("the offer's beginning is not known") from refusal


def _book(shelf: Shelf, item: ItemCopy, offer: OfferCopy, currency: str) -> dict[int, int]:
    """Return what each period of a rental costs now, as far as it has a price."""
    book = {}
    for hours in offer.periods if offer.kind == RENTAL else ():
        wish = Wish(kind="item", code=item.item_id, offer=offer.code, period_hours=hours)
        try:
            book[hours] = _on_sale(shelf, wish, currency).fee
        except NotForSale:
            continue
    return book


def _on_sale(shelf: Shelf, wish: Wish, currency: str) -> OnSale:
    wanted = Priced(
        of="item" if wish.kind == "item" else "product",
        code=wish.code,
        offer=wish.offer,
        period_hours=wish.period_hours,
    )
    try:
        return shelf.on_sale(wanted, currency, quantity=wish.quantity)
    except PriceUnknown as refusal:
        raise NotForSale(refusal.detail) from refusal
