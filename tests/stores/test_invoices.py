"""Invoices: gapless numbers, frozen facts, payments, credit, and what becomes of them."""

from decimal import Decimal

import msgspec
import pytest

from farebox.billing.customers import store as customers
from farebox.billing.customers.model import CustomerUnknown
from farebox.billing.customers.service_payer import payer_of
from farebox.billing.invoices import service, service_issue, service_settings
from farebox.billing.invoices.model import (
    InvoiceBelowZero,
    InvoiceEmpty,
    InvoiceIssued,
    InvoiceKeyReused,
    InvoicePriced,
    InvoiceTermsRefused,
    InvoiceUnknown,
    SellerMissing,
    Series,
    SeriesTaken,
    SeriesUnknown,
)
from farebox.billing.invoices.rules import quote_lines
from farebox.billing.invoices.service_payments import pay
from farebox.billing.pricing.model_money import CurrencyUnknown, Rate
from farebox.billing.pricing.service_quotes import total_of
from farebox.events import store as events
from farebox.kernel.refusals import ValueRefused
from farebox.platform.service_audit import list_audit
from tests.support.invoicing import (
    DAY_US,
    SELLER,
    VAT,
    a_customer,
    a_draft,
    a_line,
    issued,
    money,
    sell,
    trial,
)
from tests.support.services import ADA, at_once, run


def told(billing):
    with billing.read() as tx:
        return [row.type for row in tx.run(events.outbox.select().order_by(events.outbox.c.seq))]


def paid_in(billing, found, amount, payment="pay_1"):
    run(billing, money, amount)
    return run(billing, pay, found.id, amount, payment)


# -- drafts --------------------------------------------------------------------------------------


def test_a_draft_has_no_number_and_nothing_in_the_books(billing):
    found = run(billing, a_draft, a_line(10_000))
    assert (found.state, found.number, found.total) == ("draft", None, 12_000)
    assert trial(billing) == {}


def test_lines_are_added_to_a_draft_and_priced_together(billing):
    found = run(billing, a_draft, a_line(10_000))
    more = run(billing, service.add_lines, found.id, [a_line(5_000), a_line(-1_000)])
    assert (more.fees, more.total) == (14_000, 16_800)
    assert run(billing, service.read_invoice, found.id) == more


def test_the_same_key_drafts_once_and_another_draft_under_it_is_refused(billing):
    customer = run(billing, a_customer)
    first = run(billing, a_draft, a_line(10_000), customer=customer, key="sub_1:1")
    again = run(billing, a_draft, a_line(10_000), customer=customer, key="sub_1:1")
    assert again.id == first.id
    with pytest.raises(InvoiceKeyReused):
        run(billing, a_draft, a_line(10_001), customer=customer, key="sub_1:1")
    assert len(run(billing, service.list_invoices).items) == 1


def test_two_drafts_at_once_under_one_key_are_one(billing):
    customer = run(billing, a_customer)

    def one():
        return run(billing, a_draft, a_line(100), customer=customer, key="once").id

    assert len(set(at_once([one] * 4))) == 1


BAD = [
    ({"currency": "ZZZ"}, CurrencyUnknown),
    ({"customer": "con_nobody"}, CustomerUnknown),
    ({"due_days": -1}, ValueRefused),
    ({"due_days": 367}, ValueRefused),
    ({"period": (5, 5)}, InvoiceTermsRefused),
    ({"series": "no_such"}, SeriesUnknown),
    ({"series": "credit_notes"}, ValueRefused),
]


@pytest.mark.parametrize(("bad", "refusal"), BAD)
def test_a_draft_that_cannot_be_is_refused_and_changes_nothing(billing, bad, refusal):
    with pytest.raises(refusal):
        run(billing, a_draft, a_line(100), **bad)
    assert run(billing, service.list_invoices).items == ()


@pytest.mark.parametrize(
    "line",
    [
        a_line(2**53),
        a_line(1, description=""),
        a_line(1, description="x" * 513),
        a_line(1, period_start=1),
        a_line(1, period_start=9, period_end=9),
        a_line(1, rates=VAT + VAT),
    ],
)
def test_a_line_that_no_document_shows_is_refused(billing, line):
    with pytest.raises((ValueRefused, InvoiceTermsRefused)):
        run(billing, a_draft, line)


