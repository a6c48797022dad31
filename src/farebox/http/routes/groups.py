"""Groups, their members, and the members' caps."""

from typing import Annotated

from litestar import delete, get, patch, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import Meta

from farebox.access.buckets import service_caps
from farebox.access.buckets.model import BucketRecordUnknown
from farebox.access.consumers import service_groups as service
from farebox.access.consumers.model import Group, Member
from farebox.access.flows.delete_group import delete_group as delete_group_flow
from farebox.http.deps import Command, Desk
from farebox.http.wire import (
    Amount,
    Body,
    Id,
    Limit,
    Name,
    Page,
    Priority,
    TextCursor,
    Time,
    View,
    read_bucket_id,
    show_time,
)
from farebox.storage import Tx

TAGS = ["Groups"]


class CreateGroup(Body, frozen=True):
    """Of several groups of a consumer the one with the smallest priority is drawn first."""

    name: Name
    priority: Priority = 0


class UpdateGroup(Body, frozen=True):
    """What is given is changed."""

    name: Name | None = None
    priority: Priority | None = None


class MemberCap(Body, frozen=True):
    """How much of a group's bucket the member may draw in all."""

    bucket: Id
    amount: Amount


class AddMember(Body, frozen=True):
    """Caps that the member gets in the same step."""

    caps: Annotated[tuple[MemberCap, ...], Meta(max_length=100)] = ()


class GroupView(View, frozen=True):
    """Consumers who may share buckets."""

    id: str
    name: str
    priority: int
    created_at: Time


class MemberView(View, frozen=True):
    """A consumer in a group."""

    group: str
    consumer: str
    added_at: Time


def show_group(group: Group) -> GroupView:
    """Return a group as the API shows it."""
    return GroupView(
        id=group.id,
        name=group.name,
        priority=group.priority,
        created_at=show_time(group.created_at),
    )


def show_member(member: Member) -> MemberView:
    """Return a membership as the API shows it."""
    return MemberView(
        group=member.group, consumer=member.consumer, added_at=show_time(member.added_at)
    )


@post("/v1/groups", operation_id="createGroup", tags=TAGS, sync_to_thread=True)
def create_group(data: JSONBody[CreateGroup], command: NamedDependency[Command]) -> GroupView:
    """Create an empty group."""

    def work(tx: Tx) -> GroupView:
        made = service.create_group(tx, command.actor, name=data.name, priority=data.priority)
        return show_group(made)

    return command.answer(GroupView, work)


@get("/v1/groups", operation_id="listGroups", tags=TAGS, sync_to_thread=True)
def list_groups(
    desk: NamedDependency[Desk], limit: Limit = 100, cursor: TextCursor = None
) -> Page[GroupView]:
    """List groups in the order of their ids."""
    page = desk.read(lambda tx: service.list_groups(tx, after=cursor, limit=limit))
    return Page(items=[show_group(group) for group in page.items], next=page.next)


@get("/v1/groups/{group:str}", operation_id="readGroup", tags=TAGS, sync_to_thread=True)
def read_group(group: FromPath[str], desk: NamedDependency[Desk]) -> GroupView:
    """Read a group."""
    return show_group(desk.read(lambda tx: service.read_group(tx, group)))


@patch("/v1/groups/{group:str}", operation_id="updateGroup", tags=TAGS, sync_to_thread=True)
def update_group(
    group: FromPath[str], data: JSONBody[UpdateGroup], command: NamedDependency[Command]
) -> GroupView:
    """Change a group's name or priority."""

    def work(tx: Tx) -> GroupView:
        changed = service.update_group(
            tx, command.actor, group, name=data.name, priority=data.priority
        )
        return show_group(changed)

    return command.answer(GroupView, work)


@delete("/v1/groups/{group:str}", operation_id="deleteGroup", tags=TAGS, sync_to_thread=True)
def delete_group(group: FromPath[str], command: NamedDependency[Command]) -> None:
    """Delete a group that holds nothing any more."""
    delete_group_flow(command.database, command.actor, group)


@get("/v1/groups/{group:str}/members", operation_id="listMembers", tags=TAGS, sync_to_thread=True)
def list_members(
    group: FromPath[str],
    desk: NamedDependency[Desk],
    limit: Limit = 100,
    cursor: TextCursor = None,
) -> Page[MemberView]:
    """List a group's members in the order of their ids."""

    def work(tx: Tx) -> Page[MemberView]:
        service.read_group(tx, group)
        page = service.list_members(tx, group, after=cursor, limit=limit)
        return Page(items=[show_member(member) for member in page.items], next=page.next)

    return desk.read(work)


@put(
    "/v1/groups/{group:str}/members/{consumer:str}",
    operation_id="addMember",
    tags=TAGS,
    sync_to_thread=True,
)
def add_member(
    group: FromPath[str],
    consumer: FromPath[str],
    command: NamedDependency[Command],
    data: JSONBody[AddMember | None] = None,
) -> MemberView:
    """Add a consumer to a group; adding a member again changes nothing but the caps."""
    caps = () if data is None else data.caps

    def work(tx: Tx) -> MemberView:
        member = service.add_member(tx, command.actor, group=group, consumer=consumer)
        for cap in caps:
            bucket = read_bucket_id(cap.bucket, otherwise=BucketRecordUnknown())
            service_caps.set_cap(
                tx, command.actor, bucket_id=bucket, consumer=consumer, amount=cap.amount
            )
        return show_member(member)

    return command.answer(MemberView, work)


@delete(
    "/v1/groups/{group:str}/members/{consumer:str}",
    operation_id="removeMember",
    tags=TAGS,
    sync_to_thread=True,
)
def remove_member(
    group: FromPath[str], consumer: FromPath[str], command: NamedDependency[Command]
) -> None:
    """Take a consumer out of a group, from the next decision on."""
    command.write(
        lambda tx: service.remove_member(tx, command.actor, group=group, consumer=consumer)
    )


HANDLERS = (
    create_group,
    list_groups,
    read_group,
    update_group,
    delete_group,
    list_members,
    add_member,
    remove_member,
)
