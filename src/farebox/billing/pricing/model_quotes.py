"""What a quote is made of: lines of one currency, taxed as their prices say."""

from typing import ClassVar

import msgspec

from farebox.billing.pricing.model_money import Line, Rate
from farebox.kernel.refusals import Refusal


class QuoteLine(Line, frozen=True, kw_only=True):
    """A line of a cart, an order or an invoice; its amount is in the currency's smallest unit.

    An `inclusive` amount contains its taxes. `rates` are the line's own taxes; without them those
    of the payer's place are taken, of `tax_category` where that has its own. Below 0 it is a credit
    (for what was not used), which no coupon touches.
    """

    currency: str
    inclusive: bool = False
    tax_category: str | None = None
    rates: tuple[Rate, ...] | None = None


class Means(msgspec.Struct, frozen=True, kw_only=True):
    """What there is to pay with, in smallest units: used as far as something is owed.

    Credit notes first, then prepaid credits; what is `before_tax` lowers what is taxed instead.
    """

    notes: int = 0
    prepaid: int = 0
    before_tax: int = 0


NOTHING: Means = Means()


class AmountTooLarge(Refusal):
    """An amount of money is a whole number within 2^53 - 1, alone and added up."""

    code: ClassVar[str] = "amount_too_large"
