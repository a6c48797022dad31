"""From a token of an identity provider to the consumer who calls."""

from farebox.access.consumers.model import Consumer, ConsumerTaken, Identity, TokenRefused
from farebox.access.consumers.service import consumer_of_identity, create_consumer
from farebox.access.consumers.service_tokens import TokenVerifier
from farebox.kernel.refusals import TryAgain
from farebox.ledger.service import Ledger
from farebox.platform.model import SYSTEM, Principal
from farebox.storage import Database, Tx

_ledger = Ledger()


def principal_of_token(database: Database, verifier: TokenVerifier, token: str) -> Principal:
    """Return whose token this is, making the consumer at first sight where the issuer allows it.

    Opens its own transactions and may wait for the issuer's keys, so call it in a thread and
    outside of a transaction. Refuses `token_invalid`, `token_expired`, `token_key_unknown`.
    """
    identity = verifier.verify_patiently(token)
    with database.read() as tx:
        found = _principal(tx, identity)
    if found is not None:
        return found
    issuer = verifier.issuer(identity.issuer)
    if issuer is None or not issuer.create_consumers:
        raise TokenRefused("the token is good, but its subject is no consumer here")
    database.run(lambda tx: _create(tx, identity))
    with database.read() as tx:
        found = _principal(tx, identity)
    assert found is not None, "a consumer is never removed"
    return found


def _principal(tx: Tx, identity: Identity) -> Principal | None:
    consumer = consumer_of_identity(tx, identity.issuer, identity.subject)
    if consumer is None:
        return None
    return Principal(
        kind="consumer",
        id=consumer.id,
        roles=identity.roles,
        revision=_ledger.revision(tx, consumer.id),
        expires_at=identity.expires_at,
    )


def _create(tx: Tx, identity: Identity) -> Consumer:
    known = consumer_of_identity(tx, identity.issuer, identity.subject)
    if known is not None:
        return known
    try:
        return create_consumer(
            tx, SYSTEM, name=identity.name, issuer=identity.issuer, subject=identity.subject
        )
    except ConsumerTaken as error:
        # Somebody else's first request was quicker.
        raise TryAgain from error
