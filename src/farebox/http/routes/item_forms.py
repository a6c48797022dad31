"""How items are said and shown on the wire."""

from collections.abc import Sequence
from typing import Annotated, Any, Final

from msgspec import UNSET, Meta, UnsetType, field, structs

from farebox.access.marketplace import model
from farebox.access.marketplace.model import Availability, Draft, Item, ItemState, Offer
from farebox.http.wire import (
    ONE_LINE,
    Body,
    Id,
    Time,
    View,
    Word,
    Zone,
    read_time,
    show_end,
    show_time,
)
from farebox.kernel.amounts import MAX_AMOUNT

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


class OfferTerms(Body, frozen=True):
    """Terms that an item is sold on; a rental has periods in hours, and one clock or two.

    A showing in the theatre has a start, and the time zone of its place, in which pages tell it.
    """

    code: Code
    kind: model.OfferKind
    periods: Annotated[tuple[Hours, ...], Meta(max_length=model.MOST_PERIODS)] = ()
    clocks: model.Clocks = 1
    finish_within_hours: Hours | None = None
    starts_at: Time | None = None
    zone: Zone | None = None
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
    """Terms that an item is sold on; `left` is said where one item is read, null is any number.

    Where none is left, one that somebody holds may be free at `free_at`.
    """

    code: str
    kind: model.OfferKind
    periods: list[int]
    clocks: model.Clocks
    finish_within_hours: int | None
    starts_at: Time | None
    zone: str | None
    capacity: int | None
    left: int | None
    free_at: Time | None
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


def show_item(item: Item, places: Sequence[Availability] = ()) -> ItemView:
    """Return an item as the API shows it, with its places where they were looked at."""
    known = {each.offer: each for each in places}
    return ItemView(
        id=item.id,
        code=item.code,
        owner=item.owner,
        kind=item.kind,
        title=item.title,
        description=item.description,
        attributes=dict(item.attributes),
        offers=[_show_offer(offer, known.get(offer.code)) for offer in item.offers],
        capacity=item.capacity,
        available_from=show_end(item.available_from),
        available_until=show_end(item.available_until),
        state=item.state,
        version=item.version,
        created_at=show_time(item.created_at),
        updated_at=show_time(item.updated_at),
    )


def _show_offer(offer: Offer, place: Availability | None) -> OfferView:
    terms = {**structs.asdict(offer), "periods": list(offer.periods)}
    seen = {
        "starts_at": show_end(offer.starts_at),
        "left": None if place is None else place.left,
        "free_at": None if place is None else show_end(place.free_at),
    }
    return OfferView(**{**terms, **seen})


def said_of(data: CreateItem | UpdateItem) -> dict[str, Any]:
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
