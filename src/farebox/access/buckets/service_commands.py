"""Single commands on the ledger, under the caller's key if there is one."""

from farebox.access.buckets.rules import refusal_of
from farebox.kernel import ids
from farebox.ledger.model import Command, Outcome, Recall, Refused
from farebox.ledger.service import Ledger, request
from farebox.platform.model import Once
from farebox.storage import Tx

_ledger = Ledger()
Guards = tuple[tuple[str, int], ...]


def recalled(tx: Tx, once: Once | None) -> Outcome | None:
    """Return what the ledger answered under a key before, or None where it did not.

    Refuses another payload under the same key (`idempotency_key_reused`).
    """
    if once is None:
        return None
    outcome = command_once(tx, Recall(), once=once)
    if not isinstance(outcome, Refused):
        return outcome
    if outcome.code == "key_unknown":
        return None
    raise refusal_of(outcome)


def command_once(
    tx: Tx,
    command: Command,
    *,
    once: Once | None = None,
    guards: Guards = (),
    operation: int | None = None,
) -> Outcome:
    """Run one command on the ledger, under the caller's key if there is one."""
    asked = request(
        command,
        caller="" if once is None else once.caller,
        key=None if once is None else once.key,
        payload=None if once is None else once.payload,
        guards=guards,
        operations=(ids.mint() if operation is None else operation,),
    )
    return _ledger.apply(tx, [asked])[0][0]
