"""Taxes: exclusive and inclusive, several, where they are rounded, and who is charged none."""

from decimal import Decimal
from fractions import Fraction
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farebox.billing.pricing.model_money import (
    Coupon,
    Level,
    Line,
    PlaceRate,
    Rate,
    Redemption,
    TaxedParty,
    TaxLine,
    TaxRefused,
    VatNumberRefused,
)
from farebox.billing.pricing.rules_tax import rates_at, tax, treatment_of, vat_number
from farebox.billing.pricing.rules_totals import settle, totals
from farebox.kernel.refusals import ValueRefused
from farebox.kernel.rounding import rounded

LEVELS: tuple[Level, ...] = ("line", "rate", "total")
GERMAN = "DE136695976"


def rates(*percents):
    return tuple(Rate(f"tax {place}", Decimal(each)) for place, each in enumerate(percents))


def lines(*amounts):
    return [TaxLine(id=str(place), amount=each) for place, each in enumerate(amounts)]


@pytest.mark.parametrize(
    ("amounts", "percents", "wanted"),
    [
        ([10000], ["8.875"], [888]),
        ([12345], ["7.25"], [895]),
        ([10000, 5000], ["15"], [1500, 750]),
        ([999, 997], ["21"], [210, 209]),
        # Each tax is rounded, then they are added; they do not compound.
        ([9999], ["8.875", "2.125", "0.5"], [887 + 212 + 50]),
        ([10000], ["6", "2"], [800]),
        ([10000], [], [0]),
        ([10000], ["0"], [0]),
        # A credit takes its tax back, rounded as the charge was.
        ([10025, -10025], ["10"], [1003, -1003]),
    ],
)
def test_tax_is_added_to_what_is_taxed(amounts, percents, wanted):
    found = tax(lines(*amounts), rates=rates(*percents))
    assert [line.tax for line in found.lines] == wanted
    assert (found.net, found.tax, found.gross) == (
        sum(amounts), sum(wanted), sum(amounts) + sum(wanted),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("gross", "percents", "net", "taxes"),
    [
        (1200, ["20"], 1000, [200]),
        (1000, ["20"], 833, [167]),
        (10800, ["6", "2"], 10000, [600, 200]),
        (1, ["20"], 1, [0]),
        (-1200, ["20"], -1000, [-200]),
    ],
)
def test_tax_is_found_in_a_price_that_contains_it(gross, percents, net, taxes):
    found = tax(lines(gross), rates=rates(*percents), inclusive=True)
    assert list(found.lines[0].by_rate.values()) == taxes
    assert (found.net, found.gross) == (net, gross)


def test_each_level_of_rounding_has_its_own_total():
    # The discounted fees of Lago's coupons_breakdown_spec.
    fees = ["323.52941", "647.05883", "2911.76471", "3882.35294", "873.52941", "1747.05882",
            "2620.58824", "3494.11765"]  # fmt: skip
    ten, twenty = Rate("ten", Decimal(10)), Rate("twenty", Decimal(20))
    of = [ten, twenty, ten, ten, ten, twenty, ten, ten]
    each = [
        TaxLine(id=str(place), amount=Decimal(fee), rates=(rate,))
        for place, (fee, rate) in enumerate(zip(fees, of, strict=True))
    ]
    found = {level: tax(each, level=level).tax for level in LEVELS}
    assert found == {"line": 1887, "rate": 1890, "total": 1889}


def test_a_lines_own_rate_goes_before_the_customers():
    own = TaxLine(id="1", amount=10000, rates=rates("20"))
    free = TaxLine(id="2", amount=700, rates=())
    found = tax([own, TaxLine(id="3", amount=5000), free], rates=[Rate("customer", Decimal(10))])
    assert [line.tax for line in found.lines] == [2000, 500, 0]


def test_the_breakdown_says_what_each_rate_was_computed_on():
    twenty, five = Rate("standard", Decimal(20)), Rate("reduced", Decimal(5))
    bases = [(9000, twenty), (6000, twenty), (8000, five)]
    each = [
        TaxLine(id=str(place), amount=amount, rates=(rate,))
        for place, (amount, rate) in enumerate(bases)
    ]
    found = {row.code: (row.base, row.tax) for row in tax(each).breakdown}
    assert found == {
        "standard": (Fraction(15000), 3000),
        "reduced": (Fraction(8000), 400),
    }


