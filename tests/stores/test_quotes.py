"""A quote is what the pure rules make of the stored prices, coupons and taxes."""

from decimal import Decimal

import msgspec
import pytest

from farebox.billing.pricing import service_coupons as coupons
from farebox.billing.pricing import service_tax as tax
from farebox.billing.pricing.model_money import (
    Coupon,
    CouponNotForThis,
    CouponUsedUp,
    CurrenciesMixed,
    Rate,
    Redemption,
)
from farebox.billing.pricing.model_quotes import AmountTooLarge, Means, QuoteLine
from farebox.billing.pricing.model_rating import Usage, UsageNotPriced, Window
from farebox.billing.pricing.model_taxes import Payer, TaxesMixed
from farebox.billing.pricing.rules_tax import REVERSE_CHARGE
from farebox.billing.pricing.rules_totals import Totals, totals
from farebox.billing.pricing.service_quotes import line_of, total_of
from farebox.kernel.refusals import ValueRefused
from tests.support.prices import flat, per_unit, sell
from tests.support.services import ADA, now, run

VAT = Rate("vat", Decimal(20))
ADA_IN_FRANCE = Payer(id="con_ada", country="FR")
BY_WINDOW = '{"charge": {"model": "windowed", "otherwise": {"unit": "2"}}}'
BY_PLACE = '{"charge": {"model": "by_dimension", "dimensions": ["zone"], "charges": []}}'
BY_EVENT = '{"charge": {"model": "percentage", "percent": "1", "per_event": "2"}}'
GRADUATED = (
    '{"charge": {"model": "graduated", "tiers": [{"up_to": "10", "unit": "10", "flat": "2"},'
    ' {"unit": "5", "flat": "3"}]}}'
)


@pytest.fixture
def france(billing):
    """Let France have a tax of 20 %, and the seller be in Germany."""
    run(billing, tax.create_tax_rate, ADA, code="vat", percent=VAT.percent, country="FR")
    run(billing, tax.create_tax_rate, ADA, code="mwst", percent=Decimal(19), country="DE")
    run(billing, tax.set_tax_settings, ADA, country="DE", level="line")


def quoted(billing, *lines, payer=ADA_IN_FRANCE, **more):
    return run(billing, total_of, lines, payer, now(billing), **more)


def line(amount, name="1", **more):
    return QuoteLine(**{"id": name, "amount": amount, "currency": "USD", "plan": "pro", **more})


def steps(quote):
    """Return the part of a quote that the pure function gives."""
    return Totals(**{name: getattr(quote, name) for name in Totals.__struct_fields__})


def give(billing, coupon, customer="con_ada", **more):
    run(billing, coupons.create_coupon, ADA, coupon)
    wanted = {"lines": [line(1)], "currency": "USD", "claim": "ord_1", **more}
    return run(billing, coupons.redeem, coupon.code, customer, **wanted)


def test_a_line_is_what_its_price_bills(billing):
    pro = sell(billing, "plan", "pro", flat("9.99"), tax_behaviour="inclusive", tax_category="x")
    calls = sell(billing, "product", "calls", GRADUATED)
    film = sell(billing, "item", "solaris", per_unit("349.5"), currency="JPY")
    assert line_of(pro, name="a") == QuoteLine(
        id="a", amount=999, currency="USD", plan="pro", inclusive=True, tax_category="x"
    )
    assert line_of(calls, name="b", quantity=12).amount == 11_500
    assert line_of(calls, name="b", usage=Usage(quantity=Decimal("0.5"))).amount == 700
    assert line_of(film, name="c", quantity=3) == QuoteLine(
        id="c", amount=1049, currency="JPY", item="solaris"
    )
    with pytest.raises(ValueRefused):
        line_of(calls, name="d", quantity=-1)


@pytest.mark.parametrize("charge", [BY_WINDOW, BY_PLACE, BY_EVENT])
def test_a_quantity_alone_does_not_price_what_is_charged_otherwise(billing, charge):
    calls = sell(billing, "product", "calls", charge)
    with pytest.raises(UsageNotPriced):
        line_of(calls, name="1", quantity=3)


def test_usage_is_priced_by_what_its_charge_needs(billing):
    calls = sell(billing, "product", "calls", BY_WINDOW)
    usage = Usage(windows=(Window(9, Decimal(2)), Window(10, Decimal(8))))
    assert line_of(calls, name="1", usage=usage).amount == 2000


def test_a_quote_equals_the_pure_rules(billing, france):
    tenth = Coupon(code="TENTH", percent=Decimal(10), periods=None)
    five = Coupon(code="FIVE", amount=500, currency="USD", products=frozenset({"calls"}))
    held = [give(billing, tenth), give(billing, five, lines=[line(1, product="calls")])]
    lines = (line(3333), line(1667, "2", plan=None, product="calls"), line(-100, "3"))
    means = Means(notes=700, prepaid=10_000, before_tax=33)
    made = quoted(billing, *lines, means=means)
    pure = totals(
        lines, held, rates=(VAT,), notes=700, prepaid=10_000, before_tax=33
    )  # fmt: skip
    assert steps(made) == pure
    assert {each.coupon.code for each in made.redemptions} == {"TENTH", "FIVE"}
    assert (made.currency, made.treatment.kind, made.due) == ("USD", "taxed", 0)
    assert made.rates == {"1": (VAT,), "2": (VAT,), "3": (VAT,)}


def test_a_quote_changes_nothing(billing, france):
    give(billing, Coupon(code="TENTH", percent=Decimal(10)))
    first = quoted(billing, line(1000))
    assert quoted(billing, line(1000)) == first
    [held] = run(billing, coupons.redemptions_of, "con_ada")
    assert held.periods_used == 0


