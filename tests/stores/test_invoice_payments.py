"""Payments of invoices, credit, and what else becomes of an invoice: past due, void, given up."""

from functools import partial

import pytest

from farebox.billing.books import service as books
from farebox.billing.books.model import EntryRefused
from farebox.billing.flows import issue_invoices
from farebox.billing.flows.issue_invoices import InvoicesDue
from farebox.billing.invoices import service, service_issue, service_settings, store
from farebox.billing.invoices.model import (
    InvoiceKeyReused,
    InvoiceNotIssued,
    InvoiceUnknown,
    PeriodClosed,
    TransitionRefused,
)
from farebox.billing.invoices.rules import STEPS
from farebox.billing.invoices.service_credit import credit_of
from farebox.billing.invoices.service_notes import credit_note
from farebox.billing.invoices.service_payments import pay, payments_of
from farebox.billing.invoices.service_recognition import earned_so_far
from farebox.events import store as events
from farebox.events.rests import RowsFailed
from farebox.kernel.refusals import ValueRefused
from farebox.platform.service_audit import list_audit
from tests.support.invoicing import (
    DAY_US,
    a_customer,
    a_draft,
    a_line,
    issued,
    money,
    sell,
    trial,
)
from tests.support.services import ADA, at_once, now, run


def told(billing):
    with billing.read() as tx:
        return [row.type for row in tx.run(events.outbox.select().order_by(events.outbox.c.seq))]


def paid_in(billing, found, amount, payment="pay_1"):
    run(billing, money, amount)
    return run(billing, pay, found.id, amount, payment)


# -- payments ------------------------------------------------------------------------------------


def test_a_payment_in_part_leaves_the_rest_owed(billing):
    found = paid_in(billing, issued(billing, a_line(10_000)), 5_000)
    assert (found.state, found.due) == ("issued", 7_000)
    assert paid_in(billing, found, 7_000, "pay_2").state == "paid"


def test_the_same_payment_counts_once(billing):
    found = issued(billing, a_line(10_000))
    paid_in(billing, found, 5_000)
    assert run(billing, pay, found.id, 5_000, "pay_1").paid == 5_000
    with pytest.raises(InvoiceKeyReused):
        run(billing, pay, found.id, 5_001, "pay_1")
    assert len(run(billing, payments_of, found.id)) == 1


def test_what_is_overpaid_is_credit_for_the_next_invoice_and_never_the_wallets(billing):
    customer = run(billing, a_customer)
    found = paid_in(billing, issued(billing, a_line(10_000), customer=customer), 15_000)
    assert (found.state, found.paid) == ("paid", 12_000)
    assert run(billing, credit_of, customer, "EUR") == 3_000
    assert trial(billing)["credit"] == 3_000
    assert "wallet" not in trial(billing)
    after = issued(billing, a_line(10_000), customer=customer)
    assert (after.paid, after.due) == (3_000, 9_000)
    assert run(billing, credit_of, customer, "EUR") == 0
    assert "credit" not in trial(billing)


def test_credit_of_another_currency_or_customer_pays_nothing(billing):
    customer = run(billing, a_customer)
    paid_in(billing, issued(billing, a_line(1_000), customer=customer), 9_999)
    assert issued(billing, a_line(1_000), customer=customer, currency="USD").paid == 0
    assert issued(billing, a_line(1_000)).paid == 0


def test_an_invoice_of_an_order_is_not_paid_by_credit(billing):
    customer = run(billing, a_customer)
    paid_in(billing, issued(billing, a_line(1_000), customer=customer), 9_999)
    assert issued(billing, a_line(1_000), customer=customer, order="ord_1").paid == 0


def test_money_for_what_is_no_longer_owed_is_credit(billing):
    found = issued(billing, a_line(100))
    run(billing, service_issue.void, found.id)
    assert paid_in(billing, found, 120).state == "void"
    assert run(billing, credit_of, found.customer, "EUR") == 120


def test_a_draft_is_not_paid(billing):
    draft = run(billing, a_draft, a_line(100))
    with pytest.raises(InvoiceNotIssued):
        run(billing, pay, draft.id, 100, "pay_1")
    with pytest.raises(InvoiceUnknown):
        run(billing, pay, "inv_none", 100, "pay_1")


@pytest.mark.parametrize("amount", [0, -1, 2**53, True])
def test_an_amount_that_is_none_pays_nothing(billing, amount):
    found = issued(billing, a_line(100))
    with pytest.raises(ValueRefused):
        run(billing, pay, found.id, amount, "pay_1")


def test_two_payments_at_once_pay_what_is_owed_and_no_more(billing):
    found = issued(billing, a_line(10_000))
    run(billing, money, 24_000)
    at_once([partial(run, billing, pay, found.id, 12_000, each) for each in ("pay_1", "pay_2")])
    after = run(billing, service.read_invoice, found.id)
    assert (after.state, after.paid) == ("paid", 12_000)
    assert run(billing, credit_of, found.customer, "EUR") == 12_000