def test_preview_quote_draft_and_invoice_are_the_same_to_the_unit(billing):
    lines = [a_line(6_833), a_line(6_833), a_line(99, rates=(Rate("low", Decimal(7)),))]
    customer = run(billing, a_customer)
    seen = run(billing, service.preview, customer=customer, currency="EUR", lines=lines)
    found = issued(billing, *lines, customer=customer)
    assert [each.gross for each in seen] == [each.gross for each in found.lines]

    def quoted(tx):
        payer = payer_of(customers.customer_of(tx.one(customers.customer.select())))
        return total_of(tx, quote_lines(lines, "EUR"), payer, tx.now_us)

    quote = run(billing, quoted)
    assert (quote.tax.net, quote.tax.gross) == (found.net, found.total)
    given = issued(billing, *lines, customer=customer, quote=quote)
    assert [each.gross for each in given.lines] == [each.gross for each in found.lines]


def test_an_invoice_with_given_totals_takes_no_further_line(billing):
    lines = [a_line(1_000)]
    customer = run(billing, a_customer)

    def quoted(tx):
        payer = payer_of(customers.customer_of(tx.one(customers.customer.select())))
        return total_of(tx, quote_lines(lines, "EUR"), payer, tx.now_us)

    quote = run(billing, quoted)
    found = run(billing, a_draft, *lines, customer=customer, quote=quote)
    with pytest.raises(InvoicePriced):
        run(billing, service.add_lines, found.id, lines)
    with pytest.raises(ValueRefused):
        run(billing, a_draft, a_line(1), a_line(2), customer=customer, quote=quote)


def test_a_draft_is_thrown_away_and_an_issued_invoice_is_not(billing):
    draft = run(billing, a_draft, a_line(100))
    run(billing, service.discard, draft.id)
    with pytest.raises(InvoiceUnknown):
        run(billing, service.read_invoice, draft.id)
    found = issued(billing, a_line(100))
    with pytest.raises(InvoiceIssued):
        run(billing, service.discard, found.id)


# -- issuing -------------------------------------------------------------------------------------


def test_issued_invoice_is_owed_and_a_payment_settles_it(billing):
    found = issued(billing, a_line(10_000), a_line(5_000))
    assert (found.number, found.state, found.total) == ("INV-2025-000001", "issued", 18_000)
    assert trial(billing) == {"receivable": -18_000, "revenue": 15_000, "tax:vat": 3_000}
    paid = paid_in(billing, found, 18_000)
    assert (paid.state, paid.due) == ("paid", 0)
    assert trial(billing) == {"cash:sandbox": -18_000, "revenue": 15_000, "tax:vat": 3_000}
    assert told(billing)[-2:] == ["invoice.issued", "invoice.paid"]


def test_issuing_again_changes_nothing(billing):
    found = issued(billing, a_line(100))
    assert run(billing, service_issue.issue, found.id) == found
    assert trial(billing)["receivable"] == -120


def test_nobody_issues_before_it_is_said_who_sells(billing):
    draft = run(billing, a_draft, a_line(100))
    with pytest.raises(SellerMissing):
        run(billing, service_issue.issue, draft.id)
    run(billing, sell)
    assert run(billing, service_issue.issue, draft.id).number == "INV-2025-000001"


def test_no_invoice_is_issued_of_nothing_or_of_less(billing):
    with pytest.raises(InvoiceEmpty):
        issued(billing)
    with pytest.raises(InvoiceBelowZero):
        issued(billing, a_line(-1))


def test_an_invoice_of_zero_is_paid_at_once(billing):
    found = issued(billing, a_line(500), a_line(-500))
    assert (found.state, found.total) == ("paid", 0)


def test_two_who_issue_one_draft_at_once_issue_it_once(billing):
    run(billing, sell)
    draft = run(billing, a_draft, a_line(100)).id
    issuing = [lambda: run(billing, service_issue.issue, draft).number] * 3
    assert at_once(issuing) == ["INV-2025-000001"] * 3
    assert trial(billing)["receivable"] == -120


