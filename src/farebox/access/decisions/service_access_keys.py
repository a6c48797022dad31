"""Access keys: signed, verified, introspected, redeemed once."""

from typing import Final

import sqlalchemy as sa

from farebox.access.consumers.model import Consumer
from farebox.access.consumers.service import find_consumer
from farebox.access.consumers.service_lookup import holders_of
from farebox.access.decisions import store
from farebox.access.decisions.model import (
    ACCESS_KEY_TYPE,
    AccessKey,
    AccessKeyExpired,
    AccessKeyInvalid,
    AlreadyRedeemed,
    ConsumerSuspended,
    IntrospectedRight,
    Introspection,
    Redemption,
)
from farebox.access.decisions.rules import claims_of, read_access_key
from farebox.access.entitlements.service import list_entitlements
from farebox.access.entitlements.service_limits import consumption_of
from farebox.kernel import ids
from farebox.kernel.clock import SECOND_US
from farebox.platform.model import Actor
from farebox.platform.rules import is_live
from farebox.platform.service_credentials import find_by_key
from farebox.platform.service_signing import jwks, signing_key
from farebox.platform.tokens import looks_like_token, sign_token
from farebox.storage import Tx

_INACTIVE: Final = Introspection(active=False)


def sign_access_key(tx: Tx, key: AccessKey) -> str:
    """Return the EdDSA JWT of an access key; the same text again while the signing key stays."""
    signing = signing_key(tx)
    return sign_token(
        claims_of(key), kind=ACCESS_KEY_TYPE, kid=signing.kid, private=signing.private
    )


def verify_access_key(tx: Tx, token: str, *, issuer: str) -> AccessKey:
    """Return what an access key says.

    Refuses what is none of ours (`access_key_invalid`) and what has expired
    (`access_key_expired`).
    """
    return read_access_key(token, jwks(tx)["keys"], issuer=issuer, now=tx.now_us)


def redeem_access_key(tx: Tx, actor: Actor, token: str, *, issuer: str) -> Redemption:
    """Redeem an access key; it succeeds once, also for two at once (`already_redeemed`).

    A consumer who was suspended meanwhile is refused (`consumer_suspended`).
    """
    key = verify_access_key(tx, token, issuer=issuer)
    if _is_suspended(tx, key.consumer):
        raise ConsumerSuspended
    row = {"operation": key.operation, "at": tx.now_us, "redeemed_by": actor.id}
    if not tx.insert_once(store.redemption, row, key=("operation",)):
        raise AlreadyRedeemed
    return Redemption(key=key, redeemed_at=tx.now_us, redeemed_by=actor.id)


def introspect(tx: Tx, token: str, *, issuer: str) -> Introspection:
    """Tell whether an access key or a consumer's API key is good now (RFC 7662).

    A redeemed access key is not good any more, nor is anything of a suspended consumer. Keys of
    operators are nobody's business here.
    """
    if looks_like_token(token):
        try:
            key = verify_access_key(tx, token, issuer=issuer)
        except (AccessKeyInvalid, AccessKeyExpired):
            # An API key brought from elsewhere may look like a token.
            return _introspect_api_key(tx, token, issuer)
        return _introspect_access_key(tx, key)
    return _introspect_api_key(tx, token, issuer)


def _introspect_access_key(tx: Tx, key: AccessKey) -> Introspection:
    if _is_suspended(tx, key.consumer) or _is_redeemed(tx, key.operation):
        return _INACTIVE
    return Introspection(
        active=True,
        token_type="access_key",  # noqa: S106 - RFC 7662's word for the kind of token
        sub=key.consumer,
        aud=key.product,
        iss=key.issuer,
        iat=key.issued_at // SECOND_US,
        exp=key.expires_at // SECOND_US,
        jti=ids.show("op", key.operation),
        group=key.group,
        quantity=key.quantity,
    )


def _introspect_api_key(tx: Tx, token: str, issuer: str) -> Introspection:
    found = find_by_key(tx, token)
    if found is None or found.subject_kind != "consumer" or not is_live(found, tx.now_us):
        return _INACTIVE
    if _is_suspended(tx, found.subject):
        return _INACTIVE
    return Introspection(
        active=True,
        token_type="api_key",  # noqa: S106 - RFC 7662's word for the kind of token
        client_id=found.id,
        sub=found.subject,
        iss=issuer,
        iat=found.created_at // SECOND_US,
        exp=None if found.expires_at is None else found.expires_at // SECOND_US,
        scope=" ".join(found.scopes) or None,
        entitlements=_rights(tx, found.subject),
    )


def _rights(tx: Tx, consumer: str) -> tuple[IntrospectedRight, ...]:
    """Return what a consumer is entitled to now, by itself and through its groups."""
    made = []
    for one in list_entitlements(tx, holders_of(tx, consumer)):
        used = consumption_of(tx, one)
        right = IntrospectedRight(
            key=one.key,
            kind=one.kind,
            roles=one.roles,
            value=one.value,
            limit=None if used is None else used.limit,
            remaining=None if used is None else used.remaining,
            exp=None if one.expires_at is None else one.expires_at // SECOND_US,
        )
        made.append(right)
    return tuple(made)


def _is_redeemed(tx: Tx, operation: int) -> bool:
    here = store.redemption.c.operation == operation
    return tx.one(sa.select(store.redemption.c.operation).where(here)) is not None


def _is_suspended(tx: Tx, consumer_id: str) -> bool:
    """Tell whether a consumer, or the owner of a device, is suspended."""
    consumer = find_consumer(tx, consumer_id)
    assert consumer is not None, "a consumer is never removed"
    return any(one.state == "suspended" for one in (consumer, *_owner(tx, consumer)))


def _owner(tx: Tx, consumer: Consumer) -> tuple[Consumer, ...]:
    found = None if consumer.owner is None else find_consumer(tx, consumer.owner)
    return () if found is None else (found,)
