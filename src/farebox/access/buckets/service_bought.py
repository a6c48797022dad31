"""Credits that were bought: granted once for each line of an order, the unused taken back once.

The grant is found again by the key of the line, which the ledger remembers for ever.
"""

from typing import Final

from farebox.access.buckets.model import Movement, Terms
from farebox.access.buckets.rules import applied
from farebox.access.buckets.service import known_bucket, read_bucket, top_up
from farebox.access.buckets.service_commands import command_once
from farebox.kernel import ids
from farebox.kernel.refusals import Refusal
from farebox.ledger.model import Applied, Freeze, Recall, Void
from farebox.platform.model import Actor, Once
from farebox.platform.service_audit import record
from farebox.storage import Tx

_CALLER: Final = "billing:credits"


class BucketDiffers(Refusal):
    """The bucket is of another product than the credits."""

    code = "bucket_differs"


def grant_bought(
    tx: Tx, actor: Actor, bucket_id: int, amount: int, *, product: str, line: str
) -> Movement:
    """Grant credits that were bought by a line of an order; once for each line.

    Refuses `bucket_unknown`, a bucket of another product (`bucket_differs`), and a frozen one
    (`bucket_frozen`).
    """
    if known_bucket(tx, bucket_id).product != product:
        raise BucketDiffers
    once = _once(line, "granted", f"{bucket_id}:{amount}")
    return top_up(tx, actor, bucket_id, Terms(amount=amount, class_="purchased"), once=once)


def take_back_bought(tx: Tx, actor: Actor, bucket_id: int, amount: int, *, line: str) -> int:
    """Take back what is unused of credits that a line had bought; returns how much that was.

    What was never granted, and what was taken back before, is nothing. A bucket that is frozen
    stays so: that stops who uses it, not who takes back what is no longer theirs. Refuses
    (`bucket_fault`) one whose books are in doubt.
    """
    once = _once(line, "granted", f"{bucket_id}:{amount}")
    granted = command_once(tx, Recall(), once=once)
    if not isinstance(granted, Applied) or not granted.drawn:
        return 0
    [(_, grant, _)] = granted.drawn
    taken = _once(line, "taken", f"{bucket_id}")
    balance = read_bucket(tx, bucket_id).balance
    is_held = balance.frozen and not balance.fault
    if is_held:
        applied(command_once(tx, Freeze(bucket=bucket_id, frozen=False)))
    done = applied(command_once(tx, Void(grant=grant, reason=actor.reason), once=taken))
    if is_held:
        applied(command_once(tx, Freeze(bucket=bucket_id)))
    after = {"operation": ids.show("op", done.operation), "amount": done.amount, "line": line}
    record(tx, actor, "bucket.credits_taken_back", ids.show("bkt", bucket_id), after=after)
    return done.amount


def _once(line: str, what: str, payload: str) -> Once:
    return Once(caller=_CALLER, key=f"{line}:{what}", payload=payload.encode())
