"""Delete a group that holds nothing any more."""

from farebox.access.buckets.service import list_buckets
from farebox.access.consumers import service_groups
from farebox.access.consumers.model import GroupHasBuckets
from farebox.platform.model import Actor
from farebox.storage import Database, Tx


def delete_group(database: Database, actor: Actor, group_id: str) -> None:
    """Delete a group; refuses while something is on its buckets (`group_has_buckets`)."""
    database.run(lambda tx: _delete(tx, actor, group_id))


def _delete(tx: Tx, actor: Actor, group_id: str) -> None:
    # A locked group gets no new buckets; what is granted on an old one later is nobody's.
    service_groups.lock_group(tx, group_id)
    after: int | None = None
    while True:
        page = list_buckets(tx, holder=group_id, after=after)
        if any(view.balance.available or view.balance.held for view in page.items):
            raise GroupHasBuckets
        if page.next is None:
            break
        after = int(page.next)
    service_groups.delete_group(tx, actor, group_id)
