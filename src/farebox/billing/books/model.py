"""The chart of accounts, and what an entry in the books says.

Amounts are whole numbers of a currency's smallest unit. A balance is credits less debits, so what
we own (cash, receivables) is negative and what we owe or have earned is positive: a trial balance
sums to zero.
"""

from typing import Final, Literal

import msgspec

from farebox.kernel.refusals import Refusal

Kind = Literal["asset", "liability", "income", "expense"]

CASH: Final = "cash"
RECEIVABLE: Final = "receivable"
SUSPENSE: Final = "suspense"
WALLET: Final = "wallet"
BONUS: Final = "bonus"
BREAKAGE: Final = "breakage"
DEFERRED: Final = "deferred"
REVENUE: Final = "revenue"
REFUNDS: Final = "refunds"
TAX: Final = "tax"
PAYABLE: Final = "payable"
COMMISSION: Final = "commission"
FEES: Final = "fees"
CHARGEBACKS: Final = "chargebacks"
CREDIT: Final = "credit"
BAD_DEBT: Final = "bad_debt"
ROUNDING: Final = "rounding"

CHART: Final[dict[str, Kind]] = {
    CASH: "asset",  # cash:<gateway>, what a gateway owes us or has paid out
    RECEIVABLE: "asset",  # invoices that are not paid yet
    SUSPENSE: "asset",  # money on its way between two documents; ends at zero
    WALLET: "liability",  # customers' prepaid money: the sum of their wallets' buckets
    CREDIT: "liability",  # credit notes that are not used yet
    DEFERRED: "liability",  # paid, and not earned yet
    TAX: "liability",  # tax:<code>
    PAYABLE: "liability",  # payable:<owner>, what sellers are owed
    REVENUE: "income",
    COMMISSION: "income",
    BREAKAGE: "income",  # bonus that has ended unused, which was an expense when it was given
    REFUNDS: "expense",
    BONUS: "expense",  # money given away
    FEES: "expense",  # fees:<gateway>
    CHARGEBACKS: "expense",
    BAD_DEBT: "expense",
    ROUNDING: "expense",
}
"""The accounts by their first word; what follows a colon names whose it is."""


class Line(msgspec.Struct, frozen=True):
    """An amount that goes from the debit side of one account to the credit side of another."""

    debit: str
    credit: str
    amount: int


class About(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an entry is about: what reports ask for. Ids and codes only."""

    kind: str  # what happened: "payment", "invoice", "refund", "recognition" ...
    customer: str | None = None
    order: str | None = None
    invoice: str | None = None
    payment: str | None = None
    refund: str | None = None
    subscription: str | None = None
    product: str | None = None
    plan: str | None = None
    item: str | None = None
    owner: str | None = None


class BookEntry(msgspec.Struct, frozen=True, kw_only=True):
    """An entry as it was written. `position` goes on where a reader of the log has stopped."""

    position: int
    operation: int
    line: int
    at: int
    debit: str
    credit: str
    amount: int
    about: About


class ChartUnknown(Refusal):
    """The chart of accounts has no such account, or it is not posted to by name."""

    code = "chart_unknown"


class EntryRefused(Refusal):
    """The ledger does not take this entry."""

    code = "entry_refused"
