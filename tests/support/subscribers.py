"""A stage for subscriptions: a catalogue, a consumer, billing's words, and a clock to move."""

import itertools
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from farebox.access.buckets.service import sources_of
from farebox.access.catalog.model import PlanFeature, PlanTerms, Quota
from farebox.access.catalog.service import create_product
from farebox.access.catalog.service_features import create_feature
from farebox.access.catalog.service_plans import change_plan, create_plan
from farebox.access.consumers import service as consumers
from farebox.access.consumers import service_groups as groups
from farebox.access.entitlements.service import list_entitlements
from farebox.access.entitlements.service_access import open_sources
from farebox.access.flows.change_subscription import request_change
from farebox.access.flows.handlers import BILLING, HANDLERS
from farebox.access.flows.subscribe import subscribe
from farebox.access.subscriptions.model import QuotaStanding, Subscription
from farebox.access.subscriptions.service import read_subscription
from farebox.access.subscriptions.service_quotas import quotas_of
from farebox.events.model import Event, Position
from farebox.events.service import events_after
from farebox.kernel.clock import ManualClock, parse_time, show_time
from farebox.ledger.model import Applied, Source, Use
from farebox.ledger.service import Ledger, request
from farebox.storage import Database, Tx
from farebox.workers.subscriptions import DueSubscriptions
from tests.support.services import ADA, run

_numbers: Final = itertools.count(1)


class Subscribers:
    """Products `films` and `books`, a feature `hd`, a consumer Ada; billing speaks when told to."""

    def __init__(self, database: Database, clock: ManualClock, at: str) -> None:
        self.database = database
        self.clock = clock
        self.at(at)
        for code in ("films", "books"):
            run(database, create_product, ADA, code=code, name=code)
        run(database, create_feature, ADA, code="hd", name="HD", kind="switch")
        run(database, create_feature, ADA, code="screens", name="Screens", kind="number")
        self.ada = self.consumer("Ada")

    # -- time --------------------------------------------------------------------------------------

    def at(self, moment: str) -> None:
        """Move the clock to a moment: `2027-01-31` or `2027-01-31T12:00`, UTC."""
        self.clock.set(when(moment))

    def worker(self) -> int:
        """Let the worker write down what is due."""
        return DueSubscriptions(self.database).step()

    # -- catalogue and people ----------------------------------------------------------------------

    def consumer(self, name: str) -> str:
        return run(self.database, consumers.create_consumer, ADA, name=name).id

    def family(self, *members: str) -> str:
        """Return a new group with these members."""
        made = run(self.database, groups.create_group, ADA, name="Family").id
        for member in members:
            run(self.database, groups.add_member, ADA, group=made, consumer=member)
        return made

    def plan(
        self, code: str, *quotas: Quota, features: dict[str, Any] | None = None, **named: Any
    ) -> str:
        """Offer a plan and return its code."""
        brought = tuple(
            PlanFeature(feature=key, value=value) for key, value in (features or {}).items()
        )
        terms = PlanTerms(name=code, quotas=quotas, features=brought, **named)
        return run(self.database, create_plan, ADA, code=code, terms=terms).code

    def change_plan(self, code: str, *quotas: Quota) -> None:
        """Make the next version of a plan."""
        run(self.database, change_plan, ADA, code, PlanTerms(name=code, quotas=quotas))

    def revision(self) -> int:
        """Return Ada's revision."""
        return run(self.database, Ledger().revision, self.ada)

    # -- subscriptions -----------------------------------------------------------------------------

    def subscribe(self, plan: str, *, holder: str | None = None, kind: str = "consumer") -> str:
        made = run(
            self.database, subscribe, ADA, plan=plan, holder_kind=kind, holder=holder or self.ada
        )
        return str(made.id)

    def active(self, plan: str, **named: Any) -> str:
        """Subscribe and pay."""
        made = self.subscribe(plan, **named)
        self.billing("payment.succeeded", made)
        return made

    def ask(self, subscription: str, change: str, **named: Any) -> Subscription:
        """Ask for a change."""
        return run(self.database, request_change, ADA, subscription, change=change, **named)

    def billing(
        self, type_: str, subscription: str, *, time: str | None = None, id_: str | None = None,
        **data: Any,
    ) -> Event:  # fmt: skip
        """Let billing say something of a subscription; returns what it said."""
        at = self.clock.now_us() if time is None else when(time)
        event = self.event(type_, subscription, data={"subscriptionId": subscription, **data})
        event = msgspec.structs.replace(event, id=id_ or event.id, time=show_time(at))
        self.deliver(event)
        return event

    def event(self, type_: str, subject: str, *, data: dict[str, Any]) -> Event:
        """Return an event that billing publishes now."""
        return Event(
            specversion="1.0",
            id=f"evt_{next(_numbers)}",
            source=BILLING,
            type=type_,
            subject=subject,
            time=show_time(self.clock.now_us()),
            datacontenttype="application/json",
            subjectversion=next(_numbers),
            data=data,
        )

    def deliver(self, event: Event) -> None:
        """Hand an event over as the inbox does: in a transaction."""
        self.database.run(lambda tx: HANDLERS[event.source, event.type](tx, event))

    def state(self, subscription: str) -> str:
        return str(run(self.database, read_subscription, subscription).state)

    def read(self, subscription: str) -> Subscription:
        return run(self.database, read_subscription, subscription)

    # -- use ---------------------------------------------------------------------------------------

    def holders(self, consumer: str | None = None) -> list[str]:
        who = consumer or self.ada
        with self.database.read() as tx:
            return [who, *(group.id for group in groups.groups_of(tx, who))]

    def use(self, amount: int = 1, *, product: str = "films", consumer: str | None = None) -> bool:
        """Use a product as far as what is open gives it; tells whether it did."""
        who, holders = consumer or self.ada, self.holders(consumer)

        def work(tx: Tx) -> bool:
            found = open_sources(tx, sources_of(tx, consumer=who, holders=holders), holders)
            sources = tuple(
                Source(each.bucket, spare=each.overage) for each in found if each.product == product
            )
            if not sources:
                return False
            outcome = Ledger().apply(tx, [request(Use(sources=sources, amount=amount))])[0][0]
            return isinstance(outcome, Applied)

        return self.database.run(work)

    def quota(self, product: str = "films", consumer: str | None = None) -> QuotaStanding:
        """Return how the one quota of a product stands."""
        [found] = run(self.database, quotas_of, self.holders(consumer), product)
        return found

    def left(self, product: str = "films", consumer: str | None = None) -> int:
        """Return what is left of a quota; -1 where there is none."""
        found = run(self.database, quotas_of, self.holders(consumer), product)
        return sum(each.remaining for each in found) if found else -1

    def rights(self, consumer: str | None = None) -> list[str]:
        """Return the keys of what somebody is entitled to."""
        found = run(self.database, list_entitlements, self.holders(consumer))
        return sorted(each.key for each in found)

    def told(self, *types: str) -> list[dict[str, Any]]:
        """Return the data of our events of these types, oldest first."""
        with self.database.read() as tx:
            found = events_after(tx, Position(), 1000).events
        return [event.data for event in found if event.type in types]


def when(moment: str) -> int:
    """Return a moment of UTC in microseconds."""
    local = datetime.fromisoformat(moment)
    return parse_time(local.replace(tzinfo=local.tzinfo or UTC).isoformat())
