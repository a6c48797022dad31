"""Loading what a decision about a consumer is made from."""

from collections.abc import Mapping, Sequence

from farebox.access.buckets.service import sources_of
from farebox.access.catalog.model import FeatureValue, Plan
from farebox.access.consumers.model import Consumer
from farebox.access.consumers.service import find_consumer
from farebox.access.consumers.service_groups import groups_of
from farebox.access.decisions.model import Allowance, ProductSource, Rate, SubjectState
from farebox.access.decisions.rules import merged
from farebox.access.decisions.service_rates import rates_of
from farebox.access.entitlements.model import Entitlement
from farebox.access.entitlements.service_access import Access, access_of
from farebox.access.subscriptions.model import QuotaTerms, Subscription
from farebox.access.subscriptions.service import gives_access, terms_of
from farebox.access.subscriptions.service_quotas import present_period
from farebox.ledger.model import FOREVER
from farebox.ledger.service import Ledger
from farebox.storage import Tx

_ledger = Ledger()


def load_subject(tx: Tx, consumer_id: str) -> SubjectState | None:
    """Return what decisions about a consumer are made from, or None for an unknown one.

    A device draws as its owner: on the owner's buckets and those of the owner's groups. Every
    revision is read before what it guards, so that a change in between is noticed by the guard.
    """
    guards = [(consumer_id, _ledger.revision(tx, consumer_id))]
    consumer = find_consumer(tx, consumer_id)
    if consumer is None:
        return None
    drawer = consumer
    if consumer.owner is not None:
        guards.append((consumer.owner, _ledger.revision(tx, consumer.owner)))
        owner = find_consumer(tx, consumer.owner)
        assert owner is not None, "a consumer is never removed"
        drawer = owner
    # Read twice: once to know whose revisions, once more after them for what they guard.
    guards += [(one.id, _ledger.revision(tx, one.id)) for one in groups_of(tx, drawer.id)]
    guarded = {subject for subject, _ in guards}
    groups = tuple(one.id for one in groups_of(tx, drawer.id) if one.id in guarded)
    active = consumer.state == "active" and drawer.state == "active"
    return _state(tx, consumer, drawer, groups, tuple(guards), active=active)


def _state(
    tx: Tx,
    consumer: Consumer,
    drawer: Consumer,
    groups: tuple[str, ...],
    guards: tuple[tuple[str, int], ...],
    *,
    active: bool,
) -> SubjectState:
    holders = (drawer.id, *groups)
    access = access_of(tx, holders)
    ends = {one.bucket: present_period(one, tx.now_us).end_us for one in access.quotas}
    plans = {one.id: terms_of(tx, one) for one in access.subscriptions}
    # A new period of a quota changes no source, only what is said of its limit.
    times = (access.changes_at, *ends.values())
    return SubjectState(
        consumer=consumer.id,
        state="active" if active else "suspended",
        guards=guards,
        products=_products(tx, drawer, holders, access),
        until=min((time for time in times if time is not None), default=FOREVER),
        allowances=tuple(_allowance(one, ends[one.bucket]) for one in access.quotas),
        features=_features(access.entitlements, holders),
        items=frozenset(one.key for one in access.entitlements if one.kind == "item"),
        closed=_closed(access.subscriptions, plans),
        rates=_rates(tx, drawer, access.subscriptions, plans),
        name=consumer.name,
        subject=consumer.subject,
        groups=groups,
    )


def _allowance(quota: QuotaTerms, end_us: int) -> Allowance:
    resets_at = None if end_us >= FOREVER else end_us
    return Allowance(bucket=quota.bucket, limit=quota.quota_limit, resets_at=resets_at)


def _products(
    tx: Tx, drawer: Consumer, holders: tuple[str, ...], access: Access
) -> dict[str, tuple[ProductSource, ...]]:
    """Return the sources of each product.

    The consumer's own come first, then the groups'; of each, what a plan brings anew comes before
    what was bought. What counts overage is last.
    """
    renewed = {one.bucket for one in access.quotas}
    found: dict[str, list[ProductSource]] = {}
    for source in sources_of(tx, consumer=drawer.id, holders=holders):
        if not access.opens(source):
            continue
        group = None if source.holder == drawer.id else source.holder
        made = ProductSource(
            bucket=source.bucket,
            cap=source.cap,
            group=group,
            quota=source.bucket in renewed,
            overage=source.overage,
        )
        found.setdefault(source.product, []).append(made)
    ranks = {holder: place for place, holder in enumerate(holders)}
    return {
        product: tuple(
            sorted(
                sources,
                key=lambda one: (one.overage, ranks[one.group or drawer.id], not one.quota),
            )
        )
        for product, sources in found.items()
    }


def _features(
    entitlements: Sequence[Entitlement], holders: tuple[str, ...]
) -> dict[str, FeatureValue]:
    """Return the value of each feature; a right without a value is a switch that is on."""
    found: dict[str, FeatureValue] = {}
    for one in sorted(entitlements, key=lambda one: holders.index(one.holder)):
        if one.kind == "feature":
            value: FeatureValue = True if one.value is None else one.value
            found[one.key] = merged(found.get(one.key), value)
    return found


def _closed(subscriptions: Sequence[Subscription], plans: Mapping[str, Plan]) -> dict[str, str]:
    """Return why what a subscription would bring is shut; the newest subscription speaks."""
    found: dict[str, str] = {}
    for one in subscriptions:
        if gives_access(one):
            continue
        plan = plans[one.id]
        keys = (*(each.product for each in plan.quotas), *(each.feature for each in plan.features))
        found.update(dict.fromkeys(keys, f"subscription_{one.state}"))
    return found


def _rates(
    tx: Tx, drawer: Consumer, subscriptions: Sequence[Subscription], plans: Mapping[str, Plan]
) -> tuple[Rate, ...]:
    """Return the consumer's own rate limits and those of its plans.

    A plan's limit is counted for its holder: the members of a group share it.
    """
    planned = tuple(
        Rate(
            key=f"{one.id}/{one.plan}/{one.plan_version}/{place}",
            most=each.limit,
            seconds=each.seconds,
            burst=each.burst,
            product=each.product,
        )
        for one in subscriptions
        if gives_access(one)
        for place, each in enumerate(plans[one.id].rate_limits)
    )
    return (*rates_of(tx, (drawer.id,)), *planned)
