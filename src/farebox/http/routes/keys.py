"""Keys of consumers and operators: made, listed, rotated, revoked. A key is shown once.

Consumers handle their own. One with scopes handles none, so that whoever has it cannot make
themselves a better one, and what a consumer shows is always made here: a key that is brought along
could be one that somebody else is about to bring.
"""

from typing import Annotated

from litestar import delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import Meta

from farebox.access.consumers.model import ConsumerUnknown
from farebox.access.consumers.service import read_consumer
from farebox.access.decisions.service_rates import keep_rates
from farebox.access.flows.asks import NotAllowed
from farebox.http.deps import Command, Desk
from farebox.http.wire import (
    Body,
    Label,
    Limit,
    Page,
    TextCursor,
    Time,
    View,
    read_end,
    show_end,
    show_time,
)
from farebox.kernel.clock import SECOND_US
from farebox.platform import service_credentials as service
from farebox.platform.model import (
    LONGEST_CREDENTIAL,
    MOST_SCOPES,
    Credential,
    CredentialUnknown,
    NewCredential,
    Permission,
    SubjectKind,
)
from farebox.platform.rules import may
from farebox.platform.service_operators import read_operator
from farebox.storage import Tx

TAGS = ["Keys"]
Scope = Annotated[str, Meta(pattern=r"^[A-Za-z0-9._:-]{1,128}$")]
Scopes = Annotated[tuple[Scope, ...], Meta(max_length=MOST_SCOPES)]
LONGEST_OVERLAP = 90 * 86_400


class CreateOperatorKey(Body, frozen=True):
    """A key of its own making is generated; `key` brings one from elsewhere instead.

    An operator has roles, so the key has no scopes.
    """

    label: Label = ""
    expires_at: Time | None = None
    key: Annotated[str, Meta(min_length=1, max_length=LONGEST_CREDENTIAL)] | None = None


class CreateKey(CreateOperatorKey, frozen=True):
    """A consumer's key is made, or brought along.

    `scopes` are the codes of the products, features and items that it is good for; without any it
    is good for everything.
    """

    scopes: Scopes = ()


class RotateKey(Body, frozen=True):
    """How long the old key goes on working beside the new one."""

    overlap_seconds: Annotated[int, Meta(ge=0, le=LONGEST_OVERLAP)] = 0


class KeyView(View, frozen=True):
    """A key, known by its last four characters."""

    id: str
    subject_kind: SubjectKind
    subject: str
    label: str
    hint: str
    created_at: Time
    expires_at: Time | None
    revoked_at: Time | None
    scopes: list[str]


class NewKeyView(KeyView, frozen=True):
    """A key that was made. `key` is shown here and never again; null for one brought along."""

    key: str | None


def show_key(credential: Credential) -> KeyView:
    """Return a key as the API shows it."""
    return KeyView(
        id=credential.id,
        subject_kind=credential.subject_kind,
        subject=credential.subject,
        label=credential.label,
        hint=credential.hint,
        created_at=show_time(credential.created_at),
        expires_at=show_end(credential.expires_at),
        revoked_at=show_end(credential.revoked_at),
        scopes=list(credential.scopes),
    )


def show_new_key(made: NewCredential | Credential) -> NewKeyView:
    """Return a new key as the API shows it, this once."""
    credential = made.credential if isinstance(made, NewCredential) else made
    return NewKeyView(
        id=credential.id,
        subject_kind=credential.subject_kind,
        subject=credential.subject,
        label=credential.label,
        hint=credential.hint,
        created_at=show_time(credential.created_at),
        expires_at=show_end(credential.expires_at),
        revoked_at=show_end(credential.revoked_at),
        scopes=list(credential.scopes),
        key=made.key if isinstance(made, NewCredential) else None,
    )


def make_key(
    tx: Tx, command: Command, data: CreateOperatorKey, *, kind: SubjectKind, subject: str
) -> NewKeyView:
    """Make a key for somebody who exists, or take the one that was brought along."""
    scopes = data.scopes if isinstance(data, CreateKey) else ()
    end = read_end(data.expires_at, now_us=tx.now_us)
    if data.key is None:
        made = service.create_credential(
            tx,
            command.actor,
            kind=kind,
            subject=subject,
            label=data.label,
            expires_at=end,
            scopes=scopes,
        )
        return show_new_key(made)
    brought = service.import_credential(
        tx,
        command.actor,
        kind=kind,
        subject=subject,
        key=data.key,
        label=data.label,
        expires_at=end,
        scopes=scopes,
    )
    return show_new_key(brought)


def list_keys(tx: Tx, subject: str, *, cursor: str | None, limit: int) -> Page[KeyView]:
    """Return a page of a subject's keys."""
    page = service.list_credentials(tx, subject, after=cursor, limit=limit)
    return Page(items=[show_key(credential) for credential in page.items], next=page.next)


