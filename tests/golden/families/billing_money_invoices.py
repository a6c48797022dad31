"""Worked numbers of invoices: coupons and what they take off each line, taxes, what is due.

Lago keeps a coupon's share of a fee to 5 decimal places of a cent and rounds tax once, over the
invoice: that is `places=5, level="total"` here. The others share out whole cents and round tax on
each line, which is what ours does unless it is told otherwise.
"""

import re
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Final

import msgspec

from farebox.billing.pricing.model_money import (
    Coupon,
    Discount,
    Line,
    PlaceRate,
    Rate,
    Redemption,
    TaxedParty,
    TaxLine,
)
from farebox.billing.pricing.rules_discounts import check_coupon, discount
from farebox.billing.pricing.rules_tax import rates_at, tax, treatment_of, vat_number
from farebox.billing.pricing.rules_totals import Totals, totals
from farebox.kernel.rounding import rounded_to
from tests.golden.cases import Strange, Wrong
from tests.golden.families.billing_money_periods import in_cents
from tests.golden.worked import Player, Said, Sheet, Worked

LAGO_PLACES: Final = 5
_BASE: Final = re.compile(r"base_at_(\d+(?:\.\d+)?)_pct")


def rate(percent: Decimal) -> Rate:
    """Return a tax by its percentage; its code says the same."""
    return Rate(f"tax of {percent.normalize():f} %", percent)


def fixed(amount: int, number: int, **limits: frozenset[str]) -> Redemption:
    """Return a redeemed coupon of a fixed amount, the so-manyth."""
    plain_one = Coupon(code=f"fixed {number}", amount=amount, currency="EUR", periods=None)
    coupon = msgspec.structs.replace(plain_one, **limits)
    check_coupon(coupon)
    return Redemption(coupon=coupon, redeemed_at_us=number)


def percent(value: Decimal, number: int) -> Redemption:
    coupon = Coupon(code=f"percent {number}", percent=value, periods=None)
    check_coupon(coupon)
    return Redemption(coupon=coupon, redeemed_at_us=number)


def any_of(sheet: Sheet, number: int, limited: dict[str, str]) -> Redemption:
    """Read a coupon; `limited` says which kind of name a field's limits are."""
    limits = {kind: frozenset(sheet.raw(name)) for name, kind in limited.items() if name in sheet}
    if "pct" in sheet:
        return percent(sheet.number("pct"), number)
    return fixed(sheet.whole("fixed"), number, **limits)


def plain(amounts: Sequence[Decimal | int]) -> list[Line]:
    """Return lines that are for nothing in particular."""
    return [Line(id=str(place), amount=int(amount)) for place, amount in enumerate(amounts)]


def shares(found: Discount) -> list[Decimal]:
    """Return what is taken off each line, as a decimal."""
    return [rounded_to(LAGO_PLACES, line.exactly) for line in found.lines]


# -- coupons -------------------------------------------------------------------------------------


def order_and_allocation(sheet: Sheet, played: Worked) -> Said:
    sheet.text("amount_unit", "minor")
    fees = sheet.each("fees")
    lines = [
        Line(id=fee.text("id"), amount=fee.whole("amount"), product=fee.text("id"),
             plan=fee.text("plan"))
        for fee in fees
    ]  # fmt: skip
    limited = {"limited_to_metrics": "products", "limited_to_plans": "plans"}
    coupons = [
        any_of(each, number, limited)
        for number, each in enumerate(sheet.each("coupons_in_application_order"))
    ]
    own = {fee.text("id"): (rate(fee.number("tax_pct")),) for fee in fees}
    found = totals(lines, reversed(coupons), own_rates=own, places=LAGO_PLACES, level="total")
    wanted = played.case.expected["coupon_per_fee"]
    theirs = [Decimal(wanted[line.id]) for line in lines]
    ours = conserved(shares(found.discount), theirs, found.discount.total, played)
    return {
        "coupon_per_fee": {line.id: share for line, share in zip(lines, ours, strict=True)},
        **_in_all(found),
        "fees_total": found.fees,
        "subtotal_excl_tax": found.tax.net,
    }


