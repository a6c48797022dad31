"""Worked numbers of reports, currencies and credits: recurring revenue, churn, recognition."""

import re
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Final

from farebox.billing.pricing.model_charges import Graduated, PerUnit, Windowed, WindowTerms
from farebox.billing.pricing.model_rating import ChargeTerms, Usage, Window
from farebox.billing.pricing.rules_charges import billable, rate
from farebox.billing.pricing.rules_currency import in_units, places_of
from farebox.billing.pricing.rules_proration import day_start
from farebox.billing.pricing.rules_totals import settle
from farebox.billing.pricing.rules_windows import windows
from farebox.billing.reports.model import Life, Recurring
from farebox.billing.reports.rules import churn, mrr, recognised
from farebox.billing.wallets.rules import credits_for, worth_of
from farebox.kernel.periods import Unit
from farebox.kernel.rounding import rounded
from tests.golden.cases import Strange
from tests.golden.families.billing_charges import tiers_of
from tests.golden.families.billing_money_periods import in_cents
from tests.golden.worked import Player, Said, Sheet, Worked, day

UNITS: Final[dict[str, Unit]] = {"day": "day", "week": "week", "month": "month", "year": "year"}
MONTHS: Final = (
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
)  # fmt: skip
COUNTS: Final = {"a": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5}
_ACTIVE: Final = re.compile(
    r"(?P<count>a second|\w+)(?: active)? subscriptions? (?:of )?(?P<amount>\d+)/month"
    r"(?P<all> all along)?"
    r"|(?P<other>a second) of (?P<its>\d+)/month active in (?P<only>\w+) only"
    r"(?P<ends>, already set to cancel)?"
    r"|(?P<trials>\w+) trialing (?P<price>\d+)/month"
    r"(?P<leaving>, one of them set to cancel \(ends in (?P<gone>\w+)\))?"
)
_CONVERTS: Final = re.compile(r"the other converts in (\w+)")


# -- recurring revenue ---------------------------------------------------------------------------


def interval(text: str) -> tuple[Unit, int]:
    """Read `month` or `3 months`."""
    found = re.fullmatch(r"(?:(\d+) )?(day|week|month|year)s?", text)
    if found is None:
        raise Strange(f"an interval {text!r}")
    return UNITS[found[2]], int(found[1] or 1)


def recurring(sheet: Sheet, number: int) -> Recurring:
    unit, count = interval(sheet.text("interval"))
    off = Decimal(0)
    if "discount" in sheet:
        lasting = sheet.inner("discount")
        lasting.text("duration", "forever")
        off = lasting.number("pct")
    return Recurring(
        customer=str(number), amount=sheet.number("amount"), unit=unit, count=count, off_percent=off
    )


def mrr_of(sheet: Sheet, played: Worked) -> Said:
    sheet.text("amount_unit", "minor")
    each = [recurring(it, number) for number, it in enumerate(sheet.each("subscriptions"))]
    return {"mrr": mrr(each)}


def mrr_by_month(sheet: Sheet, played: Worked) -> Said:
    """Play subscriptions that are told in words: what there is at the end of each month."""
    sheet.text("amount_unit", "minor")
    months = sheet.raw("months")
    at: dict[str, list[Recurring]] = {month: [] for month in months}
    for clause in sheet.text("description").split("; "):
        _tell(clause, months, at)
    return {
        "mrr": [mrr(at[month]) for month in months],
        "committed_mrr": [mrr(at[month], committed=True) for month in months],
        "trial_mrr": [mrr(at[month], trial=True) for month in months],
        "trial_committed_mrr": [mrr(at[month], trial=True, committed=True) for month in months],
    }


def _tell(clause: str, months: list[str], at: dict[str, list[Recurring]]) -> None:
    def be(amount: str, when: list[str], *, trial: bool = False, ends: bool = False) -> None:
        for month in when:
            at[month].append(
                Recurring(
                    customer=clause, amount=Decimal(amount), unit="month", trial=trial, ends=ends
                )
            )

    converted = _CONVERTS.fullmatch(clause)
    if converted is not None:
        _convert(converted[1], months, at)
        return
    found = _ACTIVE.fullmatch(clause)
    if found is None:
        raise Strange(f"a subscription is {clause!r}")
    if found["other"]:
        be(found["its"], [found["only"][:3]], ends=bool(found["ends"]))
    elif found["trials"]:
        leaving = 1 if found["leaving"] else 0
        gone = months.index(found["gone"]) if leaving else 0
        be(found["price"], months[:gone] * leaving, trial=True, ends=True)
        for _ in range(COUNTS[found["trials"]] - leaving):
            be(found["price"], months, trial=True)
    else:
        for _ in range(COUNTS[found["count"]]):
            be(found["amount"], months)


def _convert(month: str, months: list[str], at: dict[str, list[Recurring]]) -> None:
    """Let a trial that stays become a paying subscription from a month on."""
    for each in months[months.index(month) :]:
        trial = next(it for it in at[each] if it.trial and not it.ends)
        at[each].remove(trial)
        at[each].append(Recurring(customer="converted", amount=trial.amount, unit="month"))


# -- churn ---------------------------------------------------------------------------------------


def _lives(sheet: Sheet) -> list[Life]:
    (started,) = (name for name in sheet if name.startswith("subscriptions_active_since_"))
    count = sheet.whole(started)
    since = day_start(day(started.removeprefix("subscriptions_active_since_")), "UTC")
    ends = sheet.day("its_access_ends") if "its_access_ends" in sheet else None
    one = Life(
        started_us=since,
        canceled_us=day_start(sheet.day("one_canceled_at"), "UTC"),
        ended_us=None if ends is None else day_start(ends, "UTC"),
    )
    return [one, *(Life(started_us=since) for _ in range(count - 1))]


