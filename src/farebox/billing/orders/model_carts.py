"""Carts: what somebody wants to buy, with a price that is guaranteed for a while."""

from typing import Literal

import msgspec

from farebox.billing.orders.model import Wish
from farebox.billing.pricing.model_promotions import Promoted

LineProblem = Literal["price_changed", "guarantee_over", "not_for_sale"]


class Cart(msgspec.Struct, frozen=True, kw_only=True):
    """A customer's cart; a customer has one that is open. `order` is what it has become."""

    id: str
    customer: str
    currency: str
    created_at: int
    changed_at: int
    coupons: tuple[str, ...] = ()
    order: str | None = None


class CartLine(msgspec.Struct, frozen=True, kw_only=True):
    """A wish at the price of its adding, or of its last renewal.

    `list_fee` less what the `promotion` took off is `fee`, before coupons and taxes. `book` are the
    fees of the offer's other periods then.
    """

    id: str
    cart: str
    wish: Wish
    price: str
    price_version: int
    list_fee: int
    fee: int
    promotion: Promoted | None = None
    book: dict[int, int] = {}
    guaranteed_until: int
    renewals: int
    added_at: int


class SeenLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line as it would be bought now. `problems` say why it would not, or that it costs more."""

    line: CartLine
    title: dict[str, str]
    list_fee: int
    promotion: Promoted | None
    fee: int
    discount: int
    net: int
    tax: int
    gross: int
    problems: tuple[LineProblem, ...]


class SeenCart(msgspec.Struct, frozen=True, kw_only=True):
    """A cart as it would be bought now; lines that cannot be bought do not count."""

    cart: Cart
    lines: tuple[SeenLine, ...]
    fees: int
    discount: int
    tax: int
    total: int