@pytest.mark.parametrize("percent", ["-1", "101", "NaN", "Infinity"])
def test_a_rate_that_is_none_is_refused(percent):
    with pytest.raises(TaxRefused):
        tax(lines(100), rates=rates(percent))


def test_one_code_with_two_percentages_is_refused():
    with pytest.raises(TaxRefused):
        tax(lines(100), rates=[Rate("a", Decimal(5)), Rate("a", Decimal(6))])
    own = TaxLine(id="b", amount=1, rates=(Rate("a", Decimal(6)),))
    with pytest.raises(TaxRefused):
        tax([own, *lines(100)], rates=[Rate("a", Decimal(5))])


AMOUNTS = st.lists(st.fractions(-(10**6), 10**6), min_size=1, max_size=8)
PERCENTS = st.lists(st.decimals(0, 60, places=3), max_size=3)


@given(amounts=AMOUNTS, percents=PERCENTS, inclusive=st.booleans(), level=st.sampled_from(LEVELS))
def test_lines_add_up_and_the_total_is_that_of_the_rule_named(amounts, percents, inclusive, level):
    of = rates(*percents)
    found = tax(lines(*amounts), rates=of, inclusive=inclusive, level=level)
    for line in found.lines:
        assert line.net + line.tax == line.gross
        assert sum(line.by_rate.values()) == line.tax
    for name in ("net", "tax", "gross"):
        assert getattr(found, name) == sum(getattr(line, name) for line in found.lines)
    assert sum(row.tax for row in found.breakdown) == found.tax
    whole = 100 + (sum(map(Fraction, percents)) if inclusive else 0)
    exactly = [[amount * Fraction(each) / whole for amount in amounts] for each in percents]
    by_rule = {
        "line": sum(rounded(cell) for row in exactly for cell in row),
        "rate": sum(rounded(sum(row)) for row in exactly),
        "total": rounded(sum(sum(row) for row in exactly)),
    }
    assert found.tax == by_rule[level]


# -- who is charged ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "country"),
    [(GERMAN, "DE"), ("de 136 695 976", "DE"), ("EL094259216", "GR"), ("FR40303265045", "FR")],
)
def test_a_vat_number_is_read_with_its_country(text, country):
    found = vat_number(text, now=7)
    assert (found.country, found.checked_at_us) == (country, 7)


@pytest.mark.parametrize(
    "text", ["DE136695975", "136695976", "US123", "", "DE", "XX1", "Д136695976"]
)
def test_what_is_no_vat_number_is_refused(text):
    with pytest.raises(VatNumberRefused):
        vat_number(text, now=7)


@pytest.mark.parametrize(
    ("seller", "customer", "number", "kind"),
    [
        ("FR", "DE", GERMAN, "reverse_charge"),
        ("GR", "DE", GERMAN, "reverse_charge"),
        ("DE", "GR", "EL094259216", "reverse_charge"),
        ("DE", "DE", GERMAN, "taxed"),
        ("FR", "DE", None, "taxed"),
        # Somebody else's number, and sellers or customers outside of the Union.
        ("FR", "AT", GERMAN, "taxed"),
        ("US", "DE", GERMAN, "taxed"),
        ("FR", "US", GERMAN, "taxed"),
    ],
)
def test_who_owes_the_tax_is_decided_by_both_countries_and_the_number(
    seller, customer, number, kind
):
    checked = None if number is None else vat_number(number, now=7)
    found = treatment_of(TaxedParty(country=customer, vat=checked), seller_country=seller)
    assert found.kind == kind
    assert found.evidence == checked
    assert bool(found.note) == (kind != "taxed")


@pytest.mark.parametrize("inclusive", [False, True])
def test_nobody_exempt_is_charged(inclusive):
    exempt = treatment_of(TaxedParty(country="DE", exempt_because="a school"), seller_country="DE")
    found = tax(lines(10000), rates=rates("19"), treatment=exempt, inclusive=inclusive)
    assert (found.tax, found.gross, exempt.note) == (0, 10000, "a school")


