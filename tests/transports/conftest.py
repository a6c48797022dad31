"""A receiver of webhooks, a webhook of theirs, and a worker that sends what is due."""

from collections.abc import Iterator

import pytest

from farebox.events.transports.webhooks import Caller
from farebox.events.webhooks.model import NewEndpoint
from farebox.platform import service_webhooks as service
from farebox.storage import Database
from farebox.workers.webhooks import Deliveries
from tests.support.receiver import Receiver
from tests.support.services import ADA, run


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


@pytest.fixture
def hook(database: Database, receiver: Receiver) -> NewEndpoint:
    """Return a webhook of the receiver's that gets every event."""
    return run(database, service.create_webhook, ADA, url=receiver.url, private=True)


@pytest.fixture
def worker(database: Database) -> Iterator[Deliveries]:
    made = Deliveries(database, Caller(private=True, deadline_s=5))
    yield made
    made.close()
