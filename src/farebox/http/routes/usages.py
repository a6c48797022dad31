"""Authorised usages and the access keys that prove them: asked for, redeemed, introspected."""

from typing import Annotated, Any

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.enums import RequestEncodingType
from litestar.params import BodyKwarg, JSONBody
from msgspec import Meta

from farebox.access.consumers.model import ConsumerUnknown
from farebox.access.decisions.model import (
    LONGEST_ACCESS_KEY_SECONDS,
    SHORTEST_ACCESS_KEY_SECONDS,
    Denial,
    Introspection,
    Mode,
    UsageRequest,
)
from farebox.access.decisions.service_access_keys import introspect as introspect_token
from farebox.access.flows.authorise_usage import authorise_usage as authorise
from farebox.access.flows.redeem import redeem
from farebox.contracts.decisions import LONGEST_CREDENTIAL
from farebox.http.deps import Command, Desk, Services
from farebox.http.roles import MOVES_VALUE, PUBLIC
from farebox.http.wire import Amount, Body, Id, Metadata, Time, View, show_time
from farebox.kernel import ids
from farebox.platform.service_signing import jwks

TAGS = ["Usages"]
Token = Annotated[str, Meta(min_length=1, max_length=LONGEST_CREDENTIAL, pattern=r"^[!-~]+$")]


class AuthoriseUsage(Body, frozen=True):
    """Ask for the right to use so much of a product; consumers ask for themselves.

    `consume` draws it now; `reserve` makes a hold that the provider captures, in parts as well.
    """

    product: Annotated[str, Meta(min_length=1, max_length=128, pattern=r"^[!-~]+$")]
    quantity: Amount = 1
    consumer: Id | None = None
    group: Id | None = None
    mode: Mode = "consume"
    ttl_seconds: Annotated[
        int, Meta(ge=SHORTEST_ACCESS_KEY_SECONDS, le=LONGEST_ACCESS_KEY_SECONDS)
    ] = 300
    metadata: Metadata | None = None


class UsageResult(View, frozen=True, omit_defaults=True):
    """Whether the usage is authorised; the access key proves it until `expires_at`.

    A denial is an answer: `code` says why, `remaining` what is left.
    """

    allowed: bool
    code: str
    consumer: str
    product: str
    remaining: int
    access_key: str | None = None
    operation: str | None = None
    hold: str | None = None
    group: str | None = None
    bucket: str | None = None
    quantity: int | None = None
    expires_at: Time | None = None


class RedeemAccessKey(Body, frozen=True):
    """An access key that somebody showed."""

    access_key: Token


class RedemptionView(View, frozen=True):
    """What the access key was good for. It is good for nothing any more."""

    operation: str
    consumer: str
    product: str
    group: str | None
    quantity: int
    hold: str | None
    redeemed_at: Time
    redeemed_by: str


class IntrospectForm(msgspec.Struct, frozen=True, kw_only=True):
    """RFC 7662: the token, and what the caller takes it for."""

    token: Token
    token_type_hint: Annotated[str, Meta(max_length=128)] | None = None


class KeySet(View, frozen=True):
    """RFC 7517: the public keys under which access keys of ours may still be valid."""

    keys: list[dict[str, Any]]


def show_operation(number: int | None, prefix: ids.Prefix) -> str | None:
    """Return a ledger id as text, if there is one."""
    return None if number is None else ids.show(prefix, number)


@post(
    "/v1/service-usages",
    operation_id="authoriseUsage",
    tags=TAGS,
    opt=MOVES_VALUE,
    status_code=200,
    sync_to_thread=True,
)
def authorise_usage(
    data: JSONBody[AuthoriseUsage], command: NamedDependency[Command]
) -> UsageResult:
    """Draw a usage's quantity and answer an access key that proves it."""
    consumer = data.consumer
    if command.principal.kind == "consumer":
        consumer = consumer or command.principal.id
        command.must_own(consumer, ConsumerUnknown)
    if consumer is None:
        raise ConsumerUnknown("name the consumer who uses")
    request = UsageRequest(
        consumer=consumer,
        product=data.product,
        quantity=data.quantity,
        group=data.group,
        mode=data.mode,
        ttl_seconds=data.ttl_seconds,
        metadata=None if data.metadata is None else msgspec.json.encode(data.metadata).decode(),
    )
    made = authorise(command.database, request, issuer=command.services.issuer, once=command.once)
    if isinstance(made, Denial):
        return UsageResult(
            allowed=False,
            code=made.code,
            consumer=made.consumer,
            product=made.product,
            remaining=made.remaining,
        )
    return UsageResult(
        allowed=True,
        code="allowed",
        consumer=made.consumer,
        product=made.product,
        remaining=made.remaining,
        access_key=made.access_key,
        operation=ids.show("op", made.operation),
        hold=show_operation(made.hold, "hld"),
        group=made.group,
        bucket=ids.show("bkt", made.bucket),
        quantity=made.quantity,
        expires_at=show_time(made.expires_at),
    )


@post(
    "/v1/service-usages/redeem",
    operation_id="redeemAccessKey",
    tags=TAGS,
    opt={"problems": (410,)},
    status_code=200,
    sync_to_thread=True,
)
def redeem_access_key(
    data: JSONBody[RedeemAccessKey], command: NamedDependency[Command]
) -> RedemptionView:
    """Redeem an access key; it succeeds once."""
    done = redeem(
        command.database,
        command.actor,
        data.access_key,
        issuer=command.services.issuer,
        once=command.once,
    )
    return RedemptionView(
        operation=ids.show("op", done.key.operation),
        consumer=done.key.consumer,
        product=done.key.product,
        group=done.key.group,
        quantity=done.key.quantity,
        hold=show_operation(done.key.hold, "hld"),
        redeemed_at=show_time(done.redeemed_at),
        redeemed_by=done.redeemed_by,
    )


@post(
    "/oauth2/introspect",
    operation_id="introspect",
    tags=TAGS,
    status_code=200,
    sync_to_thread=True,
)
def introspect(
    data: Annotated[IntrospectForm, BodyKwarg(media_type=RequestEncodingType.URL_ENCODED)],
    desk: NamedDependency[Desk],
) -> Introspection:
    """Tell whether an access key or a consumer's API key is good now (RFC 7662)."""
    issuer = desk.services.issuer
    return desk.read(lambda tx: introspect_token(tx, data.token, issuer=issuer))


@get(
    "/.well-known/jwks.json",
    operation_id="readJwks",
    tags=TAGS,
    opt=PUBLIC,
    sync_to_thread=True,
)
def read_jwks(services: NamedDependency[Services]) -> Response[KeySet]:
    """Return the keys that access keys are checked with; anybody may read them."""
    with services.database.read() as tx:
        found = jwks(tx)
    headers = {"Cache-Control": "public, max-age=300"}
    return Response(KeySet(keys=found["keys"]), headers=headers)


HANDLERS = (authorise_usage, redeem_access_key, introspect, read_jwks)
