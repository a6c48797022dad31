"""Entitlements: what somebody may use. Also the literal path of source 003's access service."""

from typing import Annotated, Any, Literal

from litestar import delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import UNSET, Meta, UnsetType

from farebox.access.consumers.service_lookup import known_holders
from farebox.access.entitlements import service
from farebox.access.entitlements.model import (
    LONGEST_ROLE,
    LONGEST_SOURCE,
    MOST_ROLES,
    Entitlement,
    EntitlementState,
    EntitlementUnknown,
    Kind,
    SourceKind,
)
from farebox.access.entitlements.service_limits import consumption_of
from farebox.contracts.decisions import LARGEST_QUANTITY
from farebox.http.deps import Command, Desk
from farebox.http.refusals import HolderAmbiguous
from farebox.http.roles import MOVES_VALUE
from farebox.http.routes.subscriptions import may_see
from farebox.http.wire import (
    ONE_LINE,
    Body,
    Id,
    IdFilter,
    Limit,
    Page,
    TextCursor,
    Time,
    View,
    read_end,
    read_time,
    show_end,
    show_time,
)
from farebox.kernel.periods import Unit
from farebox.platform.rules import page_of
from farebox.storage import Tx

TAGS = ["Entitlements"]
RoleName = Annotated[str, Meta(min_length=1, max_length=LONGEST_ROLE, pattern=ONE_LINE)]
RoleFilter = Annotated[
    str | None,
    QueryParameter(name="role", min_length=1, max_length=LONGEST_ROLE, pattern=ONE_LINE),
]
StateFilter = Annotated[Literal["active", "any"], QueryParameter(name="state")]
Roles = Annotated[list[RoleName], Meta(max_length=MOST_ROLES)]
UseLimit = Annotated[int, Meta(ge=0, le=LARGEST_QUANTITY)]
Source = Annotated[str, Meta(min_length=1, max_length=LONGEST_SOURCE, pattern=ONE_LINE)]


class GrantEntitlement(Body, frozen=True):
    """To whom, to what, for which roles, how often in each period, from when until when."""

    key: Id
    kind: Kind = "product"
    consumer: Id | None = None
    group: Id | None = None
    roles: Roles | None = None
    limit: UseLimit | None = None
    period: Unit | None = None
    source: Source | None = None
    starts_at: Time | None = None
    expires_at: Time | None = None


class UpdateEntitlement(Body, frozen=True):
    """What is given is changed; null takes a limit or an end away."""

    roles: Roles | None = None
    limit: UseLimit | UnsetType | None = UNSET
    expires_at: Time | UnsetType | None = UNSET


class UsageView(View, frozen=True):
    """What is used of a limit in its present period; held units count as used."""

    limit: int
    used: int
    remaining: int
    resets_at: Time | None


class EntitlementView(View, frozen=True):
    """The right to use something as it stands now; without roles it is for everyone."""

    id: str
    consumer: str | None
    group: str | None
    key: str
    kind: Kind
    source_kind: SourceKind
    source: str
    roles: list[str]
    value: bool | int | str | None
    period: Unit | None
    usage: UsageView | None
    state: EntitlementState
    starts_at: Time
    expires_at: Time | None
    revoked_at: Time | None
    version: int


def show_entitlements(tx: Tx, found: tuple[Entitlement, ...]) -> list[EntitlementView]:
    """Return entitlements as the API shows them, with what is used of their limits."""
    giving = service.open_plans(tx, found)
    return [_show(tx, one, giving) for one in found]


def _show(tx: Tx, one: Entitlement, giving: frozenset[str]) -> EntitlementView:
    used = consumption_of(tx, one)
    return EntitlementView(
        id=one.id,
        consumer=one.holder if one.holder_kind == "consumer" else None,
        group=one.holder if one.holder_kind == "group" else None,
        key=one.key,
        kind=one.kind,
        source_kind=one.source_kind,
        source=one.source,
        roles=list(one.roles),
        value=one.value,
        period=one.period,
        usage=None
        if used is None
        else UsageView(
            limit=used.limit,
            used=used.used,
            remaining=used.remaining,
            resets_at=show_end(used.resets_at),
        ),
        state=service.state_of(one, tx.now_us, giving),
        starts_at=show_time(one.starts_at),
        expires_at=show_end(one.expires_at),
        revoked_at=show_end(one.revoked_at),
        version=one.version,
    )


