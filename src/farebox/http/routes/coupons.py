"""Coupons: what they take off, for how long, and how often they may be redeemed."""

from decimal import Decimal
from typing import Annotated, Literal

from litestar import delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Meta

from farebox.billing.pricing import service_coupons as service
from farebox.billing.pricing.model_coupons import (
    MOST_CODES,
    CouponLimits,
    CouponRecord,
    CouponState,
    Redeemed,
)
from farebox.billing.pricing.model_money import Coupon, CouponInvalid
from farebox.http.deps import BILLING, Command, Desk
from farebox.http.routes.price_forms import Code, CouponCode, Currency, Percent, Version
from farebox.http.wire import (
    Amount,
    Body,
    Limit,
    Page,
    TextCursor,
    Time,
    View,
    read_time,
    show_time,
)
from farebox.storage import Tx

TAGS = ["Coupons"]
Codes = Annotated[tuple[Code, ...], Meta(max_length=MOST_CODES)]
StateFilter = Annotated[Literal["active", "archived", "any"], QueryParameter(name="state")]


class LimitsForm(Body, frozen=True, kw_only=True):
    """When, and how often in all and by one customer, a coupon may be redeemed."""

    valid_from: Time | None = None
    valid_until: Time | None = None
    most_uses: Amount | None = None
    most_uses_each: Amount | None = None


class CreateCoupon(LimitsForm, frozen=True, kw_only=True):
    """Either a percentage or an amount with its currency.

    It applies to so many billed periods (null: for ever); to the products, plans and items that are
    named, or to everything.
    """

    code: CouponCode
    percent: Percent | None = None
    amount: Amount | None = None
    currency: Currency | None = None
    periods: Amount | None = 1
    products: Codes = ()
    plans: Codes = ()
    items: Codes = ()


class LimitCoupon(LimitsForm, frozen=True, kw_only=True):
    """The limits as a whole. What a coupon takes off never changes."""

    expected_version: Version | None = None


class CouponView(View, frozen=True):
    """A coupon; `uses` is how often it was redeemed."""

    code: str
    percent: str | None
    amount: int | None
    currency: str | None
    periods: int | None
    products: list[str]
    plans: list[str]
    items: list[str]
    valid_from: Time | None
    valid_until: Time | None
    most_uses: int | None
    most_uses_each: int | None
    uses: int
    state: CouponState
    version: int
    created_at: Time


class RedemptionView(View, frozen=True):
    """A coupon in a customer's hands: for one subscription, or for whatever they are billed.

    `claim` is what it was redeemed for, `periods_used` the number of bills that it was used in.
    """

    id: str
    customer: str
    subscription: str | None
    claim: str
    redeemed_at: Time
    periods_used: int


def show_coupon(made: CouponRecord) -> CouponView:
    """Return a coupon as the API shows it."""
    coupon = made.coupon
    return CouponView(
        code=coupon.code,
        percent=None if coupon.percent is None else f"{coupon.percent:f}",
        amount=coupon.amount,
        currency=coupon.currency,
        periods=coupon.periods,
        products=sorted(coupon.products),
        plans=sorted(coupon.plans),
        items=sorted(coupon.items),
        valid_from=_show(coupon.valid_from_us),
        valid_until=_show(coupon.valid_until_us),
        most_uses=coupon.most_uses,
        most_uses_each=coupon.most_uses_each,
        uses=made.uses,
        state=made.state,
        version=made.version,
        created_at=show_time(made.created_at),
    )


def _show(at_us: int | None) -> Time | None:
    return None if at_us is None else show_time(at_us)


def _limits(form: LimitsForm) -> CouponLimits:
    begins, ends = form.valid_from, form.valid_until
    return CouponLimits(
        valid_from_us=None if begins is None else read_time(begins),
        valid_until_us=None if ends is None else read_time(ends),
        most_uses=form.most_uses,
        most_uses_each=form.most_uses_each,
    )


