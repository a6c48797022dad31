"""Prices of products, plans and items, in versions.

The paths without `/v1` are second paths of the same handlers.
"""

from typing import Annotated, Final, Literal

from litestar import delete, get, post, put
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, JSONBody, QueryParameter

from farebox.billing.pricing import service_prices as service
from farebox.billing.pricing.model_prices import Of, Price, Priced, PriceUnknown
from farebox.contracts.decisions import LARGEST_QUANTITY
from farebox.http.deps import BILLING, Command, Desk
from farebox.http.routes.price_forms import (
    CreatePrice,
    PriceView,
    ReplacePrice,
    read_price_terms,
    show_price,
)
from farebox.http.waiting import eventually
from farebox.http.wire import Limit, NumberCursor, Page, TextCursor
from farebox.platform.model import Page as Found
from farebox.storage import Tx

TAGS = ["Prices"]
_State = Literal["active", "archived", "any"]
StateFilter = Annotated[_State, QueryParameter(name="state")]
OfFilter = Annotated[Of | None, QueryParameter(name="of")]
CodeFilter = Annotated[
    str | None,
    QueryParameter(name="code", max_length=128, pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]*$"),
]
CurrencyFilter = Annotated[str | None, QueryParameter(name="currency", pattern=r"^[A-Z]{3}$")]
VersionFilter = Annotated[
    int | None,
    QueryParameter(
        name="version", ge=1, le=LARGEST_QUANTITY, description="The newest, unless one is named"
    ),
]


def _whole(desk: Desk) -> bool:
    return desk.principal.kind == "operator"


def _page(desk: Desk, found: Found[Price]) -> Page[PriceView]:
    return Page(
        items=[show_price(price, whole=_whole(desk)) for price in found.items], next=found.next
    )


def wait_for_catalogue(desk: Desk, priced: Priced) -> None:
    """Wait until billing has heard of what was made a moment ago, but not for ever."""
    eventually(lambda: desk.read(lambda tx: service.is_known(tx, priced)), bool)


def _create(data: JSONBody[CreatePrice], command: NamedDependency[Command]) -> PriceView:
    """Price something that is in the catalogue."""
    priced = Priced(of=data.of, code=data.code, offer=data.offer, period_hours=data.period_hours)
    terms = read_price_terms(data)
    wait_for_catalogue(command, priced)

    def work(tx: Tx) -> PriceView:
        made = service.create_price(
            tx, command.actor, priced=priced, currency=data.currency, terms=terms
        )
        return show_price(made)

    return command.answer(PriceView, work)


def _list(
    *,
    desk: NamedDependency[Desk],
    of: OfFilter = None,
    code: CodeFilter = None,
    currency: CurrencyFilter = None,
    in_state: StateFilter = "any",
    limit: Limit = 100,
    cursor: TextCursor = None,
) -> Page[PriceView]:
    """List prices in their newest versions, oldest first; consumers see what is sold."""
    state = None if in_state == "any" else in_state
    wanted = state if _whole(desk) else "active"
    found = desk.read(
        lambda tx: service.list_prices(
            tx, of=of, code=code, currency=currency, state=wanted, after=cursor, limit=limit
        )
    )
    return _page(desk, found)


def _list_of_product(
    *,
    product: FromPath[str],
    desk: NamedDependency[Desk],
    in_state: StateFilter = "active",
    limit: Limit = 100,
    cursor: TextCursor = None,
) -> Page[PriceView]:
    """List the prices of a product, oldest first: those it is sold on, unless asked for others."""
    return _list(
        desk=desk, of="product", code=product, in_state=in_state, limit=limit, cursor=cursor
    )


def _read(
    price: FromPath[str], desk: NamedDependency[Desk], version: VersionFilter = None
) -> PriceView:
    """Read a price, in its newest version or a named one that is kept."""
    found = desk.read(lambda tx: service.find_price(tx, price, version))
    if found.state == "archived" and not _whole(desk):
        raise PriceUnknown
    return show_price(found, whole=_whole(desk))


def _list_versions(
    price: FromPath[str],
    desk: NamedDependency[Desk],
    limit: Limit = 100,
    cursor: NumberCursor = None,
) -> Page[PriceView]:
    """List the versions of a price that are kept, newest first."""
    before = None if cursor is None else int(cursor)
    found = desk.read(lambda tx: service.list_price_versions(tx, price, before=before, limit=limit))
    return _page(desk, found)


def _replace(
    price: FromPath[str], data: JSONBody[ReplacePrice], command: NamedDependency[Command]
) -> PriceView:
    """Give a price other terms; whoever bought on it keeps theirs.

    A version that is in use stays, and the price has the next one under the same id.
    """
    terms = read_price_terms(data)

    def work(tx: Tx) -> PriceView:
        changed = service.change_price(
            tx, command.actor, price, terms, expected_version=data.expected_version
        )
        return show_price(changed)

    return command.answer(PriceView, work)


def _archive(price: FromPath[str], command: NamedDependency[Command]) -> PriceView:
    """Sell no more on a price; who has it keeps it."""
    return command.answer(
        PriceView, lambda tx: show_price(service.archive_price(tx, command.actor, price))
    )


_OPERATIONS: Final = (
    (post, "", "createPrice", _create, 201),
    (get, "", "listPrices", _list, 200),
    (get, "/product/{product:str}", "listPricesOfProduct", _list_of_product, 200),
    (get, "/{price:str}", "readPrice", _read, 200),
    (get, "/{price:str}/versions", "listPriceVersions", _list_versions, 200),
    (put, "/{price:str}", "replacePrice", _replace, 200),
    (delete, "/{price:str}", "archivePrice", _archive, 200),
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
            opt=BILLING,
        )(work)
        for method, path, name, work, status in _OPERATIONS
    ]


HANDLERS = (*_handlers("/v1/prices", described=True), *_handlers("/prices", described=False))
