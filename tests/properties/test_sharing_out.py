"""Nothing is lost or made in sharing out: splits, allocations, discounts, taxes, whole bills."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from farebox.billing.pricing.model_money import Coupon, PlaceRate, Rate, Redemption
from farebox.billing.pricing.model_quotes import Means, QuoteLine
from farebox.billing.pricing.model_taxes import Payer, TaxSettings
from farebox.billing.pricing.rules_quotes import quote
from farebox.kernel.amounts import MAX_AMOUNT, split
from farebox.kernel.rounding import allocate, spread

AMOUNTS = st.integers(0, MAX_AMOUNT)
WEIGHTS = st.lists(st.integers(0, 10**12), min_size=1, max_size=12).filter(any)
PRODUCTS = ("api", "films", "seats")


@given(amount=AMOUNTS, weights=WEIGHTS)
def test_shares_by_weight_are_the_amount_and_no_share_is_a_unit_off(amount, weights):
    parts = allocate(amount, weights)
    assert sum(parts) == amount
    total = sum(weights)
    for part, weight in zip(parts, weights, strict=True):
        assert abs(part - Fraction(amount * weight, total)) < 1
        assert part == 0 or weight > 0


@given(amount=AMOUNTS, weights=WEIGHTS)
def test_a_split_is_the_amount_whoever_gets_what_does_not_divide(amount, weights):
    total = sum(weights)
    parts = split(amount, [Fraction(weight, total) for weight in weights])
    assert sum(parts) == amount
    for part, weight in zip(parts, weights, strict=True):
        assert abs(part - Fraction(amount * weight, total)) <= 1


@given(parts=st.lists(st.fractions(-(10**6), 10**6), min_size=1, max_size=10))
def test_rounded_parts_add_up_to_their_rounded_sum(parts):
    total = round(sum(parts))
    found = spread(total, parts)
    assert sum(found) == total
    for one, part in zip(found, parts, strict=True):
        assert abs(one - part) <= 1


@st.composite
def bills(draw):
    """Return lines with coupons, taxes of their place or their own, and means to pay with."""
    inclusive = draw(st.booleans())
    percents = draw(st.lists(st.decimals(0, 40, places=2), max_size=3))
    rates = tuple(Rate(f"t{place}", percent) for place, percent in enumerate(percents))
    lines = [
        QuoteLine(
            id=str(place),
            amount=draw(st.integers(-(10**4), 10**7)),
            currency="EUR",
            product=draw(st.sampled_from(PRODUCTS)),
            inclusive=inclusive,
            rates=draw(st.sampled_from([None, (), rates[:1]])),
        )
        for place in range(draw(st.integers(1, 8)))
    ]
    coupons = [
        Redemption(
            coupon=Coupon(
                code=f"c{place}",
                percent=percent,
                amount=None if percent is not None else draw(st.integers(1, 10**6)),
                currency=None if percent is not None else "EUR",
                products=draw(st.sets(st.sampled_from(PRODUCTS)).map(frozenset)),
            ),
            redeemed_at_us=place,
        )
        for place, percent in enumerate(
            draw(st.lists(st.none() | st.decimals("0.01", 100, places=2), max_size=4))
        )
    ]
    means = Means(notes=draw(st.integers(0, 10**6)), prepaid=draw(st.integers(0, 10**6)))
    level = draw(st.sampled_from(["line", "rate", "total"]))
    return lines, coupons, rates, level, means


@given(bill=bills())
def test_a_bill_is_the_sum_of_its_lines_and_its_parts_lead_from_fees_to_what_is_due(bill):
    lines, coupons, rates, level, means = bill
    table = [PlaceRate(country="DE", rates=rates)] if rates else []
    found = quote(
        lines, coupons, payer=Payer(country="DE"),
        settings=TaxSettings(country="DE", level=level), table=table, means=means,
    )  # fmt: skip

    assert found.fees == sum(line.amount for line in lines)
    assert found.discount.total == sum(each.amount for each in found.discount.lines)
    assert found.discount.total == sum(found.discount.by_code.values())
    for line, off in zip(lines, found.discount.lines, strict=True):
        assert off.amount == sum(off.by_code.values())
        assert 0 <= off.amount <= max(line.amount, 0)
    left = found.fees - found.discount.total
    assert left == (found.tax.gross if lines[0].inclusive else found.tax.net)
    for name in ("net", "tax", "gross"):
        assert getattr(found.tax, name) == sum(getattr(each, name) for each in found.tax.lines)
    for each in found.tax.lines:
        assert each.net + each.tax == each.gross
        assert each.tax == sum(each.by_rate.values())
    assert found.tax.gross - found.notes_used - found.prepaid_used == found.due
    assert found.due >= 0 or found.tax.gross < 0


@given(bill=bills(), percent=st.decimals("0.01", 100, places=2))
def test_the_order_in_which_coupons_come_does_not_matter(bill, percent):
    lines, coupons, rates, level, _ = bill
    more = Redemption(coupon=Coupon(code="more", percent=Decimal(percent)), redeemed_at_us=9)
    asked: dict[str, Any] = {
        "payer": Payer(country="DE"),
        "settings": TaxSettings(country="DE", level=level),
        "table": [PlaceRate(country="DE", rates=rates)] if rates else [],
    }
    one = quote(lines, [*coupons, more], **asked)
    other = quote(lines, [more, *coupons[::-1]], **asked)
    assert (one.discount, one.tax, one.due) == (other.discount, other.tax, other.due)