# -- what else becomes of it -----------------------------------------------------------------------


def test_an_invoice_is_past_due_on_its_day_and_not_before(billing, clock):
    found = issued(billing, a_line(100))
    worker = InvoicesDue(billing)
    clock.move(14 * DAY_US - 1)
    worker.step()
    assert run(billing, service.read_invoice, found.id).state == "issued"
    clock.move(1)
    worker.step()
    worker.step()
    assert run(billing, service.read_invoice, found.id).state == "past_due"
    assert told(billing).count("invoice.past_due") == 1


@pytest.mark.parametrize(
    ("state", "end"),
    [
        ("paid", lambda billing, found: paid_in(billing, found, 120)),
        ("void", lambda billing, found: run(billing, service_issue.void, found.id)),
        ("uncollectible", lambda billing, found: run(billing, service_issue.write_off, found.id)),
    ],
)
def test_what_has_ended_beside_the_look_at_what_is_late_does_not_fall_due(
    billing, clock, state, end
):
    found = issued(billing, a_line(100))
    clock.move(14 * DAY_US)
    with billing.read() as tx:
        assert service.due_invoices(tx, limit=1) == [found.id]
    end(billing, found)
    assert run(billing, service_issue.fall_due, found.id).state == state
    assert "invoice.past_due" not in told(billing)


def test_a_void_leaves_nothing_in_the_books_and_keeps_the_number(billing):
    found = issued(billing, a_line(10_000))
    voided = run(billing, service_issue.void, found.id)
    assert (voided.state, voided.number) == ("void", found.number)
    assert trial(billing) == {}
    assert issued(billing, a_line(1)).sequence == 2
    with pytest.raises(TransitionRefused):
        run(billing, service_issue.void, found.id)


def test_a_void_gives_back_the_credit_that_paid(billing):
    customer = run(billing, a_customer)
    paid_in(billing, issued(billing, a_line(1_000), customer=customer), 2_200)
    found = issued(billing, a_line(10_000), customer=customer)
    assert found.paid == 1_000
    run(billing, service_issue.void, found.id)
    assert run(billing, credit_of, customer, "EUR") == 1_000
    assert trial(billing)["credit"] == 1_000


def test_what_was_paid_in_part_or_credited_is_not_voided(billing):
    found = paid_in(billing, issued(billing, a_line(10_000)), 1)
    with pytest.raises(TransitionRefused):
        run(billing, service_issue.void, found.id)
    credited = issued(billing, a_line(10_000))
    run(billing, credit_note, credited.id, amount=1, reason="sorry", key="n")
    with pytest.raises(TransitionRefused):
        run(billing, service_issue.void, credited.id)


def test_what_was_given_up_is_bad_debt_and_is_recovered_when_it_is_paid(billing):
    found = paid_in(billing, issued(billing, a_line(10_000)), 2_000)
    lost = run(billing, service_issue.write_off, found.id)
    assert (lost.state, lost.due, lost.written_off) == ("uncollectible", 0, 10_000)
    assert trial(billing)["bad_debt"] == -10_000
    part = paid_in(billing, found, 4_000, "pay_2")
    assert (part.state, part.written_off) == ("uncollectible", 6_000)
    whole = paid_in(billing, found, 6_000, "pay_3")
    assert (whole.state, whole.paid) == ("paid", 12_000)
    assert "bad_debt" not in trial(billing)


STATES = ("draft", "issued", "paid", "past_due", "void", "uncollectible")
ACTS = {
    "void": service_issue.void,
    "write_off": service_issue.write_off,
}


@pytest.mark.parametrize("state", ["paid", "void", "uncollectible"])
@pytest.mark.parametrize("step", ACTS)
def test_what_has_ended_takes_no_further_step(billing, state, step):
    found = issued(billing, a_line(100))
    if state == "paid":
        paid_in(billing, found, 120)
    else:
        run(
            billing,
            {"void": service_issue.void, "uncollectible": service_issue.write_off}[state],
            found.id,
        )
    assert (state, step) not in STEPS
    with pytest.raises(TransitionRefused):
        run(billing, ACTS[step], found.id)


def test_the_history_says_what_became_of_it_and_by_whom(billing, clock):
    found = issued(billing, a_line(100))
    clock.move(DAY_US)
    run(billing, money, 120)
    run(billing, pay, found.id, 120, "pay_1", actor=ADA)
    history = run(billing, service.history_of, found.id)
    assert [each.what for each in history] == ["drafted", "issued", "payment", "paid"]
    assert (history[2].actor, history[2].amount, history[2].reference) == (ADA.id, 120, "pay_1")
    assert history[2].at == history[0].at + DAY_US


# -- earning ---------------------------------------------------------------------------------------


def year_from(billing, amount):
    start = now(billing) // DAY_US * DAY_US
    return a_line(amount, period_start=start, period_end=start + 365 * DAY_US)


