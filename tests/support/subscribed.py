"""Access and billing of subscriptions, each with its own database; the two hear each other."""

from farebox.access.catalog.model import Quota
from farebox.access.flows.handlers import HANDLERS as OF_ACCESS
from farebox.access.flows.record_usage import record_usage
from farebox.access.usage.model import Report
from farebox.billing.flows.handlers import COPIES, HANDLERS
from farebox.billing.pricing import service_prices
from farebox.billing.pricing.model_prices import Priced
from farebox.events.inbox import Inbox
from farebox.events.reader import Reader
from farebox.events.transports.in_process import DatabaseLog
from tests.support.prices import flat, per_unit, terms
from tests.support.renewals import Renewals
from tests.support.services import ADA, run
from tests.support.subscribers import Subscribers

FILMS = Quota(product="films", limit=10, unit="month", overage=True, hard=False)


class Both:
    """Access with the plans `gold` and `max` (with a grace of 3 days), billing, and Ada's card."""

    def __init__(self, database, billing, clock):
        self.access = Subscribers(database, clock, "2027-03-01")
        self.access.plan("gold", FILMS)
        self.access.plan("max", FILMS, on_payment_failed="grace", grace_days=3)
        self.inboxes = [Inbox(billing, HANDLERS, copies=COPIES), Inbox(database, OF_ACCESS)]
        self.readers = [
            Reader(DatabaseLog(database, name="access", reader="billing"), self.inboxes[0]),
            Reader(DatabaseLog(billing, name="billing", reader="access"), self.inboxes[1]),
        ]
        self.billing = Renewals(billing, clock, "2027-03-01", customer=self.access.ada)
        self.talk()
        self.price("plan", "gold", flat("10"))
        self.price("plan", "max", flat("20"))
        self.price("product", "films", per_unit("0.50"), timing="arrears")
        self.billing.card()

    def price(self, of, code, charge, **named):
        run(
            self.billing.billing, service_prices.create_price, ADA,
            priced=Priced(of=of, code=code), currency="USD",
            terms=terms(charge, every=("month", 1), **named),
        )  # fmt: skip

    def talk(self):
        """Let both hear, and do what is due, until nobody has anything to say."""
        while self.hear():
            self.billing.work()

    def hear(self):
        """Let both hear once, and access do what is due; returns how much there was to do."""
        read = sum(each.step() for each in self.readers)
        return read + sum(each.step() for each in self.inboxes) + self.access.worker()

    def live(self, *moments):
        for moment in moments:
            self.access.at(moment)
            self.billing.work()
            self.talk()

    def subscribe(self, plan="gold"):
        made = self.access.subscribe(plan)
        self.talk()
        return made

    def use(self, amount, at):
        self.access.at(at)
        report = Report(
            source="/gw", event=at, consumer=self.access.ada, product="films", quantity=amount,
            at=self.access.clock.now_us(),
        )  # fmt: skip
        record_usage(self.access.database, ADA, [report])
