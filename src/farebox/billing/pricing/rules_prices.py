"""What a price may look like, and which of several prices is meant."""

import re
from collections.abc import Iterable
from typing import Any, Final, get_args

from farebox.billing.copies.model import ItemCopy
from farebox.billing.pricing.model_prices import (
    LONGEST_CODE,
    LONGEST_PERIOD_HOURS,
    LONGEST_REFERENCE,
    LONGEST_TERMS,
    LONGEST_VALUE,
    LONGEST_WORD,
    MOST_METADATA,
    MOST_REFERENCES,
    MOST_UNITS,
    Of,
    Price,
    Priced,
    PricedUnknown,
    PriceRefused,
    PriceTerms,
    PriceUnit,
    Recurring,
    Reference,
)
from farebox.billing.pricing.rules_currency import places_of
from farebox.billing.pricing.rules_terms import show_terms, write_terms
from farebox.kernel.amounts import MAX_AMOUNT
from farebox.kernel.refusals import ValueRefused
from farebox.platform.rules import checked_text

_CODE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
_VISIBLE: Final = re.compile(r"[!-~]+")


def check_code(code: str) -> str:
    """Return a code if it can stand in a path as it is, else refuse it (`value_invalid`)."""
    if _CODE.fullmatch(code) is None:
        raise ValueRefused(f"a code is 1 to {LONGEST_CODE} letters, digits and . _ : - in ASCII")
    return code


def check_priced(priced: Priced, currency: str) -> None:
    """Refuse (`value_invalid`, `price_refused`, `currency_unknown`) what no price is for."""
    places_of(currency)
    check_subject(priced)


def check_subject(priced: Priced) -> None:
    """Refuse (`value_invalid`, `price_refused`) what nothing of the catalogue can be."""
    if priced.of not in get_args(Of):
        raise ValueRefused(f"a price is of a {', '.join(get_args(Of))}")
    check_code(priced.code)
    if priced.offer is not None:
        check_code(priced.offer)
    if priced.of != "item" and priced.offer is not None:
        raise PriceRefused("only items have offers")
    if priced.period_hours is None:
        return
    if priced.offer is None:
        raise PriceRefused("a period is one of an offer")
    if not 1 <= priced.period_hours <= LONGEST_PERIOD_HOURS:
        raise ValueRefused(f"a period has 1 to {LONGEST_PERIOD_HOURS} hours")


def check_offer(priced: Priced, item: ItemCopy) -> None:
    """Refuse (`priced_unknown`) an offer, or a period of it, that an item does not have."""
    if priced.offer is None:
        return
    offer = next((each for each in item.offers if each.code == priced.offer), None)
    if offer is None:
        raise PricedUnknown(f"the item has no offer {priced.offer}")
    if priced.period_hours is not None and priced.period_hours not in offer.periods:
        raise PricedUnknown(f"the offer has no period of {priced.period_hours} hours")


def check_terms(terms: PriceTerms) -> None:
    """Refuse (`value_invalid`, `price_refused`) terms that contradict each other."""
    if len(write_terms(terms.terms)) > LONGEST_TERMS:
        raise PriceRefused(f"the terms of a charge have at most {LONGEST_TERMS} letters")
    _check_recurring(terms.recurring)
    if terms.recurring is None and terms.timing != "advance":
        raise PriceRefused("what is due once is due in advance")
    if terms.tax_category is not None:
        checked_text(terms.tax_category, "a tax category", longest=LONGEST_WORD)
    _check_references(terms.providers)
    if len(terms.metadata) > MOST_METADATA:
        raise ValueRefused(f"metadata has at most {MOST_METADATA} entries")
    for name, value in terms.metadata.items():
        checked_text(name, "a name in metadata", longest=LONGEST_WORD)
        if isinstance(value, str):
            checked_text(value, "a value in metadata", longest=LONGEST_VALUE, least=0)
        elif value is not None and abs(value) > MAX_AMOUNT:
            raise ValueRefused(f"a number in metadata is within {MAX_AMOUNT}")


def _check_recurring(recurring: Recurring | None) -> None:
    if recurring is None:
        return
    if recurring.unit not in get_args(PriceUnit):
        raise ValueRefused(f"a price is due every {', '.join(get_args(PriceUnit))}")
    if type(recurring.count) is not int or not 1 <= recurring.count <= MOST_UNITS:
        raise ValueRefused(f"a period has 1 to {MOST_UNITS} units")


def _check_references(references: tuple[Reference, ...]) -> None:
    if len(references) > MOST_REFERENCES:
        raise ValueRefused(f"a price has at most {MOST_REFERENCES} references of providers")
    if len(set(references)) != len(references):
        raise PriceRefused("a reference is named once")
    for one in references:
        for text, longest in ((one.provider, LONGEST_WORD), (one.reference, LONGEST_REFERENCE)):
            if len(text) > longest or _VISIBLE.fullmatch(text) is None:
                raise ValueRefused("a provider and its reference are visible ASCII characters")


def terms_of(price: PriceTerms) -> PriceTerms:
    """Return of a price what a new version may change."""
    return PriceTerms(**{name: getattr(price, name) for name in PriceTerms.__struct_fields__})


def narrowest(prices: Iterable[Price], priced: Priced) -> Price | None:
    """Return the price that fits best: of the very period, else of the offer, else of the item.

    Among equals the newest.
    """
    fitting = [
        price
        for price in prices
        if price.offer in {None, priced.offer} and price.period_hours in {None, priced.period_hours}
    ]
    return max(fitting, key=_fit, default=None)


def _fit(price: Price) -> tuple[bool, bool, int, str]:
    return price.period_hours is not None, price.offer is not None, price.created_at, price.id


def facts_of(price: Price) -> dict[str, Any]:
    """Return a price as events and the audit log tell it."""
    recurring = price.recurring
    return {
        "price": price.id,
        "of": price.of,
        "code": price.code,
        "offer": price.offer,
        "periodHours": price.period_hours,
        "currency": price.currency,
        "terms": show_terms(price.terms),
        "recurring": None
        if recurring is None
        else {"unit": recurring.unit, "count": recurring.count},
        "timing": price.timing,
        "taxBehaviour": price.tax_behaviour,
        "taxCategory": price.tax_category,
        "providers": [
            {"provider": each.provider, "reference": each.reference} for each in price.providers
        ],
        "metadata": price.metadata,
        "version": price.version,
        "state": price.state,
    }
