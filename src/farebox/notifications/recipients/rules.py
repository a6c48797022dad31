"""What is taken over from others' words about somebody, and which word counts."""

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from farebox.kernel.periods import zone_of
from farebox.kernel.refusals import ValueRefused
from farebox.notifications.recipients.model import PHONE, Card, Recipient

# Whoever has an address proves it by letting a letter arrive; this keeps out what cannot be one,
# and whatever means something else in a letter's head: commas, quotes, angle brackets, line ends.
_LOCAL: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_DOMAIN: Final = re.compile(r"[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})*")
_LONGEST_LOCAL: Final = 64
_LONGEST_DOMAIN: Final = 253
_PHONE: Final = re.compile(PHONE)
_LOCALE: Final = re.compile(r"[a-z]{2,3}([-_][A-Za-z0-9]{2,8})*")
UNSAID: Final = {"locale": "en", "zone": "UTC"}
"""What every customer of billing begins with, which is nobody's word."""


def email_of(text: object) -> str | None:
    """Return an address for letters if this is one, else None; a domain in its ASCII form.

    What stands before the `@` is ASCII: not every server on the way takes other letters.
    """
    if not isinstance(text, str):
        return None
    local, _, domain = text.rpartition("@")
    try:
        domain = domain.encode("idna").decode("ascii")
    except UnicodeError:
        return None
    if len(local) > _LONGEST_LOCAL or len(domain) > _LONGEST_DOMAIN:
        return None
    return f"{local}@{domain}" if _LOCAL.fullmatch(local) and _DOMAIN.fullmatch(domain) else None


def phone_of(text: object) -> str | None:
    """Return a phone number in the international form (+79161234567) if this is one, else None."""
    if not isinstance(text, str):
        return None
    digits = re.sub(r"[ ()-]", "", text)
    return digits if _PHONE.fullmatch(digits) else None


def locale_of(text: object) -> str | None:
    """Return a language tag if this is one, else None."""
    return text if isinstance(text, str) and _LOCALE.fullmatch(text) else None


def zone_named(text: object) -> str | None:
    """Return a time zone's name if this is one, else None."""
    if not isinstance(text, str):
        return None
    try:
        return zone_of(text).key
    except ValueRefused:
        return None


def told_card(before: Card, told: Card, at: int, *, unsaid: Mapping[str, str]) -> Card:
    """Return a card after somebody's newer word.

    A language that has not changed keeps its time. One of `unsaid` counts as said only after
    another one was.
    """
    locale, locale_at = _said(before.locale, before.locale_at, told.locale, at, unsaid["locale"])
    zone, zone_at = _said(before.zone, before.zone_at, told.zone, at, unsaid["zone"])
    return msgspec.structs.replace(
        told, locale=locale, locale_at=locale_at, zone=zone, zone_at=zone_at
    )


def merged(recipient: str, cards: list[Card]) -> Recipient:
    """Return somebody as all cards together say: the later word counts, billing's address first.

    A customer's address was entered to be written to; a consumer's metadata is free text.
    """
    ordered = sorted(cards, key=lambda card: card.origin == "consumer")
    return Recipient(
        id=recipient,
        name=_first(card.name for card in ordered) or "",
        email=_first(card.email for card in ordered),
        phone=_first(card.phone for card in ordered),
        locale=_latest([(card.locale_at, card.locale) for card in ordered]),
        zone=_latest([(card.zone_at, card.zone) for card in ordered]),
    )


def _said(
    before: str | None, before_at: int, told: str | None, at: int, unsaid: str
) -> tuple[str | None, int]:
    if told == before or (before is None and told == unsaid):
        return before, before_at
    return told, at


def _first(values: Any) -> str | None:  # noqa: ANN401 - any iterable of texts and None
    return next((value for value in values if value), None)


def _latest(said: list[tuple[int, str | None]]) -> str | None:
    found = [(at, value) for at, value in said if value is not None]
    return max(found, key=lambda each: each[0])[1] if found else None
