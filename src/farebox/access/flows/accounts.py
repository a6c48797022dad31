"""AccMan's tot, mod and past (source 001).

An account is a credential with a prepaid bucket of the product `accman`. Whoever shows an unknown
credential together with money opens an account by that.
"""

from typing import ClassVar

import msgspec

from farebox.access.buckets.model import (
    Bucket,
    BucketDenied,
    HistoryEntry,
    Movement,
    Shortage,
    Terms,
)
from farebox.access.buckets.rules import movement_of
from farebox.access.buckets.service import (
    bucket_of_holder,
    consume,
    history,
    read_bucket,
    top_up,
)
from farebox.access.buckets.service_commands import recalled
from farebox.access.consumers.service import lock_consumer
from farebox.access.decisions.model import ConsumerSuspended
from farebox.access.decisions.service_subjects import load_subject
from farebox.access.flows.open_account import create_account_holder, open_account_bucket
from farebox.contracts.accounts import ACCOUNT_PRODUCT
from farebox.kernel import ids
from farebox.kernel.amounts import checked_amount
from farebox.kernel.refusals import Refusal, TryAgain
from farebox.platform.model import Actor, Credential, CredentialTaken, Once, Page
from farebox.platform.rules import is_live
from farebox.platform.service_credentials import find_by_key
from farebox.storage import Database, Tx


class AccountUnknown(Refusal):
    """There is no account with this credential."""

    code: ClassVar[str] = "account_unknown"


class Modified(msgspec.Struct, frozen=True, kw_only=True):
    """What `mod` did: `by` was added, which left `tot`."""

    operation: int
    by: int
    tot: int


class _Change(msgspec.Struct, frozen=True):
    """What is asked of `mod`."""

    actor: Actor
    credential: str
    by: int
    once: Once | None
    operation: int


def tot(tx: Tx, credential: str) -> int:
    """Return what an account has available; refuses an unknown one (`account_unknown`)."""
    return read_bucket(tx, _account(tx, credential).id).balance.available


def past(
    tx: Tx, credential: str, *, before: int | None = None, limit: int = 50
) -> Page[HistoryEntry]:
    """Return what happened on an account, newest first; refuses an unknown one."""
    return history(tx, _account(tx, credential).id, before=before, limit=limit)


def mod(
    database: Database, actor: Actor, *, credential: str, by: int, once: Once | None = None
) -> Modified | Shortage:
    """Add to an account, or take from it; what would go below the floor changes nothing.

    An unknown credential and a positive amount make the account; a negative one is refused
    (`account_unknown`). Refuses 0 (`value_invalid`), taking from a suspended consumer
    (`consumer_suspended`) and moving anything on a frozen bucket (`bucket_frozen`).
    """
    checked_amount(abs(by))
    # Minted once: a run after a commit of unknown fate cannot move the amount a second time.
    change = _Change(actor, credential, by, once, ids.mint())
    return database.run(lambda tx: _mod(tx, change))


def _mod(tx: Tx, change: _Change) -> Modified | Shortage:
    if (known := recalled(tx, change.once)) is not None:
        done = movement_of(known)
    else:
        done = _moved(tx, change)
    if isinstance(done, Shortage):
        if done.code != "bucket_empty":
            raise BucketDenied(done.code, None)
        return done
    return Modified(operation=done.operation, by=change.by, tot=done.available)


def _moved(tx: Tx, change: _Change) -> Movement | Shortage:
    account = _find(tx, change.credential)
    once, operation = change.once, change.operation
    if account is None:
        if change.by < 0:
            raise AccountUnknown
        holder = _holder(tx, change)
        return open_account_bucket(
            tx, change.actor, holder, change.by, once=once, operation=operation
        )
    if change.by > 0:
        terms = Terms(amount=change.by)
        return top_up(tx, change.actor, account.id, terms, once=once, operation=operation)
    subject = load_subject(tx, account.holder)
    assert subject is not None, "a consumer is never removed"
    if subject.state != "active":
        raise ConsumerSuspended
    return consume(
        tx,
        change.actor,
        account.id,
        -change.by,
        once=once,
        guards=subject.guards,
        operation=operation,
    )


def _holder(tx: Tx, change: _Change) -> str:
    """Return who gets an account: the credential's consumer, or a new one who gets it."""
    known = _live(tx, change.credential)
    if known is None:
        try:
            return create_account_holder(tx, change.actor, change.credential).id
        except CredentialTaken as error:
            if _live(tx, change.credential) is not None:
                # Somebody else has opened it meanwhile.
                raise TryAgain from error
            raise
    lock_consumer(tx, known.subject)
    if bucket_of_holder(tx, holder=known.subject, product=ACCOUNT_PRODUCT) is not None:
        raise TryAgain
    return known.subject


def _account(tx: Tx, credential: str) -> Bucket:
    found = _find(tx, credential)
    if found is None:
        raise AccountUnknown
    return found


def _find(tx: Tx, credential: str) -> Bucket | None:
    known = _live(tx, credential)
    if known is None:
        return None
    return bucket_of_holder(tx, holder=known.subject, product=ACCOUNT_PRODUCT)


def _live(tx: Tx, credential: str) -> Credential | None:
    """Return a consumer's credential that works; None for any other."""
    found = find_by_key(tx, credential)
    if found is None or found.subject_kind != "consumer" or not is_live(found, tx.now_us):
        return None
    return found
