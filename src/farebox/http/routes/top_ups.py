"""Top-ups: asking for money to fill a wallet, by hand and by itself; low balances and limits."""

from typing import Annotated, Any, Literal

from litestar import delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import Meta, structs

from farebox.billing.customers.model import CustomerUnknown
from farebox.billing.customers.service import ensure_by_id, read_customer
from farebox.billing.flows.fill_wallets import ask_for_top_up
from farebox.billing.payments.model import Payment
from farebox.billing.payments.service import find_payment
from farebox.billing.wallets import service_settings, service_top_ups
from farebox.billing.wallets.model import (
    AutomaticTopUp,
    TopUp,
    TopUpLimit,
    TopUpState,
    TopUpUnknown,
)
from farebox.contracts.decisions import LARGEST_QUANTITY
from farebox.http.deps import BILLING, Command, Desk
from farebox.http.roles import MOVES_VALUE
from farebox.http.routes.wallets import WALLET, WalletView, show_wallet
from farebox.http.wire import Amount, Body, Id, Limit, Page, TextCursor, Time, View, show_time
from farebox.kernel.ids import record_id
from farebox.storage import Tx

TAGS = ["Wallets"]
Level = Annotated[int, Meta(ge=0, le=LARGEST_QUANTITY, description="Smallest units")]
Each = Literal["day", "week", "month", "year"]
Count = Annotated[int, Meta(ge=1, le=366)]


class AskForTopUp(Body, frozen=True):
    """Fill the wallet by a payment; without a method by the customer's usual one."""

    amount: Amount
    method: Id | None = None
    gateway: Id | None = None


class SetAutomatic(Body, frozen=True):
    """When the balance falls to `level`, ask for `amount`, at most `most` in each period."""

    level: Level
    amount: Amount
    most: Amount
    unit: Each = "month"
    unit_count: Count = 1
    method: Id | None = None


class SetLowLevel(Body, frozen=True):
    """At what balance the customer is told."""

    level: Level


class SetTopUpLimit(Body, frozen=True):
    """How much may be asked for at once."""

    least: Amount
    most: Amount


class TopUpView(View, frozen=True):
    """Money that was asked for to fill a wallet. At `action_url` the customer goes on."""

    id: str
    customer: str
    currency: str
    amount: int
    automatic: bool
    state: TopUpState
    payment: str | None
    payment_state: str | None
    action_url: str | None
    failure: str | None
    created_at: Time
    settled_at: Time | None


class AutomaticView(View, frozen=True):
    """What fills a wallet by itself; `stopped_because` says why it does not until it is set."""

    level: int
    amount: int
    most: int
    unit: str
    unit_count: int
    method: str | None
    stopped_because: str | None


class TopUpLimitView(View, frozen=True):
    """How much may be asked for at once in a currency."""

    currency: str
    least: int
    most: int


def show_top_up(tx: Tx, one: TopUp) -> TopUpView:
    """Return a top-up as the API shows it, with how its payment stands."""
    paid: Payment | None = None if one.payment is None else find_payment(tx, one.payment)
    return TopUpView(
        id=one.id,
        customer=one.customer,
        currency=one.currency,
        amount=one.amount,
        automatic=one.automatic,
        state=one.state,
        payment=one.payment,
        payment_state=None if paid is None else paid.state,
        action_url=None if paid is None else paid.action_url,
        failure=one.failure,
        created_at=show_time(one.created_at),
        settled_at=None if one.settled_at is None else show_time(one.settled_at),
    )


def show_automatic(one: AutomaticTopUp) -> AutomaticView:
    """Return what fills a wallet by itself as the API shows it."""
    facts: dict[str, Any] = structs.asdict(one)
    return AutomaticView(**{name: facts[name] for name in AutomaticView.__struct_fields__})


def show_limit(one: TopUpLimit) -> TopUpLimitView:
    """Return a currency's limit as the API shows it."""
    return TopUpLimitView(currency=one.currency, least=one.least, most=one.most)


@post(
    WALLET + "/top-ups",
    operation_id="askForTopUp",
    opt={**BILLING, **MOVES_VALUE},
    tags=TAGS,
    sync_to_thread=True,
)
def ask(
    customer: FromPath[str],
    currency: FromPath[str],
    data: JSONBody[AskForTopUp],
    command: NamedDependency[Command],
) -> TopUpView:
    """Ask for money to fill a wallet: it is filled when the payment has succeeded."""
    command.must_own(customer, CustomerUnknown)
    # Made before the work, which may be run again without a second top-up.
    number = record_id("tup")

    def work(tx: Tx) -> TopUpView:
        payer = ensure_by_id(tx, customer).id
        made, _ = ask_for_top_up(
            tx, payer, currency, data.amount, method=data.method, gateway=data.gateway,
            number=number,
        )  # fmt: skip
        return show_top_up(tx, made)

    return command.answer(TopUpView, work)


@get(WALLET + "/top-ups", operation_id="listTopUps", opt=BILLING, tags=TAGS, sync_to_thread=True)
def list_top_ups(
    customer: FromPath[str],
    currency: FromPath[str],
    desk: NamedDependency[Desk],
    limit: Limit = 100,
    cursor: TextCursor = None,
) -> Page[TopUpView]:
    """List what was asked for to fill a wallet, newest first."""
    desk.must_own(customer, CustomerUnknown)

    def work(tx: Tx) -> Page[TopUpView]:
        read_customer(tx, customer)
        page = service_top_ups.list_top_ups(tx, customer, currency, before=cursor, limit=limit)
        return Page(items=[show_top_up(tx, one) for one in page.items], next=page.next)

    return desk.read(work)


