"""Currencies, for the contexts that keep money in them."""

from typing import Final

from farebox.billing.pricing.rules_currency import counted, places_of

CURRENCIES: Final = counted()
"""Every currency that amounts can be counted in, in the order of their codes."""


def scale_of(currency: str) -> int:
    """Return a currency's decimal places by ISO 4217; refuses `currency_unknown`."""
    return places_of(currency)
