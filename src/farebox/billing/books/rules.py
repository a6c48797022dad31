"""What may stand in the books."""

from typing import Final

from farebox.billing.books.model import CHART, WALLET, ChartUnknown, Kind

_NAMED: Final = frozenset({"cash", "tax", "payable", "fees"})
LONGEST_NAME: Final = 120


def checked_account(name: str) -> str:
    """Return the name of an account; refuses (`chart_unknown`) what the chart does not have.

    `cash`, `tax`, `payable` and `fees` are kept apart for whoever is named after the colon.
    Wallets are buckets: they are changed by grants and uses, never by name.
    """
    head, colon, whose = name.partition(":")
    if head not in CHART or head == WALLET:
        raise ChartUnknown(f"{name!r} is no account of the chart")
    if (head in _NAMED) != bool(colon and whose) or len(name) > LONGEST_NAME:
        raise ChartUnknown(f"{name!r} does not say whose it is as its account asks")
    return name


def kind_of(name: str) -> Kind:
    """Return what an account is."""
    return CHART[name.partition(":")[0]]
