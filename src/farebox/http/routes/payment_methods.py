"""Payment methods: gateways' tokens of customers; no card's number comes in here."""

from typing import Annotated

from litestar import delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import Meta

from farebox.billing.customers.model import CustomerUnknown
from farebox.billing.customers.service import ensure_by_id, read_customer
from farebox.billing.payments import service_methods
from farebox.billing.payments.model import MANUAL, Method, MethodKind, MethodUnknown
from farebox.http.deps import BILLING, Command, Desk
from farebox.http.wire import Body, Id, Label, Limit, Page, TextCursor, Time, View, show_time
from farebox.storage import Tx

TAGS = ["Payment methods"]
OF_CUSTOMER = "/v1/customers/{customer:str}/payment-methods"
METHOD = "/v1/payment-methods/{method:str}"
Token = Annotated[str, Meta(min_length=4, max_length=255, pattern=r"^[A-Za-z0-9._:\-]+$")]
Month = Annotated[str, Meta(pattern=r"^20[0-9]{2}-(0[1-9]|1[0-2])$")]


class AddMethod(Body, frozen=True):
    """A gateway's token. `account` is the gateway's id of the customer, where it needs one."""

    gateway: Id
    token: Token
    account: Token | None = None
    kind: MethodKind = "card"
    label: Label = ""
    expires: Month | None = None
    standard: bool = False


class MethodView(View, frozen=True):
    """A way in which a customer pays; the token itself is not shown."""

    id: str
    customer: str
    gateway: str
    kind: MethodKind
    label: str
    expires: str | None
    standard: bool
    state: str
    created_at: Time


class GatewayView(View, frozen=True):
    """A gateway by which customers pay. `takes_tokens` says whether methods may be kept at it."""

    name: str
    takes_tokens: bool


class Gateways(View, frozen=True):
    """The gateways that are set up."""

    items: list[GatewayView]


def show_method(one: Method) -> MethodView:
    """Return a method as the API shows it."""
    return MethodView(
        id=one.id,
        customer=one.customer,
        gateway=one.gateway,
        kind=one.kind,
        label=one.label,
        expires=one.expires,
        standard=one.standard,
        state=one.state,
        created_at=show_time(one.created_at),
    )


def _own(tx: Tx, desk: Desk, method: str) -> Method:
    found = service_methods.read_method(tx, method)
    desk.must_own(found.customer, MethodUnknown)
    return found


@get(
    "/v1/payment-gateways",
    operation_id="listPaymentGateways",
    opt=BILLING,
    tags=TAGS,
    sync_to_thread=False,
)
def list_gateways(desk: NamedDependency[Desk]) -> Gateways:
    """List the gateways that are set up; the wallet is there without any setting."""
    return Gateways(
        items=[
            GatewayView(name=name, takes_tokens=name != MANUAL)
            for name in sorted(desk.services.payment_gateways)
        ]
    )


@post(OF_CUSTOMER, operation_id="addPaymentMethod", opt=BILLING, tags=TAGS, sync_to_thread=True)
def add_method(
    customer: FromPath[str], data: JSONBody[AddMethod], command: NamedDependency[Command]
) -> MethodView:
    """Keep a gateway's token for a customer; consumers keep their own."""
    command.must_own(customer, CustomerUnknown)

    def work(tx: Tx) -> MethodView:
        made = service_methods.add_method(
            tx,
            command.actor,
            customer=ensure_by_id(tx, customer).id,
            gateway=data.gateway,
            token=data.token,
            account=data.account,
            kind=data.kind,
            label=data.label,
            expires=data.expires,
            standard=data.standard,
        )
        return show_method(made)

    return command.answer(MethodView, work)


@get(OF_CUSTOMER, operation_id="listPaymentMethods", opt=BILLING, tags=TAGS, sync_to_thread=True)
def list_methods(
    customer: FromPath[str],
    desk: NamedDependency[Desk],
    limit: Limit = 100,
    cursor: TextCursor = None,
) -> Page[MethodView]:
    """List a customer's payment methods, oldest first; consumers list their own."""
    desk.must_own(customer, CustomerUnknown)

    def work(tx: Tx) -> Page[MethodView]:
        read_customer(tx, customer)
        page = service_methods.methods_of(tx, customer, after=cursor, limit=limit)
        return Page(items=[show_method(one) for one in page.items], next=page.next)

    return desk.read(work)


@get(METHOD, operation_id="readPaymentMethod", opt=BILLING, tags=TAGS, sync_to_thread=True)
def read_method(method: FromPath[str], desk: NamedDependency[Desk]) -> MethodView:
    """Read a payment method; consumers read their own."""
    return desk.read(lambda tx: show_method(_own(tx, desk, method)))


@post(
    METHOD + "/standard",
    operation_id="makePaymentMethodStandard",
    opt=BILLING,
    tags=TAGS,
    status_code=200,
    sync_to_thread=True,
)
def make_standard(method: FromPath[str], command: NamedDependency[Command]) -> MethodView:
    """Let a method be the one that is taken when none is named."""

    def work(tx: Tx) -> MethodView:
        _own(tx, command, method)
        return show_method(service_methods.make_standard(tx, command.actor, method))

    return command.answer(MethodView, work)


@delete(
    METHOD,
    operation_id="removePaymentMethod",
    opt=BILLING,
    tags=TAGS,
    status_code=200,
    sync_to_thread=True,
)
def remove_method(method: FromPath[str], command: NamedDependency[Command]) -> MethodView:
    """Take nothing by a method any more."""

    def work(tx: Tx) -> MethodView:
        _own(tx, command, method)
        return show_method(service_methods.remove_method(tx, command.actor, method))

    return command.answer(MethodView, work)


HANDLERS = (list_gateways, add_method, list_methods, read_method, make_standard, remove_method)
