"""Roles and what each allows; the form of keys and how they are hashed."""

import hmac
import zlib
from collections.abc import Mapping
from typing import Final

from farebox.platform.model import Permission, Principal, Role

GENERATED: Final = "fb_live_"
RANDOM_LETTERS: Final = 32
DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_CHECKSUM_LETTERS: Final = 6

_DECIDER: Final = frozenset({Permission.DECIDE, Permission.RESOLVE, Permission.ACCOUNTS})
PERMISSIONS: Final[Mapping[Role, frozenset[Permission]]] = {
    "admin": frozenset(Permission),
    "vendor": frozenset({
        Permission.READ, Permission.PRODUCTS, Permission.CONSUMERS, Permission.SUSPEND,
        Permission.KEYS, Permission.GROUPS, Permission.BUCKETS, Permission.GRANT,
        Permission.PLANS, Permission.DECIDE,
    }),
    "provider": _DECIDER | {Permission.REDEEM, Permission.INTROSPECT},
    "edge": _DECIDER,
    "support": frozenset({
        Permission.READ, Permission.READ_AUDIT, Permission.READ_EVENTS, Permission.SUSPEND,
        Permission.GRANT,
    }),
    "viewer": frozenset({Permission.READ}),
    # These two get their rights with the parts of the platform that they are for.
    "billing": frozenset({Permission.READ, Permission.READ_EVENTS}),
    "owner": frozenset(),
}  # fmt: skip


def may(principal: Principal, permission: Permission) -> bool:
    """Tell whether an operator's roles allow something; a consumer's roles allow nothing here."""
    if principal.kind != "operator":
        return False
    return any(permission in PERMISSIONS.get(role, ()) for role in principal.roles)  # type: ignore[call-overload]


def checksum(body: str) -> str:
    """Return six letters over everything before them: CRC-32 in base 62, padded with `0`."""
    number, text = zlib.crc32(body.encode()), ""
    while number:
        number, digit = divmod(number, 62)
        text = DIGITS[digit] + text
    return text.rjust(_CHECKSUM_LETTERS, "0")


def checksum_ok(key: str) -> bool:
    """Tell whether a key may exist: a generated one only with a good checksum, others always."""
    if not key.startswith(GENERATED):
        return True
    body, end = key[:-_CHECKSUM_LETTERS], key[-_CHECKSUM_LETTERS:]
    try:
        return checksum(body) == end
    except UnicodeEncodeError:
        return False


def hash_credential(pepper: bytes, key: str) -> bytes:
    """Return the digest that a key is found by: HMAC-SHA-256 under the pepper."""
    return hmac.digest(pepper, key.encode("utf-8", "surrogatepass"), "sha256")
