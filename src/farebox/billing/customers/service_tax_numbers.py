"""Tax numbers: checked, kept with the time of the check, every finding kept as evidence."""

import sqlalchemy as sa

from farebox.billing.customers import store
from farebox.billing.customers.model import Customer, Evidence, TaxNumberMissing
from farebox.billing.customers.rules import checked_line
from farebox.billing.customers.service import locked_customer, read_customer, write_customer
from farebox.billing.pricing.service_tax import check_vat_number
from farebox.platform.model import Actor
from farebox.storage import Tx


def set_tax_number(tx: Tx, actor: Actor, customer_id: str, number: str) -> Customer:
    """Give a customer a VAT number of the Union whose form and check digits are right.

    Whether it is registered is what a register says: `note_register`. Refuses `customer_unknown`,
    and a number that is none (`vat_number_invalid`).
    """
    before = locked_customer(tx, customer_id)
    found = check_vat_number(tx, number)
    _keep(
        tx,
        Evidence(
            customer=customer_id, number=found.number, country=found.country, source="digits",
            reference=None, valid=True, at=found.checked_at_us, actor=actor.id,
        ),
    )  # fmt: skip
    return write_customer(
        tx, actor, before, tax_number=found.number, tax_country=found.country,
        tax_checked_at=found.checked_at_us,
    )  # fmt: skip


def note_register(
    tx: Tx, actor: Actor, customer_id: str, *, valid: bool, reference: str | None = None
) -> Customer:
    """Note what a register (VIES) answered about the customer's number, asked for by hand.

    A number that the register does not know is taken away, so that tax is charged again from now
    on; what it answered is kept. Refuses `tax_number_missing`.
    """
    before = locked_customer(tx, customer_id)
    if before.tax_number is None or before.tax_country is None:
        raise TaxNumberMissing
    _keep(
        tx,
        Evidence(
            customer=customer_id, number=before.tax_number, country=before.tax_country,
            source="register", reference=None if reference is None else checked_line(reference),
            valid=valid, at=tx.now_us, actor=actor.id,
        ),
    )  # fmt: skip
    if valid:
        return write_customer(tx, actor, before, tax_checked_at=tx.now_us)
    return _without_number(tx, actor, before)


def remove_tax_number(tx: Tx, actor: Actor, customer_id: str) -> Customer:
    """Take a customer's tax number away; the evidence stays. Repeating changes nothing."""
    return _without_number(tx, actor, locked_customer(tx, customer_id))


def evidence_of(tx: Tx, customer_id: str) -> list[Evidence]:
    """Return all that was found about a customer's tax numbers, oldest first."""
    read_customer(tx, customer_id)
    table = store.evidence
    here = sa.select(table).where(table.c.customer == customer_id).order_by(table.c.seq)
    return [store.evidence_of(row) for row in tx.run(here)]


def _without_number(tx: Tx, actor: Actor, before: Customer) -> Customer:
    return write_customer(tx, actor, before, tax_number=None, tax_country=None, tax_checked_at=None)


def _keep(tx: Tx, found: Evidence) -> None:
    tx.run(store.evidence.insert(), store.row_of_evidence(found))
