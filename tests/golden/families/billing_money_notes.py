"""Worked numbers of credit notes: partial ones, with a coupon, at an end paid in advance."""

from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Final

from farebox.billing.pricing.model_money import Billed, BilledLine, Note, NoteItem
from farebox.billing.pricing.rules_credit import credit_note
from farebox.billing.pricing.rules_proration import (
    day_start,
    local_day,
    nominal_period,
    prorate,
    share,
)
from farebox.billing.pricing.rules_totals import Totals, settle, totals
from farebox.kernel.clock import parse_time
from farebox.kernel.rounding import rounded_to
from tests.golden.cases import Strange
from tests.golden.families.billing_money_invoices import LAGO_PLACES, fixed, plain, rate
from tests.golden.families.billing_money_periods import days_between, interval_of
from tests.golden.worked import Player, Said, Sheet, Worked


def invoiced(amounts: list[int], percents: list[Decimal], coupon: tuple[int, str] | None = None):
    """Return an invoice as it is billed and paid, tax rounded once over it as Lago does."""
    lines = plain(amounts)
    own = {line.id: (rate(each),) for line, each in zip(lines, percents, strict=True)}
    coupons = []
    if coupon is not None:
        lines = [type(line)(id=line.id, amount=line.amount, product=line.id) for line in lines]
        coupons = [fixed(coupon[0], 1, products=frozenset({coupon[1]}))]
    found = totals(lines, coupons, own_rates=own, places=LAGO_PLACES, level="total")
    billed = Billed(
        lines=tuple(
            BilledLine(id=line.id, amount=line.amount, discount=off.exactly, rates=own[line.id])
            for line, off in zip(lines, found.discount.lines, strict=True)
        ),
        tax=found.tax.tax,
        total=found.due,
        paid=found.due,
    )
    return billed, found


def as_shown(note: Note) -> dict[str, int]:
    return {"subtotal": note.subtotal, "tax": note.tax, "total": note.total}


def unused(amount: int, percent: Decimal, part: Fraction, *, billed: int | None = None) -> Note:
    """Return the note for what of a fee, billed in advance and paid, is not used."""
    invoice, _ = invoiced([amount if billed is None else billed], [percent])
    return credit_note(invoice, [NoteItem(line="0", amount=prorate(amount, part))])


def rounding(sheet: Sheet, played: Worked) -> Said:
    """Play an end on the day of the start: that day is paid for, the rest is credited."""
    sheet.text("amount_unit", "minor")
    start = parse_time(sheet.text("start"))
    period = nominal_period(*interval_of(sheet), start, "UTC", start)
    ended = max(day_start(sheet.day("terminate"), "UTC"), start)
    used = share(period, start, ended, mode="days_inclusive", zone="UTC", ends=True)
    left = 1 - used
    days = (local_day(period.end_us, "UTC") - local_day(period.start_us, "UTC")).days
    sheet.agrees("days_in_period", str(days))
    sheet.agrees("unused_days", str(left * days))
    percent = sheet.number("tax_pct")
    amount = sheet.whole("plan_amount_in_advance")
    _, found = invoiced([amount], [percent])
    return {**as_shown(unused(amount, percent, left)), "invoice_tax": found.tax.tax}


def on_termination(sheet: Sheet, played: Worked) -> Said:
    sheet.text("amount_unit", "minor")
    part = Fraction(sheet.whole("unused_days"), sheet.whole("days_in_period"))
    note = unused(sheet.whole("plan_amount_in_advance"), sheet.number("tax_pct"), part)
    _, _, due = settle(sheet.whole("applied_to_invoice_total"), notes=note.total, prepaid=0)
    return {"credit_note": as_shown(note), "invoice_total_after_credit": due}


