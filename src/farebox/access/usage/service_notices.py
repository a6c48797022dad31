"""Who is told that a quota or a bucket runs out: once each, by what the journal says is left."""

from collections.abc import Mapping
from typing import Any

import msgspec
import sqlalchemy as sa

from farebox.access.buckets.model import Bucket
from farebox.access.buckets.service import known_bucket
from farebox.access.buckets.service_many import records_of
from farebox.access.subscriptions.model import QuotaStanding, QuotaTerms
from farebox.access.subscriptions.service_quotas import limits_of, open_quotas, quotas_of
from farebox.access.usage import store
from farebox.access.usage.model import NOTICE_PERCENTS, LowMark, LowMarkUnknown
from farebox.events.service import publish
from farebox.kernel import ids
from farebox.kernel.amounts import checked_amount
from farebox.kernel.clock import show_time
from farebox.kernel.periods import period_at
from farebox.platform.model import Actor
from farebox.platform.service_audit import record
from farebox.storage import Tx

_LAST = NOTICE_PERCENTS[-1]


class Notice(msgspec.Struct, frozen=True):
    """A quota of which so many percent are used."""

    quota: QuotaStanding
    percent: int
    kind: str


class LowBucket(msgspec.Struct, frozen=True):
    """A bucket that has come to its low mark, or, not `low`, was filled again."""

    mark: LowMark
    bucket: Bucket
    available: int
    low: bool


def quota_notices(tx: Tx, left: Mapping[int, int]) -> list[Notice]:
    """Return whom to tell of quotas, given what is left on buckets that were drawn on."""
    # A carried-over rest makes a quota larger, at most twice as large: only what has less than
    # half of it left can be used by 80 percent, and only that is looked at closely.
    limits = limits_of(tx, left)
    low = {bucket for bucket, limit in limits.items() if left[bucket] * 2 <= limit}
    if not low:
        return []
    brought = records_of(tx, low).values()
    kinds = {one.holder: one.holder_kind for one in brought}
    near = [one for one in open_quotas(tx, sorted(kinds)) if one.bucket in low]
    table = store.notice
    here = table.c.bucket.in_([one.bucket for one in near])
    told = {
        (row.bucket, row.period_from, row.percent) for row in tx.run(sa.select(table).where(here))
    }
    open_ends = [one for one in near if (one.bucket, _began(one, tx.now_us), _LAST) not in told]
    if not open_ends:
        return []
    asked = {one.bucket for one in open_ends}
    return [
        Notice(quota, percent, kinds[quota.holder])
        for quota in quotas_of(tx, sorted({one.holder for one in open_ends}))
        if quota.bucket in asked
        for percent in NOTICE_PERCENTS
        if quota.used * 100 >= quota.limit * percent
        and (quota.bucket, quota.period_from, percent) not in told
    ]


def _began(terms: QuotaTerms, now: int) -> int:
    """Return when the period of a quota began that runs now."""
    found = period_at(terms.unit, terms.unit_count, terms.anchor_at, terms.zone, now)
    return terms.starts_at if found is None else found.start_us


def tell_quotas(tx: Tx, notices: list[Notice]) -> None:
    """Tell of quotas, each once in its period: `quota.threshold`, and `quota.exceeded` at 100 %."""
    for one in sorted(notices, key=lambda one: (one.quota.bucket, one.percent)):
        quota = one.quota
        row = {
            "bucket": quota.bucket,
            "period_from": quota.period_from,
            "percent": one.percent,
            "at": tx.now_us,
        }
        if not tx.insert_once(store.notice, row, key=("bucket", "period_from", "percent")):
            continue
        data = {
            **_holder(one.kind, quota.holder),
            "productCode": quota.product,
            "subscriptionId": quota.subscription,
            "percent": one.percent,
            "limit": quota.limit,
            "used": quota.used,
            "remaining": quota.remaining,
            "overage": quota.overage,
            "periodFrom": show_time(quota.period_from),
            "resetsAt": None if quota.resets_at is None else show_time(quota.resets_at),
        }
        name = "quota.exceeded" if one.percent == _LAST else "quota.threshold"
        publish(tx, type=name, subject=f"{quota.holder}:{quota.product}", data=data)


def low_buckets(tx: Tx, left: Mapping[int, int]) -> list[LowBucket]:
    """Return the buckets that have come to their low mark, or above it again."""
    marks = store.low_marks_of(tx, sorted(left))
    changed = [one for one in marks if (left[one.bucket] <= one.level) != one.told]
    records = records_of(tx, [one.bucket for one in changed])
    return [
        LowBucket(one, records[one.bucket], left[one.bucket], low=not one.told) for one in changed
    ]


def tell_low(tx: Tx, found: list[LowBucket]) -> None:
    """Tell of buckets that run low (`bucket.low`), once until they are filled again."""
    table = store.low_mark
    for one in sorted(found, key=lambda one: one.mark.bucket):
        here = (table.c.bucket == one.mark.bucket, table.c.told == int(one.mark.told))
        changed = table.update().where(*here, table.c.level == one.mark.level)
        if tx.run(changed.values(told=int(one.low))).rowcount == 1 and one.low:
            shown = ids.show("bkt", one.mark.bucket)
            data = {
                **_holder(one.bucket.holder_kind, one.bucket.holder),
                "bucketId": shown,
                "productCode": one.bucket.product,
                "level": one.mark.level,
                "available": one.available,
            }
            publish(tx, type="bucket.low", subject=shown, data=data)


def _holder(kind: str, holder: str) -> dict[str, Any]:
    return {"consumerId" if kind == "consumer" else "groupId": holder}


def set_low_mark(tx: Tx, actor: Actor, bucket: int, level: int) -> LowMark:
    """Set at what level a bucket is low; it is told at the next use that finds it so.

    Refuses an unknown bucket (`bucket_unknown`).
    """
    known_bucket(tx, bucket)
    before = find_low_mark(tx, bucket)
    made = LowMark(bucket=bucket, level=checked_amount(level, least=0), told=False)
    tx.upsert(store.low_mark, {"bucket": bucket, "level": level, "told": 0}, key=("bucket",))
    record(tx, actor, "bucket.low_mark_set", ids.show("bkt", bucket), before=before, after=made)
    return made


def remove_low_mark(tx: Tx, actor: Actor, bucket: int) -> None:
    """Take a low mark away; refuses (`low_mark_unknown`) where there is none."""
    before = read_low_mark(tx, bucket)
    tx.run(store.low_mark.delete().where(store.low_mark.c.bucket == bucket))
    record(tx, actor, "bucket.low_mark_removed", ids.show("bkt", bucket), before=before)


def find_low_mark(tx: Tx, bucket: int) -> LowMark | None:
    """Return a bucket's low mark or None."""
    row = tx.one(sa.select(store.low_mark).where(store.low_mark.c.bucket == bucket))
    return None if row is None else store.low_mark_of(row)


def read_low_mark(tx: Tx, bucket: int) -> LowMark:
    """Return a bucket's low mark; refuses where there is none (`low_mark_unknown`)."""
    found = find_low_mark(tx, bucket)
    if found is None:
        raise LowMarkUnknown
    return found
