"""The stage of the sources' flows: the API of access, and billing played by its own events.

Billing has a database and an outbox of its own. Each side reads the other's log by the in-process
transport into its inbox, and neither sees anything else of the other.
"""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from typing import Any, Final

from joserfc import jwt
from joserfc.jwk import OctKey
from litestar.testing import TestClient

from farebox.access.consumers.model import Issuer
from farebox.access.consumers.service_tokens import TokenVerifier
from farebox.access.flows.aggregate_usage import roll_up
from farebox.access.flows.handlers import HANDLERS
from farebox.access.flows.remind_rentals import RentalReminders
from farebox.events.inbox import Inbox
from farebox.events.model import Event, source_of
from farebox.events.reader import Reader
from farebox.events.service import publish
from farebox.events.transports.in_process import DatabaseLog
from farebox.http.app import App
from farebox.http.auth import Lookup
from farebox.kernel.clock import SECOND_US, ManualClock, parse_time
from farebox.platform.model import SYSTEM, Role
from farebox.platform.service_test_clock import catch_up_with
from farebox.storage import Database, Tx
from farebox.wiring.loops import PATIENCE_US
from farebox.workers.loops import Worker
from farebox.workers.periods import Periods
from farebox.workers.subscriptions import DueSubscriptions
from tests.api.conftest import Api, app_over_nothing, bearer, operator_key, rows_of, services_over
from tests.support.services import run

ACCESS: Final = source_of("access")
BILLING_HOLDS: Final = ("events", "platform")
"""What billing's database is made of here: an outbox, an inbox, positions and a clock."""
HEARD: Final = (
    "subscription.created", "subscription.updated", "subscription.change_requested",
    "usage.aggregated", "consumer.updated", "marketplace.purchase.initiated",
    "marketplace.purchase.completed", "order.fulfilment_failed", "quota.threshold",
    "quota.exceeded", "access.suspended", "entitlement.created", "entitlement.updated",
    "entitlement.revoked", "product.created", "plan.created", "item.created",
)  # fmt: skip
FACTS: Final = (
    "subscription", "subscription_quota", "entitlement", "external_subscription", "bucket_record",
    "account", "transfer", "schedule", "hold", "item_place", "item_purchase", "rental", "outbox",
)  # fmt: skip
"""The tables that say what anybody has, and what was told of it."""
_IDP: Final = Issuer(
    issuer="https://idp", audience="farebox", hs256_secret="the school's secret " * 2
)


@cache
def _app() -> App:
    return app_over_nothing()


def follow_clock(tx: Tx, event: Event) -> None:
    """Let billing's time be access's, whose test clock was moved."""
    catch_up_with(tx, SYSTEM, event.data["offsetUs"])


class Billing:
    """The service with the money: tells by its outbox, hears access's log by its inbox."""

    served: Database | None = None
    """Billing's database, where its routes are served beside access's."""

    def __init__(self, database: Database, access: Database) -> None:
        self.database = database
        self._heard: list[Event] = []
        log = DatabaseLog(access, name="access", reader="billing")
        handlers = {(ACCESS, type_): self._note for type_ in HEARD}
        self._inbox = Inbox(database, {**handlers, (ACCESS, "test_clock.moved"): follow_clock})
        self.workers: tuple[Worker, ...] = (Reader(log, self._inbox), self._inbox)

    def _note(self, tx: Tx, event: Event) -> None:
        tx.after_commit(lambda: self._heard.append(event))

    def say(self, type_: str, subject: str, **data: Any) -> Event:
        """Write an event to the outbox; access has it after `settle`."""
        return run(self.database, publish, type=type_, subject=subject, data=data)

    def heard(self, *types: str) -> list[Event]:
        """Return what was heard of these types, in its order."""
        return [event for event in self._heard if event.type in types]

    def told(self, *types: str) -> list[dict[str, Any]]:
        """Return the data of what was heard of these types."""
        return [event.data for event in self.heard(*types)]


class Customer:
    """A consumer with a key of their own."""

    def __init__(self, stage: "Flows", name: str, **more: Any) -> None:
        self.id: str = stage.admin.post("/v1/consumers", {"name": name, **more})["id"]
        self.key: str = stage.admin.post(f"/v1/consumers/{self.id}/keys", {})["key"]
        self.api = Api(stage.client, bearer(self.key))

    def rights(self, **params: Any) -> list[str]:
        """Return the keys of what they are entitled to now."""
        return sorted(one["key"] for one in self.api.get("/access/entitlements", **params)["items"])


