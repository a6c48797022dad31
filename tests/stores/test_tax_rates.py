"""Tax rates over time and by place, and where the seller is."""

from decimal import Decimal
from functools import partial

import pytest

from farebox.billing.pricing import service_tax as tax
from farebox.billing.pricing.model_money import Rate, TaxRefused, VatNumberRefused
from farebox.billing.pricing.model_prices import VersionPassed
from farebox.billing.pricing.model_taxes import (
    TaxRate,
    TaxRateOverlaps,
    TaxRateUnknown,
    TaxSettings,
)
from farebox.kernel.refusals import ValueRefused
from farebox.platform import service_audit as audit
from tests.support.services import ADA, at_once, now, run

YEAR_US = 365 * 86_400 * 1_000_000


def make(billing, code="vat", percent="19", country="DE", **more):
    wanted = {"code": code, "percent": Decimal(percent), "country": country, **more}
    return run(billing, tax.create_tax_rate, ADA, **wanted)


def held(billing, country="DE", *, at=None, **more):
    moment = now(billing) if at is None else at
    found = run(billing, tax.taxes_for, country, at=moment, **more)
    return [(rate.code, str(rate.percent)) for rate in found]


def test_a_rate_holds_from_now_on_in_its_country(billing):
    made = make(billing)
    assert run(billing, tax.find_tax_rate, made.id) == made
    assert held(billing) == [("vat", "19")]
    assert held(billing, at=made.valid_from - 1) == []
    assert held(billing, "FR") == []
    assert run(billing, tax.taxes_for, "DE", at=made.valid_from) == (Rate("vat", Decimal(19)),)


def test_a_region_goes_before_its_country_and_a_category_before_all(billing):
    make(billing, "gst", "5", "CA")
    make(billing, "gst", "5", "CA", region="QC")
    make(billing, "qst", "9.975", "CA", region="QC")
    make(billing, "books", "0", "CA", category="books")
    assert held(billing, "CA") == [("gst", "5")]
    assert held(billing, "CA", region="QC") == [("gst", "5"), ("qst", "9.975")]
    assert held(billing, "CA", region="ON") == [("gst", "5")]
    assert held(billing, "CA", category="books") == [("books", "0")]


def test_another_percentage_is_another_rate_from_then_on(billing):
    first = make(billing, percent="19")
    change = now(billing) + YEAR_US
    run(billing, tax.end_tax_rate, ADA, first.id, at=change)
    make(billing, percent="21", valid_from=change)
    assert held(billing, at=change - 1) == [("vat", "19")]
    assert held(billing, at=change) == [("vat", "21")]


def test_a_rate_that_ends_now_was_a_rate_until_now(billing, clock):
    made = make(billing)
    clock.set(now(billing) + 10)
    ended = run(billing, tax.end_tax_rate, ADA, made.id)
    assert run(billing, tax.end_tax_rate, ADA, made.id) == ended
    assert held(billing) == []
    assert held(billing, at=made.valid_from) == [("vat", "19")]
    # An end is never moved later.
    assert run(billing, tax.end_tax_rate, ADA, made.id, at=now(billing) + YEAR_US) == ended
    log = run(billing, audit.list_audit, subject=f"tax_rate:{made.id}").items
    assert [entry.action for entry in log] == ["tax_rate.ended", "tax_rate.created"]


def test_what_was_taxed_already_stays_so(billing):
    made = make(billing)
    with pytest.raises(TaxRefused):
        run(billing, tax.end_tax_rate, ADA, made.id, at=now(billing) - 1)
    assert held(billing) == [("vat", "19")]


def test_a_rate_that_has_not_begun_can_be_called_off(billing):
    later = now(billing) + YEAR_US
    made = make(billing, valid_from=later)
    run(billing, tax.end_tax_rate, ADA, made.id)
    assert held(billing, at=later) == []
    assert make(billing, percent="21", valid_from=later)


