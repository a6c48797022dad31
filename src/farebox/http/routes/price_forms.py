"""How prices, percentages and currencies look on the wire, for whatever names them."""

from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from farebox.billing.pricing.model_coupons import LONGEST_COUPON
from farebox.billing.pricing.model_prices import (
    LONGEST_PERIOD_HOURS,
    LONGEST_REFERENCE,
    LONGEST_WORD,
    MOST_REFERENCES,
    MOST_UNITS,
    Of,
    Price,
    PriceRefused,
    PriceState,
    PriceTerms,
    PriceUnit,
    Recurring,
    Reference,
    Scalar,
    TaxBehaviour,
    Timing,
)
from farebox.billing.pricing.rules_terms import read_terms, show_terms
from farebox.billing.pricing.service_currency import CURRENCIES
from farebox.contracts.decisions import LARGEST_QUANTITY
from farebox.http.wire import Body, Metadata, Time, View, show_time
from farebox.kernel.refusals import ValueRefused

Code = Annotated[str, Meta(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]*$")]
Currency = Annotated[
    str,
    Meta(
        pattern=r"^[A-Z]{3}$",
        description="ISO 4217",
        extra_json_schema={"enum": list(CURRENCIES)},
    ),
]
Percent = Annotated[
    str,
    Meta(
        pattern=r"^(100(\.0{1,12})?|[0-9]{1,2}(\.[0-9]{1,12})?)$",
        description="A decimal string from 0 to 100",
    ),
]
Quantity = Annotated[
    str,
    Meta(pattern=r"^[0-9]{1,15}(\.[0-9]{1,12})?$", description="A decimal string"),
]
CouponCode = Annotated[
    str, Meta(max_length=LONGEST_COUPON, pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]*$")
]
Version = Annotated[
    int, Meta(ge=1, le=LARGEST_QUANTITY, description="The version that the change is made from")
]
TaxCategory = Annotated[
    str, Meta(min_length=1, max_length=LONGEST_WORD, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")
]
_EXAMPLE: Final = {
    "charge": {
        "model": "graduated",
        "tiers": [{"up_to": "1000", "unit": "0.01"}, {"unit": "0.005", "flat": "2"}],
    },
    "minimum": "5",
}
Terms = Annotated[
    dict[str, Any],
    Meta(
        description="A charge, and what is agreed around it; every price is a decimal string",
        examples=[_EXAMPLE],
    ),
]


class RecurringForm(Body, frozen=True):
    """Due every `count` units."""

    unit: PriceUnit
    count: Annotated[int, Meta(ge=1, le=MOST_UNITS)] = 1


class ReferenceForm(Body, frozen=True):
    """What a payment provider calls the price; such a name is one price."""

    provider: Annotated[str, Meta(max_length=LONGEST_WORD, pattern=r"^[!-~]+$")]
    reference: Annotated[str, Meta(max_length=LONGEST_REFERENCE, pattern=r"^[!-~]+$")]


References = Annotated[tuple[ReferenceForm, ...], Meta(max_length=MOST_REFERENCES)]
PeriodHours = Annotated[int, Meta(ge=1, le=LONGEST_PERIOD_HOURS)]


class TermsForm(Body, frozen=True, kw_only=True):
    """What of a price may change. Without `recurring` it is due once.

    With `tax_behaviour` inclusive the price contains its taxes.
    """

    terms: Terms
    recurring: RecurringForm | None = None
    timing: Timing = "advance"
    tax_behaviour: TaxBehaviour = "exclusive"
    tax_category: TaxCategory | None = None
    providers: References = ()
    metadata: Metadata = msgspec.field(default_factory=dict)


class CreatePrice(TermsForm, frozen=True, kw_only=True):
    """A price of something in the catalogue. An item's may be that of an offer, and of a period."""

    of: Of
    code: Code
    currency: Currency
    offer: Code | None = None
    period_hours: PeriodHours | None = None


class ReplacePrice(TermsForm, frozen=True, kw_only=True):
    """The terms as a whole; what is not given is as in a new price."""

    expected_version: Version | None = None


class RecurringView(View, frozen=True):
    """Due every `count` units."""

    unit: PriceUnit
    count: int


class ReferenceView(View, frozen=True):
    """What a payment provider calls the price."""

    provider: str
    reference: str


class PriceView(View, frozen=True):
    """A version of a price. One that is `in_use` stays; a change makes the next.

    Providers' names and metadata are for operators.
    """

    id: str
    of: Of
    code: str
    offer: str | None
    period_hours: int | None
    currency: str
    terms: dict[str, Any]
    recurring: RecurringView | None
    timing: Timing
    tax_behaviour: TaxBehaviour
    tax_category: str | None
    providers: list[ReferenceView]
    metadata: dict[str, Scalar]
    version: int
    state: PriceState
    in_use: bool
    created_at: Time
    changed_at: Time


def read_price_terms(form: TermsForm) -> PriceTerms:
    """Return the terms that a request says; refuses (`price_refused`) those that are none."""
    try:
        charged = read_terms(msgspec.json.encode(form.terms))
    except ValueRefused as error:
        raise PriceRefused(error.detail) from error
    recurring = form.recurring
    return PriceTerms(
        terms=charged,
        recurring=None
        if recurring is None
        else Recurring(unit=recurring.unit, count=recurring.count),
        timing=form.timing,
        tax_behaviour=form.tax_behaviour,
        tax_category=form.tax_category,
        providers=tuple(
            Reference(provider=each.provider, reference=each.reference) for each in form.providers
        ),
        metadata=dict(form.metadata),
    )


def show_price(price: Price, *, whole: bool = True) -> PriceView:
    """Return a price as the API shows it: `whole` to operators, less of it to consumers."""
    recurring = price.recurring
    return PriceView(
        id=price.id,
        of=price.of,
        code=price.code,
        offer=price.offer,
        period_hours=price.period_hours,
        currency=price.currency,
        terms=show_terms(price.terms),
        recurring=None
        if recurring is None
        else RecurringView(unit=recurring.unit, count=recurring.count),
        timing=price.timing,
        tax_behaviour=price.tax_behaviour,
        tax_category=price.tax_category,
        providers=[
            ReferenceView(provider=each.provider, reference=each.reference)
            for each in price.providers
            if whole
        ],
        metadata=price.metadata if whole else {},
        version=price.version,
        state=price.state,
        in_use=price.used,
        created_at=show_time(price.created_at),
        changed_at=show_time(price.changed_at),
    )
