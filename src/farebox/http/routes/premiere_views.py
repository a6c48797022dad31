"""How the shelf of premieres looks: an item of access with the prices of billing beside it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from farebox.access.marketplace.model import Availability, Item, Offer, OfferKind, Texts
from farebox.access.marketplace.rules import values_of
from farebox.billing.orders.model_refunds import RefundRule
from farebox.billing.pricing.model_prices import Priced, PriceUnknown
from farebox.billing.pricing.model_promotions import OnSale
from farebox.billing.pricing.model_rating import UsageNotPriced
from farebox.billing.pricing.service_promotions import Shelf
from farebox.http.routes.promotions import PromotedView, show_promoted
from farebox.http.wire import Time, View, show_end
from farebox.kernel.refusals import ValueRefused

RENTAL: Final = "online_rental"
TICKET: Final = "theatre_ticket"
ACTORS: Final = "actors"
_ELSE: Final = "en"


class PriceCard(View, frozen=True, kw_only=True):
    """What something is sold for: `list_price` less `discount` is `price`, before coupons.

    Where `tax_included` is false, taxes are put on top of it.
    """

    list_price: int
    discount: int
    price: int
    currency: str
    tax_included: bool
    promotion: PromotedView | None


class PeriodCard(View, frozen=True):
    """A rental's period in hours; without a price it is not sold in this currency."""

    hours: int
    price: PriceCard | None


class RuleView(View, frozen=True):
    """So many percent go back where all that is set holds; the first rule that fits counts."""

    percent: str
    reason: str | None
    started: bool | None
    played: bool | None
    hours_before_start: int | None
    hours_since_order: int | None


class OfferCard(View, frozen=True):
    """Terms that a premiere is sold on. `price` is that of the cheapest period of a rental.

    `places_left` is null where places do not run out; where none is left, one that somebody holds
    may be free at `place_free_at`. `refund_rules` are told where one premiere is read.
    """

    code: str
    kind: OfferKind
    starts_at: Time | None
    zone: str | None
    periods: list[PeriodCard]
    clocks: int
    finish_within_hours: int | None
    hold_minutes: int
    price: PriceCard | None
    places_left: int | None
    place_free_at: Time | None
    refund_rules: list[RuleView]


class PremiereCard(View, frozen=True):
    """A premiere as it stands on the shelf, in one language.

    `theatre_price` is the cheapest showing's, `online_from` the cheapest rental's, each null where
    there is none; `online_list_from` is the same rental without its promotion.
    """

    id: str
    title: str
    actors: list[str]
    description: str
    kind: str
    locale: str
    currency: str | None
    theatre_price: int | None
    online_from: int | None
    online_list_from: int | None
    discount_percent: str | None
    discount_until: Time | None
    period_hours: list[int]
    available_until: Time | None
    offers: list[OfferCard]


class FoundPremieres(View, frozen=True):
    """What a search found, best first. `suggestion` is the query as it was probably meant."""

    q: str
    locale: str
    items: list[PremiereCard]
    next: str | None
    suggestion: str | None


def show_rule(one: RefundRule) -> RuleView:
    """Return a rule of a refund policy as the API shows it."""
    return RuleView(
        percent=one.percent,
        reason=one.reason,
        started=one.started,
        played=one.played,
        hours_before_start=one.hours_before_start,
        hours_since_order=one.hours_since_order,
    )


def text_in(texts: Texts, locales: Sequence[str]) -> str:
    """Return a text in the first of these languages that there is, else English, else any."""
    for locale in (*locales, _ELSE):
        short = locale.partition("-")[0]
        for known, text in texts.items():
            if known == locale or known.partition("-")[0] == short:
                return text
    return next(iter(texts.values()), "")


def price_on(shelf: Shelf, wanted: Priced, currency: str | None) -> OnSale | None:
    """Return what something is sold for now; None where it has no price that says so alone."""
    if currency is None:
        return None
    try:
        return shelf.on_sale(wanted, currency)
    except (PriceUnknown, UsageNotPriced, ValueRefused):
        return None


def show_price(found: OnSale | None) -> PriceCard | None:
    """Return a price as the shelf shows it."""
    if found is None:
        return None
    return PriceCard(
        list_price=found.list_fee,
        discount=found.list_fee - found.fee,
        price=found.fee,
        currency=found.price.currency,
        tax_included=found.price.tax_behaviour == "inclusive",
        promotion=show_promoted(found.promotion),
    )


def currency_on(shelf: Shelf, code: str, wanted: str | None) -> str | None:
    """Return the currency of a premiere: the one that is asked for, else its oldest price's."""
    if wanted is not None:
        return wanted
    return next(iter(shelf.currencies(code)), None)


def show_card(
    item: Item,
    places: Sequence[Availability],
    shelf: Shelf,
    *,
    locales: Sequence[str],
    currency: str | None,
    rules: Mapping[str, list[RuleView]],
) -> PremiereCard:
    """Return a premiere as it stands on the shelf."""
    paid_in = currency_on(shelf, item.code, currency)
    known = {each.offer: each for each in places}

    def price(wanted: Priced) -> PriceCard | None:
        return show_price(price_on(shelf, wanted, paid_in))

    offers = [
        _offer(each, known[each.code], rules.get(each.kind, []), price, item.code)
        for each in item.offers
    ]
    online, theatre = _cheapest(offers, RENTAL), _cheapest(offers, TICKET)
    promotion = None if online is None else online.promotion
    return PremiereCard(
        id=item.code,
        title=text_in(item.title, locales),
        actors=[str(each) for each in values_of(item.attributes.get(ACTORS, []))],
        description=text_in(item.description, locales),
        kind=item.kind,
        locale=locales[0],
        currency=paid_in,
        theatre_price=None if theatre is None else theatre.price,
        online_from=None if online is None else online.price,
        online_list_from=None if online is None else online.list_price,
        discount_percent=None if promotion is None else promotion.percent,
        discount_until=None if promotion is None else promotion.valid_until,
        period_hours=sorted({each.hours for offer in offers for each in offer.periods}),
        available_until=show_end(item.available_until),
        offers=offers,
    )


def _offer(
    offer: Offer,
    place: Availability,
    rules: list[RuleView],
    price: Callable[[Priced], PriceCard | None],
    code: str,
) -> OfferCard:
    def priced(hours: int | None) -> PriceCard | None:
        return price(Priced(of="item", code=code, offer=offer.code, period_hours=hours))

    periods = [PeriodCard(hours=each, price=priced(each)) for each in offer.periods]
    prices = [each.price for each in periods if each.price is not None]
    own = priced(None) if not offer.periods else min(prices, key=_amount, default=None)
    return OfferCard(
        code=offer.code,
        kind=offer.kind,
        starts_at=show_end(offer.starts_at),
        zone=offer.zone,
        periods=periods,
        clocks=offer.clocks,
        finish_within_hours=offer.finish_within_hours,
        hold_minutes=offer.hold_minutes,
        price=own,
        places_left=place.left,
        place_free_at=show_end(place.free_at),
        refund_rules=rules,
    )


def _cheapest(offers: Sequence[OfferCard], kind: str) -> PriceCard | None:
    prices = [each.price for each in offers if each.kind == kind and each.price is not None]
    return min(prices, key=_amount, default=None)


def _amount(one: PriceCard) -> int:
    return one.price