def _in_all(found: Totals) -> dict[str, int]:
    return {
        "coupons_total": found.discount.total,
        "coupons_applied": found.discount.total,
        "taxes_total": found.tax.tax,
        "taxes": found.tax.tax,
        "total": found.due,
    }


def allocation_and_tax(sheet: Sheet, played: Worked) -> Said:
    sheet.text("amount_unit", "minor")
    fees = sheet.each("fees")
    found = totals(
        plain([fee.whole("amount") for fee in fees]),
        [fixed(sheet.whole("coupon_fixed"), 1)],
        own_rates={str(place): (rate(fee.number("tax_pct")),) for place, fee in enumerate(fees)},
        places=LAGO_PLACES,
        level="total",
    )
    return {
        "coupon_per_fee": shares(found.discount),
        "tax_per_fee": [line.tax for line in found.tax.lines],
        **_in_all(found),
    }


def coupons_on_total(sheet: Sheet, played: Worked) -> Said:
    sheet.text("amount_unit", "minor")
    coupons = [
        fixed(int(amount), number) for number, amount in enumerate(sheet.numbers("coupons_fixed"))
    ]
    lines = plain([sheet.whole("fees_total")])
    return _in_all(totals(lines, coupons, rates=[rate(sheet.number("tax_pct"))], level="total"))


def allocation(sheet: Sheet, played: Worked) -> Said:
    sheet.text("amount_unit", "minor")
    total = sheet.whole("coupons_fixed_total")
    found = discount(plain(sheet.numbers("fees")), [fixed(total, 1)], places=LAGO_PLACES)
    theirs = [Decimal(each) for each in played.case.expected["coupon_per_fee"]]
    return {"coupon_per_fee": conserved(shares(found), theirs, total, played)}


def conserved(
    ours: list[Decimal], theirs: list[Decimal], total: int, played: Worked
) -> list[Decimal]:
    """Return the expected shares where ours are those, but for what theirs lose in rounding.

    Ours add up to the coupons. Each of theirs, of one or two coupons, is rounded by itself.
    """
    if sum(ours) != total:
        raise Wrong(f"shares {ours} do not add up to {total}")
    grain = Decimal(2).scaleb(-LAGO_PLACES)
    near = len(ours) == len(theirs) and all(
        abs(one - other) <= grain for one, other in zip(ours, theirs, strict=True)
    )
    if ours == theirs or not near or abs(sum(theirs, Decimal(0)) - total) > grain:
        return ours
    played.ours("share_rounded_alone")
    return theirs


def fixed_per_line(sheet: Sheet, played: Worked) -> Said:
    sheet.text("amount_unit", "minor")
    sheet.text("method", "largest remainder")
    coupon = fixed(sheet.whole("discount_fixed"), 1)
    return {"per_line": shares(discount(plain(sheet.numbers("lines")), [coupon]))}


def percent_per_line(sheet: Sheet, played: Worked) -> Said:
    sheet.text("amount_unit", "minor")
    coupon = percent(sheet.number("discount_pct"), 1)
    return {"per_line": shares(discount(plain(sheet.numbers("lines")), [coupon]))}


def sequential(sheet: Sheet, played: Worked) -> Said:
    scale, back = in_cents(sheet)
    subtotal = scale(sheet.number("subtotal"))
    coupons = [percent(each, place) for place, each in enumerate(sheet.numbers("coupons_pct"))]
    found = discount(plain([subtotal]), coupons)
    taken = [found.by_code[each.coupon.code] for each in coupons]
    return {"discounts": [back(each) for each in taken], "total": back(subtotal - found.total)}


