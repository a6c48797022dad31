"""A metered API for tests: a product, consumers with buckets, and short ways to report use."""

import itertools
from typing import Any, Final

from farebox.access.buckets import service as buckets
from farebox.access.buckets.model import Terms
from farebox.access.catalog.service import create_product
from farebox.access.consumers import service as consumers
from farebox.access.flows.aggregate_usage import catch_up
from farebox.access.flows.record_usage import record_usage
from farebox.access.usage.model import (
    Bucketing,
    NotRecorded,
    Recorded,
    Report,
    UsageRecord,
)
from farebox.access.usage.service_queries import usage_by_time
from farebox.events.model import Event, Position
from farebox.events.service import events_after
from farebox.kernel import ids
from farebox.kernel.clock import ManualClock, parse_time
from farebox.ledger.model import Applied, Source, Use
from farebox.ledger.service import Ledger, request
from farebox.platform.model import Actor
from farebox.storage import Database
from farebox.workers.periods import Periods
from tests.support.services import ADA, run

GATEWAY: Final = Actor(kind="operator", id="opr_gateway")
HOUR_US: Final = 3_600_000_000
DAY_US: Final = 24 * HOUR_US


class Metering:
    """A product `api`, and consumers who use it."""

    def __init__(self, database: Database, clock: ManualClock) -> None:
        self.database = database
        self.clock = clock
        self._numbers = itertools.count(1)
        run(database, create_product, ADA, code="api", name="API", unit="call")

    def at(self, text: str) -> int:
        """Set the clock to an instant and return it."""
        self.clock.set(parse_time(text))
        return self.clock.now_us()

    def consumer(self, name: str = "Ada", **named: Any) -> str:
        """Return a new consumer's id."""
        return run(self.database, consumers.create_consumer, ADA, name=name, **named).id

    def bucket(self, consumer: str, amount: int, **named: Any) -> int:
        """Return a new prepaid bucket of a consumer."""
        return run(
            self.database, buckets.create_bucket, ADA, product="api", holder_kind="consumer",
            holder=consumer, grant=Terms(amount=amount), **named,
        ).id  # fmt: skip

    def left(self, bucket: int) -> int:
        """Return what a bucket has left."""
        return run(self.database, buckets.read_bucket, bucket).balance.available

    def said(self, consumer: str, quantity: int = 1, **named: Any) -> Report:
        """Return a report with a key of its own, unless one is named."""
        event = named.pop("event", None) or f"e{next(self._numbers)}"
        values = {"source": "/gateway", "product": "api", **named}
        return Report(event=event, consumer=consumer, quantity=quantity, **values)

    def send(self, *reports: Report, **named: Any) -> list[Recorded | NotRecorded]:
        """Send reports and return their results."""
        return record_usage(self.database, GATEWAY, reports, with_quota=True, **named)

    def report(self, consumer: str, quantity: int = 1, **named: Any) -> UsageRecord:
        """Report a use that must be recorded."""
        (result,) = self.send(self.said(consumer, quantity, **named))
        assert isinstance(result, Recorded), result
        return result.record

    def refused(self, report: Report) -> str:
        """Report what must be refused, and return the code."""
        (result,) = self.send(report)
        assert isinstance(result, NotRecorded), result
        return result.code

    def correct(self, number: int, quantity: int | None = None, **named: Any) -> UsageRecord:
        """Take a record or a decision back."""
        event = named.pop("event", None) or f"e{next(self._numbers)}"
        said = Report(source="/gateway", event=event, corrects=number, quantity=quantity)
        (result,) = self.send(said)
        assert isinstance(result, Recorded), result
        return result.record

    def decide(self, consumer: str, bucket: int, amount: int = 1, meta: str | None = None) -> int:
        """Let a decision consume, and return its operation."""
        command = Use(
            sources=(Source(bucket),), amount=amount, actor=consumer, product="api", meta=meta
        )
        number = ids.mint()
        ((outcome,),) = self.database.run(
            lambda tx: Ledger().apply(tx, [request(command, operations=(number,))])
        )
        assert isinstance(outcome, Applied), outcome
        return number

    def used(self, bucketing: Bucketing = "day", zone: str = "UTC", **named: Any) -> list[tuple]:
        """Return (uses, quantity, maximum) by time, a month around now."""
        middle = self.clock.now_us() // DAY_US * DAY_US
        since = named.pop("since", middle - 40 * DAY_US)
        before = named.pop("before", middle + 2 * DAY_US)
        with self.database.read() as tx:
            found = usage_by_time(
                tx, since=since, before=before, bucketing=bucketing, zone=zone, **named
            )
        return [(one.uses, one.quantity, one.maximum) for one in found]

    def total(self, **named: Any) -> tuple[int, int]:
        """Return number and quantity of all that was used."""
        found = self.used(**named)
        return sum(uses for uses, _, _ in found), sum(quantity for _, quantity, _ in found)

    def roll_up(self) -> None:
        """Let the worker come to the ends of the logs."""
        catch_up(self.database)

    def events(self, *types: str) -> list[Event]:
        """Return the events of these types."""
        with self.database.read() as tx:
            return [one for one in events_after(tx, Position(), 1_000).events if one.type in types]


def close(metering: Metering) -> int:
    """Let the worker close what is due, once all is added up, until nothing is."""
    metering.roll_up()
    worker, closed = Periods(metering.database), 0
    while more := worker.step():
        closed += more
    return closed


def told(metering: Metering) -> list[dict[str, Any]]:
    """Return what was told of closed periods and in snapshots."""
    return [one.data for one in metering.events("usage.aggregated")]
