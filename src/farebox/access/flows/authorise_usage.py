"""Authorise a usage and answer an access key (source 000).

One transaction: look at what the key remembers, load the consumer's state, draw on the ledger with
the state's revisions as guards, sign. If the state has changed meanwhile, all of it runs again.
"""

from farebox.access.buckets.rules import refusal_of
from farebox.access.buckets.service import find_bucket
from farebox.access.buckets.service_commands import command_once, recalled
from farebox.access.catalog.service import find_product
from farebox.access.consumers.model import ConsumerUnknown
from farebox.access.decisions.model import AccessKey, Authorisation, Denial, UsageRequest
from farebox.access.decisions.rules import checked_usage, sources_for
from farebox.access.decisions.service_access_keys import sign_access_key
from farebox.access.decisions.service_subjects import load_subject
from farebox.kernel import ids
from farebox.kernel.clock import SECOND_US
from farebox.ledger.model import Applied, Denied, Hold, Outcome, Source, Use
from farebox.platform.model import Once
from farebox.storage import Database, Tx


def authorise_usage(
    database: Database, request: UsageRequest, *, issuer: str, once: Once | None = None
) -> Authorisation | Denial:
    """Draw a usage's quantity and answer a signed access key, or say why not.

    `consume` draws at once; `reserve` makes a hold that lasts as long as the access key, which the
    provider captures in parts. A repeat under the same key is answered with the first outcome.
    Refuses an unknown consumer (`consumer_unknown`) and impossible numbers (`value_invalid`).
    """
    checked_usage(request)
    # Minted once: a run after a commit of unknown fate cannot draw a second time.
    operation = ids.mint()
    return database.run(lambda tx: _authorise(tx, request, issuer, once, operation))


def _authorise(
    tx: Tx, request: UsageRequest, issuer: str, once: Once | None, operation: int
) -> Authorisation | Denial:
    if (known := recalled(tx, once)) is not None:
        return _answer(tx, request, issuer, known)
    subject = load_subject(tx, request.consumer)
    if subject is None:
        raise ConsumerUnknown
    sources = sources_for(subject, product=request.product, group=request.group)
    if isinstance(sources, str):
        if find_product(tx, request.product) is None:
            sources = "product_unknown"
        return _denial(request, sources, 0)
    outcome = command_once(
        tx, _command(request, sources), once=once, guards=subject.guards, operation=operation
    )
    return _answer(tx, request, issuer, outcome)


def _command(request: UsageRequest, sources: tuple[Source, ...]) -> Use | Hold:
    if request.mode == "reserve":
        return Hold(
            sources=sources,
            amount=request.quantity,
            ttl_us=request.ttl_seconds * SECOND_US,
            actor=request.consumer,
            product=request.product,
            meta=request.metadata,
        )
    return Use(
        sources=sources,
        amount=request.quantity,
        actor=request.consumer,
        product=request.product,
        meta=request.metadata,
    )


def _answer(tx: Tx, request: UsageRequest, issuer: str, outcome: Outcome) -> Authorisation | Denial:
    if isinstance(outcome, Denied):
        return _denial(request, outcome.code, outcome.available)
    if not isinstance(outcome, Applied):
        raise refusal_of(outcome)
    bucket = find_bucket(tx, outcome.bucket)
    assert bucket is not None, "sources are our own buckets"
    group = bucket.holder if bucket.holder_kind == "group" else None
    # Whole seconds, as a JWT has them; from the recorded time, so that a repeat signs the same.
    issued_at = outcome.at // SECOND_US * SECOND_US
    key = AccessKey(
        issuer=issuer,
        consumer=request.consumer,
        product=request.product,
        group=group,
        quantity=outcome.amount,
        operation=outcome.operation,
        hold=outcome.hold,
        issued_at=issued_at,
        expires_at=issued_at + request.ttl_seconds * SECOND_US,
    )
    return Authorisation(
        access_key=sign_access_key(tx, key),
        operation=outcome.operation,
        consumer=request.consumer,
        product=request.product,
        group=group,
        bucket=outcome.bucket,
        quantity=outcome.amount,
        remaining=outcome.available,
        hold=outcome.hold,
        issued_at=key.issued_at,
        expires_at=key.expires_at,
    )


def _denial(request: UsageRequest, code: str, remaining: int) -> Denial:
    return Denial(
        code=code, consumer=request.consumer, product=request.product, remaining=remaining
    )
