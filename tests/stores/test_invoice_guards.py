"""The database itself keeps what was issued: plain SQL is refused, on both engines."""

import pytest
import sqlalchemy as sa

from farebox.billing.invoices import service_settings, store
from farebox.billing.invoices.rules import STEPS
from farebox.billing.invoices.service import read_invoice
from farebox.billing.invoices.service_issue import issue, void
from farebox.billing.invoices.service_notes import credit_note, read_note
from farebox.billing.invoices.service_payments import pay
from farebox.storage.migrations import steps_of
from tests.support.invoicing import DAY_US, a_draft, a_line, issued, money, sell
from tests.support.services import ADA, at_once, now, run

LIVING = {"state", "paid", "canceled", "written_off", "closed_at"}
FROZEN = [column.name for column in store.invoice.c if column.name not in LIVING]


def sql(billing, statement, **values):
    with billing.write() as tx:
        tx.run(sa.text(statement), values)


def other(column):
    return 99 if isinstance(column.type, sa.BigInteger) else "other"


def trigger_of(name):
    text = "".join(step.text for step in steps_of(["billing"]))
    [found] = [part for part in text.split("REFUSE ") if part.startswith(f"{name} ")]
    return found


@pytest.fixture
def found(billing):
    return issued(billing, a_line(10_000), a_line(5_000))


@pytest.mark.parametrize("name", FROZEN)
def test_no_column_of_an_issued_invoice_is_changed(billing, found, name):
    before = run(billing, read_invoice, found.id)
    with pytest.raises(sa.exc.DBAPIError):
        sql(billing, f"UPDATE invoice SET {name} = :value", value=other(store.invoice.c[name]))  # noqa: S608 - our own columns
    assert run(billing, read_invoice, found.id) == before


def test_every_frozen_column_is_named_in_the_trigger():
    text = "".join(step.text for step in steps_of(["billing"]))
    [trigger] = [
        part for part in text.split("REFUSE ") if part.startswith("invoice_stays_as_issued")
    ]
    assert {name for name in FROZEN if f"NEW.{name} IS DISTINCT FROM OLD.{name}" in trigger} == set(
        FROZEN
    )


def test_the_databases_steps_are_those_of_the_table():
    text = "".join(step.text for step in steps_of(["billing"]))
    [trigger] = [
        part for part in text.split("REFUSE ") if part.startswith("invoice_keeps_its_order")
    ]
    states = {f"'{before}>{after}'" for (before, _), after in STEPS.items()}
    listed = trigger[trigger.index("NOT IN (") + 8 : trigger.index(")\n")].split(", ")
    assert set(listed) == states


ANOTHER_LINE = (
    "INSERT INTO invoice_line SELECT invoice, 9, description, product, plan, item, price,"
    " price_version, unit_price, quantity, unit, period_start, period_end, tax_category, inclusive,"
    " own_rates, amount, discount, net, tax, gross, taxes, discounts, deferred FROM invoice_line"
    " WHERE line = 1"
)
REFUSED = [
    "UPDATE invoice_line SET amount = 1",
    "UPDATE invoice_line SET net = net + 1, gross = gross + 1",
    "UPDATE invoice_line SET description = 'other'",
    "UPDATE invoice_line SET line = 9 WHERE line = 1",
    "DELETE FROM invoice_line",
    "DELETE FROM invoice_line WHERE line = 2",
    "DELETE FROM invoice",
    "UPDATE invoice SET state = 'draft'",
    "UPDATE invoice SET paid = total + 1",
    "UPDATE invoice SET paid = -1",
    "UPDATE invoice SET canceled = total, paid = 1",
    "UPDATE document_counter SET last = last - 1",
    "UPDATE document_counter SET last = last + 2",
    "DELETE FROM document_counter",
    "UPDATE seller SET details = '{}'",
    "DELETE FROM seller",
    "DELETE FROM invoice_history",
    "UPDATE invoice_history SET actor = 'nobody'",
    ANOTHER_LINE,
]


@pytest.mark.parametrize("statement", REFUSED)
def test_what_was_issued_stays_whatever_sql_is_run(billing, found, statement):
    with pytest.raises(sa.exc.DBAPIError):
        sql(billing, statement)
    assert run(billing, read_invoice, found.id) == found


def test_an_issued_invoice_is_neither_emptied_nor_replaced(billing, found):
    with billing.read() as tx:
        on_sqlite = tx.connection.dialect.name == "sqlite"
    statement = (
        "INSERT OR REPLACE INTO invoice SELECT * FROM invoice"
        if on_sqlite
        else "TRUNCATE invoice CASCADE"
    )
    with pytest.raises(sa.exc.DBAPIError):
        sql(billing, statement)
    assert run(billing, read_invoice, found.id) == found


