"""What is set on a wallet: at what balance its customer is told, and what fills it by itself."""

import msgspec
import sqlalchemy as sa

from farebox.billing.customers.service import find_customer
from farebox.billing.pricing.service_currency import scale_of
from farebox.billing.wallets import store
from farebox.billing.wallets.model import (
    AutomaticTopUp,
    AutomaticTopUpUnknown,
    CurrencyMissing,
    LowLevelUnknown,
    TopUpAmountRefused,
    TopUpLimit,
    TopUpTermsRefused,
    Wallet,
)
from farebox.billing.wallets.service import (
    balance_of,
    find_wallet,
    lock_wallet,
    open_wallet,
    wallets_of,
)
from farebox.billing.wallets.service_notices import note_balance
from farebox.kernel.amounts import MAX_AMOUNT, checked_amount
from farebox.kernel.periods import Unit, check_terms
from farebox.platform.model import Actor
from farebox.platform.service_audit import record
from farebox.storage import Tx


def set_low_level(tx: Tx, actor: Actor, customer: str, currency: str, level: int) -> Wallet:
    """Set at what balance the customer is told, once until it is above again (`wallet.low`).

    A balance that is that low already is told at once. Refuses as `open_wallet` does.
    """
    checked_amount(level, least=0)
    return _set_level(tx, actor, open_wallet(tx, customer, currency), level)


def remove_low_level(tx: Tx, actor: Actor, customer: str, currency: str) -> None:
    """Tell nobody of a low balance; refuses (`low_level_unknown`) where nobody is told."""
    found = find_wallet(tx, customer, currency)
    if found is None or found.low_level is None:
        raise LowLevelUnknown
    _set_level(tx, actor, found, None)


def _set_level(tx: Tx, actor: Actor, wallet: Wallet, level: int | None) -> Wallet:
    lock_wallet(tx, wallet)
    before = find_wallet(tx, wallet.customer, wallet.currency)
    assert before is not None
    if before.low_level == level:
        return before
    table = store.wallet
    here = table.c.bucket == wallet.bucket
    tx.run(table.update().where(here).values(low_level=level, low_told=0))
    name = _name(wallet.customer, wallet.currency)
    record(tx, actor, "wallet.low_level_set", name, before=before.low_level, after=level)
    note_balance(tx, wallet, balance_of(tx, wallet.customer, wallet.currency).available)
    found = find_wallet(tx, wallet.customer, wallet.currency)
    assert found is not None
    return found


def set_automatic(
    tx: Tx,
    actor: Actor,
    customer: str,
    currency: str,
    *,
    level: int,
    amount: int,
    most: int,
    unit: Unit = "month",
    unit_count: int = 1,
    method: str | None = None,
) -> AutomaticTopUp:
    """Let a wallet be filled by `amount` when it falls to `level`, at most `most` in a period.

    Setting it anew lets what was stopped go on. Periods are counted from now on in the first place,
    and from where they began where only other terms change. Refuses a period that is none
    (`value_invalid`), and a limit that does not allow one top-up (`top_up_terms_refused`).
    """
    checked_amount(level, least=0)
    checked_amount(amount)
    checked_top_up(tx, currency, amount)
    if checked_amount(most) < amount:
        raise TopUpTermsRefused("the limit of a period allows at least one top-up")
    check_terms(unit, unit_count, "UTC")
    wallet = open_wallet(tx, customer, currency)
    lock_wallet(tx, wallet)
    before = find_automatic(tx, customer, currency)
    kept = before is not None and (before.unit, before.unit_count) == (unit, unit_count)
    made = AutomaticTopUp(
        customer=customer,
        currency=currency,
        level=level,
        amount=amount,
        most=most,
        unit=unit,
        unit_count=unit_count,
        method=method,
        anchor_at=before.anchor_at if kept and before is not None else tx.now_us,
    )
    tx.upsert(store.automatic, store.row_of(made), key=("customer", "currency"))
    record(
        tx, actor, "wallet.automatic_top_up_set", _name(customer, currency),
        before=before, after=made,
    )  # fmt: skip
    note_balance(tx, wallet, balance_of(tx, customer, currency).available)
    return read_automatic(tx, customer, currency)