def churn_rolling(sheet: Sheet, played: Worked) -> Said:
    sheet.text("definition", "canceled_at in [t-30d, t) / active at t-30d")
    lives = _lives(sheet)
    rates = {}
    for text in played.case.expected["churn_rate_by_day"]:
        at = day(text)
        rates[text] = churn(
            lives, start_us=day_start(at - timedelta(days=30), "UTC"),
            end_us=day_start(at, "UTC"), by="cancellation",
        )  # fmt: skip
    return {"churn_rate_by_day": rates}


def churn_monthly(sheet: Sheet, played: Worked) -> Said:
    lives = _lives(sheet)
    spans = {}
    for text in sheet.raw("buckets"):
        first = date.fromisoformat(f"{text}-01")
        until = (first + timedelta(days=31)).replace(day=1)
        spans[text] = (day_start(first, "UTC"), day_start(until, "UTC"))
    said: dict[str, object] = {
        "churn_rate": [
            churn(lives, start_us=start, end_us=end, by="access_end")
            for start, end in spans.values()
        ]
    }
    for text, (start, end) in spans.items():
        month = MONTHS[int(text[5:]) - 1].lower()
        asked = [life for life in lives if life.canceled_us is not None]
        said[f"canceled_subscriptions_{month}"] = sum(
            start <= (life.canceled_us or 0) < end for life in asked
        )
        said[f"churned_subscriptions_{month}"] = sum(
            start <= life.ended_us < end for life in lives if life.ended_us is not None
        )
    return said


def churn_yearly(sheet: Sheet, played: Worked) -> Said:
    sheet.text("definition", "canceled in [t, t+1y) / active at t")
    lives = _lives(sheet)
    # Who cancels and is told no other end has no access after it.
    lives = [
        Life(started_us=it.started_us, canceled_us=it.canceled_us,
             ended_us=it.canceled_us if it.ended_us is None else it.ended_us)
        for it in lives
    ]  # fmt: skip
    rates = {}
    for year in played.case.expected["churn_rate"]:
        start, end = date(int(year), 1, 1), date(int(year) + 1, 1, 1)
        rates[year] = churn(
            lives, start_us=day_start(start, "UTC"), end_us=day_start(end, "UTC"),
            by="cancellation",
        )  # fmt: skip
    return {"churn_rate": rates}


# -- the rest ------------------------------------------------------------------------------------


def recognition(sheet: Sheet, played: Worked) -> Said:
    scale, back = in_cents(sheet)
    first, last = (day(each) for each in sheet.raw("service_period"))
    found = recognised(
        scale(sheet.number("amount")), first=first, until=last + timedelta(days=1),
        on=sheet.day("as_of"),
    )  # fmt: skip
    return {"recognised": back(found.earned), "deferred": back(found.deferred)}


def currency_rounding(sheet: Sheet, played: Worked) -> Said:
    sheet.text("rounding", "half away from zero")
    currency = sheet.text("currency").upper()
    units = in_units(sheet.number("amount"), currency, "half_up")
    return {"rounded": Decimal(units).scaleb(-places_of(currency))}


def credit_rate(sheet: Sheet, played: Worked) -> Said:
    value = Fraction(sheet.number("rate_amount")) * 100

    def worth(name: str) -> Decimal:
        return Decimal(worth_of(sheet.whole(name), value)).scaleb(-2)

    return {"top_up_value": worth("top_up_credits"), "voided_value": worth("void_credits")}


def conversion(sheet: Sheet, played: Worked) -> Said:
    return {
        "credits": credits_for(sheet.number("top_up"), sheet.number("credit_value_in_currency"))
    }


def usage_discount(sheet: Sheet, played: Worked) -> Said:
    free = sheet.number("free_quantity")
    terms = ChargeTerms(charge=PerUnit(unit=Decimal(1)), free_units=free)
    used, line = sheet.number("already_used"), sheet.number("line_quantity")
    billed = billable(terms, used + line) - billable(terms, used)
    return {"billable_quantity": billed, "discounted_quantity": Fraction(line) - billed}


def credits_applied(sheet: Sheet, played: Worked) -> Said:
    """Play credits on a charge: they pay after tax, as far as something is owed."""
    gross = rounded(rate(ChargeTerms(charge=Graduated(tiers=tiers_of(sheet))),
                         Usage(quantity=sheet.number("quantity"))))  # fmt: skip
    credits_ = sum(int(each) for each in sheet.numbers("credits"))
    _, used, due = settle(gross, notes=0, prepaid=credits_)
    return {"gross": gross, "credits_used": used, "total": due}


def windowed_commitment(sheet: Sheet, played: Worked) -> Said:
    terms = WindowTerms(
        unit=sheet.number("unit_price"),
        commitment=sheet.number("commitment_per_window"),
        overage_factor=sheet.number("overage_factor"),
        true_up=sheet.flag("true_up"),
    )
    used = [Window(0, each) for each in sheet.numbers("window_usage")]
    found = windows(Windowed(otherwise=terms), used)
    return {"window_amounts": found.amounts, "total": sum(found.amounts)}


REPORTS: Final[dict[str, Player]] = {
    "mrr": mrr_of,
    "mrr_with_discount": mrr_of,
    "mrr_committed": mrr_by_month,
    "mrr_trials_excluded": mrr_by_month,
    "churn_rolling_30_days": churn_rolling,
    "churn_monthly": churn_monthly,
    "churn_yearly": churn_yearly,
    "revenue_recognition_daily": recognition,
    "currency_rounding": currency_rounding,
    "wallet_credit_rate": credit_rate,
    "wallet_topup_conversion": conversion,
    "usage_discount": usage_discount,
    "credits_applied": credits_applied,
    "windowed_commitment": windowed_commitment,
}
