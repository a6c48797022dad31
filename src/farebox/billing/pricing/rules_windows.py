"""Commitments by windows of time: what each window owes, and of what that is made up.

A window's usage at its price is u, its commitment c. Up to c the window owes u, or c with true-up;
above it c + (u - c) x factor. Price 2, commitment 10, factor 2, true-up: a window of 2 units owes
10, one of 8 owes 10 + 6 x 2 = 22 (Flexprice).
"""

from collections.abc import Sequence
from fractions import Fraction

from farebox.billing.pricing.model_charges import Windowed, WindowTerms
from farebox.billing.pricing.model_rating import Window, WindowsRated
from farebox.billing.pricing.rules_tiers import NONE, quantity_of
from farebox.kernel.refusals import ValueRefused
from farebox.kernel.rounding import exact

_LAST_HOUR = 23


def windows(charge: Windowed, used: Sequence[Window]) -> WindowsRated:
    """Rate each window by the terms of the hour in which it begins.

    Every window of the period is given, those without usage too. Refuses (`value_invalid`) an
    hour that no day has and a quantity below 0.
    """
    found = [_window(_terms(charge, each.hour), quantity_of(each.quantity)) for each in used]
    return WindowsRated(
        amounts=tuple(sum(each, NONE) for each in found),
        utilised=sum((utilised for utilised, _, _ in found), NONE),
        overage=sum((overage for _, overage, _ in found), NONE),
        true_up=sum((true_up for _, _, true_up in found), NONE),
    )


def _terms(charge: Windowed, hour: int) -> WindowTerms:
    if not 0 <= hour <= _LAST_HOUR:
        raise ValueRefused("a window begins in an hour from 0 to 23")
    return next((each.terms for each in charge.hours if each.holds(hour)), charge.otherwise)


def _window(terms: WindowTerms, quantity: Fraction) -> tuple[Fraction, Fraction, Fraction]:
    """Return what lies within the commitment, what overage costs, and what is trued up."""
    due = quantity * exact(terms.unit)
    if terms.commitment is None:
        return due, NONE, NONE
    commitment = exact(terms.commitment)
    if due > commitment:
        return commitment, (due - commitment) * exact(terms.overage_factor), NONE
    return due, NONE, commitment - due if terms.true_up else NONE