def test_what_is_not_over_is_deferred_and_earned_day_by_day(billing, clock):
    issued(billing, year_from(billing, 120_000))
    assert trial(billing) == {"receivable": -144_000, "deferred": 120_000, "tax:vat": 24_000}
    worker = InvoicesDue(billing)
    clock.move(30 * DAY_US)
    worker.step()
    assert trial(billing)["revenue"] == 10_192  # 31 days of 365: 101.92 of 1200
    clock.move(400 * DAY_US)
    worker.step()
    worker.step()
    assert trial(billing)["revenue"] == 120_000
    assert "deferred" not in trial(billing)


def test_what_a_note_takes_back_is_not_earned_any_more(billing, clock):
    found = issued(billing, year_from(billing, 36_500))
    clock.move(99 * DAY_US)
    InvoicesDue(billing).step()
    assert trial(billing)["revenue"] == 10_000
    run(billing, credit_note, found.id, amount=26_500, reason="ended early", key="n")
    assert "deferred" not in trial(billing)
    clock.move(400 * DAY_US)
    InvoicesDue(billing).step()
    assert trial(billing)["revenue"] == 10_000


def test_a_void_takes_back_what_was_earned_too(billing, clock):
    found = issued(billing, year_from(billing, 36_500))
    clock.move(9 * DAY_US)
    InvoicesDue(billing).step()
    run(billing, service_issue.void, found.id)
    assert trial(billing) == {}


# -- closed periods --------------------------------------------------------------------------------


def test_nothing_of_a_closed_period_is_voided_and_it_is_credited_instead(billing, clock):
    found = issued(billing, a_line(10_000))
    clock.move(DAY_US)
    run(billing, service_settings.close_period, ADA, now(billing))
    with pytest.raises(PeriodClosed):
        run(billing, service_issue.void, found.id)
    run(billing, credit_note, found.id, reason="wrong", key="n")
    assert trial(billing) == {}


def test_a_period_is_closed_once_and_only_when_it_has_passed(billing, clock):
    with pytest.raises(ValueRefused):
        run(billing, service_settings.close_period, ADA, now(billing) + 1)
    run(billing, service_settings.close_period, ADA, now(billing))
    with pytest.raises(PeriodClosed):
        run(billing, service_settings.close_period, ADA, now(billing) - 1)
    assert run(billing, list_audit, subject="closed_period").items[0].actor == ADA.id


def test_an_issue_before_the_end_of_a_closed_period_is_refused(billing, clock):
    draft = run(billing, a_draft, a_line(100))
    run(billing, sell)
    clock.move(DAY_US)
    run(billing, service_settings.close_period, ADA, now(billing))
    clock.move(-DAY_US)
    with pytest.raises(PeriodClosed):
        run(billing, service_issue.issue, draft.id)
    with billing.read() as tx:
        assert tx.one(store.counter.select()) is None


# -- what stands in the way of others --------------------------------------------------------------


def test_an_invoice_that_cannot_be_earned_keeps_no_other_waiting(billing, clock, monkeypatch):
    first = issued(billing, year_from(billing, 36_500))
    second = issued(billing, year_from(billing, 36_500))
    worker = InvoicesDue(billing)
    break_entries_of(monkeypatch, first)
    clock.move(9 * DAY_US)

    with pytest.raises(RowsFailed, match="EntryRefused"):
        worker.step()

    assert earned(billing, first, second) == (0, 1_000)
    assert worker.step() == 0, "it rests, and the worker has nothing else to do"
    monkeypatch.undo()
    InvoicesDue(billing).step()
    assert earned(billing, first, second) == (1_000, 1_000)


def test_an_invoice_that_cannot_fall_due_keeps_no_other_waiting(billing, clock, monkeypatch):
    first, second = issued(billing, a_line(1_000)), issued(billing, a_line(2_000))
    real = service_issue.fall_due

    def fall_due(tx, invoice_id):
        if invoice_id == first.id:
            raise EntryRefused
        return real(tx, invoice_id)

    monkeypatch.setattr(issue_invoices, "fall_due", fall_due)
    clock.move(15 * DAY_US)
    with pytest.raises(RowsFailed, match="EntryRefused"):
        InvoicesDue(billing).step()
    assert run(billing, service.read_invoice, first.id).state == "issued"
    assert run(billing, service.read_invoice, second.id).state == "past_due"


def break_entries_of(monkeypatch, invoice):
    """Let the books refuse what is earned of one invoice."""
    real = books.post

    def post(tx, currency, lines, about, *, key=None):
        if about.kind == "recognition" and about.invoice == invoice.id:
            raise EntryRefused
        return real(tx, currency, lines, about, key=key)

    monkeypatch.setattr(books, "post", post)


def earned(billing, *invoices):
    return tuple(run(billing, earned_so_far, each.id, 1) for each in invoices)
