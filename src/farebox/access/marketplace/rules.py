"""What an item may look like, who may buy it and when, what an order's end means for a purchase."""

import re
from collections.abc import Mapping
from typing import Final

from farebox.access.marketplace.model import (
    LONGEST_CODE,
    LONGEST_DESCRIPTION,
    LONGEST_HOLD_MINUTES,
    LONGEST_PERIOD_HOURS,
    LONGEST_TITLE,
    LONGEST_VALUE,
    MOST_ATTRIBUTES,
    MOST_LOCALES,
    MOST_OFFERS,
    MOST_PERIODS,
    MOST_VALUES,
    Attribute,
    Attributes,
    Draft,
    Item,
    ItemNotOnSale,
    Offer,
    OfferKind,
    OfferRefused,
    OfferUnknown,
    PeriodRefused,
    Place,
    PlaceState,
    PurchaseFact,
    PurchaseState,
    Scalar,
    Texts,
)
from farebox.kernel.amounts import MAX_AMOUNT
from farebox.kernel.clock import LAST_US
from farebox.kernel.periods import zone_of
from farebox.kernel.refusals import ValueRefused
from farebox.platform.rules import checked_text

HOUR_US: Final = 3_600_000_000
MINUTE_US: Final = 60_000_000
FARTHEST_START_US: Final = 366 * 24 * HOUR_US
_CODE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
_LOCALE: Final = re.compile(r"[a-z]{2,3}(-[A-Z]{2})?")
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")

# -- items ---------------------------------------------------------------------------------------


def checked_item_code(code: str) -> str:
    """Return an item's or offer's code if it can stand in a path as it is, else refuse it."""
    if _CODE.fullmatch(code) is None:
        raise ValueRefused(f"a code is 1 to {LONGEST_CODE} letters, digits and . _ : - in ASCII")
    return code


def checked_draft(draft: Draft) -> Draft:
    """Return what is said of an item if it can be; refuses `value_invalid`, `offer_refused`."""
    checked_text(draft.kind, "a kind", longest=64)
    if not draft.title:
        raise ValueRefused("an item has a title")
    _check_texts(draft.title, "a title", longest=LONGEST_TITLE)
    _check_texts(draft.description, "a description", longest=LONGEST_DESCRIPTION, lines=True)
    _check_attributes(draft.attributes)
    _check_window(draft)
    _check_capacity(draft.capacity)
    if len(draft.offers) > MOST_OFFERS:
        raise ValueRefused(f"an item has at most {MOST_OFFERS} offers")
    if len({offer.code for offer in draft.offers}) != len(draft.offers):
        raise OfferRefused("offers of one item have different codes")
    for offer in draft.offers:
        _check_offer(offer)
    return draft


def _check_texts(texts: Texts, what: str, *, longest: int, lines: bool = False) -> None:
    if len(texts) > MOST_LOCALES:
        raise ValueRefused(f"{what} is given in at most {MOST_LOCALES} languages")
    for locale, text in texts.items():
        if _LOCALE.fullmatch(locale) is None:
            raise ValueRefused(f"{locale!r} is not a language like ru or en-GB")
        # Line ends are what one line may not have and a description may.
        plain = text.replace("\r\n", " ").replace("\n", " ") if lines else text
        checked_text(plain, what, longest=longest)


def _check_attributes(attributes: Attributes) -> None:
    if len(attributes) > MOST_ATTRIBUTES:
        raise ValueRefused(f"an item has at most {MOST_ATTRIBUTES} attributes")
    for name, value in attributes.items():
        if _NAME.fullmatch(name) is None:
            raise ValueRefused("an attribute's name is a letter, then letters, digits and . _ -")
        values = values_of(value)
        if len(values) > MOST_VALUES:
            raise ValueRefused(f"an attribute has at most {MOST_VALUES} values")
        for each in values:
            if isinstance(each, str):
                checked_text(each, "a text of an attribute", longest=LONGEST_VALUE, least=0)
            elif not -MAX_AMOUNT <= each <= MAX_AMOUNT:
                raise ValueRefused(f"a number of an attribute is within {MAX_AMOUNT}")


def _check_window(draft: Draft) -> None:
    start, end = draft.available_from, draft.available_until
    for instant in (start, end):
        if instant is not None and not 0 <= instant <= LAST_US:
            raise ValueRefused("a window lies between the years 1970 and 9999")
    if start is not None and end is not None and end <= start:
        raise OfferRefused("a window ends after it begins")


def _check_capacity(capacity: int | None) -> None:
    if capacity is not None and not 0 <= capacity <= MAX_AMOUNT:
        raise ValueRefused(f"a capacity is a whole number from 0 to {MAX_AMOUNT}")


