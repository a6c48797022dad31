"""The premiere store's own literal paths: search, one premiere, the price of a rental, renting.

Items are access's, prices billing's: each is read in a short transaction of its own, and a page of
cards takes a few statements of each. Looking needs no credential. These paths are their own
interface: they are left out of the description.
"""

import re
from typing import Annotated, Any, Final, Literal
from urllib.parse import parse_qsl

from litestar import Request, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Meta

from farebox.access.marketplace.model import (
    LONGEST_PERIOD_HOURS,
    LONGEST_QUERY,
    Item,
    OfferUnknown,
    PeriodRefused,
    PurchaseTerms,
    Sight,
    Wanted,
)
from farebox.access.marketplace.service import read_item
from farebox.access.marketplace.service_capacity import availability_of_each
from farebox.access.marketplace.service_purchases import start_purchase
from farebox.access.marketplace.service_search import find_items
from farebox.access.rentals.service import read_rental
from farebox.billing.orders.rules import OPEN
from farebox.billing.orders.service_bought import Ordered, ordered_of
from farebox.billing.orders.service_policies import list_policies
from farebox.billing.pricing.model_prices import Priced
from farebox.billing.pricing.service_promotions import Shelf, shelf_of
from farebox.billing.wallets.service import balance_of
from farebox.http.deps import Command, Services
from farebox.http.refusals import FieldsInvalid, NotPaid, ServiceAbsent
from farebox.http.roles import PUBLIC
from farebox.http.routes.items import ItemCursor
from farebox.http.routes.premiere_views import (
    RENTAL,
    FoundPremieres,
    PremiereCard,
    PriceCard,
    RuleView,
    currency_on,
    price_on,
    show_card,
    show_price,
    show_rule,
)
from farebox.http.routes.purchases import buyer_of
from farebox.http.routes.rentals import RentalView, show_rental
from farebox.http.waiting import eventually
from farebox.http.wire import Body, Id, Time, View
from farebox.storage import Database, Tx

PATH: Final = "/api/v1"
HERE: Final = {**PUBLIC, "service": "access"}
LARGEST_PAGE: Final = 50
_ON_SALE: Final = Sight(on_sale=True)
_LOCALE: Final = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")
_DEFAULT: Final = "ru"
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,4}")
_HOURS: Final = {"hour": 1, "day": 24}

Unit = Literal["hour", "day"]
Query = Annotated[str, QueryParameter(max_length=LONGEST_QUERY)]
Lang = Annotated[str | None, QueryParameter(name="lang", max_length=35)]
InCurrency = Annotated[str | None, QueryParameter(name="currency", pattern=r"^[A-Z]{3}$")]
PageLimit = Annotated[int, QueryParameter(ge=1, le=LARGEST_PAGE)]
ItemId = Annotated[str, QueryParameter(name="id", min_length=1, max_length=128)]
Period = Annotated[int, QueryParameter(ge=1, le=LONGEST_PERIOD_HOURS)]
PeriodUnit = Annotated[Unit, QueryParameter(name="period_unit")]
AnyRequest = Request[Any, Any, Any]


class RentCost(View, frozen=True):
    """What a rental costs, and for which offer; a period is in hours."""

    id: str
    offer: str
    period: int
    period_unit: Unit
    list_price: int
    discount: int
    price: int
    currency: str
    tax_included: bool
    discount_percent: str | None
    discount_until: Time | None


class Rent(Body, frozen=True):
    """The premiere, and the period that was paid for: hours, unless days are said."""

    id: Id
    period: Annotated[int, Meta(ge=1, le=LONGEST_PERIOD_HOURS)]
    period_unit: Unit = "hour"
    consumer: Id | None = None


class RentView(View, frozen=True):
    """What is in the personal account; `rental` is null for the moment until access has heard."""

    id: str
    order: str
    state: str
    paid: bool
    rental: RentalView | None


def billing_of(services: Services) -> Database:
    """Return billing's database; refuses (`service_absent`) where it is not served here."""
    if services.billing is None:
        raise ServiceAbsent
    return services.billing


def locales_of(request: AnyRequest, lang: str | None) -> list[str]:
    """Return the languages that are wanted, best first: `lang`, then what the client accepts."""
    weighed = []
    for place, part in enumerate(request.headers.get("accept-language", "").split(",")[:20]):
        tag, _, weight = part.strip().partition(";q=")
        if _LOCALE.fullmatch(tag):
            weighed.append((-_weight(weight), place, tag))
    named = [lang] if lang is not None and _LOCALE.fullmatch(lang) else []
    return [*named, *(tag for _, _, tag in sorted(weighed)), _DEFAULT]


