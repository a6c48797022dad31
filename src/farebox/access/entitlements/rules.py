"""What an entitlement is worth at an instant.

Nothing is switched off by a worker: an entitlement holds from its start until its end, one from a
plan while the subscription gives access, and a revoked one no more. An add-on's limit adds to
that of the product: both stand beside each other under one key, each with its own bucket.
"""

from typing import Final

from farebox.access.catalog.model import ProductEntitlement
from farebox.access.entitlements.model import (
    LONGEST_ROLE,
    MOST_ROLES,
    Entitlement,
    EntitlementState,
)
from farebox.kernel.clock import SECOND_US
from farebox.kernel.refusals import ValueRefused
from farebox.platform.rules import checked_text

DAY_US: Final = 86_400 * SECOND_US


def state_at(one: Entitlement, now: int, *, opened: bool) -> EntitlementState:
    """Return how an entitlement stands; `opened` tells whether its source gives access."""
    if one.revoked_at is not None and one.revoked_at <= now:
        return "revoked"
    if one.expires_at is not None and one.expires_at <= now:
        return "expired"
    if now < one.starts_at:
        return "scheduled"
    return "active" if opened else "suspended"


def is_for(one: Entitlement, role: str | None) -> bool:
    """Tell whether an entitlement is for a role; without roles it is for every one."""
    return role is None or not one.roles or role in one.roles


def end_of(line: ProductEntitlement, *, starts_at: int, source_ends_at: int | None) -> int | None:
    """Return when what a product brings ends: with its days or its source, whichever is first."""
    own = None if line.days is None else starts_at + line.days * DAY_US
    ends = [each for each in (own, source_ends_at) if each is not None]
    return min(ends, default=None)


def checked_roles(roles: tuple[str, ...]) -> tuple[str, ...]:
    """Return roles, each once, in their order; refuses too many and unprintable ones."""
    if len(roles) > MOST_ROLES:
        raise ValueRefused(f"an entitlement is for at most {MOST_ROLES} roles")
    return tuple(
        dict.fromkeys(checked_text(role, "a role", longest=LONGEST_ROLE) for role in roles)
    )


def checked_span(starts_at: int, expires_at: int | None) -> None:
    """Refuse an end that does not follow the start."""
    if expires_at is not None and expires_at <= starts_at:
        raise ValueRefused("an entitlement ends after it starts")
