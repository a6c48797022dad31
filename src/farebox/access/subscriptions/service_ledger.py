"""What quotas and limits do in the ledger: begin, stand, end; of use to whatever has a limit."""

from farebox.ledger import reading
from farebox.ledger.model import FOREVER, Look, Refused, Source, Void
from farebox.ledger.service import Ledger, request
from farebox.storage import Tx

_ledger = Ledger()


def standing_of(tx: Tx, bucket: int) -> tuple[int | None, int, int | None]:
    """Return what the present period of a bucket has, what is left of it, and its end.

    The first is None where no grant is under way; the end is None where there is none.
    """
    view = reading.bucket_view(_ledger, tx, bucket)
    now = tx.now_us
    present = [grant for grant in view.grants if not grant.waiting and grant.expires_at > now]
    if not present:
        # A period's grant that was used up is closed, and only the table still knows of it.
        used_up = reading.last_grant(tx, bucket, now)
        return used_up[0], view.available, used_up[1]
    ends_at = min(grant.expires_at for grant in present)
    had = sum(grant.amount for grant in present)
    return had, view.available, None if ends_at >= FOREVER else ends_at


def close_bucket(tx: Tx, bucket: int) -> None:
    """End what recurs on a bucket and write off what is left; held units stay held."""
    _ledger.end_schedules(tx, bucket)
    for grant in reading.bucket_view(_ledger, tx, bucket).grants:
        void(tx, grant.id, None)


def void_used(tx: Tx, bucket: int, amount: int) -> None:
    """Take what was used elsewhere off a bucket, as far as it goes."""
    _ledger.apply(tx, [request(Look(sources=(Source(bucket),), amount=0))])
    for grant in reading.bucket_view(_ledger, tx, bucket).grants:
        part = min(amount, grant.available)
        if part > 0 and not grant.waiting:
            void(tx, grant.id, part)
            amount -= part


def void(tx: Tx, grant: int, amount: int | None) -> None:
    """Take what is unused, or so much of it, out of a grant."""
    outcome = _ledger.apply(tx, [request(Void(grant=grant, amount=amount))])[0][0]
    assert not isinstance(outcome, Refused), outcome
