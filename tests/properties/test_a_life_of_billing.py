"""Whatever customers, banks and operators do, every figure is what the journal says it is.

Random lives (the seed is the test's parameter): customers subscribe, use, change plans, pause,
cancel; cards fail, banks charge back, operators credit, refund and raise prices; time passes. After
it every report and every document is worked out again, the simplest way, from the entries alone.
"""

import itertools
import random
from collections import defaultdict

import pytest

from farebox.billing.books import service as books
from farebox.billing.books import service_journal as journal
from farebox.billing.flows.change_subscription import ChangeRequested, preview_change
from farebox.billing.flows.issue_invoices import InvoicesDue, credit_invoice
from farebox.billing.flows.move_subscribers import move_subscribers
from farebox.billing.flows.preview_invoice import preview_next
from farebox.billing.flows.rate_usage import UsageDue
from farebox.billing.flows.renew_subscription import DueSchedules
from farebox.billing.invoices import store as invoices
from farebox.billing.invoices.model import Invoice
from farebox.billing.invoices.rules import earned_of
from farebox.billing.invoices.service import list_invoices, read_invoice
from farebox.billing.invoices.service_notes import notes_of
from farebox.billing.payments.service import list_payments
from farebox.billing.payments.service_chargebacks import list_chargebacks
from farebox.billing.payments.service_refunds import refunds_of
from farebox.billing.pricing.service_prices import prices_of
from farebox.billing.reports import service as reports
from farebox.billing.reports import service_recurring as recurring
from farebox.billing.reports.model_money import GatewayLine
from farebox.billing.schedules import service as schedules
from farebox.kernel.clock import SECOND_US, show_time
from farebox.kernel.refusals import Refusal
from farebox.ledger.verify import verify
from tests.support.prices import per_unit
from tests.support.renewals import Renewals
from tests.support.services import ADA, now, run

DAY_US = 86_400 * SECOND_US
STEPS = 45
PLANS = ("basic", "pro")
CARDS = ("sandbox_ok", "sandbox_ok", "sandbox_ok", "sandbox_decline")


class Life:
    """Three customers over a year or two, as chance has it."""

    def __init__(self, billing, clock, seed):
        self.chance = random.Random(seed)
        self.stage = Renewals(billing, clock, at="2027-01-17")
        self.billing, self.clock = billing, clock
        self.stage.meter("api", per_unit("0.013"))
        self.people = [self.stage.who, *(self.stage.consumer(f"con_{n}") for n in (2, 3))]
        self.ours = defaultdict(list)
        self.numbers = itertools.count(1)
        for who in self.people:
            self.stage.who = who
            self.stage.card(f"sandbox_ok:{next(self.numbers)}")

    def work(self):
        self.stage.work()
        worker = InvoicesDue(self.billing)
        while worker.step():
            pass
        self.stage.work()

    def live(self):
        deeds = (
            self.subscribe, self.subscribe, self.wait, self.wait, self.wait, self.use, self.card,
            self.change, self.change, self.credit, self.charge_back, self.raise_a_price,
        )  # fmt: skip
        for _ in range(STEPS):
            self.stage.who = self.chance.choice(self.people)
            self.chance.choice(deeds)()
            self.work()
        # What began at this very instant is not before it, in any report.
        self.clock.move(SECOND_US)
        self.work()

    # -- what is done ------------------------------------------------------------------------------

    def subscribe(self):
        if len(self.ours[self.stage.who]) < 4:
            named = {"trialDays": self.chance.choice([0, 0, 0, 10])}
            one = self.stage.subscribe(self.chance.choice(PLANS), **named)
            self.ours[self.stage.who].append(one)

    def wait(self):
        """Let time pass; what was shown to be billed next is what is billed."""
        shown = self.shown_next()
        self.clock.move(self.chance.randint(1, 40) * DAY_US + self.chance.randint(0, 86_399))
        self.work()
        for subscription, (start, lines, total) in shown.items():
            made = [
                each for each in self.stage.invoices(subscription) if each.period_start == start
            ]
            if made and made[0].created_at >= start:
                found = [(line.sold.amount, line.net, line.gross) for line in made[0].lines]
                assert (found, made[0].total) == (lines, total)

    def shown_next(self):
        shown = {}
        for subscription in self.ours[self.stage.who]:
            one = self.stage.schedule(subscription)
            if one.state != "active" or one.invoice or one.change_invoice:
                continue
            try:
                found = preview_next(self.billing, subscription)
            except Refusal:
                continue
            if found.period is not None:
                lines = [(each.sold.amount, each.net, each.gross) for each in found.period.lines]
                start = found.period.lines[0].sold.period_start
                shown[subscription] = (start, lines, found.period.total)
        return shown

    def use(self):
        period = show_time(now(self.billing))[:7]
        self.stage.used("api", self.chance.randint(1, 90_000), period=period)

    def card(self):
        self.stage.card(f"{self.chance.choice(CARDS)}:{next(self.numbers)}")

    def change(self):
        if not self.ours[self.stage.who]:
            return
        subscription = self.chance.choice(self.ours[self.stage.who])
        wish = ChangeRequested(
            subscription_id=subscription,
            change=self.chance.choice(["plan", "plan", "pause", "resume", "cancel"]),
            at=self.chance.choice(["now", "period_end"]),
            plan=self.chance.choice(PLANS),
        )
        try:
            shown = preview_change(self.billing, wish)
        except Refusal:
            shown = None
        known = {each.id for each in self.stage.invoices(subscription)}
        self.stage.wish(subscription, wish.change, wish.at, wish.plan)
        new = [each for each in self.stage.invoices(subscription) if each.id not in known]
        if shown is not None and shown.invoice is not None:
            assert new[0].total == shown.invoice.total
            assert [each.gross for each in new[0].lines] == [
                each.gross for each in shown.invoice.lines
            ]

    def credit(self):
        """Credit a part of an invoice, and send back what was paid of it, or keep it as credit."""
        found = [each for each in self.all_invoices() if each.total]
        if not found:
            return
        one = self.chance.choice(found)
        try:
            run(
                self.billing, credit_invoice, one.id, amount=self.chance.randint(1, one.total),
                reason="as chance has it", key=f"note_{next(self.numbers)}",
                settling=self.chance.choice(["refund", "credit"]),
            )  # fmt: skip
        except Refusal:
            return

    def charge_back(self):
        paid = [each for each in self.all_payments() if each.state == "succeeded"]
        if not paid or self.chance.random() < 0.5:
            return
        one = self.chance.choice(paid)
        name = f"dp_{next(self.numbers)}"
        said = {"payment": one.id, "chargeback": name, "amount": one.amount}
        self.stage.till.tell(id=f"{name}:o", **said)
        if self.chance.random() < 0.5:
            self.stage.till.tell(id=f"{name}:w", chargeback_state="won", **said)

    def raise_a_price(self):
        plan = self.chance.choice(PLANS)
        self.stage.reprice(plan, str(self.chance.randint(5, 40)))
        [price] = run(self.billing, prices_of, "plan", plan)
        at = self.chance.choice(["now", "period_end"])
        run(self.billing, move_subscribers, ADA, price.id, at=at)

    # -- what there is -----------------------------------------------------------------------------

    def all_invoices(self):
        found = run(self.billing, list_invoices, issued_only=True, limit=1000).items
        return [run(self.billing, read_invoice, each.id) for each in found]

    def all_payments(self):
        return run(self.billing, list_payments, limit=1000).items

    def entries(self):
        return run(self.billing, lambda tx: list(journal.entries(tx, "USD")))