class AddedUp:
    """Adds usage up at once, where the worker of a server stores it now and then."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def step(self) -> int:
        return roll_up(self._database).rows


class Flows:
    """Access over HTTP, billing beside it, a gateway in front, and a clock to move."""

    def __init__(
        self, client: TestClient[App], access: Database, billing: Billing, clock: ManualClock
    ) -> None:
        self.client, self.access, self.clock = client, access, clock
        self.billing = billing
        self.admin = self.operator("admin")
        self.gateway = self.operator("edge", "provider")
        log = DatabaseLog(billing.database, name="billing", reader="access")
        self.inbox = Inbox(access, HANDLERS, patience_us=PATIENCE_US)
        self.due: tuple[Worker, ...] = (
            AddedUp(access), Periods(access), DueSubscriptions(access), RentalReminders(access),
        )  # fmt: skip
        self._workers: tuple[Worker, ...] = (
            Reader(log, self.inbox), self.inbox, *self.due, *self.billing.workers,
        )  # fmt: skip
        self._numbers = itertools.count(1)

    def settle(self) -> None:
        """Let every worker of both sides do what there is to do."""
        while sum(worker.step() for worker in self._workers):
            pass

    def says(self, type_: str, subject: str, **data: Any) -> Event:
        """Let billing say something, and let both sides act on it."""
        event = self.billing.say(type_, subject, **data)
        self.settle()
        return event

    def at(self, moment: str) -> None:
        """Move the clock on, and let both sides do what has fallen due."""
        self.clock.set(parse_time(moment))
        self.settle()

    def operator(self, *roles: Role) -> Api:
        """Return the calls of a new operator."""
        return Api(self.client, bearer(operator_key(self.access, *roles)))

    def customer(self, name: str = "Ada", **more: Any) -> Customer:
        return Customer(self, name, **more)

    def signed_in(self, subject: str) -> Api:
        """Return the calls of whom the identity provider calls so, who shows its JWT."""
        now = self.clock.now_us() // SECOND_US
        claims = {
            "iss": _IDP.issuer, "aud": _IDP.audience, "sub": subject, "iat": now, "exp": now + 300,
        }  # fmt: skip
        key = OctKey.import_key(str(_IDP.hs256_secret))
        return Api(self.client, bearer(jwt.encode({"alg": "HS256"}, claims, key)))

    # -- the gateway -------------------------------------------------------------------------------

    def decide(self, customer: Customer, product: str | None = None, **more: Any) -> dict[str, Any]:
        """Return what the gateway is told when somebody shows their key."""
        ask = {"mode": "consume" if product else "check", "credential": customer.key, **more}
        if product:
            ask["product"] = product
        return dict(self.gateway.post("/v1/access/decide", ask))

    def report(self, customer: Customer, product: str, quantity: int) -> dict[str, Any]:
        """Let the gateway report what was used."""
        body = {
            "id": f"e{next(self._numbers)}", "consumer": customer.id, "product": product,
            "quantity": quantity,
        }  # fmt: skip
        return dict(self.gateway.post("/v1/usage", body))

    def introspect(self, customer: Customer) -> dict[str, Any]:
        """Return what RFC 7662 says of somebody's key."""
        form = {"token": customer.key}
        answer = self.gateway.call("POST", "/oauth2/introspect", key=None, data=form)
        return dict(Api.good(answer))

    # -- what holds --------------------------------------------------------------------------------

    def facts(self) -> dict[str, list[str]]:
        """Return everything that anybody has, and everything that was told of it."""
        found = rows_of(self.access)
        return {name: found[name] for name in FACTS}


@contextmanager
def flows_over(access: Database, billing: Billing, clock: ManualClock) -> Iterator[Flows]:
    """Serve access in this process, with billing beside it."""
    verifier = TokenVerifier([_IDP], clock)
    with services_over(access, clock, billing.served) as services, verifier:
        _app().state.services = replace(services, authenticate=Lookup(access, verifier))
        with TestClient(_app(), raise_server_exceptions=False) as client:
            yield Flows(client, access, billing, clock)
