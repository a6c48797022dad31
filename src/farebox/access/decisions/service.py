"""Loading what a decision is made from: who asks, and what a consumer may draw on."""

from farebox.access.buckets.service import sources_of
from farebox.access.consumers.model import Consumer
from farebox.access.consumers.service import find_consumer
from farebox.access.consumers.service_groups import groups_of
from farebox.access.decisions.model import Principal, ProductSource, SubjectState
from farebox.ledger.service import Ledger
from farebox.platform.model import Credential
from farebox.platform.rules import is_live
from farebox.platform.service_credentials import find_by_digest
from farebox.platform.service_operators import find_operator
from farebox.storage import Tx

_ledger = Ledger()


def find_credential(tx: Tx, digest: bytes) -> Principal | None:
    """Return whose credential this is.

    None for an unknown, revoked or expired one, and for a suspended operator's; a suspended
    consumer is found, so that its denial can say why. Read it in a reading transaction, whose one
    snapshot makes revision and credential fit together.
    """
    found = find_by_digest(tx, digest)
    if found is None or not is_live(found, tx.now_us):
        return None
    return _principal(tx, found)


def consumer_of_credential(tx: Tx, digest: bytes) -> str | None:
    """Return the consumer whose credential this is, None where it does not work or is no one's."""
    found = find_by_digest(tx, digest)
    if found is None or found.subject_kind != "consumer" or not is_live(found, tx.now_us):
        return None
    return found.subject


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
    return SubjectState(
        consumer=consumer_id,
        state="active" if active else "suspended",
        guards=tuple(guards),
        products=_products(tx, drawer, groups),
    )


def _products(
    tx: Tx, drawer: Consumer, groups: tuple[str, ...]
) -> dict[str, tuple[ProductSource, ...]]:
    """Return the sources of each product: the consumer's own first, then the groups'."""
    found: dict[str, list[ProductSource]] = {}
    for source in sources_of(tx, consumer=drawer.id, holders=(drawer.id, *groups)):
        group = None if source.holder == drawer.id else source.holder
        made = ProductSource(bucket=source.bucket, cap=source.cap, group=group)
        found.setdefault(source.product, []).append(made)
    return {product: tuple(sources) for product, sources in found.items()}


def _principal(tx: Tx, credential: Credential) -> Principal | None:
    roles: frozenset[str] = frozenset()
    if credential.subject_kind == "operator":
        operator = find_operator(tx, credential.subject)
        if operator is None or operator.state != "active":
            return None
        roles = frozenset(operator.roles)
    return Principal(
        kind=credential.subject_kind,
        id=credential.subject,
        roles=roles,
        revision=_ledger.revision(tx, credential.subject),
        key_id=credential.id,
        expires_at=credential.expires_at,
    )
