"""What promotions take off a list price: of several that hold, the one that takes off most.

They are never added up. A percentage is rounded half up on the line: 15 % of 333.33 is 50.00, to
pay 283.33; an amount takes off no more than there is. Coupons come after that, on what is left.
"""

from collections.abc import Iterable
from typing import Any, Final

from farebox.billing.pricing.model_prices import Priced
from farebox.billing.pricing.model_promotions import (
    LONGEST_NAME,
    Promoted,
    Promotion,
    PromotionRefused,
)
from farebox.billing.pricing.rules_currency import places_of
from farebox.billing.pricing.rules_prices import check_subject
from farebox.kernel.amounts import is_amount
from farebox.kernel.clock import show_time
from farebox.kernel.rounding import exact, rounded
from farebox.platform.rules import checked_text

_ALL: Final = 100
_MOST_PLACES: Final = 12


def check_promotion(one: Promotion) -> Promotion:
    """Return a promotion that can be applied.

    Refuses `value_invalid`, `price_refused`, `currency_unknown`, and (`promotion_invalid`) one that
    takes off nothing, or both, or ends before it begins.
    """
    checked_text(one.name, "a promotion's name", longest=LONGEST_NAME)
    check_subject(one.priced)
    if (one.percent is None) == (one.amount is None):
        raise PromotionRefused("it takes off either a percentage or an amount")
    if one.percent is not None:
        if not (one.percent.is_finite() and 0 < one.percent <= _ALL):
            raise PromotionRefused("a percentage is above 0 and at most 100")
        if int(one.percent.as_tuple().exponent) < -_MOST_PLACES:
            raise PromotionRefused(f"a percentage has at most {_MOST_PLACES} decimal places")
    if (one.amount is None) != (one.currency is None):
        raise PromotionRefused("an amount has a currency, a percentage has none")
    if one.currency is not None:
        places_of(one.currency)
        if not is_amount(one.amount):
            raise PromotionRefused("an amount is at least 1")
    if one.valid_until is not None and one.valid_until <= one.valid_from:
        raise PromotionRefused("it is valid from before it is valid until")
    return one


def holds(one: Promotion, priced: Priced, currency: str, now: int) -> bool:
    """Tell whether a promotion lowers the price of something now: until its end, exclusively."""
    return (
        (one.of, one.code) == (priced.of, priced.code)
        and one.offer in {None, priced.offer}
        and one.period_hours in {None, priced.period_hours}
        and one.currency in {None, currency}
        and one.valid_from <= now
        and (one.valid_until is None or now < one.valid_until)
    )


def off(one: Promotion, list_fee: int) -> int:
    """Return what a promotion takes off a line."""
    if one.percent is not None:
        return rounded(exact(one.percent) * list_fee / _ALL)
    assert one.amount is not None
    return min(one.amount, list_fee)


def best(
    promotions: Iterable[Promotion], list_fee: int, *, priced: Priced, currency: str, now: int
) -> Promoted | None:
    """Return the promotion that takes most off a line now, among equals the newest; None for none.

    What takes nothing off (1 % of 0.01) is none.
    """
    held = [(off(one, list_fee), one) for one in promotions if holds(one, priced, currency, now)]
    taking = [(taken, one) for taken, one in held if taken > 0]
    if not taking:
        return None
    taken, one = max(taking, key=lambda each: (each[0], each[1].created_at, each[1].id))
    return Promoted(
        id=one.id,
        name=one.name,
        off=taken,
        percent=None if one.percent is None else f"{one.percent:f}",
        valid_until=one.valid_until,
    )


def facts_of(one: Promotion) -> dict[str, Any]:
    """Return a promotion as events and the audit log tell it."""
    return {
        "promotion": one.id,
        "name": one.name,
        "of": one.of,
        "code": one.code,
        "offer": one.offer,
        "periodHours": one.period_hours,
        "percent": None if one.percent is None else f"{one.percent:f}",
        "amount": one.amount,
        "currency": one.currency,
        "validFrom": show_time(one.valid_from),
        "validUntil": None if one.valid_until is None else show_time(one.valid_until),
    }