def readable(tx: Tx, desk: Desk, key: str) -> Credential:
    """Return a key that the caller may handle.

    Operators' keys are for those who may make them; consumers handle their own.
    """
    found = service.read_credential(tx, key)
    desk.must_own(found.subject, CredentialUnknown)
    if found.subject_kind == "operator" and not may(desk.principal, Permission.OPERATORS):
        raise CredentialUnknown
    return found


def must_be_whole(desk: Desk) -> None:
    """Let no key with scopes make or stop keys."""
    if desk.principal.kind == "consumer" and desk.principal.scopes:
        raise NotAllowed


@post(
    "/v1/consumers/{consumer:str}/keys",
    operation_id="createKeyOfConsumer",
    tags=TAGS,
    sync_to_thread=True,
)
def create_key_of_consumer(
    consumer: FromPath[str], data: JSONBody[CreateKey], command: NamedDependency[Command]
) -> NewKeyView:
    """Make a key for a consumer; consumers make their own."""
    command.must_own(consumer, ConsumerUnknown)
    must_be_whole(command)
    if command.principal.kind == "consumer" and data.key is not None:
        raise NotAllowed

    def work(tx: Tx) -> NewKeyView:
        read_consumer(tx, consumer)
        return make_key(tx, command, data, kind="consumer", subject=consumer)

    return command.answer(NewKeyView, work)


@get(
    "/v1/consumers/{consumer:str}/keys",
    operation_id="listKeysOfConsumer",
    tags=TAGS,
    sync_to_thread=True,
)
def list_keys_of_consumer(
    consumer: FromPath[str],
    desk: NamedDependency[Desk],
    limit: Limit = 100,
    cursor: TextCursor = None,
) -> Page[KeyView]:
    """List a consumer's keys, oldest first; consumers see their own."""
    desk.must_own(consumer, ConsumerUnknown)

    def work(tx: Tx) -> Page[KeyView]:
        read_consumer(tx, consumer)
        return list_keys(tx, consumer, cursor=cursor, limit=limit)

    return desk.read(work)


@post(
    "/v1/operators/{operator:str}/keys",
    operation_id="createKeyOfOperator",
    tags=TAGS,
    sync_to_thread=True,
)
def create_key_of_operator(
    operator: FromPath[str], data: JSONBody[CreateOperatorKey], command: NamedDependency[Command]
) -> NewKeyView:
    """Make a key for an operator."""

    def work(tx: Tx) -> NewKeyView:
        read_operator(tx, operator)
        return make_key(tx, command, data, kind="operator", subject=operator)

    return command.answer(NewKeyView, work)


@get(
    "/v1/operators/{operator:str}/keys",
    operation_id="listKeysOfOperator",
    tags=TAGS,
    sync_to_thread=True,
)
def list_keys_of_operator(
    operator: FromPath[str],
    desk: NamedDependency[Desk],
    limit: Limit = 100,
    cursor: TextCursor = None,
) -> Page[KeyView]:
    """List an operator's keys, oldest first."""

    def work(tx: Tx) -> Page[KeyView]:
        read_operator(tx, operator)
        return list_keys(tx, operator, cursor=cursor, limit=limit)

    return desk.read(work)


@get("/v1/keys/{key:str}", operation_id="readKey", tags=TAGS, sync_to_thread=True)
def read_key(key: FromPath[str], desk: NamedDependency[Desk]) -> KeyView:
    """Read what is known of a key, by its id."""
    return show_key(desk.read(lambda tx: readable(tx, desk, key)))


@post("/v1/keys/{key:str}/rotate", operation_id="rotateKey", tags=TAGS, sync_to_thread=True)
def rotate_key(
    key: FromPath[str], data: JSONBody[RotateKey], command: NamedDependency[Command]
) -> NewKeyView:
    """Make a new key for the same subject; the old one goes on for the overlap and no longer."""
    must_be_whole(command)

    def work(tx: Tx) -> NewKeyView:
        old = readable(tx, command, key)
        overlap = data.overlap_seconds * SECOND_US
        made = service.rotate_credential(tx, command.actor, key, overlap_us=overlap)
        keep_rates(tx, command.actor, old.id, made.credential.id, guarded_by=old.subject)
        return show_new_key(made)

    return command.answer(NewKeyView, work)


@delete(
    "/v1/keys/{key:str}", operation_id="revokeKey", tags=TAGS, status_code=200, sync_to_thread=True
)
def revoke_key(key: FromPath[str], command: NamedDependency[Command]) -> KeyView:
    """Stop a key at once."""
    must_be_whole(command)

    def work(tx: Tx) -> KeyView:
        readable(tx, command, key)
        return show_key(service.revoke_credential(tx, command.actor, key))

    return command.answer(KeyView, work)


HANDLERS = (
    create_key_of_consumer,
    list_keys_of_consumer,
    create_key_of_operator,
    list_keys_of_operator,
    read_key,
    rotate_key,
    revoke_key,
)
