"""A notification service of the test's own, with a mail server and a gateway for short messages."""

from collections.abc import Callable, Iterator

import pytest

from farebox.kernel.clock import ManualClock
from farebox.storage import Database
from tests.support.letters import NOON, MailServer, Office, SmsServer


@pytest.fixture
def clock() -> ManualClock:
    """Return a clock that stands at noon in Moscow until it is moved."""
    return ManualClock(NOON)


@pytest.fixture
def mail() -> Iterator[MailServer]:
    made = MailServer()
    yield made
    made.close()


@pytest.fixture
def sms() -> Iterator[SmsServer]:
    made = SmsServer()
    yield made
    made.close()


@pytest.fixture
def opened(notifications: Database, clock: ManualClock) -> Iterator[Callable[..., Office]]:
    """Return a function that opens the service with gateways of the test's own."""
    made: list[Office] = []

    def open_office(gateways, **more):
        made.append(Office(notifications, clock, gateways, **more))
        return made[-1]

    yield open_office
    for each in made:
        each.close()


@pytest.fixture
def office(opened: Callable[..., Office], mail: MailServer, sms: SmsServer) -> Office:
    """Return the service with both channels set up."""
    return opened({"mail": mail.gateway, "sms": sms.gateway})