@pytest.fixture(params=[2, 34])
def life(billing, clock, request):
    made = Life(billing, clock, request.param)
    made.live()
    yield made
    made.stage.till.close()


def test_every_figure_of_a_life_is_what_its_entries_say(life):
    """One life is lived once and looked at from every side: it is what takes the time."""
    assert_books(life)
    assert_documents(life)
    assert_receivables(life)
    assert_deferred(life)
    assert_money(life)
    assert_once(life)
    assert_reconciled(life)
    assert_cohorts(life)


def balances_of(entries):
    found: defaultdict[str, int] = defaultdict(int)
    for each in entries:
        found[each.debit] -= each.amount
        found[each.credit] += each.amount
    return {name: amount for name, amount in found.items() if amount}


def assert_books(life):
    """The books sum to zero at any instant, and are stored as they were written."""
    entries = life.entries()
    assert entries
    for until in range(0, len(entries), 25):
        assert sum(balances_of(entries[:until]).values()) == 0
    stored = run(life.billing, books.balances, "USD")
    assert {name: amount for name, amount in stored.items() if amount} == balances_of(entries)
    for at in (entries[0].at, entries[len(entries) // 2].at, entries[-1].at + 1):
        rows = run(life.billing, reports.balances, at=at)
        assert {row.account: row.balance for row in rows if row.balance} == balances_of(
            each for each in entries if each.at < at
        )
    [*_, report] = verify(life.billing)
    assert report.faults == []


def assert_documents(life):
    """Invoices are the sums of their lines; with their notes they are what was earned or will be.

    What is void was never owed; a note takes back no more than its invoice said.
    """
    charged = 0
    for each in life.all_invoices():
        assert each.net == sum(line.net for line in each.lines)
        assert each.tax == sum(line.tax for line in each.lines)
        assert each.total == sum(line.gross for line in each.lines) == each.net + each.tax
        assert each.paid + each.canceled + each.written_off <= each.total
        noted = sum(note.total for note in run(life.billing, notes_of, each.id))
        assert noted <= each.total
        if each.state != "void":
            charged += each.total - noted
    found = balances_of(life.entries())
    income = [
        amount
        for name, amount in found.items()
        if name in {"revenue", "deferred"} or name.startswith("tax:")
    ]
    assert sum(income) == charged
    by_month = run(life.billing, reports.revenue, since=0, before=now(life.billing) + 1)
    assert sum(row.gross for row in by_month) == found.get("revenue", 0)


def assert_receivables(life):
    """Who owes how much, by customer: from the entries on receivables alone."""
    owed: defaultdict[str | None, int] = defaultdict(int)
    for each in life.entries():
        for account, sign in ((each.debit, 1), (each.credit, -1)):
            if account == "receivable":
                owed[each.about.customer] += sign * each.amount
    rows = run(life.billing, recurring.aged_receivables)
    assert {row.customer: row.total for row in rows} == {
        customer: amount for customer, amount in owed.items() if amount
    }
    for row in rows:
        late = (row.not_due, row.days_1_30, row.days_31_60, row.days_61_90, row.days_over_90)
        assert sum(late) == row.total
        assert min(late) >= 0


def assert_deferred(life):
    """What is deferred is what days to come of the lines will earn, line by line."""
    at = now(life.billing)
    table = invoices.recognition
    rows = run(life.billing, lambda tx: tx.run(table.select()).all())
    left = 0
    for row in rows:
        line = run(life.billing, read_invoice, row.invoice).lines[row.line - 1]
        earned = min(earned_of(line, row.taken_back, at), row.deferred - row.taken_back)
        assert row.earned == max(earned, row.earned)
        left += row.deferred - row.taken_back - row.earned
    assert balances_of(life.entries()).get("deferred", 0) == left


def assert_money(life):
    """Charged less given back is what is there: at the gateway, and of every payment."""
    net = 0
    for each in life.all_payments():
        assert each.refunded + each.refunding >= 0
        if each.state != "succeeded":
            continue
        refunds = run(life.billing, refunds_of, each.id)
        done = sum(refund.amount for refund in refunds if refund.state == "succeeded")
        assert done == each.refunded
        assert done <= each.amount
        taken = [
            one.amount
            for one in run(life.billing, list_chargebacks, payment=each.id).items
            if one.state != "won"
        ]
        assert each.charged_back == min(sum(taken), each.amount)
        # What went back twice, or was charged back beyond what came, a person is told.
        over = each.refunded + each.refunding + sum(taken) > each.amount
        assert each.attention is not None or not over
        net += each.amount - each.refunded - sum(taken)
    found = balances_of(life.entries())
    assert -found.get("cash:sandbox", 0) == net
    credit = invoices.credit
    kept = run(life.billing, lambda tx: tx.run(credit.select()).all())
    assert sum(row.balance for row in kept) == found.get("credit", 0)


def assert_once(life):
    """Each stretch of a subscription was billed once, and another run bills nothing."""
    for ones in life.ours.values():
        for subscription in ones:
            end = 0
            for charge in run(life.billing, schedules.charges_of, subscription):
                stop = charge.ends_at if charge.cut_at is None else charge.cut_at
                if charge.state == "void" or stop <= charge.starts_at:
                    continue
                assert charge.starts_at >= end, "a stretch was billed twice"
                end = stop
    before = [each.id for each in life.all_invoices()]
    for worker in (DueSchedules(life.billing), UsageDue(life.billing)) * 2:
        assert worker.step() == 0
    assert [each.id for each in life.all_invoices()] == before


def assert_reconciled(life):
    """A gateway's own list is what our entries on its cash say; a cent more is found."""
    lines = []
    for each in life.all_payments():
        if each.state == "succeeded":
            lines.append(GatewayLine(reference=each.id, amount=each.amount))
            found = run(life.billing, list_chargebacks, payment=each.id).items
            back = each.refunded + sum(one.amount for one in found if one.state != "won")
            lines += [GatewayLine(reference=each.id, amount=-back)] if back else []
    asked = {"gateway": "sandbox", "currency": "USD", "since": 0, "before": now(life.billing) + 1}
    assert run(life.billing, reports.reconcile, **asked, lines=lines) == []
    first = lines[0]
    wrong = [GatewayLine(reference=first.reference, amount=first.amount + 1), *lines[1:]]
    [difference] = run(life.billing, reports.reconcile, **asked, lines=wrong)
    assert (difference.reference, difference.what) == (first.reference, "amount_differs")


def assert_cohorts(life):
    """Cohorts are whom the journal charges for a plan first, by the month that is charged."""
    documents: dict[str, Invoice] = {}
    for each in life.all_invoices():
        charges = run(life.billing, schedules.charges_of_invoice, each.id)
        # Who never paid the first one has not subscribed: what it charged is void.
        if any(charge.state != "void" for charge in charges):
            documents[each.id] = each
    first: dict[str | None, int] = {}
    for each in life.entries():
        told = each.about
        if told.kind == "invoice" and told.plan is not None and told.invoice in documents:
            starts = documents[told.invoice].lines[0].sold.period_start or 0
            first[told.customer] = min(first.get(told.customer, starts), starts)
    months: defaultdict[str, int] = defaultdict(int)
    for starts in first.values():
        months[show_time(starts)[:7]] += 1
    rows = run(life.billing, recurring.cohort_table)
    assert {row.cohort: row.size for row in rows} == dict(months)
    for row in rows:
        assert all(count <= row.size for count in row.customers)
        assert all(
            (count == 0) == (mrr == 0) for count, mrr in zip(row.customers, row.mrr, strict=True)
        )
