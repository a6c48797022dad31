"""What a child of webhook tests does; see `tests.support.nursery`."""

from farebox.events.transports.webhooks import Caller
from farebox.events.webhooks.service_deliveries import claim
from farebox.kernel.clock import ManualClock
from farebox.storage import open_database
from tests.support.nursery import Link


def send_and_hang(link: Link, url: str, now_us: int) -> None:
    """Claim what is due, make the call, and wait to be killed before anything is recorded."""
    database = open_database("access", url, ManualClock(now_us))
    [parcel] = database.run(lambda tx: claim(tx, 1))
    assert Caller(private=True).call(parcel).status == 204
    link.say("sent")
    link.hear()
