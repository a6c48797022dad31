"""Invoices: gapless numbers, sums, payments, and a database that keeps what was issued."""

from farebox.billing.invoices.service_payments import pay
from tests.support.invoicing import a_line, issued, money, trial
from tests.support.services import run


def test_issued_invoice_is_owed_and_a_payment_settles_it(billing):
    found = issued(billing, a_line(10_000), a_line(5_000))
    assert (found.number, found.state, found.total) == ("INV-2025-000001", "issued", 18_000)
    assert trial(billing) == {"receivable": -18_000, "revenue": 15_000, "tax:vat": 3_000}
    run(billing, money, 18_000)
    paid = run(billing, pay, found.id, 18_000, "pay_1")
    assert (paid.state, paid.due) == ("paid", 0)
    assert trial(billing) == {"cash:sandbox": -18_000, "revenue": 15_000, "tax:vat": 3_000}
