"""What calls at other people's gateways use: the table of routes.

The addresses that gateways themselves ask are answered in front of the framework, because they
take every method: `farebox.http.gateways`.
"""

from typing import Annotated

from litestar import delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import Meta

from farebox.access.gateways import service
from farebox.access.gateways.model import (
    ANY,
    LONGEST_HOST,
    LONGEST_METHOD,
    LONGEST_PATH,
    EmptyStatus,
    Route,
    RouteMode,
)
from farebox.contracts.decisions import ProductCode
from farebox.http.deps import Command, Desk
from farebox.http.wire import Amount, Body, Limit, Page, TextCursor, Time, View, show_time
from farebox.storage import Tx

TAGS = ["Gateways"]
Host = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=LONGEST_HOST,
        pattern=r"^(\*|(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*)$",
    ),
]
Method = Annotated[
    str, Meta(min_length=1, max_length=LONGEST_METHOD, pattern=r"^(\*|[A-Z][A-Z-]*)$")
]
Path = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=LONGEST_PATH,
        pattern=r"^(/|(/([!\x22$&-)+-.0->@-\[\]-z|~]+|\{[A-Za-z_][A-Za-z0-9_]*\}))*(/\*)?)$",
    ),
]


class SetRoute(Body, frozen=True):
    """What calls to an address use.

    `path` has literal segments, `{names}` for any one segment, and may end in `*` for all that
    follows; of several routes that fit the most special counts. `host` is a name, `*.` and a
    domain, or `*`. HEAD takes the routes of GET. `mode` is `consume`, `reserve` (the backend
    captures `X-Reservation-ID`), `check` (only looks; the one mode for a feature alone) or `open`
    (everybody passes, without a key). `empty_status` is the answer when the bucket has not enough.
    """

    path: Path
    host: Host = ANY
    method: Method = ANY
    mode: RouteMode = "consume"
    product: ProductCode | None = None
    feature: ProductCode | None = None
    quantity: Amount = 1
    empty_status: EmptyStatus = 402


class RouteView(View, frozen=True):
    """A route."""

    id: str
    host: str
    method: str
    path: str
    mode: RouteMode
    product: str | None
    feature: str | None
    quantity: int
    empty_status: EmptyStatus
    created_at: Time


def show_route(route: Route) -> RouteView:
    """Return a route as the API shows it."""
    return RouteView(
        id=route.id,
        host=route.host,
        method=route.method,
        path=route.path,
        mode=route.mode,
        product=route.product,
        feature=route.feature,
        quantity=route.quantity,
        empty_status=route.empty_status,
        created_at=show_time(route.created_at),
    )


def read_wanted(data: SetRoute) -> Route:
    """Return the route of a body; its id and its time are not its own to say."""
    return Route(
        id="",
        host=data.host,
        method=data.method,
        path=data.path,
        mode=data.mode,
        product=data.product,
        feature=data.feature,
        quantity=data.quantity,
        empty_status=data.empty_status,
        created_at=0,
    )


@post("/v1/edge/routes", operation_id="createEdgeRoute", tags=TAGS, sync_to_thread=True)
def create_route(data: JSONBody[SetRoute], command: NamedDependency[Command]) -> RouteView:
    """Say what calls to an address use."""

    def work(tx: Tx) -> RouteView:
        return show_route(service.create_route(tx, command.actor, read_wanted(data)))

    made = command.answer(RouteView, work)
    command.services.gatekeeper.forget_routes()
    return made


@get("/v1/edge/routes", operation_id="listEdgeRoutes", tags=TAGS, sync_to_thread=True)
def list_routes(
    desk: NamedDependency[Desk], limit: Limit = 100, cursor: TextCursor = None
) -> Page[RouteView]:
    """List routes, oldest first."""
    page = desk.read(lambda tx: service.list_routes(tx, after=cursor, limit=limit))
    return Page(items=[show_route(one) for one in page.items], next=page.next)


@get("/v1/edge/routes/{route:str}", operation_id="readEdgeRoute", tags=TAGS, sync_to_thread=True)
def read_route(route: FromPath[str], desk: NamedDependency[Desk]) -> RouteView:
    """Read a route."""
    return show_route(desk.read(lambda tx: service.read_route(tx, route)))


@put("/v1/edge/routes/{route:str}", operation_id="replaceEdgeRoute", tags=TAGS, sync_to_thread=True)
def replace_route(
    route: FromPath[str], data: JSONBody[SetRoute], command: NamedDependency[Command]
) -> RouteView:
    """Put another route in the place of this one."""

    def work(tx: Tx) -> RouteView:
        return show_route(service.replace_route(tx, command.actor, route, read_wanted(data)))

    made = command.answer(RouteView, work)
    command.services.gatekeeper.forget_routes()
    return made


@delete(
    "/v1/edge/routes/{route:str}",
    operation_id="removeEdgeRoute",
    tags=TAGS,
    status_code=200,
    sync_to_thread=True,
)
def remove_route(route: FromPath[str], command: NamedDependency[Command]) -> RouteView:
    """Remove a route: calls to its address are denied from then on."""

    def work(tx: Tx) -> RouteView:
        return show_route(service.remove_route(tx, command.actor, route))

    made = command.answer(RouteView, work)
    command.services.gatekeeper.forget_routes()
    return made


HANDLERS = (create_route, list_routes, read_route, replace_route, remove_route)
