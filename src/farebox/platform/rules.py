"""Roles and what each allows; the form of keys and how they are hashed."""

import hmac
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, TypeVar

from farebox.kernel.refusals import ValueRefused
from farebox.platform.model import (
    LARGEST_PAGE,
    LONGEST_CREDENTIAL,
    LONGEST_LABEL,
    MOST_SCOPES,
    ROLES,
    Actor,
    Credential,
    Page,
    Permission,
    Principal,
    Role,
)

T = TypeVar("T")
GENERATED: Final = "fb_live_"
RANDOM_LETTERS: Final = 32
DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_CHECKSUM_LETTERS: Final = 6
_SCOPE: Final = frozenset(DIGITS + "._:-")
LEAST_PRIORITY: Final = -(2**31)
LAST_PRIORITY: Final = 2**31 - 2
"""The ledger's own priority, for drawing on a credit limit, is the one after it."""

_DECIDER: Final = frozenset({Permission.DECIDE, Permission.RESOLVE, Permission.ACCOUNTS})
PERMISSIONS: Final[Mapping[Role, frozenset[Permission]]] = {
    "admin": frozenset(Permission),
    "vendor": frozenset({
        Permission.READ, Permission.PRODUCTS, Permission.CONSUMERS, Permission.SUSPEND,
        Permission.KEYS, Permission.GROUPS, Permission.BUCKETS, Permission.GRANT,
        Permission.PLANS, Permission.DECIDE, Permission.SUBSCRIPTIONS, Permission.ENTITLEMENTS,
        Permission.READ_ITEMS, Permission.GATEWAYS,
    }),
    "provider": _DECIDER | {Permission.REDEEM, Permission.INTROSPECT},
    "edge": _DECIDER,
    "support": frozenset({
        Permission.READ, Permission.READ_AUDIT, Permission.READ_EVENTS, Permission.SUSPEND,
        Permission.GRANT, Permission.DEAD_LETTERS, Permission.SUBSCRIPTIONS,
        Permission.ENTITLEMENTS, Permission.READ_ITEMS, Permission.PURCHASES, Permission.RENTALS,
        Permission.CUSTOMERS, Permission.ORDERS,
    }),
    "viewer": frozenset({Permission.READ, Permission.READ_ITEMS}),
    # These two get their rights with the parts of the platform that they are for.
    "billing": frozenset({
        Permission.READ, Permission.READ_EVENTS, Permission.BILLING_EVENTS, Permission.READ_ITEMS,
        Permission.PRICES,
        Permission.REPORTS, Permission.CUSTOMERS, Permission.WALLETS,
        Permission.PAYMENTS, Permission.PAYOUTS,
        Permission.ORDERS, Permission.REFUNDS,
        Permission.INVOICES,
    }),
    "owner": frozenset({Permission.READ_ITEMS, Permission.ITEMS}),
}  # fmt: skip


def may(principal: Principal, permission: Permission) -> bool:
    """Tell whether an operator's roles allow something; a consumer's roles allow nothing here."""
    if principal.kind != "operator":
        return False
    return any(permission in PERMISSIONS.get(role, ()) for role in principal.roles)  # type: ignore[call-overload]


def actor_of(principal: Principal, reason: str | None = None) -> Actor:
    """Return who acts when this principal does something, and why."""
    why = None if reason is None else checked_text(reason, "a reason", longest=1024)
    return Actor(kind=principal.kind, id=principal.id, reason=why)


def checked_roles(roles: Iterable[str]) -> tuple[Role, ...]:
    """Return known roles, each once, in the order of the role table; refuses others."""
    wanted = set(roles)
    if unknown := wanted - set(ROLES):
        raise ValueRefused(f"there is no role {min(unknown)!r}; there are {', '.join(ROLES)}")
    return tuple(role for role in ROLES if role in wanted)


def checked_scopes(scopes: Iterable[str]) -> tuple[str, ...]:
    """Return scopes, each once, in their order; refuses what is no code, and too many."""
    wanted = tuple(dict.fromkeys(scopes))
    if len(wanted) > MOST_SCOPES:
        raise ValueRefused(f"a key has at most {MOST_SCOPES} scopes")
    for scope in wanted:
        if not scope or len(scope) > LONGEST_LABEL or not set(scope) <= _SCOPE:
            raise ValueRefused("a scope is a code: letters, digits and . _ : - in ASCII")
    return wanted


def checked_text(text: str, what: str, *, longest: int, least: int = 1) -> str:
    """Return a text that every engine stores and every page shows as one line, else refuse it."""
    if not least <= len(text) <= longest:
        raise ValueRefused(f"{what} has {least} to {longest} characters")
    if any(letter < " " or "\x7f" <= letter < "\xa0" for letter in text):
        raise ValueRefused(f"{what} has no control characters")
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        raise ValueRefused(f"{what} is not well-formed Unicode")
    return text


def checked_priority(priority: int) -> int:
    """Return a priority if it is one of 32 bits, else refuse it."""
    if type(priority) is not int or not LEAST_PRIORITY <= priority <= LAST_PRIORITY:
        raise ValueRefused(f"a priority is a whole number from {LEAST_PRIORITY} to {LAST_PRIORITY}")
    return priority


def checked_limit(limit: int) -> int:
    """Return the size of a page if it is 1 to 1,000, else refuse it."""
    if not 1 <= limit <= LARGEST_PAGE:
        raise ValueRefused(f"a page has 1 to {LARGEST_PAGE} entries")
    return limit


def page_of(found: Sequence[T], limit: int, cursor: Callable[[T], str]) -> Page[T]:
    """Return a page of what was found; one entry more than `limit` says that there is another."""
    items = tuple(found[:limit])
    return Page(items=items, next=cursor(items[-1]) if len(found) > limit else None)


def checked_imported_key(key: str) -> str:
    """Return a key from elsewhere if it can be used as one, else refuse it.

    Any 1 to 512 characters will do. Only what looks like a key of ours must carry its checksum,
    because such a key is refused without a look-up.
    """
    if not 1 <= len(key) <= LONGEST_CREDENTIAL:
        raise ValueRefused(f"a credential has 1 to {LONGEST_CREDENTIAL} characters")
    if not checksum_ok(key):
        raise ValueRefused(f"a credential that begins with {GENERATED} carries its checksum")
    return key


def hint_of(key: str) -> str:
    """Return the last four characters, by which people tell their keys apart.

    A short key shows less: what is left must not be guessed from it.
    """
    shown = min(4, len(key) // 4)
    text = key[len(key) - shown :]
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def key_of(random_letters: str) -> str:
    """Return a generated key: brand, environment, random letters, checksum (edge.md, section 6)."""
    body = GENERATED + random_letters
    return body + checksum(body)


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


def is_live(credential: Credential, now: int) -> bool:
    """Tell whether a key works now: neither revoked nor expired."""
    ended = credential.expires_at is not None and credential.expires_at <= now
    return credential.revoked_at is None and not ended


def hash_credential(pepper: bytes, key: str) -> bytes:
    """Return the digest that a key is found by: HMAC-SHA-256 under the pepper."""
    return hmac.digest(pepper, key.encode("utf-8", "surrogatepass"), "sha256")
