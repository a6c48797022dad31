"""Promotions: list prices that are lower for a while, for everybody and without a code."""

from decimal import Decimal
from typing import Annotated

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Meta

from farebox.billing.pricing import service_promotions as service
from farebox.billing.pricing.model_prices import LONGEST_PERIOD_HOURS, Of, Priced
from farebox.billing.pricing.model_promotions import (
    LONGEST_NAME,
    Promoted,
    Promotion,
    PromotionRefused,
)
from farebox.http.deps import BILLING, Command, Desk
from farebox.http.routes.price_forms import Code, Currency, Percent
from farebox.http.routes.prices import wait_for_catalogue
from farebox.http.wire import (
    ONE_LINE,
    Amount,
    Body,
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
from farebox.kernel.ids import record_id
from farebox.storage import Tx

TAGS = ["Prices"]
PATH = "/v1/promotions"
Name = Annotated[str, Meta(min_length=1, max_length=LONGEST_NAME, pattern=ONE_LINE)]
OfFilter = Annotated[Of | None, QueryParameter(name="of", description="Only those of these")]
At = Annotated[Time | None, QueryParameter(name="at", description="Only what holds then")]


class CreatePromotion(Body, frozen=True, kw_only=True):
    """Either a percentage or an amount with its currency, off what a price asks.

    Of an item it may be for one `offer`, and one period of it. Without `valid_from` it holds from
    now on, without `valid_until` until it is ended.
    """

    name: Name
    of: Of
    code: Code
    offer: Code | None = None
    period_hours: Annotated[int, Meta(ge=1, le=LONGEST_PERIOD_HOURS)] | None = None
    percent: Percent | None = None
    amount: Amount | None = None
    currency: Currency | None = None
    valid_from: Time | None = None
    valid_until: Time | None = None


class EndPromotion(Body, frozen=True):
    """When it ends: now, if nothing is said."""

    at: Time | None = None


class PromotionView(View, frozen=True):
    """A promotion; until `valid_until`, exclusively, it lowers what lines are priced at."""

    id: str
    name: str
    of: Of
    code: str
    offer: str | None
    period_hours: int | None
    percent: str | None
    amount: int | None
    currency: str | None
    valid_from: Time
    valid_until: Time | None
    created_at: Time


class PromotedView(View, frozen=True):
    """The promotion that a line is priced with; it takes `off` so much."""

    id: str
    name: str
    percent: str | None
    off: int
    valid_until: Time | None


def show_promoted(one: Promoted | None) -> PromotedView | None:
    """Return the promotion of a line as the API shows it."""
    if one is None:
        return None
    return PromotedView(
        id=one.id,
        name=one.name,
        percent=one.percent,
        off=one.off,
        valid_until=show_end(one.valid_until),
    )


def show_promotion(one: Promotion) -> PromotionView:
    """Return a promotion as the API shows it."""
    return PromotionView(
        id=one.id,
        name=one.name,
        of=one.of,
        code=one.code,
        offer=one.offer,
        period_hours=one.period_hours,
        percent=None if one.percent is None else f"{one.percent:f}",
        amount=one.amount,
        currency=one.currency,
        valid_from=show_time(one.valid_from),
        valid_until=show_end(one.valid_until),
        created_at=show_time(one.created_at),
    )


@post(PATH, operation_id="createPromotion", tags=TAGS, opt=BILLING, sync_to_thread=True)
def create_promotion(
    data: JSONBody[CreatePromotion], command: NamedDependency[Command]
) -> PromotionView:
    """Make a promotion."""
    if (data.amount is None) != (data.currency is None):
        raise PromotionRefused("an amount has a currency, a percentage has none")
    number = record_id("prm")
    wait_for_catalogue(
        command,
        Priced(of=data.of, code=data.code, offer=data.offer, period_hours=data.period_hours),
    )

    def work(tx: Tx) -> PromotionView:
        wanted = Promotion(
            id=number,
            name=data.name,
            of=data.of,
            code=data.code,
            offer=data.offer,
            period_hours=data.period_hours,
            percent=None if data.percent is None else Decimal(data.percent),
            amount=data.amount,
            currency=data.currency,
            valid_from=tx.now_us if data.valid_from is None else read_time(data.valid_from),
            valid_until=None if data.valid_until is None else read_time(data.valid_until),
            created_at=tx.now_us,
        )
        return show_promotion(service.create_promotion(tx, command.actor, wanted))

    return command.answer(PromotionView, work)


@get(PATH, operation_id="listPromotions", tags=TAGS, opt=BILLING, sync_to_thread=True)
def list_promotions(
    desk: NamedDependency[Desk],
    *,
    of: OfFilter = None,
    code: IdFilter = None,
    at: At = None,
    limit: Limit = 100,
    cursor: TextCursor = None,
) -> Page[PromotionView]:
    """List promotions, oldest first."""
    when = None if at is None else read_time(at)
    found = desk.read(
        lambda tx: service.list_promotions(tx, of=of, code=code, at=when, after=cursor, limit=limit)
    )
    return Page(items=[show_promotion(one) for one in found.items], next=found.next)


@get(
    PATH + "/{promotion:str}",
    operation_id="readPromotion",
    tags=TAGS,
    opt=BILLING,
    sync_to_thread=True,
)
def read_promotion(promotion: FromPath[str], desk: NamedDependency[Desk]) -> PromotionView:
    """Read a promotion."""
    return show_promotion(desk.read(lambda tx: service.find_promotion(tx, promotion)))


@post(
    PATH + "/{promotion:str}/end",
    operation_id="endPromotion",
    tags=TAGS,
    opt=BILLING,
    status_code=200,
    sync_to_thread=True,
)
def end_promotion(
    promotion: FromPath[str], data: JSONBody[EndPromotion], command: NamedDependency[Command]
) -> PromotionView:
    """End a promotion; what is in a cart keeps its price for as long as it is guaranteed."""
    at = None if data.at is None else read_time(data.at)
    return command.answer(
        PromotionView,
        lambda tx: show_promotion(service.end_promotion(tx, command.actor, promotion, at)),
    )


HANDLERS = (create_promotion, list_promotions, read_promotion, end_promotion)
