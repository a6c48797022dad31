"""Carts: what is wanted at a guaranteed price, and making an order of it."""

from typing import Annotated, Literal

from litestar import delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import Meta

from farebox.billing.customers.model import CustomerUnknown
from farebox.billing.flows.buy import complete_cart as complete
from farebox.billing.orders import service_carts
from farebox.billing.orders.model import MOST_QUANTITY, MOST_RENEWALS, CartUnknown, Wish
from farebox.billing.orders.model_carts import Cart, LineProblem, SeenCart, SeenLine
from farebox.billing.orders.service import Terms, lines_of
from farebox.contracts.decisions import LARGEST_QUANTITY
from farebox.http.deps import BILLING, Command, Desk
from farebox.http.roles import MOVES_VALUE
from farebox.http.routes.order_views import OrderView, show_order
from farebox.http.routes.promotions import PromotedView, show_promoted
from farebox.http.wire import (
    Body,
    Id,
    IdFilter,
    Limit,
    Page,
    TextCursor,
    Time,
    View,
    read_time,
    show_end,
    show_time,
)
from farebox.storage import Tx

TAGS = ["Carts"]
LARGEST_PERIOD_HOURS = 24 * 366
Currency = Annotated[str, Meta(pattern=r"^[A-Z]{3}$")]
Total = Annotated[int, Meta(ge=0, le=LARGEST_QUANTITY)]


class OpenCart(Body, frozen=True):
    """In which currency; an operator names the consumer."""

    currency: Currency
    consumer: Id | None = None


class PutLine(Body, frozen=True):
    """What is wanted: an item on an offer, a product, or credits into a bucket.

    A rental has a period and may start later; `quantity` is for credits, of the product `code`.
    """

    kind: Literal["item", "product", "credits"]
    code: Id
    offer: Id | None = None
    period_hours: Annotated[int, Meta(ge=1, le=LARGEST_PERIOD_HOURS)] | None = None
    starts_at: Time | None = None
    quantity: Annotated[int, Meta(ge=1, le=MOST_QUANTITY)] = 1
    add_ons: Annotated[tuple[Id, ...], Meta(max_length=50)] = ()
    bucket: Id | None = None


class SetCoupons(Body, frozen=True):
    """Which coupons are to be redeemed with the cart."""

    codes: Annotated[list[Id], Meta(max_length=service_carts.MOST_COUPONS)]


class CompleteCart(Body, frozen=True):
    """How the order is paid, and the total that was shown to whoever confirms it.

    A wallet that is short is refused, unless the order may wait for its funds; with `buy_at_once`
    it is paid as soon as they are there. `order` is the order's id where the caller has minted it.
    """

    shown_total: Total
    pay_by: Literal["wallet", "gateway"] = "wallet"
    method: Id | None = None
    gateway: Id | None = None
    wait_for_funds: bool = False
    buy_at_once: bool = False
    order: Annotated[str, Meta(pattern=r"^ord_[0-9a-f]{16,64}$")] | None = None


class WishView(View, frozen=True):
    """What is wanted."""

    kind: str
    code: str
    offer: str | None
    period_hours: int | None
    starts_at: Time | None
    quantity: int
    add_ons: list[str]
    bucket: str | None


class CartLineView(View, frozen=True):
    """A line as it would be bought now; until then `fee` is not above the guaranteed one.

    `list_fee` is without the promotion, which takes `off` what `fee` is lower.
    """

    id: str
    wish: WishView
    title: dict[str, str]
    guaranteed_fee: int
    guaranteed_until: Time
    renewals_left: int
    list_fee: int
    promotion: PromotedView | None
    fee: int
    discount: int
    net: int
    tax: int
    gross: int
    problems: list[LineProblem]


class CartView(View, frozen=True):
    """A cart as it would be bought now. `order` is what it has become."""

    id: str
    customer: str
    currency: str
    coupons: list[str]
    order: str | None
    lines: list[CartLineView]
    fees: int
    discount: int
    tax: int
    total: int
    created_at: Time
    changed_at: Time


