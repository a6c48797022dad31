"""Items of the marketplace: owners' own, and what consumers find."""

from typing import Annotated, Literal

from litestar import delete, get, patch, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter

from farebox.access.marketplace import model, service
from farebox.access.marketplace.model import Draft, ItemState, Sight, Wanted
from farebox.access.marketplace.service_capacity import availability_of
from farebox.access.marketplace.service_search import find_items
from farebox.http.deps import Command, Desk
from farebox.http.routes.item_forms import (
    CreateItem,
    FoundItems,
    ItemView,
    TransferItem,
    UpdateItem,
    said_of,
    show_item,
)
from farebox.http.wire import (
    IdFilter,
    Page,
)
from farebox.platform.model import Permission, Principal
from farebox.platform.rules import may
from farebox.storage import Tx

TAGS = ["Items"]
StateFilter = Annotated[
    Literal["draft", "published", "archived", "any"], QueryParameter(name="state")
]
Query = Annotated[
    str,
    QueryParameter(
        max_length=model.LONGEST_QUERY,
        description="All of these words, in any form; the last one may be a beginning",
    ),
]
AttributeFilter = Annotated[
    list[str] | None,
    QueryParameter(
        name="attribute",
        max_items=model.MOST_FILTERS,
        description="name:value, or a name alone for any value",
    ),
]
ItemCursor = Annotated[
    str | None,
    QueryParameter(
        name="cursor", pattern=r"^[0-9]{1,19}(-[0-9]{1,19})?$", description="The last `next`"
    ),
]
ItemLimit = Annotated[
    int, QueryParameter(ge=1, le=model.LONGEST_PAGE, description="Most items on the page")
]


def sight_of(principal: Principal) -> Sight:
    """Return which items a caller sees: consumers what is on sale, owners theirs, others all."""
    if principal.kind == "consumer":
        return Sight(on_sale=True)
    return Sight() if may(principal, Permission.READ) else Sight(owner=principal.id)


def _own(principal: Principal) -> Sight:
    """Return which items a caller edits: their own, or all who may hand them to another owner."""
    return Sight() if may(principal, Permission.ITEM_OWNERSHIP) else Sight(owner=principal.id)


@post("/v1/items", operation_id="createItem", tags=TAGS, sync_to_thread=True)
def create_item(data: JSONBody[CreateItem], command: NamedDependency[Command]) -> ItemView:
    """Create an item as a draft."""
    may_choose = may(command.principal, Permission.ITEM_OWNERSHIP)
    owner = data.owner if may_choose and data.owner is not None else command.principal.id
    draft = Draft(**said_of(data))

    def work(tx: Tx) -> ItemView:
        if data.owner not in {None, owner}:
            raise model.OwnerUnfit
        made = service.create_item(tx, command.actor, code=data.code, owner=owner, draft=draft)
        return show_item(made)

    return command.answer(ItemView, work)


@get(
    "/v1/items", operation_id="listItems", tags=TAGS, opt={"problems": (404,)}, sync_to_thread=True
)
def list_items(
    desk: NamedDependency[Desk],
    *,
    kind: IdFilter = None,
    in_state: StateFilter = "any",
    attribute: AttributeFilter = None,
    limit: ItemLimit = 50,
    cursor: ItemCursor = None,
) -> Page[ItemView]:
    """List items, the newest first; consumers see what is on sale, owners their own."""
    wanted = _wanted("", kind, in_state, attribute)
    found = desk.read(
        lambda tx: find_items(tx, sight_of(desk.principal), wanted, after=cursor, limit=limit)
    )
    return Page(items=[show_item(item) for item in found.items], next=found.next)


