"""Short ways to let events happen, to send them to webhooks, and to see what became of them."""

from farebox.events.model import Event, Position
from farebox.events.service import events_after, publish
from farebox.events.transports.webhooks import WebhookSender
from farebox.events.webhooks.model import Attempt, Delivery, NewEndpoint
from farebox.platform import service_webhooks as service
from farebox.storage import Database
from farebox.workers.webhooks import Deliveries
from tests.support.services import run


def happen(database: Database, number: int = 1, type: str = "order.completed") -> Event:  # noqa: A002
    """Publish an event and hand the log to the sender, as the relay does."""
    told = run(database, publish, type=type, subject=f"ord_{number}", data={"number": number})
    WebhookSender(database).send([told])
    return told


def work(worker: Deliveries) -> int:
    """Do what is due and wait for it."""
    begun = worker.step()
    worker.settle()
    return begun


def deliveries(database: Database, hook: NewEndpoint) -> tuple[Delivery, ...]:
    """Return a webhook's deliveries, newest first."""
    return run(database, service.list_deliveries, hook.endpoint.id).items


def attempts(database: Database, hook: NewEndpoint) -> tuple[Attempt, ...]:
    """Return a webhook's attempts, newest first."""
    return run(database, service.list_attempts, hook.endpoint.id).items


def state(database: Database, hook: NewEndpoint) -> str:
    return run(database, service.read_webhook, hook.endpoint.id).state


def told(database: Database) -> list[str]:
    with database.read() as tx:
        return [event.type for event in events_after(tx, Position()).events]