@pytest.mark.parametrize("to", ["issued", "past_due", "void", "uncollectible", "draft"])
def test_what_is_paid_stays_paid(billing, found, to):
    run(billing, money, 18_000)
    run(billing, pay, found.id, 18_000, "pay_1")
    with pytest.raises(sa.exc.DBAPIError):
        sql(billing, f"UPDATE invoice SET state = '{to}'")  # noqa: S608 - from the list above


def test_an_invoice_is_not_born_issued(billing, found):
    names = ", ".join(column.name for column in store.invoice.c)
    picked = names.replace("id, key,", "'inv_x', 'key_x',", 1).replace(
        " sequence, number,", " 2, 'INV-2025-000002',"
    )
    with pytest.raises(sa.exc.DBAPIError, match="begins as a draft"):
        sql(billing, f"INSERT INTO invoice ({names}) SELECT {picked} FROM invoice")  # noqa: S608 - as above


ISSUE = (
    "UPDATE invoice SET state = 'issued', issued_at = :at, due_at = :at, year = 2025,"
    " sequence = :sequence, number = :number, seller = '{}', buyer = '{}', total = :total,"
    " net = :total - tax WHERE id = :id"
)


def by_hand(billing, draft, **change):
    values = {"at": now(billing), "sequence": 1, "number": "X-1", "total": draft.total}
    sql(billing, ISSUE, id=draft.id, **{**values, **change})


def test_an_invoice_is_issued_by_hand_only_as_the_sum_of_its_lines_and_with_the_next_number(
    billing, clock
):
    draft = run(billing, a_draft, a_line(10_000))
    for change in ({"total": 11_999}, {"sequence": 2}, {"sequence": 0}):
        with pytest.raises(sa.exc.DBAPIError):
            by_hand(billing, draft, **change)
    by_hand(billing, draft)


def test_nothing_is_dated_in_a_closed_period_by_hand(billing, clock):
    old = issued(billing, a_line(100))
    draft = run(billing, a_draft, a_line(10_000))
    clock.move(DAY_US)
    run(billing, service_settings.close_period, ADA, now(billing))
    with pytest.raises(sa.exc.DBAPIError, match="closed"):
        by_hand(billing, draft, at=now(billing) - 1, sequence=2)
    with pytest.raises(sa.exc.DBAPIError, match="closed"):
        sql(billing, "UPDATE invoice SET state = 'void' WHERE id = :id", id=old.id)
    for statement in ("DELETE FROM closed_period", "UPDATE closed_period SET until = 0"):
        with pytest.raises(sa.exc.DBAPIError, match="append-only"):
            sql(billing, statement)
    by_hand(billing, draft, sequence=2)


NOTES = [
    "UPDATE credit_note SET reason = 'other'",
    "DELETE FROM credit_note_line",
    "DELETE FROM credit_note",
    "UPDATE credit_note_line SET net = 0",
    "UPDATE customer_credit SET balance = -1",
    "DELETE FROM customer_credit_entry",
    "DELETE FROM invoice_payment",
]


@pytest.mark.parametrize("statement", NOTES)
def test_a_credit_note_and_what_paid_stay_as_they_were_written(billing, found, statement):
    run(billing, money, 18_000)
    run(billing, pay, found.id, 18_000, "pay_1")
    note = run(billing, credit_note, found.id, amount=5_000, reason="late", key="n")
    with pytest.raises(sa.exc.DBAPIError):
        sql(billing, statement)
    assert run(billing, read_note, note.id) == note


def test_a_note_beyond_its_invoice_is_refused_by_the_database_too(billing, found):
    note = run(billing, credit_note, found.id, amount=5_000, reason="late", key="n")
    row = {**store.note_row(note, "a"), "id": "crn_x", "key": "x", "sequence": 2, "number": "X"}
    too_much = found.total - note.total + 1
    row |= {"subtotal": too_much, "tax": 0, "total": too_much, "canceled": too_much}
    with pytest.raises(sa.exc.DBAPIError, match="at most their invoice"), billing.write() as tx:
        tx.run(store.note.insert(), row)
    row |= {"sequence": 3, "subtotal": 1, "total": 1, "canceled": 1}
    with pytest.raises(sa.exc.DBAPIError, match="one after the other"), billing.write() as tx:
        tx.run(store.note.insert(), row)


def test_a_line_that_is_added_while_its_invoice_is_issued_is_in_it_or_refused(billing):
    run(billing, sell)
    draft = run(billing, a_draft, a_line(100))
    row = store.line_row(draft.id, draft.lines[0]) | {"line": 2}

    def add():
        with billing.write() as tx:
            tx.run(store.line.insert(), row)

    at_once([add, lambda: run(billing, issue, draft.id)])
    after = run(billing, read_invoice, draft.id)
    if after.state == "issued":
        assert after.total == sum(each.gross for each in after.lines)


def test_a_void_invoice_stays_where_it_is(billing, found):
    run(billing, void, found.id)
    with pytest.raises(sa.exc.DBAPIError):
        sql(billing, "UPDATE invoice SET state = 'issued'")