def _weight(text: str) -> float:
    """Return a weight of RFC 9110: 0.8 is wanted more than 0.5; it orders, and nothing else."""
    return float(text) if re.fullmatch(r"[01](\.[0-9]{0,3})?", text) else 1.0


def _cards(
    services: Services,
    items: list[Item],
    *,
    locales: list[str],
    currency: str | None,
    rules: bool = False,
) -> list[PremiereCard]:
    with services.database.read() as tx:
        places = availability_of_each(tx, items)
    with billing_of(services).read() as tx:
        shelf = shelf_of(tx, "item", [item.code for item in items])
        known = _rules(tx) if rules else {}
    return [
        show_card(item, places[item.code], shelf, locales=locales, currency=currency, rules=known)
        for item in items
    ]


def _rules(tx: Tx) -> dict[str, list[RuleView]]:
    return {each.code: [show_rule(rule) for rule in each.rules] for each in list_policies(tx)}


@get(
    f"{PATH}/search",
    operation_id="searchPremieres",
    opt=HERE,
    include_in_schema=False,
    sync_to_thread=True,
)
def search_premieres(
    request: AnyRequest,
    services: NamedDependency[Services],
    *,
    q: Query = "",
    lang: Lang = None,
    currency: InCurrency = None,
    limit: PageLimit = 20,
    cursor: ItemCursor = None,
) -> FoundPremieres:
    """Find premieres by words; without words the newest are shown."""
    billing_of(services)
    locales = locales_of(request, lang)
    with services.database.read() as tx:
        found = find_items(
            tx, _ON_SALE, Wanted(query=q, state="published"), after=cursor, limit=limit
        )
    return FoundPremieres(
        q=q,
        locale=locales[0],
        items=_cards(services, list(found.items), locales=locales, currency=currency),
        next=found.next,
        suggestion=found.suggestion,
    )


@get(
    f"{PATH}/premiere/{{code:str}}",
    operation_id="readPremiere",
    opt=HERE,
    include_in_schema=False,
    sync_to_thread=True,
)
def read_premiere(
    request: AnyRequest,
    code: FromPath[str],
    services: NamedDependency[Services],
    *,
    lang: Lang = None,
    currency: InCurrency = None,
) -> PremiereCard:
    """Read one premiere, with the rules by which money goes back."""
    with services.database.read() as tx:
        item = read_item(tx, code, _ON_SALE)
    [card] = _cards(
        services, [item], locales=locales_of(request, lang), currency=currency, rules=True
    )
    return card


def _cost(
    services: Services, code: str, hours: int, *, offer: str | None, currency: str | None
) -> RentCost:
    """Return what renting a premiere costs now: on the cheapest offer that has the period."""
    with services.database.read() as tx:
        item = read_item(tx, code, _ON_SALE)
    rentals = [each for each in item.offers if each.kind == RENTAL and offer in {None, each.code}]
    if not rentals:
        raise OfferUnknown
    fitting = [each.code for each in rentals if hours in each.periods]
    if not fitting:
        known = sorted({each for one in rentals for each in one.periods})
        raise PeriodRefused(f"it is rented for {', '.join(map(str, known))} hours")
    with billing_of(services).read() as tx:
        shelf = shelf_of(tx, "item", [code])
    paid_in = currency_on(shelf, code, currency)
    priced = {each: _price(shelf, code, each, hours, paid_in) for each in fitting}
    prices = {each: card for each, card in priced.items() if card is not None}
    if not prices:
        raise PeriodRefused("this period has no price")
    cheapest = min(prices, key=lambda each: prices[each].price)
    return _show_cost(code, cheapest, hours, prices[cheapest])


def _price(
    shelf: Shelf, code: str, offer: str, hours: int, currency: str | None
) -> PriceCard | None:
    wanted = Priced(of="item", code=code, offer=offer, period_hours=hours)
    return show_price(price_on(shelf, wanted, currency))


def _show_cost(code: str, offer: str, hours: int, card: PriceCard) -> RentCost:
    return RentCost(
        id=code,
        offer=offer,
        period=hours,
        period_unit="hour",
        list_price=card.list_price,
        discount=card.discount,
        price=card.price,
        currency=card.currency,
        tax_included=card.tax_included,
        discount_percent=None if card.promotion is None else card.promotion.percent,
        discount_until=None if card.promotion is None else card.promotion.valid_until,
    )


