"""Amounts in providers' words."""

from typing import Final

from farebox.billing.pricing.service_currency import scale_of
from farebox.kernel.amounts import parse_amount, show_amount
from farebox.kernel.refusals import Refusal

# Where Stripe's smallest unit is not that of ISO 4217 (docs.stripe.com/currencies).
_STRIPE_PLACES: Final = {"ISK": 2, "UGX": 2, "MGA": 0}
_THREE_PLACES: Final = 3


def to_stripe(amount: int, currency: str) -> int | None:
    """Return an amount in Stripe's unit, or None where Stripe cannot take it exactly.

    Currencies of three decimal places are taken in steps of ten.
    """
    places = scale_of(currency)
    shift = _STRIPE_PLACES.get(currency, places) - places
    if shift >= 0:
        made = amount * _ten_to(shift)
        return None if places == _THREE_PLACES and made % 10 else made
    whole, rest = divmod(amount, _ten_to(-shift))
    return None if rest else whole


def from_stripe(amount: int, currency: str) -> int | None:
    """Return an amount of Stripe's in the currency's smallest unit, None where it has none."""
    places = scale_of(currency)
    shift = _STRIPE_PLACES.get(currency, places) - places
    if shift <= 0:
        return amount * _ten_to(-shift)
    whole, rest = divmod(amount, _ten_to(shift))
    return None if rest else whole


def to_decimal(amount: int, currency: str) -> str:
    """Return an amount as YooKassa writes it: `"500.00"`."""
    return show_amount(amount, scale_of(currency))


def from_decimal(value: str, currency: str) -> int | None:
    """Return an amount that YooKassa wrote, None for one that it could not have meant."""
    try:
        return parse_amount(value, scale_of(currency))
    except Refusal:
        return None


def _ten_to(places: int) -> int:
    assert places >= 0
    return int(10**places)
