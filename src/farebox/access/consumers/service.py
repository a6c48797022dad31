"""Consumers: made, found, changed, suspended."""

from farebox.access.consumers.model import Consumer, ConsumerState, Metadata
from farebox.platform.model import Actor, Page
from farebox.storage import Tx


def create_consumer(
    tx: Tx,
    actor: Actor,
    *,
    name: str,
    issuer: str | None = None,
    subject: str | None = None,
    owner: str | None = None,
    metadata: Metadata | None = None,
) -> Consumer:
    """Create a consumer. Refuses a taken issuer and subject (`consumer_taken`) and a bad owner (`owner_refused`)."""
    raise NotImplementedError


def read_consumer(tx: Tx, consumer_id: str) -> Consumer:
    """Return a consumer; refuses an unknown one (`consumer_unknown`)."""
    raise NotImplementedError


def find_consumer(tx: Tx, consumer_id: str) -> Consumer | None:
    """Return a consumer or None."""
    raise NotImplementedError


def list_consumers(
    tx: Tx,
    *,
    state: ConsumerState | None = None,
    owner: str | None = None,
    after: str | None = None,
    limit: int = 100,
) -> Page[Consumer]:
    """Return consumers in the order of their ids."""
    raise NotImplementedError


def update_consumer(
    tx: Tx,
    actor: Actor,
    consumer_id: str,
    *,
    name: str | None = None,
    metadata: Metadata | None = None,
) -> Consumer:
    """Change what is given. `metadata` replaces the whole of it."""
    raise NotImplementedError


def suspend_consumer(tx: Tx, actor: Actor, consumer_id: str) -> Consumer:
    """Deny a consumer, and the devices that draw as it, from the next decision on. Repeating changes nothing."""
    raise NotImplementedError


def activate_consumer(tx: Tx, actor: Actor, consumer_id: str) -> Consumer:
    """Take a suspension back. Repeating changes nothing."""
    raise NotImplementedError


def consumer_of_identity(tx: Tx, issuer: str, subject: str) -> Consumer | None:
    """Return the consumer that an issuer's subject is, or None."""
    raise NotImplementedError
