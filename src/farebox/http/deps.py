"""What handlers are given: a desk for a question, a command for whatever changes something.

They open the request's one transaction: a reading one for questions, a writing one, run again
while the database says so, for commands. Handlers are synchronous and run in threads, so no
transaction is ever open on the event loop.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, Protocol, TypeVar

from litestar import Request

from farebox.access.flows.asks import Standing
from farebox.access.flows.callers import Caller
from farebox.access.flows.snapshots import PROVIDERS
from farebox.access.flows.visit import Gatekeeper
from farebox.access.usage.model import GRACE_US
from farebox.billing.payments.gateways.protocol import Gateway as PaymentGateway
from farebox.contracts.decisions import (
    CaptureRequest,
    CaptureResult,
    DecideRequest,
    Decision,
    ReleaseRequest,
    ReleaseResult,
)
from farebox.events.service_snapshots import Providers
from farebox.http.metrics import Metrics
from farebox.http.refusals import ServiceAbsent
from farebox.http.wire import Key, Reason, read_key
from farebox.kernel.clock import Clock
from farebox.kernel.refusals import Refusal
from farebox.platform import service_posted
from farebox.platform.model import Actor, Once, Principal
from farebox.platform.rules import actor_of
from farebox.storage import Database, Tx

T = TypeVar("T")
BILLING: Final = {"service": "billing"}
"""Says in a handler's `opt` that its desk and its commands stand before billing's database."""
NOTIFICATIONS: Final = {"service": "notifications"}
"""Says the same of the database of notifications."""
AnyRequest = Request[Any, Any, Any]


class Decisions(Protocol):
    """What answers the hot routes, here and in front of the framework: the same object."""

    async def decide(
        self, shown: str, ask: DecideRequest, idempotency_key: str | None = None
    ) -> Decision:
        """Decide for whoever showed this credential."""
        ...

    async def capture(
        self, shown: str, ask: CaptureRequest, idempotency_key: str | None = None
    ) -> CaptureResult:
        """Capture a hold."""
        ...

    async def release(
        self, shown: str, ask: ReleaseRequest, idempotency_key: str | None = None
    ) -> ReleaseResult:
        """Give a hold back."""
        ...

    async def caller(self, shown: str) -> Caller:
        """Return whose credential this is."""
        ...

    async def standing(
        self, consumer: str, credential: str | None, product: str | None
    ) -> Standing | None:
        """Return what is known of a consumer besides a decision."""
        ...


@dataclass(frozen=True, kw_only=True)
class Services:
    """What the API is made over.

    `components` are those whose migrations make `database` ready. `authenticate` says whose
    credential this is, or None; it may block, and its answer is not older than the call.
    `issuer` is the name under which access keys are signed. `private_webhooks` lets webhooks go to
    addresses of one's own network. `usage_grace_us` is how long after its end a period stays open
    for late reports. `test_clock` gives the test clock its routes. `snapshots` are what readers of
    the log may begin with. `billing` is billing's database, with its own components, where billing
    is served beside access; where it is served alone, it is the `database`. So it is with
    `notifications`. `payment_gateways` are those that may send us notices.
    """

    database: Database
    components: tuple[str, ...]
    clock: Clock
    decisions: Decisions
    authenticate: Callable[[str], Principal | None]
    issuer: str
    metrics: Metrics
    private_webhooks: bool = False
    usage_grace_us: int = GRACE_US
    test_clock: bool = False
    snapshots: Providers = field(default_factory=lambda: PROVIDERS)
    billing: Database | None = None
    billing_components: tuple[str, ...] = ()
    notifications: Database | None = None
    notifications_components: tuple[str, ...] = ()
    payment_gateways: Mapping[str, PaymentGateway] = field(default_factory=dict)

    @cached_property
    def gatekeeper(self) -> Gatekeeper:
        """Return who answers gateways, with the routes that this process remembers."""
        return Gatekeeper(self.database, self.decisions)


@dataclass(frozen=True, kw_only=True)
class Desk:
    """One question: who asks, and the door to the database of the service that they ask."""

    services: Services
    principal: Principal
    database: Database

    def read(self, work: Callable[[Tx], T]) -> T:
        """Ask in one reading transaction."""
        with self.database.read() as tx:
            return work(tx)

    def must_own(self, consumer: str, refusal: type[Refusal]) -> None:
        """Let consumers see themselves only; what is a stranger's is not there."""
        if self.principal.kind == "consumer" and self.principal.id != consumer:
            raise refusal


@dataclass(frozen=True, kw_only=True)
class Command(Desk):
    """One command: who gives it, why, and under which key."""

    payload: bytes
    key: str | None
    reason: str | None

    @property
    def actor(self) -> Actor:
        """Return the caller as the audit log names them."""
        return actor_of(self.principal, self.reason)

    @property
    def once(self) -> Once | None:
        """Return the key with all that makes the request what it is, for those who remember."""
        if self.key is None:
            return None
        return Once(caller=self.principal.id, key=self.key, payload=self.payload)

    def write(self, work: Callable[[Tx], T]) -> T:
        """Do the work in one writing transaction; it may be run again."""
        return self.database.run(work)

    def answer(self, kind: type[T], work: Callable[[Tx], T]) -> T:
        """Do the work once under the command's key; a repeat gets the first answer.

        The key is claimed in the transaction of the work, so a refused command leaves it free.
        """
        return self.write(
            lambda tx: service_posted.answer_once(tx, self.once, kind, lambda: work(tx))
        )


def provide_services(request: AnyRequest) -> Services:
    """Return the services that the app was made over."""
    services: Services = request.app.state.services
    return services


def _database(request: AnyRequest) -> Database:
    """Return the database of the service that the route is of (`opt=BILLING`: billing's)."""
    services = provide_services(request)
    beside = {"billing": services.billing, "notifications": services.notifications}
    wanted = request.route_handler.opt.get("service", "")
    found = beside.get(wanted) or services.database
    if wanted and found.name != wanted:
        raise ServiceAbsent(f"{wanted} is not served here")
    return found


def provide_desk(request: AnyRequest) -> Desk:
    """Return the desk of a request that the guard let pass."""
    return Desk(
        services=provide_services(request),
        principal=request.scope["user"],
        database=_database(request),
    )


def provide_command(
    request: AnyRequest, idempotency_key: Key = None, reason: Reason = None
) -> Command:
    """Return the command that a request is."""
    return Command(
        services=provide_services(request),
        principal=request.scope["user"],
        database=_database(request),
        payload=request.state.payload,
        key=read_key(idempotency_key),
        reason=reason,
    )