class CartSummary(View, frozen=True):
    """A cart without its lines."""

    id: str
    customer: str
    currency: str
    order: str | None
    created_at: Time
    changed_at: Time


def show_wish(wish: Wish) -> WishView:
    """Return a wish as the API shows it."""
    return WishView(
        kind=wish.kind,
        code=wish.code,
        offer=wish.offer,
        period_hours=wish.period_hours,
        starts_at=show_end(wish.starts_at),
        quantity=wish.quantity,
        add_ons=list(wish.add_ons),
        bucket=wish.bucket,
    )


def show_cart(seen: SeenCart) -> CartView:
    """Return a cart as the API shows it."""
    cart = seen.cart
    return CartView(
        id=cart.id,
        customer=cart.customer,
        currency=cart.currency,
        coupons=list(cart.coupons),
        order=cart.order,
        lines=[_line(each) for each in seen.lines],
        fees=seen.fees,
        discount=seen.discount,
        tax=seen.tax,
        total=seen.total,
        created_at=show_time(cart.created_at),
        changed_at=show_time(cart.changed_at),
    )


def _line(seen: SeenLine) -> CartLineView:
    line = seen.line
    return CartLineView(
        id=line.id,
        wish=show_wish(line.wish),
        title=seen.title,
        guaranteed_fee=line.fee,
        guaranteed_until=show_time(line.guaranteed_until),
        renewals_left=MOST_RENEWALS - line.renewals,
        list_fee=seen.list_fee,
        promotion=show_promoted(seen.promotion),
        fee=seen.fee,
        discount=seen.discount,
        net=seen.net,
        tax=seen.tax,
        gross=seen.gross,
        problems=list(seen.problems),
    )


def own_cart(tx: Tx, desk: Desk, cart_id: str) -> Cart:
    """Return a cart if the caller may see it; a stranger's is not there."""
    cart = service_carts.read_cart(tx, cart_id)
    desk.must_own(cart.customer, CartUnknown)
    return cart


def _seen(tx: Tx, cart_id: str) -> CartView:
    return show_cart(service_carts.see_cart(tx, service_carts.read_cart(tx, cart_id)))


@post("/v1/carts", operation_id="openCart", tags=TAGS, opt=BILLING, sync_to_thread=True)
def open_cart(data: JSONBody[OpenCart], command: NamedDependency[Command]) -> CartView:
    """Open a cart, or return the one that is open."""
    consumer = data.consumer
    if command.principal.kind == "consumer":
        consumer = consumer or command.principal.id
        command.must_own(consumer, CustomerUnknown)
    if consumer is None:
        raise CustomerUnknown("an operator names the consumer")

    def work(tx: Tx) -> CartView:
        return _seen(tx, service_carts.open_cart(tx, consumer, data.currency).id)

    return command.answer(CartView, work)


@get("/v1/carts", operation_id="listCarts", tags=TAGS, opt=BILLING, sync_to_thread=True)
def list_carts(
    desk: NamedDependency[Desk],
    consumer: IdFilter = None,
    limit: Limit = 100,
    cursor: TextCursor = None,
) -> Page[CartSummary]:
    """List carts in the order of their ids; consumers see their own."""
    whose = desk.principal.id if desk.principal.kind == "consumer" else consumer
    found = desk.read(
        lambda tx: service_carts.list_carts(tx, customer=whose, after=cursor, limit=limit)
    )
    return Page(items=[_summary(one) for one in found.items], next=found.next)


def _summary(cart: Cart) -> CartSummary:
    return CartSummary(
        id=cart.id,
        customer=cart.customer,
        currency=cart.currency,
        order=cart.order,
        created_at=show_time(cart.created_at),
        changed_at=show_time(cart.changed_at),
    )


@get("/v1/carts/{cart:str}", operation_id="readCart", tags=TAGS, opt=BILLING, sync_to_thread=True)
def read_cart(cart: FromPath[str], desk: NamedDependency[Desk]) -> CartView:
    """Read a cart as it would be bought now, each line with what stands in its way."""
    return desk.read(lambda tx: show_cart(service_carts.see_cart(tx, own_cart(tx, desk, cart))))