@get(
    "/v1/top-ups/{top_up:str}",
    operation_id="readTopUp",
    opt=BILLING,
    tags=TAGS,
    sync_to_thread=True,
)
def read_top_up(top_up: FromPath[str], desk: NamedDependency[Desk]) -> TopUpView:
    """Read what has become of a top-up; consumers read their own."""

    def work(tx: Tx) -> TopUpView:
        found = service_top_ups.read_top_up(tx, top_up)
        desk.must_own(found.customer, TopUpUnknown)
        return show_top_up(tx, found)

    return desk.read(work)


@put(
    WALLET + "/automatic-top-up",
    operation_id="setAutomaticTopUp",
    opt=BILLING,
    tags=TAGS,
    sync_to_thread=True,
)
def set_automatic(
    customer: FromPath[str],
    currency: FromPath[str],
    data: JSONBody[SetAutomatic],
    command: NamedDependency[Command],
) -> AutomaticView:
    """Let a wallet be filled by itself, within a limit for each period."""
    command.must_own(customer, CustomerUnknown)

    def work(tx: Tx) -> AutomaticView:
        payer = ensure_by_id(tx, customer).id
        terms: dict[str, Any] = structs.asdict(data)
        return show_automatic(
            service_settings.set_automatic(tx, command.actor, payer, currency, **terms)
        )

    return command.answer(AutomaticView, work)


@get(
    WALLET + "/automatic-top-up",
    operation_id="readAutomaticTopUp",
    opt=BILLING,
    tags=TAGS,
    sync_to_thread=True,
)
def read_automatic(
    customer: FromPath[str], currency: FromPath[str], desk: NamedDependency[Desk]
) -> AutomaticView:
    """Read what fills a wallet by itself."""
    desk.must_own(customer, CustomerUnknown)
    return show_automatic(
        desk.read(lambda tx: service_settings.read_automatic(tx, customer, currency))
    )


@delete(
    WALLET + "/automatic-top-up",
    operation_id="removeAutomaticTopUp",
    opt=BILLING,
    tags=TAGS,
    sync_to_thread=True,
)
def remove_automatic(
    customer: FromPath[str], currency: FromPath[str], command: NamedDependency[Command]
) -> None:
    """Let a wallet be filled by hand only."""
    command.must_own(customer, CustomerUnknown)
    command.write(
        lambda tx: service_settings.remove_automatic(tx, command.actor, customer, currency)
    )


@put(
    WALLET + "/low-level",
    operation_id="setLowLevel",
    opt=BILLING,
    tags=TAGS,
    sync_to_thread=True,
)
def set_low_level(
    customer: FromPath[str],
    currency: FromPath[str],
    data: JSONBody[SetLowLevel],
    command: NamedDependency[Command],
) -> WalletView:
    """Set at what balance the customer is told that it is low."""
    command.must_own(customer, CustomerUnknown)

    def work(tx: Tx) -> WalletView:
        payer = ensure_by_id(tx, customer).id
        made = service_settings.set_low_level(tx, command.actor, payer, currency, data.level)
        return show_wallet(tx, payer, currency, made)

    return command.answer(WalletView, work)


@delete(
    WALLET + "/low-level",
    operation_id="removeLowLevel",
    opt=BILLING,
    tags=TAGS,
    sync_to_thread=True,
)
def remove_low_level(
    customer: FromPath[str], currency: FromPath[str], command: NamedDependency[Command]
) -> None:
    """Tell nobody that a balance is low."""
    command.must_own(customer, CustomerUnknown)
    command.write(
        lambda tx: service_settings.remove_low_level(tx, command.actor, customer, currency)
    )


@put(
    "/v1/top-up-limits/{currency:str}",
    operation_id="setTopUpLimit",
    opt=BILLING,
    tags=TAGS,
    sync_to_thread=True,
)
def set_limit(
    currency: FromPath[str], data: JSONBody[SetTopUpLimit], command: NamedDependency[Command]
) -> TopUpLimitView:
    """Set how much may be asked for at once in a currency."""

    def work(tx: Tx) -> TopUpLimitView:
        made = service_settings.set_limit(
            tx, command.actor, currency, least=data.least, most=data.most
        )
        return show_limit(made)

    return command.answer(TopUpLimitView, work)


@get(
    "/v1/top-up-limits/{currency:str}",
    operation_id="readTopUpLimit",
    opt={**BILLING, "problems": (422,)},
    tags=TAGS,
    sync_to_thread=True,
)
def read_limit(currency: FromPath[str], desk: NamedDependency[Desk]) -> TopUpLimitView:
    """Read how much may be asked for at once in a currency."""
    return show_limit(desk.read(lambda tx: service_settings.find_limit(tx, currency)))


HANDLERS = (
    ask,
    list_top_ups,
    read_top_up,
    set_automatic,
    read_automatic,
    remove_automatic,
    set_low_level,
    remove_low_level,
    set_limit,
    read_limit,
)
