"""Products: what is used, and the unit it is counted in."""

from typing import Annotated, Literal

from litestar import delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Meta

from farebox.access.catalog import service
from farebox.access.catalog.model import Product, ProductState
from farebox.http.deps import Command, Desk
from farebox.http.wire import Body, Limit, Name, Page, TextCursor, Time, View, Word, show_time
from farebox.storage import Tx

TAGS = ["Products"]
ProductCode = Annotated[
    str, Meta(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]*$")
]
StateFilter = Annotated[Literal["active", "archived", "any"], QueryParameter(name="state")]


class CreateProduct(Body, frozen=True):
    """A quantity of 150 with scale 2 is 1.50 of the unit; the scale never changes."""

    code: ProductCode
    name: Name
    type: Word = "service"
    unit: Word = "use"
    scale: Annotated[int, Meta(ge=0, le=18)] = 0


class UpdateProduct(Body, frozen=True):
    """What is given is changed."""

    name: Name | None = None
    type: Word | None = None
    unit: Word | None = None


class ProductView(View, frozen=True):
    """What is used. An archived product gets no new buckets."""

    code: str
    name: str
    type: str
    unit: str
    scale: int
    state: ProductState
    created_at: Time


def show_product(product: Product) -> ProductView:
    """Return a product as the API shows it."""
    return ProductView(
        code=product.code,
        name=product.name,
        type=product.type,
        unit=product.unit,
        scale=product.scale,
        state=product.state,
        created_at=show_time(product.created_at),
    )


@post("/v1/products", operation_id="createProduct", tags=TAGS, sync_to_thread=True)
def create_product(data: JSONBody[CreateProduct], command: NamedDependency[Command]) -> ProductView:
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
        )
        return show_product(made)

    return command.answer(ProductView, work)


@get("/v1/products", operation_id="listProducts", tags=TAGS, sync_to_thread=True)
def list_products(
    desk: NamedDependency[Desk],
    in_state: StateFilter = "any",
    limit: Limit = 100,
    cursor: TextCursor = None,
) -> Page[ProductView]:
    """List products in the order of their codes."""
    wanted = None if in_state == "any" else in_state
    page = desk.read(lambda tx: service.list_products(tx, state=wanted, after=cursor, limit=limit))
    return Page(items=[show_product(product) for product in page.items], next=page.next)


@get("/v1/products/{code:str}", operation_id="readProduct", tags=TAGS, sync_to_thread=True)
def read_product(code: FromPath[str], desk: NamedDependency[Desk]) -> ProductView:
    """Read a product."""
    return show_product(desk.read(lambda tx: service.read_product(tx, code)))


@patch("/v1/products/{code:str}", operation_id="updateProduct", tags=TAGS, sync_to_thread=True)
def update_product(
    code: FromPath[str], data: JSONBody[UpdateProduct], command: NamedDependency[Command]
) -> ProductView:
    """Change a product's name, type or the name of its unit."""

    def work(tx: Tx) -> ProductView:
        changed = service.update_product(
            tx, command.actor, code, name=data.name, type=data.type, unit=data.unit
        )
        return show_product(changed)

    return command.answer(ProductView, work)


@delete(
    "/v1/products/{code:str}",
    operation_id="archiveProduct",
    tags=TAGS,
    status_code=200,
    sync_to_thread=True,
)
def archive_product(code: FromPath[str], command: NamedDependency[Command]) -> ProductView:
    """Sell nothing new of a product; what was sold stays usable."""
    return command.answer(
        ProductView, lambda tx: show_product(service.archive_product(tx, command.actor, code))
    )


HANDLERS = (create_product, list_products, read_product, update_product, archive_product)