def _check_offer(offer: Offer) -> None:
    checked_item_code(offer.code)
    _check_capacity(offer.capacity)
    if not 1 <= offer.hold_minutes <= LONGEST_HOLD_MINUTES:
        raise ValueRefused(f"a place is held for 1 to {LONGEST_HOLD_MINUTES} minutes")
    if len(offer.periods) > MOST_PERIODS:
        raise ValueRefused(f"an offer has at most {MOST_PERIODS} periods")
    if len(set(offer.periods)) != len(offer.periods):
        raise OfferRefused("an offer has each period once")
    hours = (*offer.periods, *(() if offer.finish_within_hours is None else _finish(offer)))
    if not all(1 <= each <= LONGEST_PERIOD_HOURS for each in hours):
        raise ValueRefused(f"a period is 1 to {LONGEST_PERIOD_HOURS} hours")
    if bool(offer.periods) != (offer.kind == "online_rental"):
        raise OfferRefused("a rental has periods, and nothing else has")
    if (offer.clocks == 2) != (offer.finish_within_hours is not None):  # noqa: PLR2004 - two clocks
        raise OfferRefused("two clocks need finish_within_hours, and one clock has none")
    if offer.clocks != 1 and offer.kind != "online_rental":
        raise OfferRefused("only a rental has two clocks")
    if offer.starts_at is not None and not (
        offer.kind == "theatre_ticket" and 0 <= offer.starts_at <= LAST_US
    ):
        raise OfferRefused("only a showing in the theatre has a start of its own")
    if offer.zone is not None:
        if offer.starts_at is None:
            raise OfferRefused("only a showing with a start has a time zone")
        zone_of(offer.zone)


def _finish(offer: Offer) -> tuple[int, ...]:
    return () if offer.finish_within_hours is None else (offer.finish_within_hours,)


def values_of(attribute: Attribute) -> list[Scalar]:
    """Return an attribute's values: one, or each of its list."""
    return attribute if isinstance(attribute, list) else [attribute]


def is_on_sale(item: Item, now: int) -> bool:
    """Tell whether consumers may see and buy an item now."""
    begun = item.available_from is None or item.available_from <= now
    over = item.available_until is not None and item.available_until <= now
    return item.state == "published" and begun and not over


def offer_of(item: Item, code: str) -> Offer:
    """Return an offer; refuses one that the item does not have (`offer_unknown`)."""
    for offer in item.offers:
        if offer.code == code:
            return offer
    raise OfferUnknown


# -- buying --------------------------------------------------------------------------------------

# What somebody who has one kind of offer may not buy of the same item: it would bring nothing.
_COVERS: Final[Mapping[OfferKind, frozenset[OfferKind]]] = {
    "theatre_ticket": frozenset({"theatre_ticket"}),
    "online_rental": frozenset({"online_rental"}),
    "purchase": frozenset({"online_rental", "purchase"}),
}


def covers(item: Item, owned: object, wanted: Offer) -> bool:
    """Tell whether an entitlement makes an offer pointless; `owned` is the offer it was sold on.

    An entitlement that no offer of the item brought (an operator's grant) covers all of them.
    """
    kinds = {offer.code: offer.kind for offer in item.offers}
    kind = kinds.get(owned) if isinstance(owned, str) else None
    return kind is None or wanted.kind in _COVERS[kind]


def check_terms(
    item: Item, offer: Offer, period_hours: int | None, start: int | None, now: int
) -> None:
    """Refuse what cannot be bought now: `item_not_on_sale`, `period_refused`.

    A rental needs one of its offer's periods, and may start later, within the item's window and a
    year; a showing is sold until it begins.
    """
    if not is_on_sale(item, now):
        raise ItemNotOnSale
    if offer.starts_at is not None and offer.starts_at <= now:
        raise ItemNotOnSale("the showing has begun")
    if offer.kind != "online_rental":
        if period_hours is not None or start is not None:
            raise PeriodRefused("only a rental has a period and a start")
        return
    if period_hours not in offer.periods:
        raise PeriodRefused(f"the offer has the periods {', '.join(map(str, offer.periods))}")
    if start is not None:
        check_start(item.available_until, start, now)


def check_start(window_end: int | None, start: int, now: int) -> None:
    """Refuse (`period_refused`) a start that has passed, is too far away or after the window."""
    if start < now:
        raise PeriodRefused("a rental does not start in the past")
    if start > now + FARTHEST_START_US or (window_end is not None and start >= window_end):
        raise PeriodRefused("a rental starts within a year and within the item's window")


def begins_at(offer: Offer, rental_start: int | None) -> int | None:
    """Return when the time of what was sold begins; None where it has no time of its own."""
    return rental_start if offer.kind == "online_rental" else offer.starts_at


def returns_place(begins: int | None, now: int) -> bool:
    """Tell whether a refund gives the place back.

    It does while the time of what was sold lies ahead: somebody else can still use it. What has no
    time of its own (a purchase for good) can always be sold again.
    """
    return begins is None or now < begins


def place_state(place: Place, now: int) -> PlaceState:
    """Return how a place stands, from its timestamps."""
    if place.ended_by is not None:
        return place.ended_by
    if place.expires_at is None:
        return "pinned"
    return "held" if now < place.expires_at else "expired"


# What the end of an order means for a purchase. `ended` is order.canceled, order.expired and
# payment.failed: no money moved. A fact that comes late or twice finds "nothing".
PURCHASE_STEPS: Final[Mapping[tuple[PurchaseState, PurchaseFact], str]] = {
    ("initiated", "completed"): "grant",
    ("initiated", "ended"): "release",
    ("initiated", "refunded"): "release_refunded",
    ("released", "completed"): "grant",  # the money came after all: a new place, or a refund
    ("released", "ended"): "nothing",
    ("released", "refunded"): "note_refund",
    ("fulfilled", "completed"): "nothing",
    ("fulfilled", "ended"): "nothing",  # what was granted goes by a refund alone
    ("fulfilled", "refunded"): "revoke",
    ("failed", "completed"): "nothing",
    ("failed", "ended"): "nothing",
    ("failed", "refunded"): "note_refund",
    ("refunded", "completed"): "nothing",  # the refund overtook it
    ("refunded", "ended"): "nothing",
    ("refunded", "refunded"): "nothing",
}
