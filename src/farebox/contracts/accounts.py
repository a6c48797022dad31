"""What the account routes say on the wire: `/v1/accounts` and the literal `/tot`, `/mod`, `/past`.

An account is a credential with a prepaid bucket. The words `cred`, `tot`, `by` and `past` are those
of the AccMan interface and are kept as they are.
"""

from datetime import datetime
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from farebox.contracts.decisions import Quantity

ACCOUNTS_PATH: Final = "/v1/accounts"
TOT_PATH: Final = "/tot"
MOD_PATH: Final = "/mod"
PAST_PATH: Final = "/past"
LARGEST_PAGE: Final = 1_000
LONGEST_ACCOUNT_CREDENTIAL: Final = 512

ACCOUNT_PRODUCT: Final = "accman"
"""The product in whose name the middleware reserves: an account is good for anything."""

AccountCredential = Annotated[str, Meta(min_length=1, max_length=LONGEST_ACCOUNT_CREDENTIAL)]


class OpenAccount(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Open an account with `amount` on it; without a `credential` one is made."""

    amount: Quantity
    credential: AccountCredential | None = None


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """Tell of an account that was opened. `credential` is shown here and never again."""

    account: str
    credential: str
    tot: int


class Total(msgspec.Struct, frozen=True, kw_only=True):
    """Tell what an account has available."""

    cred: str
    tot: int


class Modification(msgspec.Struct, frozen=True, kw_only=True):
    """Tell what `mod` did: `tot` is what is available after `by` was added."""

    cred: str
    tot: int
    by: int
    operation: str


class PastEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One change of what is available: `by` was added (negative: taken or held), which left `tot`.

    A visit that cost 3 of a hold of 5 shows as `hold` by -5 and `capture` by 2.
    """

    operation: str
    at: Annotated[datetime, Meta(tz=True)]
    by: int
    tot: int
    kind: str


class Past(msgspec.Struct, frozen=True, kw_only=True):
    """One page of an account's history, newest first; `next` is the cursor of the page after it."""

    cred: str
    past: list[PastEntry]
    next: str | None = None
