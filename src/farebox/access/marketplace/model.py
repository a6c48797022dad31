"""Items, their offers, places in carts, purchases. No money: prices are billing's."""

from typing import ClassVar, Final, Literal

import msgspec

from farebox.kernel.refusals import Refusal

ItemState = Literal["draft", "published", "archived"]
OfferKind = Literal["theatre_ticket", "online_rental", "purchase"]
Clocks = Literal[1, 2]
Texts = dict[str, str]
Scalar = str | int | bool
Attribute = Scalar | list[Scalar]
Attributes = dict[str, Attribute]
PlaceState = Literal["held", "pinned", "sold", "released", "expired", "returned"]
PurchaseState = Literal["initiated", "released", "fulfilled", "failed", "refunded"]
PurchaseFact = Literal["completed", "ended", "refunded"]
FailedBecause = Literal[
    "sold_out",
    "item_unknown",
    "offer_unknown",
    "consumer_unknown",
    "period_unusable",
    "already_entitled",
]

HOLD_MINUTES: Final = 15
LONGEST_HOLD_MINUTES: Final = 24 * 60
MOST_RENEWALS: Final = 10
LONGEST_PERIOD_HOURS: Final = 24 * 366
LONGEST_CODE: Final = 128
LONGEST_TITLE: Final = 256
LONGEST_DESCRIPTION: Final = 10_000
MOST_LOCALES: Final = 20
MOST_OFFERS: Final = 20
MOST_PERIODS: Final = 20
MOST_ATTRIBUTES: Final = 64
MOST_VALUES: Final = 100
LONGEST_VALUE: Final = 512
MOST_FILTERS: Final = 8
LONGEST_QUERY: Final = 200
MOST_WORDS: Final = 8
LONGEST_PAGE: Final = 200


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """Terms that an item is sold on. Periods are whole hours, times are microseconds UTC.

    A rental of one clock runs for its period from its start. One of two clocks has to be played
    within its period, and ends `finish_within_hours` after the first play. `starts_at` is when a
    showing begins, `zone` the time zone of its place. `capacity` is how many can be sold or held
    at once (None: any number); `hold_minutes` how long a place stays in a cart. With `hard_stop`
    no rental outlives the item's window.
    """

    code: str
    kind: OfferKind
    periods: tuple[int, ...] = ()
    clocks: Clocks = 1
    finish_within_hours: int | None = None
    starts_at: int | None = None
    zone: str | None = None
    capacity: int | None = None
    hold_minutes: int = HOLD_MINUTES
    hard_stop: bool = False


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """What an owner sells. `number` orders items by age; `version` counts changes from 1.

    `capacity` bounds all offers together, beside what each of them bounds itself. Consumers see it
    while it is published and inside its window (`available_from` to `available_until`).
    """

    id: str
    number: int
    code: str
    owner: str
    kind: str
    title: Texts
    description: Texts
    attributes: Attributes
    offers: tuple[Offer, ...]
    capacity: int | None
    available_from: int | None
    available_until: int | None
    state: ItemState
    version: int
    created_at: int
    updated_at: int


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """What an owner says of an item."""

    kind: str
    title: Texts
    description: Texts = msgspec.field(default_factory=dict)
    attributes: Attributes = msgspec.field(default_factory=dict)
    offers: tuple[Offer, ...] = ()
    capacity: int | None = None
    available_from: int | None = None
    available_until: int | None = None


class Availability(msgspec.Struct, frozen=True, kw_only=True):
    """How many places of an offer are left; None is any number.

    Where none is, `free_at` is when the first one that somebody holds of the item may be.
    """

    offer: str
    left: int | None
    free_at: int | None = None