@get(
    "/v1/items/search",
    operation_id="searchItems",
    tags=TAGS,
    opt={"problems": (404,)},
    sync_to_thread=True,
)
def search_items(
    desk: NamedDependency[Desk],
    *,
    q: Query = "",
    kind: IdFilter = None,
    attribute: AttributeFilter = None,
    limit: ItemLimit = 50,
    cursor: ItemCursor = None,
) -> FoundItems:
    """Find published items by words in Russian and English, in titles, attributes, descriptions."""
    wanted = _wanted(q, kind, "published", attribute)
    found = desk.read(
        lambda tx: find_items(tx, sight_of(desk.principal), wanted, after=cursor, limit=limit)
    )
    items = [show_item(item) for item in found.items]
    return FoundItems(items=items, next=found.next, suggestion=found.suggestion)


def _wanted(
    query: str, kind: str | None, state: ItemState | Literal["any"], attributes: list[str] | None
) -> Wanted:
    pairs = [each.partition(":") for each in attributes or ()]
    return Wanted(
        query=query,
        kind=kind,
        state=None if state == "any" else state,
        attributes=tuple((name, value if colon else None) for name, colon, value in pairs),
    )


@get("/v1/items/{code:str}", operation_id="readItem", tags=TAGS, sync_to_thread=True)
def read_item(code: FromPath[str], desk: NamedDependency[Desk]) -> ItemView:
    """Read an item with the places that its offers have left."""

    def work(tx: Tx) -> ItemView:
        item = service.read_item(tx, code, sight_of(desk.principal))
        return show_item(item, availability_of(tx, item))

    return desk.read(work)


@patch("/v1/items/{code:str}", operation_id="updateItem", tags=TAGS, sync_to_thread=True)
def update_item(
    code: FromPath[str], data: JSONBody[UpdateItem], command: NamedDependency[Command]
) -> ItemView:
    """Change an item; what was sold of it stays as it was sold."""

    def work(tx: Tx) -> ItemView:
        changed = service.change_item(
            tx,
            command.actor,
            code,
            said_of(data),
            sight=_own(command.principal),
            version=data.version,
        )
        return show_item(changed)

    return command.answer(ItemView, work)


@post(
    "/v1/items/{code:str}/publish",
    operation_id="publishItem",
    tags=TAGS,
    status_code=200,
    sync_to_thread=True,
)
def publish_item(code: FromPath[str], command: NamedDependency[Command]) -> ItemView:
    """Let consumers find an item within its window."""
    sight = _own(command.principal)
    return command.answer(
        ItemView,
        lambda tx: show_item(service.publish_item(tx, command.actor, code, sight=sight)),
    )


@post(
    "/v1/items/{code:str}/withdraw",
    operation_id="withdrawItem",
    tags=TAGS,
    status_code=200,
    sync_to_thread=True,
)
def withdraw_item(code: FromPath[str], command: NamedDependency[Command]) -> ItemView:
    """Make an item a draft again; what was sold of it stays."""
    sight = _own(command.principal)
    return command.answer(
        ItemView,
        lambda tx: show_item(service.withdraw_item(tx, command.actor, code, sight=sight)),
    )


@delete(
    "/v1/items/{code:str}",
    operation_id="archiveItem",
    tags=TAGS,
    status_code=200,
    sync_to_thread=True,
)
def archive_item(code: FromPath[str], command: NamedDependency[Command]) -> ItemView:
    """Sell nothing of an item any more; what was sold stays."""
    sight = _own(command.principal)
    return command.answer(
        ItemView,
        lambda tx: show_item(service.archive_item(tx, command.actor, code, sight=sight)),
    )


@put("/v1/items/{code:str}/owner", operation_id="transferItem", tags=TAGS, sync_to_thread=True)
def transfer_item(
    code: FromPath[str], data: JSONBody[TransferItem], command: NamedDependency[Command]
) -> ItemView:
    """Hand an item to another owner."""
    return command.answer(
        ItemView,
        lambda tx: show_item(service.transfer_item(tx, command.actor, code, owner=data.owner)),
    )


HANDLERS = (
    create_item,
    list_items,
    search_items,
    read_item,
    update_item,
    publish_item,
    withdraw_item,
    archive_item,
    transfer_item,
)
