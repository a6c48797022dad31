"""Operators, the signing key, the audit log."""

from typing import Annotated

import msgspec
from litestar import get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import Meta

from farebox.http.deps import Command, Desk
from farebox.http.wire import (
    Body,
    IdFilter,
    Limit,
    Name,
    NumberCursor,
    Page,
    TextCursor,
    Time,
    View,
    show_time,
)
from farebox.platform import service_audit, service_operators, service_signing
from farebox.platform.model import AuditEntry, Operator, OperatorState, Role
from farebox.storage import Tx

TAGS = ["Operators"]
Roles = Annotated[list[Role], Meta(min_length=1, max_length=8)]


class CreateOperator(Body, frozen=True):
    """Who runs the platform, or a service of theirs."""

    name: Name
    roles: Roles


class UpdateOperator(Body, frozen=True):
    """What is given is changed; `roles` replaces all of them."""

    name: Name | None = None
    roles: Roles | None = None


class OperatorView(View, frozen=True):
    """An operator. Keys are made apart."""

    id: str
    name: str
    roles: list[Role]
    state: OperatorState
    created_at: Time


class SigningKeyView(View, frozen=True):
    """A key that signs access keys; its public half is in the JWKS."""

    kid: str
    created_at: Time


class AuditView(View, frozen=True):
    """One change: who, what, why, before, after."""

    seq: int
    at: Time
    actor_kind: str
    actor: str
    action: str
    subject: str
    reason: str | None
    before: msgspec.Raw
    after: msgspec.Raw


def show_operator(operator: Operator) -> OperatorView:
    """Return an operator as the API shows them."""
    return OperatorView(
        id=operator.id,
        name=operator.name,
        roles=list(operator.roles),
        state=operator.state,
        created_at=show_time(operator.created_at),
    )


def show_entry(entry: AuditEntry) -> AuditView:
    """Return an entry of the audit log as the API shows it."""
    return AuditView(
        seq=entry.seq,
        at=show_time(entry.at),
        actor_kind=entry.actor_kind,
        actor=entry.actor,
        action=entry.action,
        subject=entry.subject,
        reason=entry.reason,
        before=msgspec.Raw((entry.before or "null").encode()),
        after=msgspec.Raw((entry.after or "null").encode()),
    )


@post("/v1/operators", operation_id="createOperator", tags=TAGS, sync_to_thread=True)
def create_operator(
    data: JSONBody[CreateOperator], command: NamedDependency[Command]
) -> OperatorView:
    """Create an operator without a key."""

    def work(tx: Tx) -> OperatorView:
        made = service_operators.create_operator(
            tx, command.actor, name=data.name, roles=data.roles
        )
        return show_operator(made)

    return command.answer(OperatorView, work)


@get("/v1/operators", operation_id="listOperators", tags=TAGS, sync_to_thread=True)
def list_operators(
    desk: NamedDependency[Desk], limit: Limit = 100, cursor: TextCursor = None
) -> Page[OperatorView]:
    """List operators in the order of their ids."""
    page = desk.read(lambda tx: service_operators.list_operators(tx, after=cursor, limit=limit))
    return Page(items=[show_operator(operator) for operator in page.items], next=page.next)


@get("/v1/operators/{operator:str}", operation_id="readOperator", tags=TAGS, sync_to_thread=True)
def read_operator(operator: FromPath[str], desk: NamedDependency[Desk]) -> OperatorView:
    """Read an operator."""
    return show_operator(desk.read(lambda tx: service_operators.read_operator(tx, operator)))


@patch(
    "/v1/operators/{operator:str}", operation_id="updateOperator", tags=TAGS, sync_to_thread=True
)
def update_operator(
    operator: FromPath[str], data: JSONBody[UpdateOperator], command: NamedDependency[Command]
) -> OperatorView:
    """Change an operator's name or roles; somebody stays admin."""

    def work(tx: Tx) -> OperatorView:
        changed = service_operators.update_operator(
            tx, command.actor, operator, name=data.name, roles=data.roles
        )
        return show_operator(changed)

    return command.answer(OperatorView, work)


@post(
    "/v1/operators/{operator:str}/suspend",
    operation_id="suspendOperator",
    tags=TAGS,
    status_code=200,
    sync_to_thread=True,
)
def suspend_operator(operator: FromPath[str], command: NamedDependency[Command]) -> OperatorView:
    """Stop every key of an operator at once."""
    return command.answer(
        OperatorView,
        lambda tx: show_operator(service_operators.suspend_operator(tx, command.actor, operator)),
    )


@post(
    "/v1/operators/{operator:str}/activate",
    operation_id="activateOperator",
    tags=TAGS,
    status_code=200,
    sync_to_thread=True,
)
def activate_operator(operator: FromPath[str], command: NamedDependency[Command]) -> OperatorView:
    """Let an operator's keys work again."""
    return command.answer(
        OperatorView,
        lambda tx: show_operator(service_operators.activate_operator(tx, command.actor, operator)),
    )


@post("/v1/signing-keys", operation_id="rotateSigningKey", tags=TAGS, sync_to_thread=True)
def rotate_signing_key(command: NamedDependency[Command]) -> SigningKeyView:
    """Let a new key sign; the old ones stay in the JWKS until their last token has expired."""

    def work(tx: Tx) -> SigningKeyView:
        made = service_signing.rotate_signing_key(tx, command.actor)
        return SigningKeyView(kid=made.kid, created_at=show_time(made.created_at))

    return command.answer(SigningKeyView, work)


@get("/v1/audit", operation_id="listAudit", tags=TAGS, sync_to_thread=True)
def list_audit(
    desk: NamedDependency[Desk],
    subject: IdFilter = None,
    actor: IdFilter = None,
    limit: Limit = 100,
    cursor: NumberCursor = None,
) -> Page[AuditView]:
    """List who changed what, newest first."""
    page = desk.read(
        lambda tx: service_audit.list_audit(
            tx,
            subject=subject,
            actor=actor,
            before=cursor,
            limit=limit,
        )
    )
    return Page(items=[show_entry(entry) for entry in page.items], next=page.next)


HANDLERS = (
    create_operator,
    list_operators,
    read_operator,
    update_operator,
    suspend_operator,
    activate_operator,
    rotate_signing_key,
    list_audit,
)
