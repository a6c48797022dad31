"""Exchange rates by day: the bank's file, own rates, and by which of them money is converted."""

from datetime import date
from decimal import Decimal
from fractions import Fraction
from functools import partial

import pytest

from farebox.billing.pricing import service_rates as rates
from farebox.billing.pricing.model_money import CurrencyUnknown, DayRate, RateUnknown
from farebox.billing.pricing.rules_currency import Rates, convert, read_ecb
from farebox.billing.pricing.rules_rates import Imported, parts_of
from farebox.kernel.refusals import ValueRefused
from farebox.platform import service_audit as audit
from tests.support.services import ADA, at_once, run

HISTORY = """Date,USD,JPY,CYP,
2026-11-20,1.10,160,N/A,
2026-11-19,1.09,159.5,N/A,
1999-01-04,1.1789,133.73,0.58231,
"""
DAILY = "Date, USD, JPY, \n20 November 2026, 1.10, 160, \n"
FRIDAY, SUNDAY = date(2026, 11, 20), date(2026, 11, 22)


def take_in(billing, text=HISTORY):
    return run(billing, rates.import_ecb, ADA, rates.read_ecb_file(text))


def own(billing, base, quote, rate, day=FRIDAY):
    wanted = {"base": base, "quote": quote, "day": day, "rate": Decimal(rate)}
    return run(billing, rates.set_rate, ADA, **wanted)


def converted(billing, amount, base, quote, day=SUNDAY):
    return run(billing, rates.convert, amount, base, quote, day=day)


def test_the_banks_file_is_taken_in_once(billing):
    assert take_in(billing) == Imported(days=3, added=7, changed=0, same=0)
    assert take_in(billing) == Imported(days=3, added=0, changed=0, same=7)
    log = run(billing, audit.list_audit, subject="exchange_rate:ECB").items
    assert len(log) == 1


def test_the_file_of_one_day_says_the_same(billing):
    take_in(billing)
    assert take_in(billing, DAILY) == Imported(days=1, added=0, changed=0, same=2)


def test_a_rate_that_the_bank_corrects_is_corrected(billing):
    take_in(billing)
    done = take_in(billing, HISTORY.replace("1.09,", "1.0901,"))
    assert done == Imported(days=3, added=0, changed=1, same=6)
    assert run(billing, rates.rate_between, "EUR", "USD", date(2026, 11, 19))[0] == Fraction(
        "1.0901"
    )


def test_a_long_file_taken_in_part_by_part_is_there_once(billing):
    parts = parts_of(rates.read_ecb_file(HISTORY), 3)
    assert [len(part) for part in parts] == [3, 3, 1]
    for part in parts:
        run(billing, rates.import_ecb, ADA, part)
    assert take_in(billing) == Imported(days=3, added=0, changed=0, same=7)


def test_one_file_at_once_is_there_once(billing):
    answers = at_once([partial(take_in, billing)] * 3)
    assert all(isinstance(answer, Imported) for answer in answers), answers
    assert len(run(billing, rates.list_rates).items) == 7


def test_an_amount_is_what_the_pure_rule_makes_of_the_file(billing):
    take_in(billing)
    pure = Rates(read_ecb(HISTORY))
    for amount, base, quote in [(100, "USD", "JPY"), (12_345, "EUR", "USD"), (7, "JPY", "USD")]:
        wanted = convert(amount, base, quote, day=SUNDAY, rates=pure)
        assert converted(billing, amount, base, quote) == wanted
    assert converted(billing, 100, "USD", "JPY").amount == 145


def test_a_rate_holds_for_a_week_and_no_longer(billing):
    take_in(billing)
    assert converted(billing, 100, "EUR", "USD", date(2026, 11, 27)).amount == 110
    with pytest.raises(RateUnknown):
        converted(billing, 100, "EUR", "USD", date(2026, 11, 28))
    with pytest.raises(RateUnknown):
        converted(billing, 100, "EUR", "USD", date(2026, 11, 18))
    assert converted(billing, 100, "EUR", "EUR", date(2030, 1, 1)).amount == 100


