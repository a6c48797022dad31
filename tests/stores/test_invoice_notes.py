"""Credit notes in the database: worked numbers, bounds, and where a note's worth goes."""

import random
from decimal import Decimal
from functools import partial

import pytest

from farebox.billing.flows.issue_invoices import credit_invoice
from farebox.billing.invoices.model import (
    CreditLine,
    CreditNoteUnknown,
    InvoiceKeyReused,
    InvoiceNotIssued,
    InvoiceTermsRefused,
    TransitionRefused,
)
from farebox.billing.invoices.service import history_of, read_invoice
from farebox.billing.invoices.service_credit import credit_of
from farebox.billing.invoices.service_issue import void, write_off
from farebox.billing.invoices.service_notes import credit_note, notes_of, read_note
from farebox.billing.invoices.service_payments import pay
from farebox.billing.pricing.model_money import NoteRefused, Rate
from farebox.billing.pricing.service_tax import set_tax_settings
from farebox.kernel.refusals import ValueRefused
from tests.support.invoicing import a_customer, a_draft, a_line, issued, money, trial
from tests.support.services import ADA, at_once, run


def note(billing, found, *lines, key="n", reason="returned", **more):
    credited = [CreditLine(line, amount) for line, amount in lines]
    return run(billing, credit_note, found.id, credited, key=key, reason=reason, **more)


def paid(billing, *lines, **more):
    found = issued(billing, *lines, **more)
    run(billing, money, found.total)
    return run(billing, pay, found.id, found.total, "pay_1")


def test_the_note_that_exhausts_an_invoice_absorbs_earlier_rounding(billing):
    run(billing, set_tax_settings, ADA, country="DE", level="total")
    found = issued(billing, a_line(6_833), a_line(6_833))
    assert found.total == 16_399
    first = note(billing, found, (1, 6_833))
    second = note(billing, found, (2, 6_833), key="n2")
    assert (first.total, second.total) == (8_200, 8_199)
    assert (first.number, second.number) == ("CRN-2025-000001", "CRN-2025-000002")
    assert trial(billing) == {}


def test_a_note_of_what_is_not_paid_cancels_the_debt(billing):
    found = issued(billing, a_line(10_000))
    made = note(billing, found, (1, 4_000))
    assert (made.canceled, made.refund, made.credit) == (4_800, 0, 0)
    assert run(billing, read_invoice, found.id).due == 7_200
    note(billing, found, key="n2")
    after = run(billing, read_invoice, found.id)
    assert (after.state, after.due, after.paid) == ("paid", 0, 0)


def test_a_note_of_what_was_paid_is_credit_for_the_next_invoice(billing):
    customer = run(billing, a_customer)
    found = paid(billing, a_line(10_000), customer=customer)
    made = note(billing, found, (1, 5_000))
    assert (made.canceled, made.refund, made.credit) == (0, 0, 6_000)
    assert run(billing, credit_of, customer, "EUR") == 6_000
    assert trial(billing) == {
        "cash:sandbox": -12_000, "credit": 6_000, "revenue": 5_000, "tax:vat": 1_000
    }  # fmt: skip
    assert issued(billing, a_line(10_000), customer=customer).paid == 6_000


def test_a_refund_goes_back_by_money_and_what_credit_paid_is_credit_again(billing):
    customer = run(billing, a_customer)
    note(billing, paid(billing, a_line(5_000), customer=customer))
    found = issued(billing, a_line(10_000), customer=customer)
    assert found.paid == 6_000
    run(billing, money, 6_000)
    run(billing, pay, found.id, 6_000, "pay_2")
    made = note(billing, found, settling="refund", key="n2")
    assert (made.total, made.refund, made.credit) == (12_000, 6_000, 6_000)
    assert run(billing, credit_of, customer, "EUR") == 6_000


def test_a_refund_of_money_that_no_gateway_brought_is_told_to_whoever_gives_it_back(billing):
    found = paid(billing, a_line(10_000))
    made = run(billing, credit_invoice, found.id, settling="refund", reason="returned", key="n")
    assert made.refund == 12_000
    assert trial(billing)["suspense"] == 12_000
    last = run(billing, history_of, found.id)[-1]
    assert (last.what, last.amount, last.reference) == ("refund_by_hand", 12_000, made.id)


def test_the_same_key_credits_once(billing):
    found = issued(billing, a_line(10_000))
    first = note(billing, found, (1, 1_000))
    assert note(billing, found, (1, 1_000)) == first
    with pytest.raises(InvoiceKeyReused):
        note(billing, found, (1, 2_000))
    assert run(billing, notes_of, found.id) == [first]


