"""What something costs: the one code of carts, previews, orders and invoices.

It changes nothing. Whoever makes a bill of a quote counts the coupons that it used
(`service_coupons.use_discounts`) and marks the prices (`service_prices.use_price`).
"""

from collections.abc import Sequence
from decimal import Decimal

from farebox.billing.pricing.model_money import Redemption
from farebox.billing.pricing.model_prices import Price
from farebox.billing.pricing.model_quotes import NOTHING, Means, QuoteLine
from farebox.billing.pricing.model_rating import Usage
from farebox.billing.pricing.model_taxes import Payer
from farebox.billing.pricing.rules_currency import one_currency
from farebox.billing.pricing.rules_quotes import Quote, place_of, quote
from farebox.billing.pricing.rules_quotes import line_of as _line_of
from farebox.billing.pricing.service_coupons import discounts_for, redeemable
from farebox.billing.pricing.service_tax import tax_settings, tax_table
from farebox.storage import Tx


def line_of(
    price: Price,
    *,
    name: str,
    usage: Usage | None = None,
    quantity: Decimal | int = 1,
) -> QuoteLine:
    """Return the line that a price bills for a quantity, or for the usage of a period.

    `name` is the line's id in its quote. Refuses `value_invalid` for a quantity below 0, and
    `usage_not_priced`.
    """
    return _line_of(price, name=name, usage=usage, quantity=quantity)


def total_of(
    tx: Tx,
    lines: Sequence[QuoteLine],
    customer: Payer,
    at: int,
    *,
    subscription: str | None = None,
    coupons: Sequence[str] = (),
    means: Means = NOTHING,
) -> Quote:
    """Return what lines come to for a customer at an instant: coupons, then tax, then what is due.

    The customer's own coupons count, those of the subscription too if one is named; `coupons` are
    codes that are entered and not redeemed yet. Refuses `currencies_mixed`, `taxes_mixed`,
    `amount_too_large`, and what `redeem` refuses of a code.
    """
    currency = one_currency(line.currency for line in lines)
    held: list[Redemption] = []
    if customer.id is not None:
        held += discounts_for(tx, customer.id, subscription)
    known = {each.coupon.code for each in held}
    entered = [code for code in coupons if code not in known]
    held += redeemable(tx, entered, customer.id, lines=lines, currency=currency, at=at)
    settings = tax_settings(tx)
    table = tax_table(tx, place_of(customer, settings), at)
    return quote(lines, held, payer=customer, settings=settings, table=table, means=means)