def find_automatic(tx: Tx, customer: str, currency: str) -> AutomaticTopUp | None:
    """Return what fills a wallet by itself, or None."""
    table = store.automatic
    here = (table.c.customer == customer, table.c.currency == currency)
    row = tx.one(sa.select(table).where(*here))
    return None if row is None else store.automatic_of(row)


def read_automatic(tx: Tx, customer: str, currency: str) -> AutomaticTopUp:
    """Return what fills a wallet by itself; refuses (`automatic_top_up_unknown`) where none is."""
    found = find_automatic(tx, customer, currency)
    if found is None:
        raise AutomaticTopUpUnknown
    return found


def remove_automatic(tx: Tx, actor: Actor, customer: str, currency: str) -> None:
    """Let a wallet be filled by hand only; refuses (`automatic_top_up_unknown`) where it is so."""
    before = read_automatic(tx, customer, currency)
    table = store.automatic
    here = (table.c.customer == customer, table.c.currency == currency)
    tx.run(table.delete().where(*here))
    name = _name(customer, currency)
    record(tx, actor, "wallet.automatic_top_up_removed", name, before=before)


def stop_automatic(tx: Tx, customer: str, currency: str, why: str) -> None:
    """Let nothing be asked for by itself until somebody sets it anew."""
    table = store.automatic
    here = (table.c.customer == customer, table.c.currency == currency)
    tx.run(table.update().where(*here).values(stopped_because=why, due_at=None))


def set_limit(tx: Tx, actor: Actor, currency: str, *, least: int, most: int) -> TopUpLimit:
    """Set how much may be asked for at once in a currency.

    Refuses `currency_unknown`, and (`top_up_terms_refused`) a span that is empty.
    """
    scale_of(currency)
    checked_amount(least)
    if checked_amount(most) < least:
        raise TopUpTermsRefused("the most is not below the least")
    made = TopUpLimit(currency=currency, least=least, most=most)
    before = find_limit(tx, currency)
    tx.upsert(store.limit, msgspec.structs.asdict(made), key=("currency",))
    record(tx, actor, "wallet.top_up_limit_set", currency, before=before, after=made)
    return made


def find_limit(tx: Tx, currency: str) -> TopUpLimit:
    """Return how much may be asked for at once in a currency; refuses `currency_unknown`."""
    row = tx.one(sa.select(store.limit).where(store.limit.c.currency == currency))
    if row is None:
        scale_of(currency)
        return TopUpLimit(currency=currency, least=1, most=MAX_AMOUNT)
    return TopUpLimit(currency=row.currency, least=row.least, most=row.most)


def currency_of(tx: Tx, customer: str) -> str:
    """Return the currency of a customer's account where none is named.

    It is their own, else that of their one wallet, else the one that has a limit for top-ups.
    Refuses (`wallet_currency_missing`) where none of these tells.
    """
    found = find_customer(tx, customer)
    if found is not None and found.currency is not None:
        return found.currency
    held = [one.currency for one in wallets_of(tx, customer)]
    if len(held) == 1:
        return held[0]
    limits = [row.currency for row in tx.run(sa.select(store.limit.c.currency).limit(2))]
    if held or len(limits) != 1:
        raise CurrencyMissing
    return str(limits[0])


def checked_top_up(tx: Tx, currency: str, amount: int) -> int:
    """Return an amount that may be asked for, else refuse it (`top_up_amount_refused`)."""
    limit = find_limit(tx, currency)
    if not limit.least <= amount <= limit.most:
        raise TopUpAmountRefused(least=limit.least, most=limit.most)
    return amount


def _name(customer: str, currency: str) -> str:
    return f"{customer}:{currency}"
