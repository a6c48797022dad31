"""From lines to totals, for carts, previews, orders and invoices alike: `totals` with the facts.

A line of a price is what the price's terms bill for a quantity. Then coupons are taken off, then
taxes are put on: a line's own rates, else those of the payer's place at that time. Where the payer
is unknown, the seller's place counts.
"""

from collections.abc import Iterable, Sequence
from decimal import Decimal

import msgspec

from farebox.billing.pricing.model_charges import BY_QUANTITY, Flat
from farebox.billing.pricing.model_money import PlaceRate, Rate, Redemption, Treatment
from farebox.billing.pricing.model_prices import Price
from farebox.billing.pricing.model_quotes import NOTHING, AmountTooLarge, Means, QuoteLine
from farebox.billing.pricing.model_rating import Usage, UsageNotPriced
from farebox.billing.pricing.model_taxes import Payer, TaxesMixed, TaxSettings
from farebox.billing.pricing.rules_commitments import bill
from farebox.billing.pricing.rules_currency import one_currency, places_of
from farebox.billing.pricing.rules_tax import rates_at, treatment_of
from farebox.billing.pricing.rules_totals import Totals, totals
from farebox.kernel.amounts import MAX_AMOUNT


class Quote(Totals, frozen=True, kw_only=True):
    """Totals with what they were made from.

    `rates` are the taxes of each line by its id, also where the `treatment` charges none.
    `redemptions` are the coupons that took something off.
    """

    currency: str
    inclusive: bool
    treatment: Treatment
    rates: dict[str, tuple[Rate, ...]]
    redemptions: tuple[Redemption, ...]


def line_of(
    price: Price,
    *,
    name: str,
    usage: Usage | None = None,
    quantity: Decimal | int = 1,
) -> QuoteLine:
    """Return the line that a price bills for a quantity, or for the usage of a period.

    `name` is the line's id in its quote. Refuses `value_invalid` for a quantity below 0, and
    (`usage_not_priced`) a quantity where the charge needs to know more of the usage.
    """
    if usage is None and not isinstance(price.terms.charge, (Flat, *BY_QUANTITY)):
        raise UsageNotPriced("this price is not charged by a quantity alone")
    used = usage or Usage(quantity=Decimal(quantity))
    amount = bill(price.terms, used, places=places_of(price.currency)).total
    return QuoteLine(
        id=name,
        amount=amount,
        currency=price.currency,
        inclusive=price.tax_behaviour == "inclusive",
        tax_category=price.tax_category,
        product=price.code if price.of == "product" else None,
        plan=price.code if price.of == "plan" else None,
        item=price.code if price.of == "item" else None,
    )


def place_of(payer: Payer, settings: TaxSettings) -> str:
    """Return the country whose taxes count for a payer; "" where nothing is known."""
    return payer.country or settings.country or ""


def quote(
    lines: Sequence[QuoteLine],
    redemptions: Iterable[Redemption],
    *,
    payer: Payer,
    settings: TaxSettings,
    table: Sequence[PlaceRate],
    means: Means = NOTHING,
) -> Quote:
    """Return what lines come to, with the coupons that are held and the taxes of a table.

    Coupons in another currency are left out. Refuses `currencies_mixed`, `taxes_mixed`, an amount
    beyond 2^53 - 1 (`amount_too_large`), and what `totals` refuses.
    """
    currency = one_currency(line.currency for line in lines)
    inclusive = _one_behaviour(lines)
    _check_amounts(line.amount for line in lines)
    country = place_of(payer, settings)
    rates = {line.id: _rates_of(line, table, country, payer.region) for line in lines}
    treatment = treatment_of(
        msgspec.structs.replace(payer, country=country), seller_country=settings.country or country
    )
    fitting = [each for each in redemptions if each.coupon.currency in {None, currency}]
    made = totals(
        lines,
        fitting,
        own_rates=rates,
        treatment=treatment,
        inclusive=inclusive,
        level=settings.level,
        notes=means.notes,
        prepaid=means.prepaid,
        before_tax=means.before_tax,
    )
    _check_amounts([made.fees, made.tax.gross])
    return Quote(
        **{name: getattr(made, name) for name in Totals.__struct_fields__},
        currency=currency,
        inclusive=inclusive,
        treatment=treatment,
        rates=rates,
        redemptions=tuple(each for each in fitting if each.coupon.code in made.discount.by_code),
    )


def _one_behaviour(lines: Sequence[QuoteLine]) -> bool:
    found = {line.inclusive for line in lines if line.amount}
    if len(found) > 1:
        raise TaxesMixed
    return True in found


def _rates_of(
    line: QuoteLine, table: Sequence[PlaceRate], country: str, region: str | None
) -> tuple[Rate, ...]:
    if line.rates is not None:
        return line.rates
    return rates_at(table, country=country, region=region, category=line.tax_category)


def _check_amounts(amounts: Iterable[int]) -> None:
    for amount in amounts:
        if type(amount) is not int or abs(amount) > MAX_AMOUNT:
            raise AmountTooLarge
