"""How long orders wait for payments through each gateway."""

from typing import Annotated

from litestar import get, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import Meta

from farebox.billing.orders import service_times as service
from farebox.http.deps import BILLING, Command, Desk
from farebox.http.wire import Body, View
from farebox.storage import Tx

TAGS = ["Orders"]
PATH = "/v1/order-times"


class SetOrderTime(Body, frozen=True):
    """How many minutes an order waits."""

    minutes: Annotated[int, Meta(ge=1, le=service.LONGEST_MINUTES)]


class OrderTime(View, frozen=True):
    """How many minutes an order waits for a payment through a gateway."""

    gateway: str
    minutes: int


class OrderTimes(View, frozen=True):
    """The gateways that have a time of their own; `standard_minutes` is everybody else's."""

    items: list[OrderTime]
    standard_minutes: int


@get(PATH, operation_id="listOrderTimes", tags=TAGS, opt=BILLING, sync_to_thread=True)
def list_times(desk: NamedDependency[Desk]) -> OrderTimes:
    """List how long orders wait for payments through gateways."""
    found = desk.read(service.list_times)
    return OrderTimes(
        items=[OrderTime(gateway=name, minutes=minutes) for name, minutes in found.items()],
        standard_minutes=service.STANDARD_MINUTES,
    )


@put(
    PATH + "/{gateway:str}",
    operation_id="setOrderTime",
    tags=TAGS,
    opt=BILLING,
    sync_to_thread=True,
)
def set_time(
    gateway: FromPath[str], data: JSONBody[SetOrderTime], command: NamedDependency[Command]
) -> OrderTime:
    """Say how long orders wait for payments through a gateway from now on."""

    def work(tx: Tx) -> OrderTime:
        minutes = service.set_time(tx, command.actor, gateway, data.minutes)
        return OrderTime(gateway=gateway, minutes=minutes)

    return command.answer(OrderTime, work)


HANDLERS = (list_times, set_time)
