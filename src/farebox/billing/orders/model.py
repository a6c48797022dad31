"""What an order is: its states, its lines with a snapshot of what was bought, and its charges.

Amounts are whole numbers of the currency's smallest unit, times microseconds UTC. An order promises
money, a rental promises access: they are two things, linked by the order's id. A total never
changes. What goes back is a refund (`model_refunds`), and `net` is what was charged less that.
"""

from typing import ClassVar, Final, Literal

import msgspec

from farebox.billing.pricing.model_promotions import Promoted
from farebox.kernel.refusals import Refusal

HOUR_US: Final = 3_600_000_000
MINUTE_US: Final = 60_000_000
HOLD_US: Final = 30 * MINUTE_US
"""How long a price is guaranteed in a cart, and how long an order waits for its money."""
MOST_RENEWALS: Final = 10
MOST_LINES: Final = 100
MOST_QUANTITY: Final = 1_000_000_000

State = Literal[
    "cart", "awaiting_funds", "created", "paid", "fulfilled", "failed", "canceled", "expired"
]
Fact = Literal[
    "confirmed", "short", "paid", "payment_failed", "granted", "ungrantable", "canceled", "expired"
]
LineKind = Literal["item", "product", "credits"]
LineState = Literal["open", "pinned", "granted", "failed", "returned"]
PayBy = Literal["wallet", "gateway"]
RefundState = Literal["none", "partial", "full"]


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is wanted: an item on an offer, a product, or credits into a bucket.

    `quantity` is more than 1 for credits only. A rental has `period_hours`; `bucket` is the bucket
    of access that credits go into.
    """

    kind: LineKind
    code: str
    offer: str | None = None
    period_hours: int | None = None
    starts_at: int | None = None
    quantity: int = 1
    add_ons: tuple[str, ...] = ()
    bucket: str | None = None


class Bought(msgspec.Struct, frozen=True, kw_only=True):
    """A wish with what it costs by one version of a price, before coupons and taxes.

    `list_fee` less what the `promotion` takes off is `fee`. `book` are the offer's other periods
    with their fees as they were then (hours: fee): what a longer or shorter rental is computed from
    later.
    """

    wish: Wish
    title: dict[str, str]
    price: str
    price_version: int
    list_fee: int
    fee: int
    promotion: Promoted | None = None
    owner: str | None = None
    book: dict[int, int] = {}
    begins_at: int | None = None  # a showing's beginning; a rental's is in the wish


class OrderLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line as it was bought. `purchase` is the id under which access pins and grants an item.

    `list_fee` less what the `promotion` took off is `fee`, of which coupons took the `discount`.
    `fee - discount` is `net` where prices are without tax; `gross = net + tax` always. `starts_at`,
    `period_hours`, `played_at` and `rental` follow what access tells.
    """

    id: str
    order: str
    number: int
    wish: Wish
    title: dict[str, str]
    price: str
    price_version: int
    book: dict[int, int]
    list_fee: int
    fee: int
    promotion: Promoted | None = None
    discount: int
    net: int
    tax: int
    taxes: dict[str, int]
    gross: int
    owner: str | None
    commission_percent: str | None
    policy: str
    policy_version: int
    state: LineState
    purchase: str | None = None
    rental: str | None = None
    starts_at: int | None = None
    period_hours: int | None = None
    played_at: int | None = None


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """A promise of money. `charged` is the total once paid, and what rentals' changes cost.

    `ended_by` is the type of its one closing event, `due_at` when it ends by itself unpaid.
    """

    id: str
    customer: str
    currency: str
    state: State
    pay_by: PayBy
    buy_at_once: bool
    fees: int
    discount: int
    tax: int
    total: int
    charged: int
    refunded: int
    created_at: int
    updated_at: int
    cart: str | None = None
    method: str | None = None
    gateway: str | None = None
    payment: str | None = None
    due_at: int | None = None
    ended_by: str | None = None
    reason: str | None = None
    coupons: tuple[str, ...] = ()

    @property
    def net(self) -> int:
        """Return what was charged less what was refunded."""
        return self.charged - self.refunded

    @property
    def refund_state(self) -> RefundState:
        """Tell how much of what was charged has gone back."""
        if self.refunded == 0:
            return "none"
        return "full" if self.refunded == self.charged else "partial"


class Charge(msgspec.Struct, frozen=True, kw_only=True):
    """Money that was taken for a line: when it was bought, and for each longer rental since.

    It was paid by a wallet (`operation`, of the ledger) or through a gateway (`payment`).
    `commission` is our part of a seller's sale, before taxes.
    """

    id: str
    order: str
    line: str
    gross: int
    taxes: dict[str, int]
    commission: int
    owner: str | None
    operation: int | None
    payment: str | None
    refunded: int
    at: int


class CartUnknown(Refusal):
    """There is no such cart."""

    code: ClassVar[str] = "cart_unknown"


class CartLineUnknown(Refusal):
    """There is no such line in the cart."""

    code: ClassVar[str] = "cart_line_unknown"


class CartEmpty(Refusal):
    """There is nothing in the cart."""

    code: ClassVar[str] = "cart_empty"


class CartFull(Refusal):
    """A cart has at most 100 lines."""

    code: ClassVar[str] = "cart_full"


class CartConverted(Refusal):
    """The cart has become an order already."""

    code: ClassVar[str] = "cart_converted"


class NotForSale(Refusal):
    """This cannot be bought now."""

    code: ClassVar[str] = "not_for_sale"


class WishRefused(Refusal):
    """What is wanted does not go together."""

    code: ClassVar[str] = "wish_refused"


class PriceChanged(Refusal):
    """The total is no longer the one that was shown."""

    code: ClassVar[str] = "price_changed"


class OrderUnknown(Refusal):
    """There is no such order."""

    code: ClassVar[str] = "order_unknown"


class OrderStateRefused(Refusal):
    """The order's state does not allow this."""

    code: ClassVar[str] = "order_state_refused"


class OrderTaken(Refusal):
    """Another order was made under this key."""

    code: ClassVar[str] = "order_taken"


class RenewalsUsedUp(Refusal):
    """A price is guaranteed anew at most ten times."""

    code: ClassVar[str] = "guarantee_used_up"
