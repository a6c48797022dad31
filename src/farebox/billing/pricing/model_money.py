"""What the rules beside the charge models speak of: coupons, taxes, rates, notes, refusals.

Amounts are whole numbers of a currency's smallest unit; where a value may still have a fraction
(`Exact`), the field says so. Percentages are decimals: 20 is 20 %.
"""

from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Literal

import msgspec

from farebox.kernel.refusals import Refusal
from farebox.kernel.rounding import Exact

Level = Literal["line", "rate", "total"]


class Coupon(msgspec.Struct, frozen=True, kw_only=True):
    """A discount: a percentage or a fixed amount, for so many periods, on what it is limited to.

    `periods` is for how many billed periods it applies: 1 is once, None for ever. Limited to
    nothing it applies to every line; else to a line of any product, plan or item named here.
    `most_uses` counts redemptions by all consumers, `most_uses_each` by one.
    """

    code: str
    percent: Decimal | None = None
    amount: int | None = None
    currency: str | None = None
    periods: int | None = 1
    products: frozenset[str] = frozenset()
    plans: frozenset[str] = frozenset()
    items: frozenset[str] = frozenset()
    valid_from_us: int | None = None
    valid_until_us: int | None = None
    most_uses: int | None = None
    most_uses_each: int | None = None


class Redemption(msgspec.Struct, frozen=True, kw_only=True):
    """A coupon in a consumer's hands: since when, and in how many billed periods it was used."""

    coupon: Coupon
    redeemed_at_us: int = 0
    periods_used: int = 0


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """What a discount may apply to: an amount, and what it is for."""

    id: str
    amount: int
    product: str | None = None
    plan: str | None = None
    item: str | None = None


class LineDiscount(msgspec.Struct, frozen=True, kw_only=True):
    """What coupons take off one line, together and by code, in 10^-places of the smallest unit."""

    id: str
    amount: int
    by_code: dict[str, int]
    places: int = 0

    @property
    def exactly(self) -> Fraction:
        """Return what is taken off, in the smallest unit."""
        return Fraction(self.amount, 10**self.places)


class Discount(msgspec.Struct, frozen=True, kw_only=True):
    """What coupons take off an invoice. `by_code` and `total` are in the smallest unit."""

    lines: tuple[LineDiscount, ...]
    by_code: dict[str, int]
    total: int


class Rate(msgspec.Struct, frozen=True):
    """One tax: its code and its percentage."""

    code: str
    percent: Decimal


class PlaceRate(msgspec.Struct, frozen=True, kw_only=True):
    """The taxes of a country, or of one of its regions, for everything or for one category."""

    country: str
    region: str | None = None
    category: str | None = None
    rates: tuple[Rate, ...]


class TaxLine(msgspec.Struct, frozen=True, kw_only=True):
    """What is taxed: what is left of a line after discounts. Its own rates go before others."""

    id: str
    amount: Exact
    rates: tuple[Rate, ...] | None = None


class LineTax(msgspec.Struct, frozen=True, kw_only=True):
    """A line with its taxes: `net + tax = gross`."""

    id: str
    net: int
    tax: int
    gross: int
    by_rate: dict[str, int]


class RateTotal(msgspec.Struct, frozen=True, kw_only=True):
    """One row of an invoice's breakdown: what one rate was computed on, and what it came to."""

    code: str
    percent: Decimal
    base: Fraction
    tax: int


class Tax(msgspec.Struct, frozen=True, kw_only=True):
    """The taxes of an invoice: `net + tax = gross`, and each is the sum of its lines."""

    lines: tuple[LineTax, ...]
    breakdown: tuple[RateTotal, ...]
    net: int
    tax: int
    gross: int


class VatNumber(msgspec.Struct, frozen=True, kw_only=True):
    """A VAT number whose check digits are right; kept as evidence, with when it was checked."""

    country: str
    number: str
    checked_at_us: int


class TaxedParty(msgspec.Struct, frozen=True, kw_only=True):
    """What of a customer decides about tax. `country` is an ISO code of two letters."""

    country: str
    region: str | None = None
    exempt_because: str | None = None
    vat: VatNumber | None = None


class Treatment(msgspec.Struct, frozen=True, kw_only=True):
    """Whether tax is charged; where not, the note that the invoice must carry, and the evidence."""

    kind: Literal["taxed", "exempt", "reverse_charge"]
    note: str | None = None
    evidence: VatNumber | None = None


class DayRate(msgspec.Struct, frozen=True, kw_only=True):
    """One unit of `base` is `rate` units of `quote`, from a day on, as `source` says."""

    base: str
    quote: str
    day: date
    rate: Decimal
    source: str


class Converted(msgspec.Struct, frozen=True, kw_only=True):
    """An amount in another currency, with the rates by which it was converted."""

    amount: int
    currency: str
    rate: Fraction
    used: tuple[DayRate, ...]


class BilledLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line as it was invoiced: before its discount, the discount, and its own rates then."""

    id: str
    amount: int
    discount: Exact = 0
    rates: tuple[Rate, ...] = ()


class Billed(msgspec.Struct, frozen=True, kw_only=True):
    """An invoice as a credit note sees it: its lines, tax, total, and how much of it was paid.

    `inclusive` says that the amounts of its lines contain the tax.
    """

    lines: tuple[BilledLine, ...]
    tax: int
    total: int
    paid: int
    inclusive: bool = False


class NoteItem(msgspec.Struct, frozen=True, kw_only=True):
    """How much of a line, before its discount, is credited."""

    line: str
    amount: int


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """A credit note: `subtotal + tax = total`, and items less adjustment are the subtotal.

    Of an invoice with prices that contain the tax, items less adjustment are the total.

    `adjustment` is the share of the discounts that is taken back; `tax_exactly` is the tax before
    it was rounded. The total is `canceled` (a debt that is owed no more) + `refund` + `credit`.
    """

    items: tuple[NoteItem, ...]
    adjustment: int
    subtotal: int
    tax: int
    tax_exactly: Fraction
    total: int
    canceled: int
    refund: int
    credit: int


class PartRefused(Refusal):
    """A part of a period lies within it and does not end before it starts."""

    code = "part_invalid"


class CouponInvalid(Refusal):
    """A coupon takes off either a percentage or an amount, within what is possible."""

    code = "coupon_invalid"


class CouponNotValidNow(Refusal):
    """The coupon is not valid at this time."""

    code = "coupon_not_valid_now"


class CouponUsedUp(Refusal):
    """The coupon has been used as often as it may be."""

    code = "coupon_used_up"


class CouponNotForThis(Refusal):
    """The coupon is not for any of these lines, or not for this currency."""

    code = "coupon_not_for_this"


class TaxRefused(Refusal):
    """A tax rate is from 0 to 100 percent, and each has one code."""

    code = "tax_invalid"


class VatNumberRefused(Refusal):
    """This is not a VAT number of a member state of the European Union."""

    code = "vat_number_invalid"


class CurrencyUnknown(Refusal):
    """This is not a currency of ISO 4217 that amounts can be counted in."""

    code = "currency_unknown"


class CurrenciesMixed(Refusal):
    """Amounts of different currencies are not added."""

    code = "currencies_mixed"


class RateUnknown(Refusal):
    """There is no rate between these currencies for this day."""

    code = "rate_unknown"


class NoteRefused(Refusal):
    """A credit note credits lines of its invoice, and at most what is left of them."""

    code = "credit_exceeds_invoice"


class RefundRefused(Refusal):
    """A refund is at most what was paid and not refunded yet."""

    code = "refund_exceeds_payment"
