"""Wallets: a customer's prepaid money. Amounts are whole numbers of a currency's smallest unit."""

from typing import Literal

import msgspec

from farebox.billing.books.model import About
from farebox.kernel.periods import Unit
from farebox.kernel.refusals import Refusal

Part = Literal["paid", "bonus"]
TopUpState = Literal["open", "filled", "failed"]


class Wallet(msgspec.Struct, frozen=True, kw_only=True):
    """A customer's money in a currency. The balance is that of the ledger's `bucket`."""

    customer: str
    currency: str
    bucket: int
    created_at: int
    low_level: int | None = None
    low_told: bool = False


class BonusEnd(msgspec.Struct, frozen=True, kw_only=True):
    """Bonus that is left, and when it ends; microseconds."""

    amount: int
    ends_at: int


class Balance(msgspec.Struct, frozen=True, kw_only=True):
    """What is in a wallet: `available` is `paid` and `bonus` together, `held` lies beside it."""

    paid: int = 0
    bonus: int = 0
    held: int = 0
    available: int = 0
    bonus_ends: tuple[BonusEnd, ...] = ()


class Filled(msgspec.Struct, frozen=True, kw_only=True):
    """Money that went into a wallet; `available` is in it after that."""

    operation: int
    amount: int
    available: int
    at: int


class Paid(msgspec.Struct, frozen=True, kw_only=True, tag="paid"):
    """Money that a wallet gave: so much of it paid money, so much bonus."""

    operation: int
    paid: int
    bonus: int
    available: int
    at: int


class Short(msgspec.Struct, frozen=True, kw_only=True, tag="short"):
    """The wallet's "no": it has `available`, and `missing` is what lacks. Nothing was changed."""

    available: int
    missing: int


class Returned(msgspec.Struct, frozen=True, kw_only=True):
    """Money that went back: paid money as such, bonus as bonus, `lapsed` of it ended already."""

    operation: int
    paid: int
    bonus: int
    lapsed: int
    available: int
    at: int


class Adjusted(msgspec.Struct, frozen=True, kw_only=True):
    """What an operator did to a wallet; `amount` is signed, `account` stands against it."""

    operation: int
    customer: str
    currency: str
    amount: int
    part: Part
    account: str
    available: int
    at: int


class StatementLine(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened to a wallet; `balance` is what was available after it.

    `paid` and `bonus` are signed and add up to `amount`. `operation` is 0 for what has fallen due
    and is not written yet.
    """

    operation: int
    at: int
    amount: int
    paid: int
    bonus: int
    balance: int
    about: About


class AutomaticTopUp(msgspec.Struct, frozen=True, kw_only=True):
    """When the balance falls to `level`, ask for `amount`, at most `most` in a period.

    Periods are counted from `anchor_at`. `method` is a way to pay that is on file; None is the
    customer's usual one. `due_at` says since when the balance is low; `stopped_because` why nothing
    is asked for until somebody sets this anew.
    """

    customer: str
    currency: str
    level: int
    amount: int
    most: int
    unit: Unit
    unit_count: int
    anchor_at: int
    method: str | None = None
    due_at: int | None = None
    stopped_because: str | None = None


class TopUpLimit(msgspec.Struct, frozen=True, kw_only=True):
    """How much a customer may ask for at once to fill a wallet in a currency."""

    currency: str
    least: int
    most: int


class TopUp(msgspec.Struct, frozen=True, kw_only=True):
    """Money that was asked for to fill a wallet, and what became of it."""

    id: str
    customer: str
    currency: str
    amount: int
    automatic: bool
    state: TopUpState
    created_at: int
    payment: str | None = None
    operation: int | None = None
    failure: str | None = None
    settled_at: int | None = None


class WalletShort(Refusal):
    """The wallet has not enough for this; nothing was changed."""

    code = "wallet_short"


class WalletStopped(Refusal):
    """The wallet takes no movement until an operator has looked at it."""

    code = "wallet_stopped"


class PaymentOfWalletUnknown(Refusal):
    """No wallet has paid by such an operation."""

    code = "wallet_payment_unknown"


class GiveBackExceeds(Refusal):
    """More than a wallet has paid is not given back to it."""

    code = "give_back_exceeds"


class LinesRefused(Refusal):
    """What leaves a wallet is all of what its entry passes on, and what returns all it takes."""

    code = "wallet_lines_refused"


class TopUpUnknown(Refusal):
    """There is no such top-up."""

    code = "top_up_unknown"


class AutomaticTopUpUnknown(Refusal):
    """This wallet is not filled automatically."""

    code = "automatic_top_up_unknown"


class LowLevelUnknown(Refusal):
    """Nobody is told of a low balance of this wallet."""

    code = "low_level_unknown"


class TopUpAmountRefused(Refusal):
    """A wallet is filled by an amount between the least and the most of its currency."""

    code = "top_up_amount_refused"


class CurrencyMissing(Refusal):
    """The customer has no currency yet, and neither wallets nor limits tell of just one."""

    code = "wallet_currency_missing"


class BonusAloneEnds(Refusal):
    """Paid money does not end; bonus may."""

    code = "bonus_alone_ends"


class AdjustmentRefused(Refusal):
    """An adjustment is of something, and what is taken out has no end."""

    code = "adjustment_refused"


class TopUpTermsRefused(Refusal):
    """The most is not below the least, and a period's limit allows at least one top-up."""

    code = "top_up_terms_refused"