@pytest.mark.parametrize(
    ("country", "region", "category", "wanted"),
    [
        ("US", "CA", None, "7.25"), ("US", "OR", None, "1"), ("US", None, None, "1"),
        ("US", "CA", "books", "3"), ("US", "OR", "books", "2"), ("DE", None, None, None),
    ],
)  # fmt: skip
def test_a_place_has_the_rates_of_its_region_and_category(country, region, category, wanted):
    table = [
        PlaceRate(country="US", rates=rates("1")),
        PlaceRate(country="US", category="books", rates=rates("2")),
        PlaceRate(country="US", region="CA", rates=rates("7.25")),
        PlaceRate(country="US", region="CA", category="books", rates=rates("3")),
    ]
    found = rates_at(table, country=country, region=region, category=category)
    assert [rate.percent for rate in found] == ([] if wanted is None else [Decimal(wanted)])


# -- the order of an invoice ---------------------------------------------------------------------


def coupon(amount):
    return Redemption(coupon=Coupon(code="a", amount=amount, currency="EUR"))


def fees(*amounts):
    return [Line(id=str(place), amount=each) for place, each in enumerate(amounts)]


def test_fees_coupons_tax_notes_and_prepaid_follow_each_other():
    found = totals(fees(5000, 2000), [coupon(1000)], rates=rates("10"), notes=2000, prepaid=3000)
    assert (found.fees, found.tax.net, found.tax.tax, found.tax.gross) == (7000, 6000, 600, 6600)
    assert (found.notes_used, found.prepaid_used, found.due) == (2000, 3000, 1600)


def test_credits_reduce_what_is_taxed_only_where_that_is_said():
    after = totals(fees(8000), rates=rates("10"), prepaid=1000)
    before = totals(fees(8000), rates=rates("10"), before_tax=1000)
    assert (after.tax.net, after.tax.tax, after.due) == (8000, 800, 7800)
    assert (before.tax.net, before.tax.tax, before.due) == (7000, 700, 7700)


def test_a_coupon_on_one_fee_lowers_only_its_tax():
    rates_of = {"0": rates("10"), "1": (Rate("other", Decimal(20)),)}
    narrow = Redemption(
        coupon=Coupon(code="a", amount=25000, currency="EUR", products=frozenset({"f2"}))
    )
    each = [Line(id="0", amount=17900, product="f1"), Line(id="1", amount=39900, product="f2")]
    found = totals(each, [narrow], own_rates=rates_of, level="total")
    assert (found.tax.tax, found.due) == (4770, 37570)


@pytest.mark.parametrize(
    ("total", "notes", "prepaid", "wanted"),
    [(6600, 2000, 3000, (2000, 3000, 1600)), (1000, 2000, 3000, (1000, 0, 0)),
     (2500, 2000, 3000, (2000, 500, 0)), (-500, 2000, 3000, (0, 0, -500))],
)  # fmt: skip
def test_what_pays_is_used_as_far_as_something_is_owed(total, notes, prepaid, wanted):
    assert settle(total, notes=notes, prepaid=prepaid) == wanted


@pytest.mark.parametrize("name", ["notes", "prepaid", "before_tax"])
def test_what_pays_is_not_below_nothing(name):
    with pytest.raises(ValueRefused):
        totals(fees(100), **cast("dict[str, Any]", {name: -1}))


@given(
    amounts=st.lists(st.integers(-(10**5), 10**6), min_size=1, max_size=6),
    off=st.integers(1, 10**6),
    percents=PERCENTS,
    level=st.sampled_from(LEVELS),
    places=st.sampled_from([0, 5]),
    means=st.tuples(*[st.integers(0, 10**6)] * 3),
)
def test_an_invoice_adds_up_from_its_fees_to_what_is_due(
    *, amounts, off, percents, level, places, means
):
    notes, prepaid, before = means
    found = totals(
        fees(*amounts), [coupon(off)], rates=rates(*percents), level=level, places=places,
        notes=notes, prepaid=prepaid, before_tax=before,
    )  # fmt: skip
    assert found.fees - found.discount.total - found.credits_before_tax == found.tax.net
    assert found.tax.gross - found.notes_used - found.prepaid_used == found.due
    assert found.due >= min(found.tax.gross, 0)