def test_many_who_issue_at_once_get_numbers_without_a_gap(billing):
    run(billing, sell)
    drafts = [run(billing, a_draft, a_line(100 + each)).id for each in range(8)]

    def one(draft):
        return lambda: str(run(billing, service_issue.issue, draft).number)

    numbers: list = at_once([one(each) for each in drafts])
    assert sorted(numbers) == [f"INV-2025-{each:06}" for each in range(1, 9)]


def test_a_number_of_a_failed_issue_is_given_again(billing):
    first = issued(billing, a_line(100))

    def dies(tx):
        service_issue.issue(tx, a_draft(tx, a_line(100)).id)
        raise RuntimeError("killed before the commit")

    with pytest.raises(RuntimeError):
        run(billing, dies)
    second = issued(billing, a_line(100))
    assert (first.sequence, second.sequence) == (1, 2)


def test_numbers_begin_anew_each_year_unless_their_series_goes_on(billing, clock):
    series = Series(series="shop", kind="invoice", prefix="S", yearly=False, digits=4)
    run(billing, service_settings.set_series, ADA, series)
    issued(billing, a_line(1))
    issued(billing, a_line(1), series="shop")
    clock.move(366 * DAY_US)
    assert issued(billing, a_line(1)).number == "INV-2026-000001"
    assert issued(billing, a_line(1), series="shop").number == "S-0002"


def test_a_series_in_use_keeps_its_form_and_a_prefix_is_of_one_series(billing):
    series = Series(series="shop", kind="invoice", prefix="S")
    run(billing, service_settings.set_series, ADA, series)
    with pytest.raises(SeriesTaken):
        run(
            billing,
            service_settings.set_series,
            ADA,
            Series(series="b", kind="invoice", prefix="S"),
        )
    changed = msgspec.structs.replace(series, digits=3)
    run(billing, service_settings.set_series, ADA, changed)
    assert issued(billing, a_line(1), series="shop").number == "S-2025-001"
    with pytest.raises(SeriesTaken):
        run(billing, service_settings.set_series, ADA, series)


def test_everything_is_frozen_at_issue(billing):
    line = a_line(
        10_000, price="prc_1", price_version=3, unit_price="100", quantity="1", plan="gold",
        period_start=1, period_end=DAY_US,
    )  # fmt: skip
    found = issued(billing, line)
    other = msgspec.structs.replace(SELLER, name="Another Company")
    run(billing, service_settings.set_seller, ADA, other)
    with billing.write() as tx:
        tx.run(customers.customer.update().values(name="Renamed", country="FR"))
    after = run(billing, service.read_invoice, found.id)
    assert after == found
    assert after.seller is not None
    assert after.buyer is not None
    assert (after.seller.name, after.buyer.name) == (SELLER.name, "Ada Lovelace")
    [kept] = after.lines
    assert kept.sold == line
    assert [(each.code, each.percent, each.amount) for each in kept.taxes] == [("vat", "20", 2_000)]


def test_prices_that_contain_their_tax_are_split_into_net_and_tax(billing):
    found = issued(billing, a_line(1_200, inclusive=True))
    assert (found.inclusive, found.net, found.tax, found.total) == (True, 1_000, 200, 1_200)


def test_each_change_of_the_seller_is_audited(billing):
    run(billing, sell)
    other = msgspec.structs.replace(SELLER, name="Another Company")
    run(billing, service_settings.set_seller, ADA, other)
    entries = run(billing, list_audit, subject="seller").items
    assert [entry.actor for entry in entries] == [ADA.id] * 2
    assert msgspec.json.decode(entries[0].before or "")["name"] == SELLER.name


@pytest.mark.parametrize(
    "change",
    [
        {"name": ""},
        {"language": "de"},
        {"place": msgspec.structs.replace(SELLER.place, country=None)},
        {"place": msgspec.structs.replace(SELLER.place, country="Germany")},
        {"place": msgspec.structs.replace(SELLER.place, lines=("a",) * 5)},
        {"terms": "x" * 1_025},
        {"email": "a\nb"},
    ],
)
def test_a_seller_that_no_document_shows_is_refused(billing, change):
    with pytest.raises(ValueRefused):
        run(billing, service_settings.set_seller, ADA, msgspec.structs.replace(SELLER, **change))
