"""Accounts: a credential with a prepaid bucket, and the literal paths of the AccMan interface."""

from typing import Annotated

from litestar import get, patch, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, QueryParameter

from farebox.access.buckets.model import HistoryEntry, Shortage
from farebox.access.flows import accounts
from farebox.access.flows.open_account import open_account as open_account_flow
from farebox.contracts.accounts import (
    ACCOUNTS_PATH,
    LARGEST_PAGE,
    MOD_PATH,
    PAST_PATH,
    TOT_PATH,
    Account,
    Modification,
    OpenAccount,
    Past,
    PastEntry,
    Total,
)
from farebox.contracts.decisions import LARGEST_QUANTITY
from farebox.http.deps import Command, Desk
from farebox.http.refusals import BalanceInsufficient, FieldsInvalid
from farebox.http.roles import MOVES_VALUE
from farebox.http.wire import NumberCursor, show_time
from farebox.kernel import ids
from farebox.platform.model import LONGEST_CREDENTIAL

TAGS = ["Accounts"]
Cred = Annotated[str, QueryParameter(min_length=1, max_length=LONGEST_CREDENTIAL)]
By = Annotated[int, QueryParameter(ge=-LARGEST_QUANTITY, le=LARGEST_QUANTITY)]
PastLimit = Annotated[int, QueryParameter(ge=1, le=LARGEST_PAGE)]


def show_past(entry: HistoryEntry) -> PastEntry:
    """Return one change of an account as the interface shows it."""
    return PastEntry(
        operation=ids.show("op", entry.operation),
        at=show_time(entry.at),
        by=entry.by,
        tot=entry.available_after,
        kind=entry.kind,
    )


@post(ACCOUNTS_PATH, operation_id="openAccount", tags=TAGS, opt=MOVES_VALUE, sync_to_thread=True)
def open_account(data: JSONBody[OpenAccount], command: NamedDependency[Command]) -> Account:
    """Open an account with an amount on it; the credential is shown here and never again."""
    made = open_account_flow(
        command.database,
        command.actor,
        amount=data.amount,
        credential=data.credential,
        once=command.once,
    )
    return Account(account=ids.show("bkt", made.bucket), credential=made.credential, tot=made.tot)


@get(TOT_PATH, operation_id="tot", include_in_schema=False, sync_to_thread=True)
def tot(cred: Cred, desk: NamedDependency[Desk]) -> Total:
    """Tell what an account has available."""
    return Total(cred=cred, tot=desk.read(lambda tx: accounts.tot(tx, cred)))


@patch(MOD_PATH, operation_id="mod", include_in_schema=False, sync_to_thread=True)
def mod(cred: Cred, by: By, command: NamedDependency[Command]) -> Modification:
    """Add to an account, or take from it; what would fall below the floor changes nothing."""
    if by == 0:
        raise FieldsInvalid("by: is not 0")
    done = accounts.mod(command.database, command.actor, credential=cred, by=by, once=command.once)
    if isinstance(done, Shortage):
        raise BalanceInsufficient(tot=done.available)
    return Modification(
        cred=cred, tot=done.tot, by=done.by, operation=ids.show("op", done.operation)
    )


@get(PAST_PATH, operation_id="past", include_in_schema=False, sync_to_thread=True)
def past(
    cred: Cred, desk: NamedDependency[Desk], limit: PastLimit = 50, cursor: NumberCursor = None
) -> Past:
    """Tell what happened on an account, newest first."""
    before = None if cursor is None else int(cursor)
    page = desk.read(lambda tx: accounts.past(tx, cred, before=before, limit=limit))
    return Past(cred=cred, past=[show_past(entry) for entry in page.items], next=page.next)


HANDLERS = (open_account, tot, mod, past)
