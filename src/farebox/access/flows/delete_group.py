"""Delete a group that holds nothing any more."""

from farebox.access.buckets.model import BucketView
from farebox.access.buckets.service import list_buckets
from farebox.access.consumers import service_groups
from farebox.access.consumers.model import GroupHasBuckets
from farebox.access.subscriptions.model import GroupHasSubscriptions
from farebox.access.subscriptions.rules import ENDED
from farebox.access.subscriptions.service import subscriptions_of
from farebox.platform.model import Actor
from farebox.storage import Database, Tx


def delete_group(database: Database, actor: Actor, group_id: str) -> None:
    """Delete a group.

    Refuses while something is on its buckets (`group_has_buckets`) or a subscription of it has
    not ended (`group_has_subscriptions`).
    """
    database.run(lambda tx: _delete(tx, actor, group_id))


def _delete(tx: Tx, actor: Actor, group_id: str) -> None:
    # A locked group gets no new buckets; what is granted on an old one later is nobody's.
    service_groups.lock_group(tx, group_id)
    if any(one.state not in ENDED for one in subscriptions_of(tx, [group_id])):
        raise GroupHasSubscriptions
    after: int | None = None
    while True:
        page = list_buckets(tx, holder=group_id, after=after)
        if any(_has_something(view) for view in page.items):
            raise GroupHasBuckets
        if page.next is None:
            break
        after = int(page.next)
    service_groups.delete_group(tx, actor, group_id)


def _has_something(view: BucketView) -> bool:
    # What counts overage always gives more, and nobody has paid for that.
    return view.balance.held > 0 or (view.balance.available > 0 and not view.bucket.overage)
