"""Consumers and the groups they are in."""

from typing import Annotated, Literal

from litestar import get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Meta

from farebox.access.consumers import service, service_groups
from farebox.access.consumers.model import Consumer, ConsumerState, ConsumerUnknown
from farebox.access.consumers.rules import LONGEST_SUBJECT
from farebox.http.deps import Command, Desk
from farebox.http.routes.groups import GroupView, show_group
from farebox.http.wire import (
    ONE_LINE,
    Body,
    Id,
    IdFilter,
    Limit,
    Metadata,
    Name,
    Page,
    TextCursor,
    Time,
    View,
    show_time,
)
from farebox.storage import Tx

TAGS = ["Consumers"]
StateFilter = Annotated[Literal["active", "suspended", "any"], QueryParameter(name="state")]
Claim = Annotated[str, Meta(min_length=1, max_length=LONGEST_SUBJECT, pattern=ONE_LINE)]


class Identity(Body, frozen=True):
    """Who the consumer is at an identity provider: the claims `iss` and `sub` of their tokens."""

    issuer: Claim
    subject: Claim


class CreateConsumer(Body, frozen=True):
    """A consumer with an `owner` is a device and draws as its owner."""

    name: Name
    identity: Identity | None = None
    owner: Id | None = None
    metadata: Metadata | None = None


class UpdateConsumer(Body, frozen=True):
    """What is given is changed; `metadata` replaces the whole of it."""

    name: Name | None = None
    metadata: Metadata | None = None


class ConsumerView(View, frozen=True):
    """Who uses: a person, a device, a client program."""

    id: str
    name: str
    state: ConsumerState
    identity: Identity | None
    owner: str | None
    metadata: dict[str, str | int | bool | None]
    created_at: Time


class GroupsOfConsumer(View, frozen=True):
    """A consumer's groups in the order in which they are drawn."""

    items: list[GroupView]


def show_consumer(consumer: Consumer) -> ConsumerView:
    """Return a consumer as the API shows it."""
    identity = None
    if consumer.issuer is not None and consumer.subject is not None:
        identity = Identity(issuer=consumer.issuer, subject=consumer.subject)
    return ConsumerView(
        id=consumer.id,
        name=consumer.name,
        state=consumer.state,
        identity=identity,
        owner=consumer.owner,
        metadata=consumer.metadata,
        created_at=show_time(consumer.created_at),
    )


@post("/v1/consumers", operation_id="createConsumer", tags=TAGS, sync_to_thread=True)
def create_consumer(
    data: JSONBody[CreateConsumer], command: NamedDependency[Command]
) -> ConsumerView:
    """Create a consumer."""

    def work(tx: Tx) -> ConsumerView:
        made = service.create_consumer(
            tx,
            command.actor,
            name=data.name,
            issuer=None if data.identity is None else data.identity.issuer,
            subject=None if data.identity is None else data.identity.subject,
            owner=data.owner,
            metadata=data.metadata,
        )
        return show_consumer(made)

    return command.answer(ConsumerView, work)


@get("/v1/consumers", operation_id="listConsumers", tags=TAGS, sync_to_thread=True)
def list_consumers(
    desk: NamedDependency[Desk],
    in_state: StateFilter = "any",
    owner: IdFilter = None,
    limit: Limit = 100,
    cursor: TextCursor = None,
) -> Page[ConsumerView]:
    """List consumers in the order of their ids."""
    wanted = None if in_state == "any" else in_state
    page = desk.read(
        lambda tx: service.list_consumers(tx, state=wanted, owner=owner, after=cursor, limit=limit)
    )
    return Page(items=[show_consumer(consumer) for consumer in page.items], next=page.next)


@get("/v1/consumers/{consumer:str}", operation_id="readConsumer", tags=TAGS, sync_to_thread=True)
def read_consumer(consumer: FromPath[str], desk: NamedDependency[Desk]) -> ConsumerView:
    """Read a consumer; consumers read themselves."""
    desk.must_own(consumer, ConsumerUnknown)
    return show_consumer(desk.read(lambda tx: service.read_consumer(tx, consumer)))


@patch(
    "/v1/consumers/{consumer:str}", operation_id="updateConsumer", tags=TAGS, sync_to_thread=True
)
def update_consumer(
    consumer: FromPath[str], data: JSONBody[UpdateConsumer], command: NamedDependency[Command]
) -> ConsumerView:
    """Change a consumer's name or metadata."""

    def work(tx: Tx) -> ConsumerView:
        changed = service.update_consumer(
            tx, command.actor, consumer, name=data.name, metadata=data.metadata
        )
        return show_consumer(changed)

    return command.answer(ConsumerView, work)


@post(
    "/v1/consumers/{consumer:str}/suspend",
    operation_id="suspendConsumer",
    tags=TAGS,
    status_code=200,
    sync_to_thread=True,
)
def suspend_consumer(consumer: FromPath[str], command: NamedDependency[Command]) -> ConsumerView:
    """Deny a consumer, and the devices that draw as it, from the next decision on."""
    return command.answer(
        ConsumerView,
        lambda tx: show_consumer(service.suspend_consumer(tx, command.actor, consumer)),
    )


@post(
    "/v1/consumers/{consumer:str}/activate",
    operation_id="activateConsumer",
    tags=TAGS,
    status_code=200,
    sync_to_thread=True,
)
def activate_consumer(consumer: FromPath[str], command: NamedDependency[Command]) -> ConsumerView:
    """Take a suspension back."""
    return command.answer(
        ConsumerView,
        lambda tx: show_consumer(service.activate_consumer(tx, command.actor, consumer)),
    )


@get(
    "/v1/consumers/{consumer:str}/groups",
    operation_id="listGroupsOfConsumer",
    tags=TAGS,
    sync_to_thread=True,
)
def list_groups_of_consumer(
    consumer: FromPath[str], desk: NamedDependency[Desk]
) -> GroupsOfConsumer:
    """List the groups of a consumer; consumers see their own."""
    desk.must_own(consumer, ConsumerUnknown)

    def work(tx: Tx) -> GroupsOfConsumer:
        service.read_consumer(tx, consumer)
        groups = service_groups.groups_of(tx, consumer)
        return GroupsOfConsumer(items=[show_group(group) for group in groups])

    return desk.read(work)


HANDLERS = (
    create_consumer,
    list_consumers,
    read_consumer,
    update_consumer,
    suspend_consumer,
    activate_consumer,
    list_groups_of_consumer,
)
