"""Products: what is used, what it brings and is sold with, and the unit it is counted in.

The paths without `/v1` are second paths of the same handlers.
"""

from typing import Annotated, Any, Final, Literal

from litestar import delete, get, patch, post, put
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Meta

from farebox.access.catalog import service
from farebox.access.catalog.model import (
    LONGEST_DESCRIPTION,
    LONGEST_QUERY,
    MOST_DAYS,
    MOST_LINES,
    Product,
    ProductEntitlement,
    ProductState,
    ProductType,
)
from farebox.contracts.decisions import LARGEST_QUANTITY
from farebox.http.deps import Command, Desk
from farebox.http.wire import (
    ONE_LINE,
    Amount,
    Body,
    Limit,
    Name,
    Page,
    TextCursor,
    Time,
    View,
    Word,
    show_time,
)
from farebox.kernel.periods import Unit
from farebox.storage import Tx

TAGS = ["Products"]
_WITH_A_WORD: Final = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$"
Code = Annotated[str, Meta(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]*$")]
Description = Annotated[str, Meta(max_length=LONGEST_DESCRIPTION, pattern=ONE_LINE)]
Version = Annotated[
    int,
    Meta(ge=1, le=LARGEST_QUANTITY, description="The version that the change is made from"),
]
Roles = Annotated[tuple[Word, ...], Meta(max_length=MOST_LINES)]
Days = Annotated[int, Meta(ge=1, le=MOST_DAYS)]
StateFilter = Annotated[Literal["active", "archived", "any"], QueryParameter(name="state")]
TypeFilter = Annotated[ProductType | None, QueryParameter(name="type")]
BillableFilter = Annotated[bool | None, QueryParameter(name="billable")]
Query = Annotated[
    str,
    QueryParameter(
        name="q",
        min_length=1,
        max_length=LONGEST_QUERY,
        pattern=_WITH_A_WORD,
        description="Words that are all in the code, the name or the description",
    ),
]


class EntitlementLine(Body, frozen=True):
    """What owning a product brings: the right to use a feature or product, by its code.

    So many uses in each period (no period: in all; no limit: as many as one likes), for these
    roles (none: for everyone), for so many days (null: as long as what brings it).
    """

    key: Code
    limit: Amount | None = None
    period: Unit | None = None
    roles: Roles = ()
    days: Days | None = None


Entitlements = Annotated[tuple[EntitlementLine, ...], Meta(max_length=MOST_LINES)]
AddOns = Annotated[tuple[Code, ...], Meta(max_length=MOST_LINES)]


class CreateProduct(Body, frozen=True):
    """A quantity of 150 with scale 2 is 1.50 of the unit; the scale never changes.

    A product without a code gets one.
    """

    name: Name
    code: Code | None = None
    type: ProductType = "service"
    unit: Word = "use"
    scale: Annotated[int, Meta(ge=0, le=18)] = 0
    description: Description = ""
    billable: bool = True
    entitlements: Entitlements = ()
    add_ons: AddOns = ()


class ReplaceProduct(Body, frozen=True):
    """The whole product; what is not given is as in a new one. Code and scale stay."""

    name: Name
    type: ProductType = "service"
    unit: Word = "use"
    description: Description = ""
    billable: bool = True
    entitlements: Entitlements = ()
    add_ons: AddOns = ()
    expected_version: Version | None = None


class UpdateProduct(Body, frozen=True):
    """What is given is changed."""

    name: Name | None = None
    type: ProductType | None = None
    unit: Word | None = None
    description: Description | None = None
    billable: bool | None = None
    entitlements: Entitlements | None = None
    add_ons: AddOns | None = None
    expected_version: Version | None = None


class EntitlementView(View, frozen=True):
    """What owning a product brings."""

    key: str
    limit: int | None
    period: Unit | None
    roles: tuple[str, ...]
    days: int | None


class ProductView(View, frozen=True):
    """What is used. An archived product gets no new buckets."""

    code: str
    name: str
    description: str
    type: ProductType
    unit: str
    scale: int
    billable: bool
    entitlements: list[EntitlementView]
    add_ons: list[str]
    state: ProductState
    version: int
    created_at: Time


def show_product(product: Product) -> ProductView:
    """Return a product as the API shows it."""
    return ProductView(
        code=product.code,
        name=product.name,
        description=product.description,
        type=product.type,
        unit=product.unit,
        scale=product.scale,
        billable=product.billable,
        entitlements=[
            EntitlementView(
                key=one.key,
                limit=one.limit,
                period=one.period,
                roles=one.roles,
                days=one.days,
            )
            for one in product.entitlements
        ],
        add_ons=list(product.add_ons),
        state=product.state,
        version=product.version,
        created_at=show_time(product.created_at),
    )


def read_entitlements(lines: tuple[EntitlementLine, ...]) -> tuple[ProductEntitlement, ...]:
    """Return what a request says that a product brings."""
    return tuple(
        ProductEntitlement(
            key=one.key, limit=one.limit, period=one.period, roles=one.roles, days=one.days
        )
        for one in lines
    )


def _create(data: JSONBody[CreateProduct], command: NamedDependency[Command]) -> ProductView:
    """Create a product."""

    def work(tx: Tx) -> ProductView:
        made = service.create_product(
            tx,
            command.actor,
            code=data.code,
            name=data.name,
            type=data.type,
            unit=data.unit,
            scale=data.scale,
            description=data.description,
            billable=data.billable,
            entitlements=read_entitlements(data.entitlements),
            add_ons=data.add_ons,
        )
        return show_product(made)

    return command.answer(ProductView, work)


def _list(
    *,
    desk: NamedDependency[Desk],
    in_state: StateFilter = "any",
    of_type: TypeFilter = None,
    billable: BillableFilter = None,
    limit: Limit = 100,
    cursor: TextCursor = None,
) -> Page[ProductView]:
    """List products in the order of their codes."""
    return _page(desk, state=in_state, type=of_type, billable=billable, limit=limit, after=cursor)


def _search(
    *,
    desk: NamedDependency[Desk],
    words: Query,
    in_state: StateFilter = "any",
    of_type: TypeFilter = None,
    billable: BillableFilter = None,
    limit: Limit = 100,
    cursor: TextCursor = None,
) -> Page[ProductView]:
    """Find products by words of their code, name or description, whatever their case."""
    return _page(
        desk,
        query=words,
        state=in_state,
        type=of_type,
        billable=billable,
        limit=limit,
        after=cursor,
    )


def _page(desk: Desk, *, state: str, **wanted: Any) -> Page[ProductView]:  # noqa: ANN401 - the service's own words
    asked: Any = {**wanted, "state": None if state == "any" else state}
    page = desk.read(lambda tx: service.list_products(tx, **asked))
    return Page(items=[show_product(product) for product in page.items], next=page.next)


def _read(code: FromPath[str], desk: NamedDependency[Desk]) -> ProductView:
    """Read a product."""
    return show_product(desk.read(lambda tx: service.read_product(tx, code)))


def _replace(
    code: FromPath[str], data: JSONBody[ReplaceProduct], command: NamedDependency[Command]
) -> ProductView:
    """Change a product as a whole."""
    return _change(code, data, command)


def _update(
    code: FromPath[str], data: JSONBody[UpdateProduct], command: NamedDependency[Command]
) -> ProductView:
    """Change what is given of a product."""
    return _change(code, data, command)


def _change(code: str, data: ReplaceProduct | UpdateProduct, command: Command) -> ProductView:
    brought = data.entitlements

    def work(tx: Tx) -> ProductView:
        changed = service.update_product(
            tx,
            command.actor,
            code,
            name=data.name,
            type=data.type,
            unit=data.unit,
            description=data.description,
            billable=data.billable,
            entitlements=None if brought is None else read_entitlements(brought),
            add_ons=data.add_ons,
            expected_version=data.expected_version,
        )
        return show_product(changed)

    return command.answer(ProductView, work)


def _archive(code: FromPath[str], command: NamedDependency[Command]) -> ProductView:
    """Sell nothing new of a product; what was sold stays usable."""
    return command.answer(
        ProductView, lambda tx: show_product(service.archive_product(tx, command.actor, code))
    )


_OPERATIONS: Final = (
    (post, "", "createProduct", _create, 201),
    (get, "", "listProducts", _list, 200),
    (get, "/search", "searchProducts", _search, 200),
    (get, "/{code:str}", "readProduct", _read, 200),
    (put, "/{code:str}", "replaceProduct", _replace, 200),
    (patch, "/{code:str}", "updateProduct", _update, 200),
    (delete, "/{code:str}", "archiveProduct", _archive, 200),
)


def _handlers(root: str, *, described: bool) -> list[HTTPRouteHandler]:
    return [
        method(
            root + path,
            operation_id=name,
            tags=TAGS,
            status_code=status,
            include_in_schema=described,
            sync_to_thread=True,
        )(work)
        for method, path, name, work, status in _OPERATIONS
    ]


HANDLERS = (*_handlers("/v1/products", described=True), *_handlers("/products", described=False))