def _coupon(form: CreateCoupon) -> Coupon:
    if (form.amount is None) != (form.currency is None):
        raise CouponInvalid("an amount has a currency, a percentage has none")
    limits = _limits(form)
    return Coupon(
        code=form.code,
        percent=None if form.percent is None else Decimal(form.percent),
        amount=form.amount,
        currency=form.currency,
        periods=form.periods,
        products=frozenset(form.products),
        plans=frozenset(form.plans),
        items=frozenset(form.items),
        valid_from_us=limits.valid_from_us,
        valid_until_us=limits.valid_until_us,
        most_uses=limits.most_uses,
        most_uses_each=limits.most_uses_each,
    )


@post("/v1/coupons", operation_id="createCoupon", tags=TAGS, opt=BILLING, sync_to_thread=True)
def create_coupon(data: JSONBody[CreateCoupon], command: NamedDependency[Command]) -> CouponView:
    """Make a coupon."""
    coupon = _coupon(data)
    return command.answer(
        CouponView, lambda tx: show_coupon(service.create_coupon(tx, command.actor, coupon))
    )


@get("/v1/coupons", operation_id="listCoupons", tags=TAGS, opt=BILLING, sync_to_thread=True)
def list_coupons(
    desk: NamedDependency[Desk],
    in_state: StateFilter = "any",
    limit: Limit = 100,
    cursor: TextCursor = None,
) -> Page[CouponView]:
    """List coupons in the order of their codes."""
    state = None if in_state == "any" else in_state
    page = desk.read(lambda tx: service.list_coupons(tx, state=state, after=cursor, limit=limit))
    return Page(items=[show_coupon(one) for one in page.items], next=page.next)


@get(
    "/v1/coupons/{coupon:str}",
    operation_id="readCoupon",
    tags=TAGS,
    opt=BILLING,
    sync_to_thread=True,
)
def read_coupon(coupon: FromPath[str], desk: NamedDependency[Desk]) -> CouponView:
    """Read a coupon."""
    return show_coupon(desk.read(lambda tx: service.find_coupon(tx, coupon)))


@put(
    "/v1/coupons/{coupon:str}/limits",
    operation_id="limitCoupon",
    tags=TAGS,
    opt=BILLING,
    sync_to_thread=True,
)
def limit_coupon(
    coupon: FromPath[str], data: JSONBody[LimitCoupon], command: NamedDependency[Command]
) -> CouponView:
    """Change when and how often a coupon may be redeemed; who holds it keeps it."""

    def work(tx: Tx) -> CouponView:
        made = service.limit_coupon(
            tx, command.actor, coupon, _limits(data), expected_version=data.expected_version
        )
        return show_coupon(made)

    return command.answer(CouponView, work)


@delete(
    "/v1/coupons/{coupon:str}",
    operation_id="archiveCoupon",
    tags=TAGS,
    opt=BILLING,
    status_code=200,
    sync_to_thread=True,
)
def archive_coupon(coupon: FromPath[str], command: NamedDependency[Command]) -> CouponView:
    """Let nobody redeem a coupon any more; who holds it keeps it."""
    return command.answer(
        CouponView, lambda tx: show_coupon(service.archive_coupon(tx, command.actor, coupon))
    )


@get(
    "/v1/coupons/{coupon:str}/redemptions",
    operation_id="listRedemptions",
    tags=TAGS,
    opt=BILLING,
    sync_to_thread=True,
)
def list_redemptions(
    coupon: FromPath[str],
    desk: NamedDependency[Desk],
    limit: Limit = 100,
    cursor: TextCursor = None,
) -> Page[RedemptionView]:
    """List who has redeemed a coupon, oldest first."""
    page = desk.read(lambda tx: service.list_redemptions(tx, coupon, after=cursor, limit=limit))
    return Page(items=[show_redemption(one) for one in page.items], next=page.next)


def show_redemption(one: Redeemed) -> RedemptionView:
    """Return a redemption as the API shows it."""
    return RedemptionView(
        id=one.id,
        customer=one.customer,
        subscription=one.subscription,
        claim=one.claim,
        redeemed_at=show_time(one.redeemed_at_us),
        periods_used=one.periods_used,
    )


HANDLERS = (
    create_coupon,
    list_coupons,
    read_coupon,
    limit_coupon,
    archive_coupon,
    list_redemptions,
)
