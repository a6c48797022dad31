"""The copies: what things are called, and when rentals may be played."""

from typing import Any, Literal

import msgspec

TitleKind = Literal["item", "product"]
Title = dict[str, str]
"""What a thing is called, by language; under the empty name what it is called in any."""


class Counted(msgspec.Struct, frozen=True, kw_only=True):
    """What a product is called, and how it is counted: 150 with scale 2 is 1.50 units."""

    title: Title
    unit: str | None = None
    scale: int = 0


class RentalTold(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What access tells of a rental. `change` says what was done to it, `by` who did it."""

    rental_id: str
    consumer_id: str
    item_id: str
    offer: str
    order_id: str | None
    starts_at: str
    ends_at: str
    period_hours: int
    version: int
    revoked_at: str | None
    change: str | None = None
    changed_by: str | None = None


class RentalCopy(msgspec.Struct, frozen=True, kw_only=True):
    """A rental as access told it last. Times are microseconds UTC."""

    rental: str
    order_id: str | None
    consumer: str
    item: str
    offer: str
    starts_at: int
    ends_at: int
    period_hours: int
    version: int
    revoked: bool


class ChangePart(msgspec.Struct, frozen=True, kw_only=True):
    """Both halves of a rental's other period: what billing took, and what access did."""

    paid: dict[str, Any]
    done: dict[str, Any]
