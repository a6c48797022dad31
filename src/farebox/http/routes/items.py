"""Items of the marketplace: owners' own, and what consumers find."""

from typing import Annotated, Any, Final, Literal

from litestar import delete, get, patch, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import UNSET, Meta, UnsetType, field, structs

from farebox.access.marketplace import model, service
from farebox.access.marketplace.model import Draft, Item, ItemState, Offer, Sight, Wanted
from farebox.access.marketplace.service_capacity import availability_of
from farebox.access.marketplace.service_search import find_items
from farebox.http.deps import Command, Desk
from farebox.http.wire import (
    ONE_LINE,
    Body,
    Id,
    IdFilter,
    Page,
    Time,
    View,
    Word,
    read_time,
    show_end,
    show_time,
)
from farebox.kernel.amounts import MAX_AMOUNT
from farebox.platform.model import Permission, Principal
from farebox.platform.rules import may
from farebox.storage import Tx

TAGS = ["Items"]
_LINES: Final = r"^[^\x00-\x09\x0b-\x1f\x7f-\x9f]*$"
Code = Annotated[str, Meta(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]*$")]
Locale = Annotated[str, Meta(pattern=r"^[a-z]{2,3}(-[A-Z]{2})?$", description="ru or en-GB")]
TitleText = Annotated[str, Meta(min_length=1, max_length=model.LONGEST_TITLE, pattern=ONE_LINE)]
LongText = Annotated[str, Meta(min_length=1, max_length=model.LONGEST_DESCRIPTION, pattern=_LINES)]
Title = Annotated[dict[Locale, TitleText], Meta(min_length=1, max_length=model.MOST_LOCALES)]
Description = Annotated[dict[Locale, LongText], Meta(max_length=model.MOST_LOCALES)]
Scalar = (
    Annotated[str, Meta(max_length=model.LONGEST_VALUE, pattern=ONE_LINE)]
    | Annotated[int, Meta(ge=-MAX_AMOUNT, le=MAX_AMOUNT)]
    | bool
)
Attributes = Annotated[
    dict[
        Annotated[str, Meta(pattern=r"^[A-Za-z][A-Za-z0-9_.-]{0,63}$")],
        Scalar | Annotated[list[Scalar], Meta(max_length=model.MOST_VALUES)],
    ],
    Meta(max_length=model.MOST_ATTRIBUTES),
]
Capacity = Annotated[int, Meta(ge=0, le=MAX_AMOUNT, description="Places; null is any number")]
Hours = Annotated[int, Meta(ge=1, le=model.LONGEST_PERIOD_HOURS)]
StateFilter = Annotated[
    Literal["draft", "published", "archived", "any"], QueryParameter(name="state")
]
Query = Annotated[
    str,
    QueryParameter(
        max_length=model.LONGEST_QUERY,
        description="All of these words, in any form; the last one may be a beginning",
    ),
]
AttributeFilter = Annotated[
    list[str] | None,
    QueryParameter(
        name="attribute",
        max_items=model.MOST_FILTERS,
        description="name:value, or a name alone for any value",
    ),
]
ItemCursor = Annotated[
    str | None,
    QueryParameter(
        name="cursor", pattern=r"^[0-9]{1,19}(-[0-9]{1,19})?$", description="The last `next`"
    ),
]
ItemLimit = Annotated[
    int, QueryParameter(ge=1, le=model.LONGEST_PAGE, description="Most items on the page")
]


class OfferTerms(Body, frozen=True):
    """Terms that an item is sold on; a rental has periods in hours, and one clock or two."""

    code: Code
    kind: model.OfferKind
    periods: Annotated[tuple[Hours, ...], Meta(max_length=model.MOST_PERIODS)] = ()
    clocks: model.Clocks = 1
    finish_within_hours: Hours | None = None
    starts_at: Time | None = None
    capacity: Capacity | None = None
    hold_minutes: Annotated[int, Meta(ge=1, le=model.LONGEST_HOLD_MINUTES)] = model.HOLD_MINUTES
    hard_stop: bool = False


Offers = Annotated[tuple[OfferTerms, ...], Meta(max_length=model.MOST_OFFERS)]


class CreateItem(Body, frozen=True):
    """An item begins as a draft. `owner` is for admins; others own what they create."""

    code: Code
    kind: Word
    title: Title
    description: Description = field(default_factory=dict)
    attributes: Attributes = field(default_factory=dict)
    offers: Offers = ()
    capacity: Capacity | None = None
    available_from: Time | None = None
    available_until: Time | None = None
    owner: Id | None = None


class UpdateItem(Body, frozen=True):
    """What is given is changed. With `version` only if nobody has changed the item since."""

    kind: Word | UnsetType = UNSET
    title: Title | UnsetType = UNSET
    description: Description | UnsetType = UNSET
    attributes: Attributes | UnsetType = UNSET
    offers: Offers | UnsetType = UNSET
    capacity: Capacity | UnsetType | None = UNSET
    available_from: Time | UnsetType | None = UNSET
    available_until: Time | UnsetType | None = UNSET
    version: Annotated[int, Meta(ge=1, le=MAX_AMOUNT)] | None = None


class TransferItem(Body, frozen=True):
    """Who owns the item from now on."""

    owner: Id


class OfferView(View, frozen=True):
    """Terms that an item is sold on; `left` is said where one item is read, null is any number."""

    code: str
    kind: model.OfferKind
    periods: list[int]
    clocks: model.Clocks
    finish_within_hours: int | None
    starts_at: Time | None
    capacity: int | None
    left: int | None
    hold_minutes: int
    hard_stop: bool


class ItemView(View, frozen=True):
    """What an owner sells. Prices are billing's."""

    id: str
    code: str
    owner: str
    kind: str
    title: dict[str, str]
    description: dict[str, str]
    attributes: dict[str, Any]
    offers: list[OfferView]
    capacity: int | None
    available_from: Time | None
    available_until: Time | None
    state: ItemState
    version: int
    created_at: Time
    updated_at: Time


class FoundItems(View, frozen=True):
    """What a search found, best first. `suggestion` is the query as it was probably meant."""

    items: list[ItemView]
    next: str | None
    suggestion: str | None


def show_item(item: Item, left: dict[str, int | None] | None = None) -> ItemView:
    """Return an item as the API shows it."""
    return ItemView(
        id=item.id,
        code=item.code,
        owner=item.owner,
        kind=item.kind,
        title=item.title,
        description=item.description,
        attributes=dict(item.attributes),
        offers=[_show_offer(offer, (left or {}).get(offer.code)) for offer in item.offers],
        capacity=item.capacity,
        available_from=show_end(item.available_from),
        available_until=show_end(item.available_until),
        state=item.state,
        version=item.version,
        created_at=show_time(item.created_at),
        updated_at=show_time(item.updated_at),
    )


def _show_offer(offer: Offer, left: int | None) -> OfferView:
    terms = {**structs.asdict(offer), "periods": list(offer.periods)}
    return OfferView(**{**terms, "starts_at": show_end(offer.starts_at), "left": left})


def sight_of(principal: Principal) -> Sight:
    """Return which items a caller sees: consumers what is on sale, owners theirs, others all."""
    if principal.kind == "consumer":
        return Sight(on_sale=True)
    return Sight() if may(principal, Permission.READ) else Sight(owner=principal.id)


def _own(principal: Principal) -> Sight:
    """Return which items a caller edits: their own, or all who may hand them to another owner."""
    return Sight() if may(principal, Permission.ITEM_OWNERSHIP) else Sight(owner=principal.id)


def _said(data: CreateItem | UpdateItem) -> dict[str, Any]:
    """Return what a request says of an item, as the service takes it."""
    said = {
        name: value
        for name, value in structs.asdict(data).items()
        if name in Draft.__struct_fields__ and value is not UNSET
    }
    for name in ("available_from", "available_until"):
        if said.get(name) is not None:
            said[name] = read_time(said[name])
    if "offers" in said:
        said["offers"] = tuple(_offer(offer) for offer in said["offers"])
    return said


def _offer(terms: OfferTerms) -> Offer:
    start = None if terms.starts_at is None else read_time(terms.starts_at)
    said = {**structs.asdict(terms), "starts_at": start}
    return Offer(**said)


@post("/v1/items", operation_id="createItem", tags=TAGS, sync_to_thread=True)
def create_item(data: JSONBody[CreateItem], command: NamedDependency[Command]) -> ItemView:
    """Create an item as a draft."""
    may_choose = may(command.principal, Permission.ITEM_OWNERSHIP)
    owner = data.owner if may_choose and data.owner is not None else command.principal.id
    draft = Draft(**_said(data))

    def work(tx: Tx) -> ItemView:
        if data.owner not in {None, owner}:
            raise model.OwnerUnfit
        made = service.create_item(tx, command.actor, code=data.code, owner=owner, draft=draft)
        return show_item(made)

    return command.answer(ItemView, work)


@get(
    "/v1/items", operation_id="listItems", tags=TAGS, opt={"problems": (404,)}, sync_to_thread=True
)
def list_items(
    desk: NamedDependency[Desk],
    *,
    kind: IdFilter = None,
    in_state: StateFilter = "any",
    attribute: AttributeFilter = None,
    limit: ItemLimit = 50,
    cursor: ItemCursor = None,
) -> Page[ItemView]:
    """List items, the newest first; consumers see what is on sale, owners their own."""
    wanted = _wanted("", kind, in_state, attribute)
    found = desk.read(
        lambda tx: find_items(tx, sight_of(desk.principal), wanted, after=cursor, limit=limit)
    )
    return Page(items=[show_item(item) for item in found.items], next=found.next)


@get(
    "/v1/items/search",
    operation_id="searchItems",
    tags=TAGS,
    opt={"problems": (404,)},
    sync_to_thread=True,
)
def search_items(
    desk: NamedDependency[Desk],
    *,
    q: Query = "",
    kind: IdFilter = None,
    attribute: AttributeFilter = None,
    limit: ItemLimit = 50,
    cursor: ItemCursor = None,
) -> FoundItems:
    """Find published items by words in Russian and English, in titles, attributes, descriptions."""
    wanted = _wanted(q, kind, "published", attribute)
    found = desk.read(
        lambda tx: find_items(tx, sight_of(desk.principal), wanted, after=cursor, limit=limit)
    )
    items = [show_item(item) for item in found.items]
    return FoundItems(items=items, next=found.next, suggestion=found.suggestion)


def _wanted(
    query: str, kind: str | None, state: ItemState | Literal["any"], attributes: list[str] | None
) -> Wanted:
    pairs = [each.partition(":") for each in attributes or ()]
    return Wanted(
        query=query,
        kind=kind,
        state=None if state == "any" else state,
        attributes=tuple((name, value if colon else None) for name, colon, value in pairs),
    )


@get("/v1/items/{code:str}", operation_id="readItem", tags=TAGS, sync_to_thread=True)
def read_item(code: FromPath[str], desk: NamedDependency[Desk]) -> ItemView:
    """Read an item with the places that its offers have left."""

    def work(tx: Tx) -> ItemView:
        item = service.read_item(tx, code, sight_of(desk.principal))
        return show_item(item, {each.offer: each.left for each in availability_of(tx, item)})

    return desk.read(work)


@patch("/v1/items/{code:str}", operation_id="updateItem", tags=TAGS, sync_to_thread=True)
def update_item(
    code: FromPath[str], data: JSONBody[UpdateItem], command: NamedDependency[Command]
) -> ItemView:
    """Change an item; what was sold of it stays as it was sold."""

    def work(tx: Tx) -> ItemView:
        changed = service.change_item(
            tx,
            command.actor,
            code,
            _said(data),
            sight=_own(command.principal),
            version=data.version,
        )
        return show_item(changed)

    return command.answer(ItemView, work)


@post(
    "/v1/items/{code:str}/publish",
    operation_id="publishItem",
    tags=TAGS,
    status_code=200,
    sync_to_thread=True,
)
def publish_item(code: FromPath[str], command: NamedDependency[Command]) -> ItemView:
    """Let consumers find an item within its window."""
    sight = _own(command.principal)
    return command.answer(
        ItemView,
        lambda tx: show_item(service.publish_item(tx, command.actor, code, sight=sight)),
    )


@post(
    "/v1/items/{code:str}/withdraw",
    operation_id="withdrawItem",
    tags=TAGS,
    status_code=200,
    sync_to_thread=True,
)
def withdraw_item(code: FromPath[str], command: NamedDependency[Command]) -> ItemView:
    """Make an item a draft again; what was sold of it stays."""
    sight = _own(command.principal)
    return command.answer(
        ItemView,
        lambda tx: show_item(service.withdraw_item(tx, command.actor, code, sight=sight)),
    )


@delete(
    "/v1/items/{code:str}",
    operation_id="archiveItem",
    tags=TAGS,
    status_code=200,
    sync_to_thread=True,
)
def archive_item(code: FromPath[str], command: NamedDependency[Command]) -> ItemView:
    """Sell nothing of an item any more; what was sold stays."""
    sight = _own(command.principal)
    return command.answer(
        ItemView,
        lambda tx: show_item(service.archive_item(tx, command.actor, code, sight=sight)),
    )


@put("/v1/items/{code:str}/owner", operation_id="transferItem", tags=TAGS, sync_to_thread=True)
def transfer_item(
    code: FromPath[str], data: JSONBody[TransferItem], command: NamedDependency[Command]
) -> ItemView:
    """Hand an item to another owner."""
    return command.answer(
        ItemView,
        lambda tx: show_item(service.transfer_item(tx, command.actor, code, owner=data.owner)),
    )


HANDLERS = (
    create_item,
    list_items,
    search_items,
    read_item,
    update_item,
    publish_item,
    withdraw_item,
    archive_item,
    transfer_item,
)
