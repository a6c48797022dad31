"""Where gateways of payments tell us that something has happened.

Public: a gateway has no credential of ours. Who it is, its own signature proves; what happened is
read from the gateway afterwards (see `billing.flows.gateway_webhooks`).
"""

from anyio import to_thread
from litestar import post
from litestar.di import NamedDependency
from litestar.params import FromPath

from farebox.billing.flows.gateway_webhooks import LARGEST_NOTICE, take_notice
from farebox.billing.payments.model import NoticeRefused
from farebox.http.deps import BILLING, AnyRequest, Services
from farebox.http.roles import PUBLIC
from farebox.http.wire import View

TAGS = ["Payments"]


class NoticeTaken(View, frozen=True):
    """The notice was taken; one that is known or not ours is taken as well."""

    taken: bool


@post(
    "/v1/gateways/{gateway:str}/webhook",
    operation_id="hearGateway",
    opt={**PUBLIC, **BILLING},
    tags=TAGS,
    status_code=200,
)
async def hear_gateway(
    gateway: FromPath[str], request: AnyRequest, services: NamedDependency[Services]
) -> NoticeTaken:
    """Take a gateway's notice, in its own words and under its own signature."""
    body = await request.body()
    if len(body) > LARGEST_NOTICE:
        raise NoticeRefused("the notice is too long")
    headers = {name.lower(): value for name, value in request.headers.items()}
    database = services.billing or services.database

    def take() -> None:
        take_notice(database, services.payment_gateways, gateway, body, headers)

    await to_thread.run_sync(take)
    return NoticeTaken(taken=True)


HANDLERS = (hear_gateway,)