@pytest.mark.parametrize(
    "second",
    [
        {},
        {"percent": "20", "country": "AT"},
        {"valid_until": 32_503_680_000_000_000},
        {"percent": "7", "category": "books"},
    ],
)
def test_a_code_has_one_percentage_at_a_time_and_one_rate_in_a_place(billing, second):
    make(billing)
    with pytest.raises(TaxRateOverlaps):
        make(billing, **second)
    assert len(run(billing, tax.list_tax_rates).items) == 1
    assert make(billing, country="AT")


def test_of_the_same_rate_made_twice_at_once_there_is_one(billing):
    answers = at_once([partial(make, billing)] * 3)
    kinds = sorted(type(answer).__name__ for answer in answers)
    assert kinds == ["TaxRate", "TaxRateOverlaps", "TaxRateOverlaps"], answers
    assert any(isinstance(answer, TaxRate) for answer in answers)


@pytest.mark.parametrize(
    ("refusal", "wrong"),
    [
        (ValueRefused, {"code": ""}),
        (ValueRefused, {"code": "a b"}),
        (ValueRefused, {"code": "a:b"}),
        (ValueRefused, {"country": "de"}),
        (ValueRefused, {"country": "DEU"}),
        (ValueRefused, {"region": ""}),
        (ValueRefused, {"category": "a\0"}),
        (TaxRefused, {"percent": "-1"}),
        (TaxRefused, {"percent": "100.1"}),
        (TaxRefused, {"percent": "NaN"}),
        (TaxRefused, {"percent": "0.0000000000001"}),
        (TaxRefused, {"valid_from": 10, "valid_until": 10}),
    ],
)
def test_what_is_no_tax_rate_is_refused(billing, refusal, wrong):
    with pytest.raises(refusal):
        make(billing, **wrong)
    assert run(billing, tax.list_tax_rates).items == ()


def test_rates_are_listed_in_pages_by_country_and_time(billing, clock):
    made = [make(billing, f"t{n}").id for n in range(3)]
    other = make(billing, "mwst", "20", "AT").id
    first = run(billing, tax.list_tax_rates, limit=3)
    rest = run(billing, tax.list_tax_rates, limit=3, after=first.next)
    assert [one.id for one in first.items + rest.items] == sorted([*made, other])
    assert [one.id for one in run(billing, tax.list_tax_rates, country="AT").items] == [other]
    assert [one.id for one in run(billing, tax.list_tax_rates, code="t1").items] == [made[1]]
    clock.set(now(billing) + 10)
    run(billing, tax.end_tax_rate, ADA, other)
    assert run(billing, tax.list_tax_rates, country="AT", at=now(billing)).items == ()
    with pytest.raises(TaxRateUnknown):
        run(billing, tax.find_tax_rate, "txr_nobody")


# -- where the seller is -------------------------------------------------------------------------


def test_settings_are_said_and_changed_one_after_the_other(billing):
    assert run(billing, tax.tax_settings) == TaxSettings()
    set_to = partial(run, billing, tax.set_tax_settings, ADA)
    made = set_to(country="DE", level="line")
    assert made == TaxSettings(country="DE", level="line", version=1)
    assert set_to(country="DE", level="line") == made
    assert set_to(country="DE", level="total", expected_version=1).version == 2
    with pytest.raises(VersionPassed):
        set_to(country="FR", level="total", expected_version=1)
    for wrong in ({"country": "Germany", "level": "line"}, {"country": "DE", "level": "never"}):
        with pytest.raises(ValueRefused):
            set_to(**wrong)
    assert run(billing, tax.tax_settings) == TaxSettings(country="DE", level="total", version=2)


def test_of_two_settings_from_one_version_the_second_is_refused(billing):
    set_to = partial(run, billing, tax.set_tax_settings, ADA, level="line", expected_version=0)
    answers = at_once([partial(set_to, country="DE"), partial(set_to, country="FR")])
    assert {type(answer) for answer in answers} == {TaxSettings, VersionPassed}


def test_a_vat_number_is_checked_and_the_time_of_the_check_kept(billing):
    found = run(billing, tax.check_vat_number, "DE 136 695 976")
    assert (found.country, found.number, found.checked_at_us) == ("DE", "DE136695976", now(billing))
    with pytest.raises(VatNumberRefused):
        run(billing, tax.check_vat_number, "DE136695970")