@get(
    f"{PATH}/rent",
    operation_id="rentCost",
    opt=HERE,
    include_in_schema=False,
    sync_to_thread=True,
)
def rent_cost(
    services: NamedDependency[Services],
    *,
    item: ItemId,
    period: Period,
    period_unit: PeriodUnit = "hour",
    offer: Annotated[str | None, QueryParameter(max_length=128)] = None,
    currency: InCurrency = None,
) -> RentCost:
    """Tell what renting a premiere for a period costs."""
    hours = period * _HOURS[period_unit]
    return _cost(services, item, hours, offer=offer, currency=currency)


@get(
    f"{PATH}/rent/{{asked:str}}",
    operation_id="rentCostAsWritten",
    opt=HERE,
    include_in_schema=False,
    sync_to_thread=True,
)
def rent_cost_as_written(asked: FromPath[str], services: NamedDependency[Services]) -> RentCost:
    """Tell what a rental costs, asked as the source writes it: path and query glued together.

    `/rent/:id=P1&period=24`, without the colon, and `/rent/P1=&period=24` are read alike.
    """
    said = asked.removeprefix(":")
    fields = dict(parse_qsl(said, keep_blank_values=True))
    if "id" not in fields:
        code, _, rest = said.partition("=")
        fields = {"id": code, **dict(parse_qsl(rest, keep_blank_values=True))}
    unit, period = fields.get("period_unit", "hour"), fields.get("period", "")
    if unit not in _HOURS or not _NUMBER.fullmatch(period):
        raise FieldsInvalid("period: is a whole number of hours, or of days with period_unit=day")
    hours = int(period) * _HOURS[unit]
    return _cost(
        services, fields["id"], hours, offer=fields.get("offer"), currency=fields.get("currency")
    )


@post(
    f"{PATH}/rent",
    operation_id="rentPremiere",
    include_in_schema=False,
    status_code=200,
    sync_to_thread=True,
)
def rent_premiere(data: JSONBody[Rent], command: NamedDependency[Command]) -> RentView:
    """Put a premiere into the personal account: only what an order has paid for.

    Where the money waits for its place, the place is pinned now, and the answer waits up to 2 s for
    the rental. Refuses (`not_paid`) what is not paid for, with what is missing.
    """
    money = billing_of(command.services)
    customer = buyer_of(command, data.consumer)
    hours = data.period * _HOURS[data.period_unit]

    def look() -> Ordered | None:
        with money.read() as tx:
            found = ordered_of(tx, customer, data.id, period_hours=hours)
            rentals = [each for each in found if each.line.wish.period_hours is not None]
            return next(iter(rentals), None)

    first = look()
    if first is None:
        with command.services.database.read() as tx:
            read_item(tx, data.id)
        raise NotPaid("no order of this premiere and period is there to be paid")
    if first.order.state in OPEN and first.line.state == "open":
        _begin(command, customer, first)
    seen = eventually(look, _has_come)
    if seen is None or seen.order.state in OPEN:
        raise _unpaid(money, seen or first)
    return _rented(command, seen)


def _has_come(seen: Ordered | None) -> bool:
    """Tell whether there is nothing more to wait for."""
    return seen is None or seen.line.state == "granted" or seen.order.state == "awaiting_funds"


def _begin(command: Command, customer: str, one: Ordered) -> None:
    """Pin the place of what was ordered; the same again is the same purchase."""
    wish, line = one.line.wish, one.line
    terms = PurchaseTerms(
        item=wish.code,
        offer=wish.offer or "",
        period_hours=line.period_hours,
        starts_at=line.starts_at,
        order=one.order.id,
    )
    command.write(lambda tx: start_purchase(tx, customer, terms, purchase_id=line.purchase))


def _unpaid(money: Database, one: Ordered) -> NotPaid:
    with money.read() as tx:
        available = balance_of(tx, one.order.customer, one.order.currency).available
    missing = max(0, one.order.total - available)
    return NotPaid(order=one.order.id, total=one.order.total, missing=missing)


def _rented(command: Command, one: Ordered) -> RentView:
    """Return what is in the account; the rental is there once billing has heard of it."""
    order, line = one.order, one.line
    rental = None
    if line.rental is not None:
        with command.services.database.read() as tx:
            rental = show_rental(read_rental(tx, line.rental, consumer=order.customer))
    return RentView(id=line.wish.code, order=order.id, state=order.state, paid=True, rental=rental)


HANDLERS = (
    search_premieres,
    read_premiere,
    rent_cost,
    rent_cost_as_written,
    rent_premiere,
)