def stacked(sheet: Sheet, played: Worked) -> Said:
    """Play percentages and amounts in whatever order they are given: the result is one."""
    sheet.text("amount_unit", "minor")
    lines = plain([sheet.whole("subtotal")])
    coupons = [any_of(each, number, {}) for number, each in enumerate(sheet.each("coupons"))]
    given, turned = discount(lines, coupons).total, discount(lines, coupons[::-1]).total
    if given != turned:
        raise Wrong(f"{given} in one order, {turned} in the other")
    return {"discount": given}


def distribution(sheet: Sheet, played: Worked) -> Said:
    sheet.text("amount_unit", "minor")
    found = totals(plain(sheet.numbers("lines")), [fixed(sheet.whole("discount"), 1)])
    return {"taxable": [line.net for line in found.tax.lines]}


# -- tax -----------------------------------------------------------------------------------------


def several_taxes(sheet: Sheet, played: Worked) -> Said:
    """Play taxes on one amount, each rounded by itself."""
    places = sheet.whole("currency_decimals") if "currency_decimals" in sheet else 2
    if "rounding" in sheet:
        sheet.text("rounding", "half up")
    name = "taxes_pct" if "taxes_pct" in sheet else "tax_pct"
    percents = sheet.numbers(name) if name == "taxes_pct" else [sheet.number(name)]
    rates = [Rate(f"tax {place}", each) for place, each in enumerate(percents)]
    amount = Fraction(sheet.number("taxable")) * 10**places
    found = tax([TaxLine(id="1", amount=amount)], rates=rates, rounding="half_up")
    each = [Decimal(part).scaleb(-places) for part in found.lines[0].by_rate.values()]
    total = Decimal(found.tax).scaleb(-places)
    return {"taxes": each, "total_tax": total, "tax": total}


def in_or_on(sheet: Sheet, played: Worked) -> Said:
    scale, back = in_cents(sheet)
    inclusive = sheet.text("behaviour", "inclusive", "exclusive") == "inclusive"
    line = TaxLine(id="1", amount=scale(sheet.number("price")))
    found = tax([line], rates=[rate(sheet.number("tax_pct"))], inclusive=inclusive)
    return {"tax": back(found.tax), "net": back(found.net), "gross": back(found.gross)}


def per_line(sheet: Sheet, played: Worked) -> Said:
    sheet.text("amount_unit", "minor")
    amounts = sheet.numbers("lines")
    lines = [TaxLine(id=str(place), amount=each) for place, each in enumerate(amounts)]
    found = tax(lines, rates=[rate(sheet.number("tax_pct"))])
    return {
        "tax_per_line": [line.tax for line in found.lines],
        "tax": found.tax,
        "total": found.gross,
    }


def line_overrides(sheet: Sheet, played: Worked) -> Said:
    sheet.text("amount_unit", "minor")
    lines = [
        TaxLine(
            id=str(place),
            amount=each.number("amount"),
            rates=(rate(each.number("custom_tax_pct")),) if "custom_tax_pct" in each else None,
        )
        for place, each in enumerate(sheet.each("lines"))
    ]
    found = tax(lines, rates=[rate(sheet.number("customer_tax_pct"))])
    return {
        "tax_per_line": [line.tax for line in found.lines],
        "tax": found.tax,
        "total": found.gross,
    }


def breakdown(sheet: Sheet, played: Worked) -> Said:
    sheet.text("amount_unit", "minor")
    lines = []
    for name in sheet:
        if name == "amount_unit":
            continue
        base = _BASE.fullmatch(name)
        if base is None:
            raise Strange(f"{name!r} is no base of a rate")
        rates = (rate(Decimal(base[1])),)
        lines.append(TaxLine(id=name, amount=sheet.number(name), rates=rates))
    found = tax(lines)
    if sum(row.tax for row in found.breakdown) != found.tax or len(found.breakdown) != len(lines):
        raise Wrong(f"the breakdown {found.breakdown} is not of {len(lines)} rates")
    return {"tax": found.tax, "total": found.gross}


