"""A recipient: a consumer or a group of access, who may be a customer of billing as well."""

from typing import Final, Literal

import msgspec

PHONE: Final = r"^\+[1-9][0-9]{6,14}$"
"""A number in its international form (E.164)."""
Origin = Literal["consumer", "customer"]


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """What one service has told of somebody.

    `locale` and `zone` are None until somebody has named them; `locale_at` and `zone_at` are when
    they were last named (microseconds UTC). A device has an `owner`, to whom its letters go.
    """

    origin: Origin
    id: str
    name: str = ""
    owner: str | None = None
    email: str | None = None
    phone: str | None = None
    locale: str | None = None
    locale_at: int = 0
    zone: str | None = None
    zone_at: int = 0


class Recipient(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody as letters reach them; `locale` and `zone` are None where nobody has named any."""

    id: str
    name: str
    email: str | None
    phone: str | None
    locale: str | None
    zone: str | None
