"""Routes: which product or feature a call at a gateway uses."""

from typing import ClassVar, Final, Literal

import msgspec

from farebox.kernel.refusals import Refusal

RouteMode = Literal["check", "consume", "reserve", "open"]
EmptyStatus = Literal[402, 403, 429]
ANY: Final = "*"
MOST_ROUTES: Final = 1_000
LONGEST_PATH: Final = 512
LONGEST_HOST: Final = 253
LONGEST_METHOD: Final = 32


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """What calls to an address use.

    `host` is a name, `*.` and a domain, or `*`; `method` is one or `*`; `path` has literal
    segments, `{names}` for any one segment, and may end in `*` for all that follows. A call uses
    `quantity` of `product` (smallest units) and needs `feature`, as `mode` says: `check` only
    looks, `open` lets everybody pass and asks for no key. `empty_status` is what a caller hears
    when the bucket has not enough.
    """

    id: str
    host: str
    method: str
    path: str
    mode: RouteMode
    product: str | None
    feature: str | None
    quantity: int
    empty_status: EmptyStatus
    created_at: int


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A call that has arrived at a gateway, as the gateway tells it.

    `uri` is path and query as they came. A `preflight` is a browser's question before the call
    (OPTIONS with Access-Control-Request-Method).
    """

    host: str
    method: str
    uri: str
    preflight: bool = False


class EdgeRouteUnknown(Refusal):
    """There is no such route."""

    code: ClassVar[str] = "edge_route_unknown"


class EdgeRouteTaken(Refusal):
    """There is a route for this host, method and path already."""

    code: ClassVar[str] = "edge_route_taken"


class EdgeRouteRefused(Refusal):
    """What the route says does not go together."""

    code: ClassVar[str] = "edge_route_refused"


class TooManyEdgeRoutes(Refusal):
    """There are at most 1,000 routes."""

    code: ClassVar[str] = "too_many_edge_routes"