class Sight(msgspec.Struct, frozen=True, kw_only=True):
    """Which items somebody may see: `owner` only theirs; `on_sale` only what can be bought now."""

    owner: str | None = None
    on_sale: bool = False


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What is looked for: all words of `query`, a kind, a state, attributes with a value or any."""

    query: str = ""
    kind: str | None = None
    state: ItemState | None = None
    attributes: tuple[tuple[str, str | None], ...] = ()


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """One page of what was found. `suggestion` is the query as it was probably meant."""

    items: tuple[Item, ...]
    next: str | None = None
    suggestion: str | None = None


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A place in somebody's cart, on a hold of the ledger (none where places do not run out).

    It is theirs until `expires_at`; None is without an end (pinned, while money moves). `taking`
    is the ledger operation that sold it.
    """

    id: str
    item: str
    offer: str
    consumer: str
    hold: int | None
    taken_at: int
    expires_at: int | None
    renewals: int
    taking: int | None = None
    ended_at: int | None = None
    ended_by: Literal["sold", "released", "expired", "returned"] | None = None


class Purchase(msgspec.Struct, frozen=True, kw_only=True):
    """A purchase on its way: what is bought by whom, the place pinned for it, what came of it.

    `event` is the id of its `marketplace.purchase.initiated`, None when billing began it.
    """

    id: str
    consumer: str
    item: str
    offer: str
    period_hours: int | None
    starts_at: int | None
    order: str | None
    place: str | None
    state: PurchaseState
    created_at: int
    updated_at: int
    event: str | None = None
    entitlement: str | None = None
    rental: str | None = None


class PurchaseTerms(msgspec.Struct, frozen=True, kw_only=True):
    """What a buyer chose. `place` is one of their own; without it one is taken."""

    item: str
    offer: str
    period_hours: int | None = None
    starts_at: int | None = None
    place: str | None = None
    order: str | None = None


class ItemUnknown(Refusal):
    """There is no such item."""

    code: ClassVar[str] = "item_unknown"


class ItemTaken(Refusal):
    """An item of this code exists."""

    code: ClassVar[str] = "item_taken"


class ItemArchived(Refusal):
    """The item is archived: it does not change and is not sold any more."""

    code: ClassVar[str] = "item_archived"


class ItemIncomplete(Refusal):
    """A published item has an offer."""

    code: ClassVar[str] = "item_incomplete"


class ItemChanged(Refusal):
    """Another change was first; read the item, then change it again."""

    code: ClassVar[str] = "item_changed"


class ItemNotOnSale(Refusal):
    """The item is not on sale now."""

    code: ClassVar[str] = "item_not_on_sale"


class OwnerUnfit(Refusal):
    """An item's owner is an active operator with the role owner or admin."""

    code: ClassVar[str] = "item_owner_refused"


class CapacityInUse(Refusal):
    """More places are sold or held than would be left."""

    code: ClassVar[str] = "capacity_in_use"


class OfferRefused(Refusal):
    """What is said of the item, or of one of its offers, contradicts itself."""

    code: ClassVar[str] = "offer_refused"


class OfferUnknown(Refusal):
    """The item has no such offer."""

    code: ClassVar[str] = "offer_unknown"


class PeriodRefused(Refusal):
    """The offer has no such period, or not from that start."""

    code: ClassVar[str] = "period_refused"


class SoldOut(Refusal):
    """There is no place left."""

    code: ClassVar[str] = "sold_out"


class PlaceUnknown(Refusal):
    """There is no such place."""

    code: ClassVar[str] = "place_unknown"


class PlaceEnded(Refusal):
    """The place is not held any more."""

    code: ClassVar[str] = "place_ended"


class PlacePinned(Refusal):
    """A purchase of this place is under way."""

    code: ClassVar[str] = "place_pinned"


class RenewalsExceeded(Refusal):
    """A place is renewed at most 10 times."""

    code: ClassVar[str] = "renewals_exceeded"


class AlreadyEntitled(Refusal):
    """The consumer has this already."""

    code: ClassVar[str] = "already_entitled"


class PurchaseUnknown(Refusal):
    """There is no such purchase."""

    code: ClassVar[str] = "purchase_unknown"


class PurchaseTaken(Refusal):
    """This id is another purchase's."""

    code: ClassVar[str] = "purchase_taken"


class PurchasePending(Refusal):
    """A purchase of the same is under way."""

    code: ClassVar[str] = "purchase_pending"
