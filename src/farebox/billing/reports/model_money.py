"""What reports of money answer. Amounts are smallest units of the currency beside them."""

from typing import Final, Literal

import msgspec

By = Literal[
    "product", "plan", "item", "owner", "customer", "subscription", "kind", "day", "month", "year"
]
NOBODY: Final = ""


class RevenueRow(msgspec.Struct, frozen=True, kw_only=True):
    """Revenue of one key: what was earned, what was given back, and the difference.

    `gross` counts what revenue was credited less corrections of it, `refunds` what was refunded;
    `commission` is ours of what others sold, and is part of `net`.
    """

    key: str
    currency: str
    gross: int
    commission: int
    refunds: int
    net: int


class SalesRow(msgspec.Struct, frozen=True, kw_only=True):
    """Prepaid money and orders of a time; `wallets` is what customers hold at its end.

    `charges` are what orders and longer rentals cost, taxes and sellers' parts in it, `refunds`
    what went back of them, `net` the difference. `average_order` is charges by orders, rounded
    half up, 0 where there are none. `bonus` is the part of `wallets` that nobody paid for.
    """

    currency: str
    top_ups: int
    charges: int
    refunds: int
    net: int
    commission: int
    average_order: int
    orders: int
    customers: int
    wallets: int
    bonus: int


class BalanceRow(msgspec.Struct, frozen=True, kw_only=True):
    """One account's balance: credits less debits."""

    account: str
    kind: str
    currency: str
    balance: int


class MovedRow(msgspec.Struct, frozen=True, kw_only=True):
    """An account over a time: `opening` + `credited` - `debited` = `closing`."""

    account: str
    currency: str
    opening: int
    debited: int
    credited: int
    closing: int


class GatewayLine(msgspec.Struct, frozen=True, kw_only=True):
    """One line of what a gateway says it has done: a payment, a refund, a fee, or a payout.

    `amount` is signed as the gateway's balance sees it: a payment is positive, a payout negative.
    """

    reference: str
    amount: int
    fee: int = 0


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """Where a gateway and the books part. `ours` or `theirs` is None where the other is alone."""

    reference: str
    what: Literal["missing_in_books", "missing_at_gateway", "amount_differs", "twice_at_gateway"]
    ours: int | None
    theirs: int | None
