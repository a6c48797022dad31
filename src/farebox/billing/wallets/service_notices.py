"""What follows from a balance: telling that it is low, and that the wallet is due to be filled."""

import sqlalchemy as sa

from farebox.billing.wallets import store
from farebox.billing.wallets.model import Wallet
from farebox.events.service import publish
from farebox.storage import Tx


def note_balance(tx: Tx, wallet: Wallet, available: int) -> None:
    """Note what a movement has left in a wallet; call while its bucket is locked."""
    _tell_low(tx, wallet, available)
    _note_due(tx, wallet, available)


def _tell_low(tx: Tx, wallet: Wallet, available: int) -> None:
    """Tell of a low balance once, until it is above its level again (`wallet.low`)."""
    table = store.wallet
    low = table.c.low_level >= available
    here = (table.c.bucket == wallet.bucket, table.c.low_level.is_not(None))
    turned = sa.or_(
        sa.and_(low, table.c.low_told == 0), sa.and_(sa.not_(low), table.c.low_told == 1)
    )
    changed = table.update().where(*here, turned).values(low_told=1 - table.c.low_told)
    found = tx.one(changed.returning(table.c.low_level, table.c.low_told))
    if found is None or not found.low_told:
        return
    data = {
        "customerId": wallet.customer,
        "currency": wallet.currency,
        "level": found.low_level,
        "available": available,
    }
    publish(tx, type="wallet.low", subject=f"{wallet.customer}:{wallet.currency}", data=data)


def _note_due(tx: Tx, wallet: Wallet, available: int) -> None:
    """Note that an automatic top-up is due, or is no longer: somebody has filled the wallet."""
    table = store.automatic
    here = (table.c.customer == wallet.customer, table.c.currency == wallet.currency)
    due = sa.case(
        (table.c.stopped_because.is_not(None), sa.null()),
        (table.c.level < available, sa.null()),
        else_=sa.func.coalesce(table.c.due_at, tx.now_us),
    )
    tx.run(table.update().where(*here).values(due_at=due))
