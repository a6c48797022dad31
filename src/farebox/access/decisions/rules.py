"""Where a consumer may draw, and what an access key says. Pure.

An access key is an EdDSA JWT. Whoever has our JWKS can check it offline with `read_access_key`;
such a check says that the usage was authorised and paid for, but not that nobody has shown the
same key before. Redeeming it at Farebox says that too.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from farebox.access.catalog.model import FeatureValue
from farebox.access.decisions.model import (
    ACCESS_KEY_TYPE,
    LONGEST_ACCESS_KEY_SECONDS,
    SHORTEST_ACCESS_KEY_SECONDS,
    AccessKey,
    AccessKeyExpired,
    AccessKeyInvalid,
    ProductSource,
    SubjectState,
    UsageRequest,
)
from farebox.kernel import ids
from farebox.kernel.amounts import checked_amount
from farebox.kernel.clock import SECOND_US
from farebox.kernel.refusals import ValueRefused
from farebox.ledger.model import Source
from farebox.platform.tokens import ALGORITHM, TokenBroken, peek, read_token

_CLOCKS_APART_US: Final = 30 * SECOND_US


def checked_usage(request: UsageRequest) -> UsageRequest:
    """Return a request for a usage if its numbers can be, else refuse it (`value_invalid`)."""
    checked_amount(request.quantity)
    if not SHORTEST_ACCESS_KEY_SECONDS <= request.ttl_seconds <= LONGEST_ACCESS_KEY_SECONDS:
        raise ValueRefused(f"an access key lives 1 to {LONGEST_ACCESS_KEY_SECONDS} seconds")
    return request


def sources_for(
    subject: SubjectState, *, product: str, group: str | None
) -> tuple[Source, ...] | str:
    """Return where a usage may draw, or the code of the denial that the state alone gives."""
    if subject.state != "active":
        return "consumer_suspended"
    if group is not None and all(group != name for name, _ in subject.guards):
        return "not_a_member"
    found = tuple(
        source_of(source)
        for source in subject.products.get(product, ())
        if group is None or source.group == group
    )
    return found or subject.closed.get(product, "no_bucket")


def source_of(source: ProductSource) -> Source:
    """Return a source as the ledger knows it."""
    return Source(source.bucket, source.cap, source.overage)


def empty_code(drawn: Iterable[ProductSource]) -> str:
    """Return what to call it when nothing is left on these sources.

    Where quotas alone were drawn on, the next period helps (`quota_exceeded`); otherwise a top-up
    does (`bucket_empty`).
    """
    kinds = {source.quota for source in drawn}
    return "quota_exceeded" if kinds == {True} else "bucket_empty"


def merged(old: FeatureValue | None, new: FeatureValue) -> FeatureValue:
    """Return a feature's value where two plans or entitlements speak of it.

    A switch is on if one of them says so, the larger number counts, and of choices the first:
    the consumer's own before the groups'.
    """
    if isinstance(old, int) and isinstance(new, int):
        return max(old, new)
    return new if old is None else old


def claims_of(key: AccessKey) -> dict[str, Any]:
    """Return the claims of an access key; a claim that says nothing is left out."""
    claims = {
        "iss": key.issuer,
        "sub": key.consumer,
        "aud": key.product,
        "service": key.product,
        "group": key.group,
        "quantity": key.quantity,
        "iat": key.issued_at // SECOND_US,
        "exp": key.expires_at // SECOND_US,
        "jti": ids.show("op", key.operation),
        "hold": None if key.hold is None else ids.show("hld", key.hold),
    }
    return {name: value for name, value in claims.items() if value is not None}


def read_access_key(
    token: str, keys: Sequence[Mapping[str, Any]], *, issuer: str, now: int
) -> AccessKey:
    """Return what an access key says; `keys` are those of our JWKS, `now` is in microseconds.

    Refuses what we have not signed, or not as an access key (`access_key_invalid`), and what has
    expired (`access_key_expired`).
    """
    try:
        header, _ = peek(token)
        wanted = [key for key in keys if key.get("kid") == header.get("kid")]
        if header.get("typ") != ACCESS_KEY_TYPE or not wanted:
            raise AccessKeyInvalid
        _, claims = read_token(token, OKPKey.import_key(dict(wanted[0])), [ALGORITHM])
    except (TokenBroken, JoseError) as error:
        raise AccessKeyInvalid from error
    if claims.get("iss") != issuer:
        raise AccessKeyInvalid
    found = _access_key(claims)
    if found.issued_at > now + _CLOCKS_APART_US:
        raise AccessKeyInvalid
    if found.expires_at <= now:
        raise AccessKeyExpired
    return found


def _access_key(claims: Mapping[str, Any]) -> AccessKey:
    """Return the claims of a key that we signed, so their form is ours."""
    operation = ids.parse("op", claims["jti"])
    assert operation is not None, "we sign our own ids"
    held = claims.get("hold")
    return AccessKey(
        issuer=claims["iss"],
        consumer=claims["sub"],
        product=claims["aud"],
        group=claims.get("group"),
        quantity=claims["quantity"],
        operation=operation,
        hold=None if held is None else ids.parse("hld", held),
        issued_at=claims["iat"] * SECOND_US,
        expires_at=claims["exp"] * SECOND_US,
    )
