"""Which letters there are, on which channels they go, and what a written one is."""

from typing import Final, Literal, get_args

import msgspec

Channel = Literal["mail", "sms"]
CHANNELS: Final[tuple[Channel, ...]] = get_args(Channel)
"""In the order in which one stands in for another. The inbox in the shop gets a copy of all."""
Form = Literal["mail", "sms", "inbox"]
FORMS: Final[tuple[Form, ...]] = get_args(Form)
LetterKind = Literal[
    "account_opened",
    "purchase",
    "reminder",
    "rental_changed",
    "change_failed",
    "refund",
    "invoice",
    "credit_note",
    "payment_failed",
    "quota_near",
    "quota_used_up",
    "balance_low",
    "top_up_filled",
    "top_up_failed",
    "top_up_stopped",
]
KINDS: Final[tuple[LetterKind, ...]] = get_args(LetterKind)
MONEY: Final[frozenset[LetterKind]] = frozenset(
    {
        "purchase",
        "rental_changed",
        "change_failed",
        "refund",
        "invoice",
        "credit_note",
        "payment_failed",
        "top_up_filled",
        "top_up_failed",
        "top_up_stopped",
    }
)
"""Letters about money: they cannot be switched off, but their channel can be chosen."""


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """In which language and zone a letter is written: one each, for its head, text and dates."""

    locale: str
    zone: str


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """A letter in words. A short message has no subject; `html` is for mail alone."""

    subject: str
    text: str
    html: str | None = None
