"""Top-ups: money that is asked for to fill a wallet, by somebody or by itself, and its end.

A top-up is open from the moment it is asked for. One that is asked for by itself counts against its
period's limit from then on, and as long as it is open there is no other (the database sees to it):
a payment that takes long is not asked for again.
"""

from typing import Any

import sqlalchemy as sa

from farebox.billing.books.model import SUSPENSE, About
from farebox.billing.customers.service import read_customer
from farebox.billing.wallets import store
from farebox.billing.wallets.model import AutomaticTopUp, TopUp, TopUpUnknown
from farebox.billing.wallets.service import (
    fill,
    find_wallet,
    lock_wallet,
    open_wallet,
)
from farebox.billing.wallets.service_settings import checked_top_up
from farebox.kernel.amounts import checked_amount
from farebox.kernel.ids import record_id
from farebox.kernel.periods import period_at
from farebox.ledger.model import PURCHASED
from farebox.platform.model import Page
from farebox.platform.rules import checked_limit, page_of
from farebox.storage import Tx


def begin_top_up(
    tx: Tx,
    customer: str,
    currency: str,
    amount: int,
    *,
    automatic: bool = False,
    number: str | None = None,
) -> TopUp:
    """Write down that money is asked for to fill a wallet; under a `number` (`tup_`) once.

    Refuses as `open_wallet` does, and `top_up_amount_refused`.
    """
    checked_amount(amount)
    checked_top_up(tx, currency, amount)
    open_wallet(tx, customer, currency)
    made = TopUp(
        id=number or record_id("tup"),
        customer=customer,
        currency=currency,
        amount=amount,
        automatic=automatic,
        state="open",
        created_at=tx.now_us,
    )
    tx.insert_once(store.top_up, store.row_of(made), key=("id",))
    return read_top_up(tx, made.id)


def note_payment(tx: Tx, top_up: str, payment: str) -> TopUp:
    """Write down by which payment a top-up is to come."""
    here = store.top_up.c.id == top_up
    tx.run(store.top_up.update().where(here).values(payment=payment))
    return read_top_up(tx, top_up)


def settle_top_up(tx: Tx, top_up: str, *, payment: str) -> TopUp:
    """Fill the wallet with a top-up's money, which lies in suspense; once, however often asked.

    A top-up that had failed is filled too: the money has come after all.
    """
    found = _locked(tx, top_up)
    if found.state == "filled":
        return found
    filled = fill(
        tx,
        found.customer,
        found.currency,
        found.amount,
        source_account=SUSPENSE,
        class_=PURCHASED,
        about=About(kind="top_up", customer=found.customer, payment=payment),
        key=f"{found.id}:filled",
    )
    return _ended(tx, found, state="filled", operation=filled.operation)


def fail_top_up(tx: Tx, top_up: str, why: str) -> TopUp:
    """Write down that a top-up's money does not come; one that has ended stays as it is."""
    found = _locked(tx, top_up)
    if found.state != "open":
        return found
    return _ended(tx, found, state="failed", failure=why)


def find_top_up(tx: Tx, top_up: str) -> TopUp | None:
    """Return a top-up or None."""
    row = tx.one(sa.select(store.top_up).where(store.top_up.c.id == top_up))
    return None if row is None else store.top_up_of(row)


def read_top_up(tx: Tx, top_up: str) -> TopUp:
    """Return a top-up; refuses an unknown one (`top_up_unknown`)."""
    found = find_top_up(tx, top_up)
    if found is None:
        raise TopUpUnknown
    return found


def list_top_ups(
    tx: Tx, customer: str, currency: str, *, before: str | None = None, limit: int = 100
) -> Page[TopUp]:
    """Return a wallet's top-ups, newest first; the cursor is the last id."""
    table = store.top_up
    here = [table.c.customer == customer, table.c.currency == currency]
    if before is not None:
        here.append(table.c.id < before)
    statement = sa.select(table).where(*here).order_by(table.c.id.desc())
    rows = tx.run(statement.limit(checked_limit(limit) + 1)).all()
    return page_of([store.top_up_of(row) for row in rows], limit, lambda one: one.id)


def due_wallets(tx: Tx, limit: int = 100) -> list[AutomaticTopUp]:
    """Return what is due to be filled by itself, longest first; without a top-up under way."""
    table = store.automatic
    due = _ready().where(table.c.due_at <= tx.now_us)
    ordered = due.order_by(table.c.due_at, table.c.customer, table.c.currency).limit(limit)
    return [store.automatic_of(row) for row in tx.run(ordered)]


def claim_due(tx: Tx, customer: str, currency: str) -> AutomaticTopUp | None:
    """Return what a wallet is due to be filled with now, or None; nobody else gets it too.

    None is said too where the period's limit does not allow it: then the wallet is due again when
    the next period begins.
    """
    wallet = find_wallet(tx, customer, currency)
    if wallet is None:
        return None
    lock_wallet(tx, wallet)
    table = store.automatic
    here = (table.c.customer == customer, table.c.currency == currency)
    row = tx.one(_ready().where(*here, table.c.due_at <= tx.now_us))
    if row is None:
        return None
    one = store.automatic_of(row)
    period = period_at(
        one.unit, one.unit_count, one.anchor_at, read_customer(tx, customer).zone, tx.now_us
    )
    assert period is not None, "periods are counted from a time that has passed"
    if asked_since(tx, one, period.start_us) + one.amount <= one.most:
        return one
    _set_due(tx, one, period.end_us)
    return None


def asked_since(tx: Tx, one: AutomaticTopUp, since: int) -> int:
    """Return how much was asked for by itself since an instant and has not failed."""
    table = store.top_up
    here = (
        table.c.customer == one.customer,
        table.c.currency == one.currency,
        table.c.automatic == 1,
        table.c.state != "failed",
        table.c.created_at >= since,
    )
    found = tx.one(sa.select(sa.func.coalesce(sa.func.sum(table.c.amount), 0)).where(*here))
    return 0 if found is None else int(found[0])


def _ready() -> sa.Select[Any]:
    """Return the query for what fills wallets that have no top-up of this kind under way."""
    table, top_up = store.automatic, store.top_up
    under_way = sa.exists().where(
        top_up.c.customer == table.c.customer,
        top_up.c.currency == table.c.currency,
        top_up.c.state == "open",
        top_up.c.automatic == 1,
    )
    return sa.select(table).where(sa.not_(under_way))


def _set_due(tx: Tx, one: AutomaticTopUp, at: int) -> None:
    table = store.automatic
    here = (table.c.customer == one.customer, table.c.currency == one.currency)
    tx.run(table.update().where(*here).values(due_at=at))


def _locked(tx: Tx, top_up: str) -> TopUp:
    """Return a top-up while nobody else ends it; the wallet is locked, as always, first."""
    found = read_top_up(tx, top_up)
    wallet = find_wallet(tx, found.customer, found.currency)
    assert wallet is not None, "a top-up is of a wallet"
    lock_wallet(tx, wallet)
    return read_top_up(tx, top_up)


def _ended(tx: Tx, one: TopUp, **facts: object) -> TopUp:
    """Write down a top-up's end."""
    here = store.top_up.c.id == one.id
    tx.run(store.top_up.update().where(here).values(settled_at=tx.now_us, **facts))
    return read_top_up(tx, one.id)
