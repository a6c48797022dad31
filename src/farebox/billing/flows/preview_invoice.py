"""The next invoices of a subscription as they would be now: its period, and its usage so far.

The lines are those that billing would write, and their totals the draft's own; the draft is then
taken back. Usage that is not final yet is what access told last in a snapshot.
"""

import msgspec

from farebox.billing.flows.bill_arrears import unbilled_since, with_planned
from farebox.billing.flows.bill_subscription import line_of_stretch, terms_of
from farebox.billing.flows.looking import undone
from farebox.billing.flows.rate_product import NotRated, known_of, rate
from farebox.billing.flows.sold import Sold
from farebox.billing.invoices.model import Invoice, InvoiceLine
from farebox.billing.invoices.service import draft
from farebox.billing.schedules.model import NothingToPay, Schedule
from farebox.billing.schedules.rules import bills_at, period_of
from farebox.billing.schedules.service import lock_schedule, schedules_of
from farebox.billing.schedules.service_usage import totals_of, unbilled_of
from farebox.storage import Database, Tx


class Upcoming(msgspec.Struct, frozen=True, kw_only=True):
    """What is billed next, and when: the period, and the usage that is not billed yet."""

    bills_at: int | None
    period: Invoice | None
    usage: Invoice | None


def preview_next(database: Database, subscription: str) -> Upcoming:
    """Return the next invoices of a subscription as they would be now; nothing of them stays.

    Refuses `subscription_unknown`, and (`nothing_to_pay`) one that owes nothing more.
    """

    def work(tx: Tx) -> Upcoming:
        one = lock_schedule(tx, subscription)
        due_at = None if one.state in {"paused", "canceled", "unpriced"} else bills_at(one)
        if one.cancel_at is not None and due_at is not None and due_at >= one.cancel_at:
            due_at = one.cancel_at if not one.advance else None
        line = None if due_at is None else _period_line(tx, one, due_at)
        used = _usage_lines(tx, one)
        if line is None and not used:
            raise NothingToPay
        return Upcoming(
            bills_at=due_at,
            period=None if line is None else _drafted(tx, one, [line], "period"),
            usage=_drafted(tx, one, used, "usage") if used else None,
        )

    return undone(database, work)


def _period_line(tx: Tx, one: Schedule, due_at: int) -> InvoiceLine | None:
    period = period_of(one, one.next_index)
    if one.advance:
        one = with_planned(tx, one)
        return line_of_stretch(tx, one, period, period.start_us, period.end_us)
    return line_of_stretch(tx, one, period, unbilled_since(tx, one), min(due_at, period.end_us))


def _usage_lines(tx: Tx, one: Schedule) -> list[InvoiceLine]:
    open_ = unbilled_of(tx, one.customer)
    known = known_of(tx, one.customer, open_, schedules_of(tx, one.customer))
    sold = Sold()
    lines = []
    for period, product in dict.fromkeys((each.period, each.product) for each in open_):
        so_far = [each for each in open_ if (each.period, each.product) == (period, product)]
        interim = [each for each in so_far if each.interim]
        try:
            totals = [*totals_of(tx, one.customer, period, product), *interim]
            part = rate(tx, totals, known, sold)
        except NotRated:
            continue
        if part.line is not None:
            lines.append(part.line)
    return lines


def _drafted(tx: Tx, one: Schedule, lines: list[InvoiceLine], what: str) -> Invoice:
    return draft(
        tx,
        customer=one.customer,
        currency=one.currency,
        lines=lines,
        due_days=terms_of(tx, one).due_days,
        key=f"preview:{one.subscription}:{one.version}:{what}",
        subscription=one.subscription,
    )
