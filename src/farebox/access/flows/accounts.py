"""AccMan's tot, mod and past."""

from typing import ClassVar

import msgspec

from farebox.access.buckets.model import HistoryEntry, Shortage
from farebox.kernel.refusals import Refusal
from farebox.platform.model import Actor, Once, Page
from farebox.storage import Database, Tx


class AccountUnknown(Refusal):
    """There is no account with this credential."""

    code: ClassVar[str] = "account_unknown"


class Modified(msgspec.Struct, frozen=True, kw_only=True):
    """What `mod` did: `by` was added, which left `tot`."""

    operation: int
    by: int
    tot: int


def tot(tx: Tx, credential: str) -> int:
    """Return what an account has available; refuses an unknown one (`account_unknown`)."""
    raise NotImplementedError


def mod(
    database: Database, actor: Actor, *, credential: str, by: int, once: Once | None = None
) -> Modified | Shortage:
    """Add to or take from an account. An unknown credential and a positive amount make the account."""
    raise NotImplementedError


def past(
    tx: Tx, credential: str, *, before: int | None = None, limit: int = 50
) -> Page[HistoryEntry]:
    """Return what happened on an account, newest first."""
    raise NotImplementedError
