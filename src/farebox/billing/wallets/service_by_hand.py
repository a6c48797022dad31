"""What operators do to wallets by hand: fill them, correct them. Always with a reason."""

from typing import Final

import msgspec

from farebox.billing.books.model import BONUS, About
from farebox.billing.wallets.model import (
    Adjusted,
    AdjustmentRefused,
    Filled,
    Paid,
    Part,
    Short,
    WalletShort,
)
from farebox.billing.wallets.rules import checked_counterpart
from farebox.billing.wallets.service import CLASSES, fill, take
from farebox.kernel.refusals import ValueRefused
from farebox.platform.model import Actor
from farebox.platform.service_audit import record
from farebox.storage import Tx

MANUAL: Final = "cash:manual"
"""Money that came by hand: over the counter, or by a transfer that somebody has seen."""


def adjust(
    tx: Tx,
    actor: Actor,
    customer: str,
    currency: str,
    amount: int,
    *,
    part: Part,
    account: str | None = None,
    expires_at: int | None = None,
    kind: str = "adjustment",
    key: str,
) -> Adjusted:
    """Put an amount into a wallet, or with a negative one take it out; audited with its reason.

    Against it stands an `account` of the books: `cash:manual` for paid money and `bonus` for bonus
    where none is named. Done once under its key. Refuses `wallet_short`, (`adjustment_refused`)
    nothing and an end of what is taken out, `bonus_alone_ends`, and (`value_invalid`) a missing
    reason and an account that is not for this.
    """
    if not actor.reason:
        raise ValueRefused("an adjustment has a reason")
    if amount == 0:
        raise AdjustmentRefused("an adjustment is not of nothing")
    against = checked_counterpart(account or (BONUS if part == "bonus" else MANUAL))
    about = About(kind=kind, customer=customer)
    done: Filled | Paid | Short
    if amount > 0:
        done = fill(
            tx, customer, currency, amount, source_account=against, class_=CLASSES[part],
            about=about, key=key, expires_at=expires_at,
        )  # fmt: skip
    else:
        if expires_at is not None:
            raise AdjustmentRefused("what is taken out does not end")
        done = take(
            tx, customer, currency, -amount, part=part, to_account=against, about=about, key=key
        )
    if isinstance(done, Short):
        raise WalletShort(**msgspec.structs.asdict(done))
    made = Adjusted(
        operation=done.operation,
        customer=customer,
        currency=currency,
        amount=amount,
        part=part,
        account=against,
        available=done.available,
        at=done.at,
    )
    record(tx, actor, f"wallet.{kind}", f"{customer}:{currency}", after=made)
    return made