def in_advance(sheet: Sheet, played: Worked) -> Said:
    """Play a first invoice and the note for what is left, by the customer's calendar."""
    sheet.text("amount_unit", "minor")
    zone = sheet.text("timezone")
    start = parse_time(sheet.text("start"))
    today = local_day(start, zone)
    calendar = sheet.text("billing", "calendar", "anniversary") == "calendar"
    anchor = date(today.year, today.month, 1) if calendar else today
    period = nominal_period(*interval_of(sheet), day_start(anchor, zone), zone, start)
    ended = max(day_start(sheet.day("terminate"), zone), start)
    days = days_between(period)
    had = share(period, start, period.end_us, mode="days_inclusive", zone=zone)
    used = share(period, start, ended, mode="days_inclusive", zone=zone, ends=True)
    sheet.agrees("days_billed", str(had * days))
    sheet.agrees("days_credited", str((had - used) * days))
    amount, percent = sheet.whole("plan_amount"), sheet.number("tax_pct")
    fee = prorate(amount, had)
    _, found = invoiced([fee], [percent])
    note = unused(amount, percent, had - used, billed=fee)
    return {"first_invoice_total": found.due, "credit_note": as_shown(note)}


def partial(sheet: Sheet, played: Worked) -> Said:
    sheet.text("amount_unit", "minor")
    invoice, found = invoiced([sheet.whole("invoice_fee")], [sheet.number("tax_pct")])
    first = credit_note(invoice, [NoteItem(line="0", amount=sheet.whole("first_credit_item"))])
    rest = NoteItem(line="0", amount=sheet.whole("then_remaining_item"))
    second = credit_note(invoice, [rest], [first])
    return {
        "invoice_total": found.due,
        "first_credit_note": as_shown(first),
        "second_credit_note": as_shown(second),
    }


def with_coupon(sheet: Sheet, played: Worked) -> Said:
    sheet.text("amount_unit", "minor")
    fees = sheet.each("fees")
    names = [fee.text("id") for fee in fees]
    of = {name: str(place) for place, name in enumerate(names)}
    coupon = (sheet.whole("coupon_fixed"), of[sheet.text("coupon_limited_to", *names)])
    amounts = [fee.whole("amount") for fee in fees]
    invoice, found = invoiced(amounts, [fee.number("tax_pct") for fee in fees], coupon)
    wanted = sheet.inner("credit_item")
    item = NoteItem(line=of[wanted.text("fee", *names)], amount=wanted.whole("amount"))
    note = credit_note(invoice, [item])
    return {
        "invoice": {
            "taxes": found.tax.tax,
            "effective_tax_rate_pct": _effective(found),
            "total": found.due,
        },
        "credit_note": {"coupon_adjustment": note.adjustment, **as_shown(note)},
    }


def _effective(found: Totals) -> Decimal:
    return rounded_to(LAGO_PLACES, Fraction(100 * found.tax.tax, found.tax.net))


def one_after_the_other(sheet: Sheet, played: Worked) -> Said:
    sheet.text("amount_unit", "minor")
    amounts = [int(each) for each in sheet.numbers("one_off_items")]
    invoice, found = invoiced(amounts, [sheet.number("tax_pct")] * len(amounts))
    notes: list[Note] = []
    for place, amount in enumerate(sheet.numbers("credit_items_one_after_the_other")):
        notes.append(credit_note(invoice, [NoteItem(line=str(place), amount=int(amount))], notes))
    if len(notes) != 2:
        raise Strange(f"{len(notes)} notes")
    shown = [
        {
            "precise_tax": rounded_to(LAGO_PLACES, note.tax_exactly),
            "tax": note.tax,
            "total": note.total,
        }
        for note in notes
    ]
    return {
        "invoice": {"taxes": found.tax.tax, "total": found.due},
        "first_credit_note": shown[0],
        "second_credit_note": shown[1],
    }


NOTES: Final[dict[str, Player]] = {
    "credit_note_rounding": rounding,
    "credit_note_on_termination": on_termination,
    "proration_terminate_in_advance": in_advance,
    "credit_note_partial": partial,
    "credit_note_partial_with_coupon": with_coupon,
    "credit_note_one_off_rounding": one_after_the_other,
}
