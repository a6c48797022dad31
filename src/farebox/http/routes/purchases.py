"""Places in carts, and purchases on their way."""

from typing import Annotated

from litestar import delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import Meta

from farebox.access.consumers.model import ConsumerUnknown
from farebox.access.marketplace import service_places, service_purchases
from farebox.access.marketplace.model import (
    LONGEST_PERIOD_HOURS,
    MOST_RENEWALS,
    ItemNotOnSale,
    Place,
    PlaceState,
    Purchase,
    PurchaseState,
    PurchaseTerms,
    Sight,
)
from farebox.access.marketplace.rules import is_on_sale, offer_of, place_state
from farebox.access.marketplace.service import read_item
from farebox.http.deps import Command, Desk
from farebox.http.roles import MOVES_VALUE
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

TAGS = ["Purchases"]


class HoldPlace(Body, frozen=True):
    """Of which offer; an operator names the consumer."""

    item: Id
    offer: Id
    consumer: Id | None = None


class StartPurchase(Body, frozen=True):
    """What is bought. A rental has a period and may start later; `place` is one that is held.

    `id` may be minted by the caller: the same one again is the same purchase. `order` is billing's
    id of the order, where the caller knows it already.
    """

    item: Id
    offer: Id
    id: Annotated[str, Meta(pattern=r"^pur_[0-9a-f]{16,64}$")] | None = None
    period_hours: Annotated[int, Meta(ge=1, le=LONGEST_PERIOD_HOURS)] | None = None
    starts_at: Time | None = None
    place: Id | None = None
    order: Id | None = None
    consumer: Id | None = None


class PlaceView(View, frozen=True):
    """A place in a cart. `expires_at` is null while a purchase is under way, and at its end."""

    id: str
    consumer: str
    item: str
    offer: str
    state: PlaceState
    taken_at: Time
    expires_at: Time | None
    renewals_left: int


class PurchaseView(View, frozen=True):
    """A purchase. `event` is the id of the event by which billing is asked for the money."""

    id: str
    consumer: str
    item: str
    offer: str
    state: PurchaseState
    period_hours: int | None
    starts_at: Time | None
    place: str | None
    order: str | None
    entitlement: str | None
    rental: str | None
    event: str | None
    created_at: Time
    updated_at: Time


def buyer_of(desk: Desk, named: str | None) -> str:
    """Return who buys: the consumer who asks, or the one whom an operator names."""
    if desk.principal.kind == "consumer" and named in {None, desk.principal.id}:
        return desk.principal.id
    if desk.principal.kind == "consumer" or named is None:
        raise ConsumerUnknown
    return named


def own_of(desk: Desk) -> str | None:
    """Return whose things a caller sees: a consumer their own, an operator everybody's."""
    return desk.principal.id if desk.principal.kind == "consumer" else None


def show_place(place: Place, now: int) -> PlaceView:
    """Return a place as the API shows it."""
    return PlaceView(
        id=place.id,
        consumer=place.consumer,
        item=place.item,
        offer=place.offer,
        state=place_state(place, now),
        taken_at=show_time(place.taken_at),
        expires_at=None if place.ended_by is not None else show_end(place.expires_at),
        renewals_left=MOST_RENEWALS - place.renewals,
    )


def show_purchase(one: Purchase) -> PurchaseView:
    """Return a purchase as the API shows it."""
    return PurchaseView(
        id=one.id,
        consumer=one.consumer,
        item=one.item,
        offer=one.offer,
        state=one.state,
        period_hours=one.period_hours,
        starts_at=show_end(one.starts_at),
        place=one.place,
        order=one.order,
        entitlement=one.entitlement,
        rental=one.rental,
        event=one.event,
        created_at=show_time(one.created_at),
        updated_at=show_time(one.updated_at),
    )


@post("/v1/places", operation_id="holdPlace", tags=TAGS, opt=MOVES_VALUE, sync_to_thread=True)
def hold_place(data: JSONBody[HoldPlace], command: NamedDependency[Command]) -> PlaceView:
    """Hold a place for a while; who holds one gets the same one again."""
    consumer = buyer_of(command, data.consumer)

    def work(tx: Tx) -> PlaceView:
        item = read_item(tx, data.item, Sight(on_sale=command.principal.kind == "consumer"))
        if not is_on_sale(item, tx.now_us):
            raise ItemNotOnSale
        place = service_places.hold_place(tx, consumer, item, offer_of(item, data.offer))
        return show_place(place, tx.now_us)

    return command.answer(PlaceView, work)