def list_entitlements(
    desk: NamedDependency[Desk],
    *,
    consumer: IdFilter = None,
    group: IdFilter = None,
    key: IdFilter = None,
    role: RoleFilter = None,
    in_state: StateFilter = "active",
    limit: Limit = 100,
    cursor: TextCursor = None,
) -> Page[EntitlementView]:
    """List what holds now (`state=any`: all there ever was), in the order of the ids.

    Consumers see their own and their groups', operators anybody's. `role` leaves out what is for
    other roles only.
    """
    if desk.principal.kind == "consumer":
        consumer, group = desk.principal.id, None

    def work(tx: Tx) -> Page[EntitlementView]:
        active = in_state == "active"
        if consumer is None and group is None:
            page = service.page_entitlements(
                tx, key=key, role=role, active_only=active, after=cursor, limit=limit
            )
        else:
            holders = [] if group is None else [group]
            if consumer is not None:
                holders += known_holders(tx, consumer)
            found = service.list_entitlements(tx, holders, key=key, role=role, active_only=active)
            rest = [one for one in found if cursor is None or one.id > cursor]
            page = page_of(rest[: limit + 1], limit, lambda one: one.id)
        return Page(items=show_entitlements(tx, page.items), next=page.next)

    return desk.read(work)


@get(
    "/v1/entitlements/{entitlement:str}",
    operation_id="readEntitlement",
    tags=TAGS,
    sync_to_thread=True,
)
def read_entitlement(entitlement: FromPath[str], desk: NamedDependency[Desk]) -> EntitlementView:
    """Read an entitlement as it stands now, whatever its state."""

    def work(tx: Tx) -> EntitlementView:
        one = service.read_entitlement(tx, entitlement)
        if not may_see(tx, desk, one.holder):
            raise EntitlementUnknown
        return show_entitlements(tx, (one,))[0]

    return desk.read(work)


@post(
    "/v1/entitlements",
    operation_id="grantEntitlement",
    tags=TAGS,
    opt=MOVES_VALUE,
    sync_to_thread=True,
)
def grant_entitlement(
    data: JSONBody[GrantEntitlement], command: NamedDependency[Command]
) -> EntitlementView:
    """Grant a right to a consumer or a group."""
    if (data.consumer is None) == (data.group is None):
        raise HolderAmbiguous

    def work(tx: Tx) -> EntitlementView:
        starts_at = None if data.starts_at is None else max(read_time(data.starts_at), tx.now_us)
        made = service.grant_entitlement(
            tx,
            command.actor,
            holder_kind="consumer" if data.group is None else "group",
            holder=data.consumer or data.group or "",
            key=data.key,
            kind=data.kind,
            source_kind="operator",
            source=data.source or command.actor.id,
            roles=tuple(data.roles or ()),
            limit=data.limit,
            period=data.period,
            starts_at=starts_at,
            expires_at=read_end(data.expires_at, now_us=tx.now_us, starts_at=starts_at),
        )
        return show_entitlements(tx, (made,))[0]

    return command.answer(EntitlementView, work)


@patch(
    "/v1/entitlements/{entitlement:str}",
    operation_id="updateEntitlement",
    tags=TAGS,
    sync_to_thread=True,
)
def update_entitlement(
    entitlement: FromPath[str],
    data: JSONBody[UpdateEntitlement],
    command: NamedDependency[Command],
) -> EntitlementView:
    """Change a right's roles, limit or end; what was used counts against a new limit."""

    def work(tx: Tx) -> EntitlementView:
        ends: Any = data.expires_at
        if data.expires_at is not UNSET:
            ends = read_end(data.expires_at, now_us=tx.now_us)
        changed = service.update_entitlement(
            tx,
            command.actor,
            entitlement,
            roles=None if data.roles is None else tuple(data.roles),
            limit=data.limit,
            expires_at=ends,
        )
        return show_entitlements(tx, (changed,))[0]

    return command.answer(EntitlementView, work)


@delete(
    "/v1/entitlements/{entitlement:str}",
    operation_id="revokeEntitlement",
    tags=TAGS,
    status_code=200,
    sync_to_thread=True,
)
def revoke_entitlement(
    entitlement: FromPath[str], command: NamedDependency[Command]
) -> EntitlementView:
    """Take a right back, from now on. What a plan brings ends with the subscription only."""

    def work(tx: Tx) -> EntitlementView:
        gone = service.revoke_entitlement(tx, command.actor, entitlement)
        return show_entitlements(tx, (gone,))[0]

    return command.answer(EntitlementView, work)


_LISTS = tuple(
    get(
        path,
        operation_id="listEntitlements",
        tags=TAGS,
        include_in_schema=described,
        sync_to_thread=True,
    )(list_entitlements)
    for path, described in (("/v1/entitlements", True), ("/access/entitlements", False))
)

HANDLERS = (
    *_LISTS,
    read_entitlement,
    grant_entitlement,
    update_entitlement,
    revoke_entitlement,
)