def test_an_own_rate_goes_before_the_banks_until_it_is_removed(billing):
    take_in(billing)
    own(billing, "USD", "EUR", "0.5")
    made = converted(billing, 100, "EUR", "USD")
    assert (made.amount, [rate.source for rate in made.used]) == (200, ["own"])
    own(billing, "USD", "EUR", "0.25")
    assert converted(billing, 100, "EUR", "USD").amount == 400
    run(billing, rates.remove_rate, ADA, base="USD", quote="EUR", day=FRIDAY)
    assert converted(billing, 100, "EUR", "USD").amount == 110
    with pytest.raises(RateUnknown):
        run(billing, rates.remove_rate, ADA, base="USD", quote="EUR", day=FRIDAY)
    log = run(billing, audit.list_audit, subject="exchange_rate:USD-EUR").items
    assert [one.action.rpartition(".")[2] for one in log] == ["removed", "set", "set"]


def test_rates_are_listed_newest_first_in_pages(billing):
    take_in(billing)
    own(billing, "EUR", "USD", "1.2")
    found: list[DayRate] = []
    cursor = None
    while True:
        page = run(billing, rates.list_rates, after=cursor, limit=3)
        found += page.items
        cursor = page.next
        if cursor is None:
            break
    assert [(one.day.year, one.quote, one.source) for one in found] == [
        (2026, "USD", "own"), (2026, "USD", "ECB"), (2026, "JPY", "ECB"), (2026, "USD", "ECB"),
        (2026, "JPY", "ECB"), (1999, "USD", "ECB"), (1999, "JPY", "ECB"), (1999, "CYP", "ECB"),
    ]  # fmt: skip
    dollars = run(billing, rates.list_rates, base="EUR", quote="USD", day=FRIDAY).items
    assert [one.rate for one in dollars] == [Decimal("1.2"), Decimal("1.10")]
    assert len(run(billing, rates.list_rates, source="own").items) == 1
    with pytest.raises(ValueRefused):
        run(billing, rates.list_rates, after="yesterday")


WRONG_FILES = {
    "nothing": "",
    "another file": "currency;rate\nUSD;1.1\n",
    "no rate": "Date,USD,\n2026-11-20,N/A,\n",
    "a day that is none": "Date,USD,\n2026-02-30,1.1,\n",
    "a month that is none": "Date,USD,\n3 Brumaire 2026,1.1,\n",
    "a day of four words": "Date,USD,\nthe 3 March 2026,1.1,\n",
    "a rate of nothing": "Date,USD,\n2026-11-20,0,\n",
    "a rate below 0": "Date,USD,\n2026-11-20,-1.1,\n",
    "no number": "Date,USD,\n2026-11-20,NaN,\n",
    "no end": "Date,USD,\n2026-11-20,Infinity,\n",
    "a thousand digits": f"Date,USD,\n2026-11-20,1{'0' * 1000},\n",
    "too fine": "Date,USD,\n2026-11-20,0.0000000000001,\n",
    "no currency": "Date,dollars,\n2026-11-20,1.1,\n",
    "euros for euros": "Date,EUR,\n2026-11-20,1,\n",
    "a day twice": "Date,USD,\n2026-11-20,1.1,\n2026-11-20,1.2,\n",
}


@pytest.mark.parametrize("name", WRONG_FILES)
def test_another_file_is_refused_whole(billing, name):
    text = WRONG_FILES[name]
    good = "2026-11-19,1.09,\n" if text.count("\n") > 1 and name != "no rate" else ""
    with pytest.raises(RateUnknown):
        take_in(billing, text + good)
    assert run(billing, rates.list_rates).items == ()


@pytest.mark.parametrize(
    ("refusal", "base", "quote", "rate"),
    [
        (CurrencyUnknown, "EUR", "USX", "1"),
        (CurrencyUnknown, "xau", "USD", "1"),
        (ValueRefused, "EUR", "EUR", "1"),
        (ValueRefused, "EUR", "USD", "0"),
        (ValueRefused, "EUR", "USD", "-1"),
        (ValueRefused, "EUR", "USD", "NaN"),
        (ValueRefused, "EUR", "USD", "1E+12"),
        (ValueRefused, "EUR", "USD", "1E-13"),
    ],
)
def test_what_is_no_rate_is_refused(billing, refusal, base, quote, rate):
    with pytest.raises(refusal):
        own(billing, base, quote, rate)
    assert run(billing, rates.list_rates).items == ()
