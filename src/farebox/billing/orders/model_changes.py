"""Another period of a rental: what it costs or brings, and what became of it."""

from typing import ClassVar, Literal

import msgspec

from farebox.kernel.refusals import Refusal

ChangeState = Literal["paid", "done", "undone", "refused"]


class RentalChange(msgspec.Struct, frozen=True, kw_only=True):
    """A longer rental was charged (`amount` above 0), a shorter one given back (below 0).

    It is `done` when access has changed the rental, and `undone` when access could not: then the
    money has gone back. `id` is that of the event that asked for it.
    """

    id: str
    line: str
    rental: str
    from_hours: int
    to_hours: int
    amount: int
    state: ChangeState
    at: int
    reason: str | None = None
    ended_at: int | None = None


class RentalQuote(msgspec.Struct, frozen=True, kw_only=True):
    """What another period would cost: above 0 is charged, below 0 goes back."""

    order: str
    line: str
    currency: str
    from_hours: int
    to_hours: int
    fee_before: int
    fee_after: int
    net: int
    tax: int
    amount: int


class RentalUnknown(Refusal):
    """No order has sold this rental."""

    code: ClassVar[str] = "rental_unknown"


class PeriodNotPriced(Refusal):
    """There was no price for this period when the rental was bought."""

    code: ClassVar[str] = "period_not_priced"


class ShorteningRefused(Refusal):
    """A rental is made shorter before it starts only, and where its policy gives money back."""

    code: ClassVar[str] = "shortening_refused"
