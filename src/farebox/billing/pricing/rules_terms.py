"""Terms of a charge as people and tables have them: JSON in which every price is a decimal string.

A number of JSON is no price: who writes 0.1 there may have had a float in hand. And half a
millionth would be shown as 5E-7. So prices go out plain ("0.0000005") and come in as strings only.
"""

from decimal import Decimal
from typing import Final

import msgspec

from farebox.billing.pricing.model_rating import ChargeTerms
from farebox.kernel.refusals import ValueRefused

# What is counted, not priced.
_WHOLE: Final = frozenset({"blocks", "free_events", "from_hour", "to_hour"})
Plain = str | int | bool | None | list["Plain"] | dict[str, "Plain"]


def read_terms(content: bytes | str) -> ChargeTerms:
    """Read terms; refuses (`value_invalid`), with the place, what `ChargeTerms` does not allow.

    Refused are numbers where a decimal string belongs, unknown fields and models, and terms that
    cannot be rated.
    """
    try:
        found = msgspec.json.decode(content)
        _check(found, "charge terms")
        return msgspec.convert(found, ChargeTerms)
    except (msgspec.ValidationError, msgspec.DecodeError, RecursionError) as error:
        raise ValueRefused(f"the terms of a charge: {error}") from error


def show_terms(terms: ChargeTerms) -> dict[str, Plain]:
    """Return terms as JSON has them: objects, lists, and every price a plain decimal string."""
    shown = _plain(msgspec.to_builtins(terms, builtin_types=(Decimal,)))
    assert isinstance(shown, dict)
    return shown


def write_terms(terms: ChargeTerms) -> str:
    """Write terms as one line of JSON; `read_terms` gives back the same."""
    return msgspec.json.encode(show_terms(terms)).decode()


def _check(value: object, place: str) -> None:
    if isinstance(value, dict):
        for name, each in value.items():
            if name not in _WHOLE or isinstance(each, float):
                _check(each, f"{place}.{name}")
    elif isinstance(value, list):
        for at, each in enumerate(value):
            _check(each, f"{place}[{at}]")
    elif isinstance(value, int | float) and not isinstance(value, bool):
        raise ValueRefused(f"{place} is a decimal string, not a number")


def _plain(value: object) -> Plain:
    if isinstance(value, dict):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, Decimal):
        return f"{value:f}"
    assert value is None or isinstance(value, str | int)
    return value
