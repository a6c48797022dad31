"""What is shared and what is granted: who used how much of a group's, and when grants end."""

from typing import Annotated, Final

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter
from msgspec import field

from farebox.access.buckets import service as buckets
from farebox.access.buckets import service_caps
from farebox.access.buckets.model import BucketView as Bucket
from farebox.access.buckets.model import GrantClass
from farebox.access.consumers import service as consumers
from farebox.access.consumers import service_groups as groups
from farebox.access.consumers.model import GroupUnknown
from farebox.access.usage.model import SLOT_US
from farebox.access.usage.service_queries import usage_by_time
from farebox.http.deps import Desk
from farebox.http.routes.buckets import BucketState, seen_bucket, seen_holders, show_bucket
from farebox.http.routes.groups import GroupView, show_group
from farebox.http.routes.movements import CapView, show_cap
from farebox.http.wire import TextCursor, Time, View, show_end, show_time
from farebox.kernel.clock import SECOND_US
from farebox.ledger import reading
from farebox.ledger.model import INCLUDED, PURCHASED
from farebox.ledger.service import Ledger
from farebox.storage import Tx

MOST_BUCKETS: Final = 100
_LONG_AGO_US: Final = 25 * 366 * 86_400 * SECOND_US
Members = Annotated[
    int, QueryParameter(name="limit", ge=1, le=100, description="Most members on the page")
]
_CLASSES: Final[dict[int, GrantClass]] = {INCLUDED: "included", PURCHASED: "purchased"}
_ledger = Ledger()


class UsedView(View, frozen=True):
    """So much of a product was used, in so many uses, from a group's buckets."""

    product: str
    quantity: int
    uses: int


class ShareView(View, frozen=True):
    """A member of a group: what they used of what is shared, and their caps."""

    consumer: str
    name: str
    added_at: Time
    used: list[UsedView]
    caps: list[CapView]


class SharesView(View, frozen=True):
    """A group's buckets, what was used of them in all, and by whom.

    `used` counts those who have left the group as well. `next` goes on with more members.
    """

    group: GroupView
    buckets: list[BucketState]
    used: list[UsedView]
    members: list[ShareView]
    next: str | None


class GrantView(View, frozen=True):
    """A grant that may be drawn, now or from `starts_at` on; unused, it is gone at `expires_at`."""

    amount: int
    available: int
    held: int
    class_: GrantClass = field(name="class")
    priority: int
    starts_at: Time | None
    expires_at: Time | None


class Grants(View, frozen=True):
    """The open grants of a bucket in the order in which they are drawn."""

    items: list[GrantView]


def _used(tx: Tx, group: str, consumer: str | None = None) -> list[UsedView]:
    found: dict[str, tuple[int, int]] = {}
    before = tx.now_us // SLOT_US * SLOT_US + SLOT_US
    # A report may tell of what was used before the group was made.
    since = max(0, before - _LONG_AGO_US)
    for one in usage_by_time(
        tx, since=since, before=before, bucketing="month", consumer=consumer, group=group
    ):
        quantity, uses = found.get(one.product, (0, 0))
        found[one.product] = (quantity + one.quantity, uses + one.uses)
    return [
        UsedView(product=product, quantity=quantity, uses=uses)
        for product, (quantity, uses) in found.items()
    ]


def _shared(tx: Tx, group: str) -> list[Bucket]:
    page = buckets.list_buckets(tx, holder=group, limit=MOST_BUCKETS)
    return [view for view in page.items if not view.bucket.overage]


@get(
    "/v1/groups/{group:str}/shares", operation_id="readShares", tags=["Groups"], sync_to_thread=True
)
def read_shares(
    group: FromPath[str],
    desk: NamedDependency[Desk],
    limit: Members = 100,
    cursor: TextCursor = None,
) -> SharesView:
    """Read who used how much of what a group shares; members read it of their own groups."""

    def work(tx: Tx) -> SharesView:
        holders = seen_holders(tx, desk)
        if holders is not None and group not in holders:
            raise GroupUnknown
        shared = _shared(tx, group)
        caps = [cap for one in shared for cap in service_caps.caps_of_bucket(tx, one.bucket.id)]
        page = groups.list_members(tx, group, after=cursor, limit=limit)
        return SharesView(
            group=show_group(groups.read_group(tx, group)),
            buckets=[show_bucket(view) for view in shared],
            used=_used(tx, group),
            members=[
                ShareView(
                    consumer=member.consumer,
                    name=consumers.read_consumer(tx, member.consumer).name,
                    added_at=show_time(member.added_at),
                    used=_used(tx, group, member.consumer),
                    caps=[show_cap(cap) for cap in caps if cap.consumer == member.consumer],
                )
                for member in page.items
            ],
            next=page.next,
        )

    return desk.read(work)


@get(
    "/v1/buckets/{bucket:str}/grants",
    operation_id="listGrants",
    tags=["Buckets"],
    sync_to_thread=True,
)
def list_grants(bucket: FromPath[str], desk: NamedDependency[Desk]) -> Grants:
    """List what a bucket is made of and when it ends; consumers see what they may draw on."""

    def work(tx: Tx) -> Grants:
        view = reading.bucket_view(_ledger, tx, seen_bucket(tx, desk, bucket).bucket.id)
        return Grants(
            items=[
                GrantView(
                    amount=one.amount,
                    available=one.available,
                    held=one.held,
                    class_=_CLASSES[one.class_],
                    priority=one.priority,
                    starts_at=show_time(one.starts_at) if one.waiting else None,
                    expires_at=show_end(one.expires_at),
                )
                for one in view.grants
                if one.available or one.held or one.waiting
            ]
        )

    return desk.read(work)


HANDLERS = (read_shares, list_grants)