def test_a_coupon_that_a_bill_has_used_up_is_no_longer_quoted(billing, france):
    give(billing, Coupon(code="TENTH", percent=Decimal(10)))
    made = quoted(billing, line(1000))
    assert made.due == 1080
    run(billing, coupons.use_discounts, made.redemptions, bill="inv_1")
    assert quoted(billing, line(1000)).due == 1200


def test_a_code_that_is_entered_counts_before_it_is_redeemed(billing, france):
    run(billing, coupons.create_coupon, ADA, Coupon(code="HALF", percent=Decimal(50), most_uses=1))
    made = quoted(billing, line(1000), coupons=["HALF", "HALF"])
    assert made.due == 600
    assert made.redemptions == (
        Redemption(coupon=made.redemptions[0].coupon, redeemed_at_us=now(billing)),
    )
    run(
        billing, coupons.redeem, "HALF", "con_eve", lines=[line(1)], currency="USD", claim="x"
    )  # fmt: skip
    with pytest.raises(CouponUsedUp):
        quoted(billing, line(1000), coupons=["HALF"])
    # Who holds it already may enter it again: it is not taken off twice.
    mine = msgspec.structs.replace(ADA_IN_FRANCE, id="con_eve")
    assert quoted(billing, line(1000), payer=mine, coupons=["HALF"]).due == 600


def test_a_code_for_something_else_is_refused_and_one_of_another_currency_left_out(billing):
    run(
        billing,
        coupons.create_coupon,
        ADA,
        Coupon(code="A", percent=Decimal(5), items=frozenset({"x"})),
    )
    with pytest.raises(CouponNotForThis):
        quoted(billing, line(1000), coupons=["A"])
    euros = Coupon(code="B", amount=100, currency="EUR", periods=None)
    give(billing, euros, currency="EUR")
    assert quoted(billing, line(1000)).due == 1000
    assert quoted(billing, line(1000, currency="EUR")).due == 900


# -- tax -----------------------------------------------------------------------------------------


def test_tax_is_that_of_the_place_and_of_the_time(billing, france, clock):
    before = now(billing)
    clock.set(before + 1_000_000)
    run(billing, tax.create_tax_rate, ADA, code="eco", percent=Decimal(1), country="FR")
    assert quoted(billing, line(1000)).due == 1210
    earlier = run(billing, total_of, [line(1000)], ADA_IN_FRANCE, before)
    assert earlier.due == 1200
    assert quoted(billing, line(1000), payer=Payer(country="DE")).due == 1190
    assert quoted(billing, line(1000), payer=Payer(country="US")).due == 1000


def test_where_nothing_is_known_of_the_payer_the_sellers_place_counts(billing, france):
    assert quoted(billing, line(1000), payer=Payer()).due == 1190


def test_a_lines_own_rates_and_its_category_go_first(billing, france):
    wanted = {"code": "book", "percent": Decimal("5.5"), "country": "FR", "category": "books"}
    run(billing, tax.create_tax_rate, ADA, **wanted)
    made = quoted(
        billing, line(1000), line(1000, "2", tax_category="books"), line(1000, "3", rates=()),
        line(1000, "4", tax_category="films"),
    )  # fmt: skip
    assert [each.tax for each in made.tax.lines] == [200, 55, 0, 200]


def test_a_price_with_its_taxes_in_it_is_what_is_due(billing, france):
    made = quoted(billing, line(1200, inclusive=True))
    assert (made.due, made.tax.net, made.tax.tax, made.inclusive) == (1200, 1000, 200, True)


def test_a_business_abroad_with_a_vat_number_owes_the_tax_itself(billing, france):
    number = run(billing, tax.check_vat_number, "FR40303265045")
    made = quoted(billing, line(1000), payer=Payer(country="FR", vat=number))
    assert (made.due, made.treatment.kind, made.treatment.note) == (
        1000,
        "reverse_charge",
        REVERSE_CHARGE,
    )
    assert made.treatment.evidence == number
    at_home = run(billing, tax.check_vat_number, "DE136695976")
    made = quoted(billing, line(1000), payer=Payer(country="DE", vat=at_home))
    assert (made.due, made.treatment.kind) == (1190, "taxed")


def test_nobody_exempt_is_charged_tax(billing, france):
    made = quoted(billing, line(1000), payer=Payer(country="FR", exempt_because="a museum"))
    assert (made.due, made.treatment.kind, made.treatment.note) == (1000, "exempt", "a museum")


def test_tax_is_rounded_where_the_settings_say(billing, france):
    lines = [line(12, str(number)) for number in range(3)]
    assert quoted(billing, *lines).tax.tax == 6
    run(billing, tax.set_tax_settings, ADA, country="DE", level="total")
    assert quoted(billing, *lines).tax.tax == 7


# -- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("refusal", "lines"),
    [
        (CurrenciesMixed, []),
        (CurrenciesMixed, [line(1), line(1, "2", currency="EUR")]),
        (TaxesMixed, [line(1), line(1, "2", inclusive=True)]),
        (ValueRefused, [line(1), line(1)]),
        (AmountTooLarge, [line(2**53)]),
        (AmountTooLarge, [line(-(2**53))]),
        (AmountTooLarge, [line(2**53 - 1), line(1, "2")]),
        (AmountTooLarge, [line(True)]),
    ],
)
def test_what_cannot_be_added_up_is_refused(billing, refusal, lines):
    with pytest.raises(refusal):
        quoted(billing, *lines)
