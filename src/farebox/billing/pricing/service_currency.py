"""Currencies, for the contexts that keep money in them."""

from farebox.billing.pricing.rules_currency import places_of


def scale_of(currency: str) -> int:
    """Return a currency's decimal places by ISO 4217; refuses `currency_unknown`."""
    return places_of(currency)