@post(
    "/v1/carts/{cart:str}/lines",
    operation_id="putCartLine",
    tags=TAGS,
    opt=BILLING,
    status_code=200,
    sync_to_thread=True,
)
def put_line(
    cart: FromPath[str], data: JSONBody[PutLine], command: NamedDependency[Command]
) -> CartView:
    """Put something into a cart; what is in it already is changed, not put in twice."""
    wish = Wish(
        kind=data.kind,
        code=data.code,
        offer=data.offer,
        period_hours=data.period_hours,
        starts_at=None if data.starts_at is None else read_time(data.starts_at),
        quantity=data.quantity,
        add_ons=data.add_ons,
        bucket=data.bucket,
    )

    def work(tx: Tx) -> CartView:
        own_cart(tx, command, cart)
        service_carts.put_line(tx, cart, wish)
        return _seen(tx, cart)

    return command.answer(CartView, work)


@delete(
    "/v1/carts/{cart:str}/lines/{line:str}",
    operation_id="removeCartLine",
    tags=TAGS,
    opt=BILLING,
    status_code=200,
    sync_to_thread=True,
)
def remove_line(
    cart: FromPath[str], line: FromPath[str], command: NamedDependency[Command]
) -> CartView:
    """Take a line out of a cart."""

    def work(tx: Tx) -> CartView:
        own_cart(tx, command, cart)
        service_carts.remove_line(tx, cart, line)
        return _seen(tx, cart)

    return command.answer(CartView, work)


@post(
    "/v1/carts/{cart:str}/lines/{line:str}/renew",
    operation_id="renewCartLine",
    tags=TAGS,
    opt=BILLING,
    status_code=200,
    sync_to_thread=True,
)
def renew_line(
    cart: FromPath[str], line: FromPath[str], command: NamedDependency[Command]
) -> CartView:
    """Guarantee a line's price anew, at most ten times."""

    def work(tx: Tx) -> CartView:
        own_cart(tx, command, cart)
        service_carts.renew_line(tx, cart, line)
        return _seen(tx, cart)

    return command.answer(CartView, work)


@put(
    "/v1/carts/{cart:str}/coupons",
    operation_id="setCartCoupons",
    tags=TAGS,
    opt=BILLING,
    sync_to_thread=True,
)
def set_coupons(
    cart: FromPath[str], data: JSONBody[SetCoupons], command: NamedDependency[Command]
) -> CartView:
    """Set which coupons are to be redeemed with a cart."""

    def work(tx: Tx) -> CartView:
        own_cart(tx, command, cart)
        service_carts.set_coupons(tx, cart, data.codes)
        return _seen(tx, cart)

    return command.answer(CartView, work)


@post(
    "/v1/carts/{cart:str}/complete",
    operation_id="completeCart",
    tags=TAGS,
    opt={**BILLING, **MOVES_VALUE},
    status_code=200,
    sync_to_thread=True,
)
def complete_cart(
    cart: FromPath[str], data: JSONBody[CompleteCart], command: NamedDependency[Command]
) -> OrderView:
    """Make a cart an order, once under the Idempotency-Key, and pay it as far as it can be now."""
    terms = Terms(
        pay_by=data.pay_by,
        method=data.method,
        gateway=data.gateway,
        buy_at_once=data.buy_at_once,
        shown_total=data.shown_total,
    )

    def work(tx: Tx) -> OrderView:
        own_cart(tx, command, cart)
        made = complete(
            tx,
            cart,
            key=command.key or "",
            terms=terms,
            wait_for_funds=data.wait_for_funds or data.buy_at_once,
            order_id=data.order,
        )
        return show_order(made, lines_of(tx, made.id))

    return command.answer(OrderView, work)


HANDLERS = (
    open_cart,
    list_carts,
    read_cart,
    put_line,
    remove_line,
    renew_line,
    set_coupons,
    complete_cart,
)