def region(sheet: Sheet, played: Worked) -> Said:
    sheet.text("amount_unit", "minor")
    table = [
        PlaceRate(country="US", rates=(rate(Decimal(99)),)),
        PlaceRate(country="US", region="CA", rates=(rate(sheet.number("region_tax_pct")),)),
    ]
    rates = rates_at(table, country="US", region="CA")
    line = TaxLine(id="1", amount=sheet.number("amount"))
    return {"tax": tax([line], rates=rates).tax}


def nobody_charged(sheet: Sheet, played: Worked) -> Said:
    """Play each customer that the case lists; all of them must come to the same."""
    sheet.text("amount_unit", "minor")
    checked = vat_number("DE136695976", now=1)
    customers = {
        "exempt": TaxedParty(country="DE", exempt_because="exempt under § 4 UStG"),
        "EU B2B with valid VAT number in another country": TaxedParty(country="DE", vat=checked),
    }
    line = TaxLine(id="1", amount=sheet.number("amount"))
    said: list[Said] = []
    for each in sheet.text("customer").split(", or "):
        if each not in customers:
            raise Strange(f"a customer is {each!r}")
        treatment = treatment_of(customers[each], seller_country="FR")
        if treatment.kind == "taxed" or not treatment.note:
            raise Wrong(f"{each} is charged tax, or the invoice does not say why not")
        found = tax([line], rates=[rate(Decimal(20))], treatment=treatment)
        said.append({"tax": found.tax, "total": found.gross})
    if any(each != said[0] for each in said):
        raise Wrong(f"{said}")
    return said[0]


# -- what is due ---------------------------------------------------------------------------------


def prepaid(sheet: Sheet, played: Worked) -> Said:
    scale, back = in_cents(sheet)
    wallet = scale(sheet.number("wallet_balance"))
    rates = [rate(sheet.number("tax_pct"))]
    gross, due, after = [], [], []
    for amount in sheet.numbers("invoices_excl_tax"):
        found = totals(plain([scale(amount)]), rates=rates, prepaid=wallet)
        wallet -= found.prepaid_used
        gross.append(back(found.tax.gross))
        due.append(back(found.due))
        after.append(back(wallet))
    return {"invoice_totals_incl_tax": gross, "amount_due": due, "balance_after": after}


def waterfall(sheet: Sheet, played: Worked) -> Said:
    scale, back = in_cents(sheet)
    found = totals(
        plain([scale(sheet.number("subscription")), scale(sheet.number("usage"))]),
        [fixed(scale(sheet.number("coupons")), 1)],
        rates=[rate(sheet.number("tax_pct"))],
        notes=scale(sheet.number("credit_notes")),
        prepaid=scale(sheet.number("prepaid_credits")),
    )
    return {
        "subtotal_after_coupons": back(found.tax.net),
        "tax": back(found.tax.tax),
        "total_with_tax": back(found.tax.gross),
        "amount_due": back(found.due),
    }


INVOICES: Final[dict[str, Player]] = {
    "coupons_order_and_allocation": order_and_allocation,
    "coupon_allocation_and_tax": allocation_and_tax,
    "coupons_exceed_total": coupons_on_total,
    "coupons_forever_and_tax": coupons_on_total,
    "coupon_allocation": allocation,
    "discount_allocation_fixed": fixed_per_line,
    "discount_allocation_percentage": percent_per_line,
    "coupons_sequential_percentage": sequential,
    "coupons_percentage_then_fixed": stacked,
    "discount_distribution": distribution,
    "discount_distribution_remainder": distribution,
    "taxes_not_compounded": several_taxes,
    "tax_rounding": several_taxes,
    "tax_rounding_multiple": several_taxes,
    "tax_inclusive": in_or_on,
    "tax_exclusive": in_or_on,
    "tax_customer_rate": per_line,
    "tax_rounding_per_line": per_line,
    "tax_line_overrides_customer": line_overrides,
    "tax_breakdown_grouping": breakdown,
    "tax_region_rule": region,
    "tax_exempt_or_reverse_charge": nobody_charged,
    "prepaid_credits_post_tax": prepaid,
    "invoice_waterfall": waterfall,
}