@get(
    "/v1/places",
    operation_id="listPlaces",
    tags=TAGS,
    opt={"problems": (404,)},
    sync_to_thread=True,
)
def list_places(
    desk: NamedDependency[Desk],
    consumer: IdFilter = None,
    limit: Limit = 100,
    cursor: TextCursor = None,
) -> Page[PlaceView]:
    """List a consumer's open places, oldest first; operators name the consumer."""
    whose = buyer_of(desk, consumer)

    def work(tx: Tx) -> Page[PlaceView]:
        found = service_places.list_places(tx, whose, after=cursor, limit=limit)
        return Page(items=[show_place(one, tx.now_us) for one in found.items], next=found.next)

    return desk.read(work)


@get("/v1/places/{place:str}", operation_id="readPlace", tags=TAGS, sync_to_thread=True)
def read_place(place: FromPath[str], desk: NamedDependency[Desk]) -> PlaceView:
    """Read a place."""
    own = own_of(desk)
    return desk.read(
        lambda tx: show_place(service_places.read_place(tx, place, consumer=own), tx.now_us)
    )


@post(
    "/v1/places/{place:str}/renew",
    operation_id="renewPlace",
    tags=TAGS,
    status_code=200,
    sync_to_thread=True,
)
def renew_place(place: FromPath[str], command: NamedDependency[Command]) -> PlaceView:
    """Begin a place's time anew, at most ten times."""
    own = own_of(command)
    return command.answer(
        PlaceView,
        lambda tx: show_place(service_places.renew_place(tx, place, consumer=own), tx.now_us),
    )


@delete(
    "/v1/places/{place:str}",
    operation_id="releasePlace",
    tags=TAGS,
    status_code=200,
    sync_to_thread=True,
)
def release_place(place: FromPath[str], command: NamedDependency[Command]) -> PlaceView:
    """Give a place back."""
    own = own_of(command)
    return command.answer(
        PlaceView,
        lambda tx: show_place(service_places.release_place(tx, place, consumer=own), tx.now_us),
    )


@post(
    "/v1/purchases", operation_id="startPurchase", tags=TAGS, opt=MOVES_VALUE, sync_to_thread=True
)
def start_purchase(
    data: JSONBody[StartPurchase], command: NamedDependency[Command]
) -> PurchaseView:
    """Begin a purchase: its place is pinned, and billing is asked for the money by an event."""
    consumer = buyer_of(command, data.consumer)
    terms = PurchaseTerms(
        item=data.item,
        offer=data.offer,
        period_hours=data.period_hours,
        starts_at=None if data.starts_at is None else read_time(data.starts_at),
        place=data.place,
        order=data.order,
    )
    return command.answer(
        PurchaseView,
        lambda tx: show_purchase(
            service_purchases.start_purchase(tx, consumer, terms, purchase_id=data.id)
        ),
    )


@get("/v1/purchases", operation_id="listPurchases", tags=TAGS, sync_to_thread=True)
def list_purchases(
    desk: NamedDependency[Desk],
    consumer: IdFilter = None,
    limit: Limit = 100,
    cursor: TextCursor = None,
) -> Page[PurchaseView]:
    """List purchases in the order of their ids; consumers see their own."""
    whose = own_of(desk) or consumer
    found = desk.read(
        lambda tx: service_purchases.list_purchases(tx, consumer=whose, after=cursor, limit=limit)
    )
    return Page(items=[show_purchase(one) for one in found.items], next=found.next)


@get("/v1/purchases/{purchase:str}", operation_id="readPurchase", tags=TAGS, sync_to_thread=True)
def read_purchase(purchase: FromPath[str], desk: NamedDependency[Desk]) -> PurchaseView:
    """Read a purchase."""
    own = own_of(desk)
    return desk.read(
        lambda tx: show_purchase(service_purchases.read_purchase(tx, purchase, consumer=own))
    )


HANDLERS = (
    hold_place,
    list_places,
    read_place,
    renew_place,
    release_place,
    start_purchase,
    list_purchases,
    read_purchase,
)
