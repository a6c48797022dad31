"""What each kind of letter says, as facts: kept with the letter, put into words when it is sent.

Amounts are whole numbers of the currency's smallest unit, times microseconds UTC. A title is by
language; under the empty name stands what a thing is called in any.
"""

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from farebox.notifications.letters.model import LetterKind

Title = dict[str, str]


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """Base of what letters say."""


class AccountOpened(Facts, frozen=True, kw_only=True):
    """An account was opened with so much on it."""

    product: Title
    amount: int
    scale: int = 0


class BoughtLine(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was bought. A rental has both times; `given` is whether it could be given.

    `returned` is whether it has gone back before the whole order was given.
    """

    title: Title
    amount: int
    starts_at: int | None = None
    ends_at: int | None = None
    hours: int | None = None
    given: bool = True
    returned: bool = False


class Purchase(Facts, frozen=True, kw_only=True):
    """An order was paid and what it is for was given."""

    order: str
    currency: str
    total: int
    discount: int
    lines: tuple[BoughtLine, ...]


class Reminder(Facts, frozen=True, kw_only=True):
    """A rental ends soon. `version` counts the rental's ends."""

    rental: str
    version: int
    title: Title
    ends_at: int


class RentalChanged(Facts, frozen=True, kw_only=True):
    """A rental has another start or another period.

    `amount` above 0 was charged, below 0 went back; None where it was free.
    """

    rental: str
    change: Literal["extended", "shortened", "moved"]
    title: Title
    starts_at: int
    ends_at: int
    hours: int
    amount: int | None = None
    currency: str | None = None


class ChangeFailed(Facts, frozen=True, kw_only=True):
    """A rental could not get another period; nothing was charged for it."""

    rental: str
    title: Title
    hours: int
    reason: str
    missing: int | None = None
    currency: str | None = None


class Refund(Facts, frozen=True, kw_only=True):
    """Money went back. `taken` tells that what was bought is gone with it.

    `undone` tells that it could not be given in the first place, `by_bank` that it was no refund of
    ours: a bank has taken the payment back, and what was bought is gone with it.
    """

    order: str
    currency: str
    amount: int
    titles: tuple[Title, ...]
    taken: bool
    undone: bool
    by_bank: bool = False


class Document(Facts, frozen=True, kw_only=True):
    """An invoice or a credit note, whose PDF comes with the letter.

    `digest` is the SHA-256 of the PDF in hex.
    """

    document: str
    invoice: str
    number: str
    currency: str
    total: int
    due: int
    due_at: int | None = None
    address: str | None = None
    digest: str | None = None


class PaymentFailed(Facts, frozen=True, kw_only=True):
    """A payment did not come. `next_at` is when it is tried again by itself."""

    what: Literal["order", "subscription"]
    reference: str
    reason: str
    amount: int | None = None
    currency: str | None = None
    next_at: int | None = None


class Quota(Facts, frozen=True, kw_only=True):
    """So many percent of a quota are used."""

    product: Title
    percent: int
    limit: int
    used: int
    remaining: int
    scale: int = 0
    unit: str | None = None
    resets_at: int | None = None


class BalanceLow(Facts, frozen=True, kw_only=True):
    """A wallet has come to its low level."""

    currency: str
    available: int
    level: int


class TopUp(Facts, frozen=True, kw_only=True):
    """A wallet was filled, or could not be (`reason`)."""

    currency: str
    amount: int
    automatic: bool
    reason: str | None = None


class TopUpStopped(Facts, frozen=True, kw_only=True):
    """A wallet is not filled by itself any more, until somebody sets it anew."""

    currency: str
    reason: str


FACTS: Final[Mapping[LetterKind, type[Facts]]] = {
    "account_opened": AccountOpened,
    "purchase": Purchase,
    "reminder": Reminder,
    "rental_changed": RentalChanged,
    "change_failed": ChangeFailed,
    "refund": Refund,
    "invoice": Document,
    "credit_note": Document,
    "payment_failed": PaymentFailed,
    "quota_near": Quota,
    "quota_used_up": Quota,
    "balance_low": BalanceLow,
    "top_up_filled": TopUp,
    "top_up_failed": TopUp,
    "top_up_stopped": TopUpStopped,
}