def test_the_same_key_at_once_is_one_note(billing):
    found = paid(billing, a_line(10_000))
    answers = at_once([partial(note, billing, found) for _ in range(4)])
    assert {getattr(one, "id", one) for one in answers} == {run(billing, notes_of, found.id)[0].id}
    assert len(run(billing, notes_of, found.id)) == 1


def test_two_notes_at_once_credit_no_more_than_there_is(billing):
    found = issued(billing, a_line(10_000))
    taking = [partial(note, billing, found, (1, 6_000), key=each) for each in ("a", "b")]
    answers = at_once(taking)
    assert sorted(type(each).__name__ for each in answers) == ["CreditNote", "NoteRefused"]


BAD = [
    ({"lines": [(1, 10_001)]}, NoteRefused),
    ({"lines": [(9, 1)]}, NoteRefused),
    ({"lines": [(1, 0)]}, NoteRefused),
    ({"lines": [(1, 1), (1, 1)]}, InvoiceTermsRefused),
    ({"lines": [(1, 1)], "amount": 1}, InvoiceTermsRefused),
    ({"amount": 0}, NoteRefused),
    ({"amount": 10_001}, NoteRefused),
    ({"reason": ""}, ValueRefused),
]


@pytest.mark.parametrize(("bad", "refusal"), BAD)
def test_a_note_that_cannot_be_is_refused_and_changes_nothing(billing, bad, refusal):
    found = issued(billing, a_line(10_000))
    before = trial(billing)
    named = dict(bad)
    with pytest.raises(refusal):
        note(billing, found, *named.pop("lines", ()), **named)
    assert run(billing, notes_of, found.id) == []
    assert trial(billing) == before


def test_of_an_invoice_that_was_credited_whole_nothing_more_is(billing):
    found = issued(billing, a_line(10_000))
    note(billing, found)
    before = trial(billing)
    for asked in ({}, {"amount": 1}):
        with pytest.raises(NoteRefused):
            note(billing, found, key="again", **asked)
    assert len(run(billing, notes_of, found.id)) == 1
    assert trial(billing) == before


def test_nothing_is_credited_of_a_draft_or_of_what_was_voided_or_given_up(billing):
    with pytest.raises(InvoiceNotIssued):
        note(billing, run(billing, a_draft, a_line(100)))
    for end in (void, write_off):
        found = issued(billing, a_line(100))
        run(billing, end, found.id)
        with pytest.raises(TransitionRefused):
            note(billing, found, key=found.id)
    with pytest.raises(CreditNoteUnknown):
        run(billing, read_note, "crn_none")


def test_notes_of_any_lines_in_any_order_never_exceed_their_invoice_and_end_at_nothing(billing):
    chance = random.Random(20_260_101)
    rates = [
        (Rate("vat", Decimal(20)),),
        (Rate("low", Decimal(7)),),
        (),
        (Rate("a", Decimal(9)), Rate("b", Decimal(2))),
    ]
    for turn in range(25):
        lines = [
            a_line(chance.randint(1, 9_999), rates=chance.choice(rates))
            for _ in range(chance.randint(1, 4))
        ]
        inclusive = chance.random() < 0.5
        lines = [a_line(each.amount, rates=each.rates, inclusive=inclusive) for each in lines]
        found = issued(billing, *lines)
        assert found.total == sum(each.gross for each in found.lines)
        assert found.net + found.tax == found.total
        if chance.random() < 0.5:
            run(billing, money, part := chance.randint(1, found.total + 50))
            run(billing, pay, found.id, part, f"pay_{turn}")
        left = {each.line: each.sold.amount for each in found.lines}
        while any(left.values()):
            line = chance.choice([each for each, amount in left.items() if amount])
            amount = chance.choice([left[line], chance.randint(1, left[line])])
            left[line] -= amount
            made = note(
                billing, found, (line, amount), key=f"{turn}:{sum(left.values())}",
                settling=chance.choice(["credit", "refund"]),
            )  # fmt: skip
            assert sum(each.net for each in made.lines) == made.subtotal
            assert sum(each.tax for each in made.lines) == made.tax
            notes = run(billing, notes_of, found.id)
            assert sum(each.total for each in notes) <= found.total
        notes = run(billing, notes_of, found.id)
        assert sum(each.total for each in notes) == found.total
        with pytest.raises(NoteRefused):
            note(billing, found, (1, 1), key=f"{turn}:more")
    balances = trial(billing)
    assert balances.keys() <= {"cash:sandbox", "credit", "suspense", "tax:a", "tax:b", "rounding"}
    assert abs(balances.get("tax:a", 0)) <= 25
