"""How much goes back: policies, and how an amount is taken from charges.

A policy of three rules, asked about a rental of 283.33 that started and was not played: `started,
not played: 50` gives 141.67 (half up), and 141.66 stay.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final

from farebox.billing.orders.model import HOUR_US, Charge
from farebox.billing.orders.model_refunds import (
    RefundExceeds,
    RefundFacts,
    RefundPart,
    RefundPolicyRefused,
    RefundRule,
)
from farebox.billing.orders.rules import checked_percent, share_between
from farebox.kernel.refusals import ValueRefused
from farebox.kernel.rounding import rounded

MOST_RULES: Final = 50
OWN_REASONS: Final = frozenset({"own_wish"})
"""What somebody who is no operator may give as the reason."""
_OURS: Final = RefundRule(reason="our_fault", percent="100")
DEFAULTS: Final[Mapping[str, tuple[RefundRule, ...]]] = {
    "online_rental": (
        _OURS,
        RefundRule(played=True, percent="0"),
        RefundRule(started=False, percent="100"),
        RefundRule(started=True, played=False, percent="50"),
    ),
    # Basics of Culture Law of Russia, art. 52.1 (193-FZ of 18.07.2019): tickets that a visitor
    # returns. The law sets least percentages; these are they.
    "theatre_ticket": (
        _OURS,
        RefundRule(reason="illness", started=False, percent="100"),
        RefundRule(hours_before_start=240, percent="100"),
        RefundRule(hours_before_start=120, percent="50"),
        RefundRule(hours_before_start=72, percent="30"),
    ),
    "purchase": (_OURS, RefundRule(played=False, hours_since_order=24, percent="100")),
    "product": (_OURS, RefundRule(hours_since_order=24, percent="100")),
    "credits": (_OURS,),
}
"""The policies that there are before anybody writes one, by what they are for."""


def check_rules(rules: Sequence[RefundRule]) -> tuple[RefundRule, ...]:
    """Return rules that can be applied; refuses others (`refund_policy_invalid`)."""
    if not 1 <= len(rules) <= MOST_RULES:
        raise RefundPolicyRefused(f"a policy has 1 to {MOST_RULES} rules")
    for rule in rules:
        try:
            checked_percent(rule.percent)
        except ValueRefused as refusal:
            raise RefundPolicyRefused(refusal.detail) from refusal
        hours = (rule.hours_before_start, rule.hours_since_order)
        if any(each is not None and not 0 <= each <= 1_000_000 for each in hours):  # noqa: PLR2004 - a century
            raise RefundPolicyRefused("hours are from 0 to 1000000")
    return tuple(rules)


def percent_of(rules: Sequence[RefundRule], facts: RefundFacts) -> str:
    """Return how many percent go back: those of the first rule that fits, or 0."""
    return next((rule.percent for rule in rules if fits(rule, facts)), "0")


def fits(rule: RefundRule, facts: RefundFacts) -> bool:
    """Tell whether every condition of a rule holds. A time that is just reached counts."""
    started = facts.starts_at is not None and facts.starts_at <= facts.now
    played = facts.played_at is not None
    if rule.reason not in {None, facts.reason}:
        return False
    if rule.started not in {None, started} or rule.played not in {None, played}:
        return False
    if rule.hours_before_start is not None:
        left = None if facts.starts_at is None else facts.starts_at - facts.now
        if left is None or left < rule.hours_before_start * HOUR_US:
            return False
    since = rule.hours_since_order
    return since is None or facts.now - facts.ordered_at <= since * HOUR_US


def refund_of(percent: str, charged: int, refunded: int) -> int:
    """Return what goes back by a percentage of what was charged, at most what has not gone back."""
    wanted = rounded(charged * Decimal(percent) / 100)
    return max(0, min(wanted, charged - refunded))


def parts_of(charges: Sequence[Charge], amount: int) -> tuple[RefundPart, ...]:
    """Take an amount from charges, the latest first, each with its share of taxes and commission.

    Refuses (`refund_exceeds_charge`) more than is left, and (`value_invalid`) less than 1.
    """
    if type(amount) is not int or amount < 1:
        raise ValueRefused("what goes back is a whole number from 1")
    left, parts = amount, []
    for charge in sorted(charges, key=lambda one: (one.at, one.id), reverse=True):
        taken = min(left, charge.gross - charge.refunded)
        if taken:
            parts.append(_part(charge, taken))
            left -= taken
    if left:
        raise RefundExceeds(f"at most {amount - left} can go back")
    return tuple(parts)


def _part(charge: Charge, taken: int) -> RefundPart:
    before, after, of = charge.refunded, charge.refunded + taken, charge.gross
    return RefundPart(
        charge=charge.id,
        line=charge.line,
        gross=taken,
        taxes={code: share_between(tax, before, after, of) for code, tax in charge.taxes.items()},
        commission=share_between(charge.commission, before, after, of),
    )
