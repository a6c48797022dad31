"""Buckets of consumers and groups: made, topped up, consumed from, frozen, read."""

from farebox.access.buckets.model import (
    Bucket,
    BucketSource,
    BucketView,
    HistoryEntry,
    HolderKind,
    Movement,
    Shortage,
    Terms,
)
from farebox.platform.model import Actor, Once, Page
from farebox.storage import Tx


def create_bucket(
    tx: Tx,
    actor: Actor,
    *,
    product: str,
    holder_kind: HolderKind,
    holder: str,
    priority: int = 0,
    label: str = "",
    grant: Terms | None = None,
    credit_limit: int = 0,
) -> Bucket:
    """Open a bucket of a product for a consumer or a group, with a first grant if one is given."""
    raise NotImplementedError


def read_bucket(tx: Tx, bucket_id: int) -> BucketView:
    """Return a bucket with its balance; refuses an unknown one (`bucket_unknown`)."""
    raise NotImplementedError


def find_bucket(tx: Tx, bucket_id: int) -> Bucket | None:
    """Return a bucket's record or None."""
    raise NotImplementedError


def list_buckets(
    tx: Tx,
    *,
    holder: str | None = None,
    product: str | None = None,
    after: int | None = None,
    limit: int = 100,
) -> Page[BucketView]:
    """Return buckets with their balances, oldest first; the cursor is the last id."""
    raise NotImplementedError


def top_up(
    tx: Tx, actor: Actor, bucket_id: int, terms: Terms, *, once: Once | None = None
) -> Movement:
    """Add a grant to a bucket."""
    raise NotImplementedError


def consume(
    tx: Tx,
    actor: Actor,
    bucket_id: int,
    amount: int,
    *,
    metadata: str | None = None,
    once: Once | None = None,
) -> Movement | Shortage:
    """Take an amount from one bucket, all or nothing."""
    raise NotImplementedError


def freeze_bucket(tx: Tx, actor: Actor, bucket_id: int) -> BucketView:
    """Stop movement on a bucket. Repeating changes nothing."""
    raise NotImplementedError


def unfreeze_bucket(tx: Tx, actor: Actor, bucket_id: int) -> BucketView:
    """Allow movement again. Repeating changes nothing."""
    raise NotImplementedError


def history(
    tx: Tx, bucket_id: int, *, before: int | None = None, limit: int = 100
) -> Page[HistoryEntry]:
    """Return what happened on a bucket, newest first; the cursor is the entry to go on below."""
    raise NotImplementedError


def balance_at(tx: Tx, bucket_id: int, at: int) -> int:
    """Return what was available on a bucket at an instant."""
    raise NotImplementedError


def sources_of(tx: Tx, *, consumer: str, holders: tuple[str, ...]) -> tuple[BucketSource, ...]:
    """Return the buckets of holders in the order of `holders`, then priority, then age, with the consumer's caps."""
    raise NotImplementedError
