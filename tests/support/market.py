"""A marketplace with one premiere and one buyer; billing is played by its events."""

from typing import Any

from farebox.access.entitlements.service import list_entitlements
from farebox.access.flows.remind_rentals import RentalReminders
from farebox.access.marketplace import service_purchases as purchases
from farebox.access.marketplace.model import Offer, Purchase, PurchaseTerms
from farebox.access.marketplace.service_capacity import availability_of
from farebox.access.rentals import service as rentals
from farebox.access.rentals.model import Seen
from farebox.events.model import Event
from farebox.kernel.clock import ManualClock
from farebox.storage import Database
from tests.support.order_desk import OrderDesk
from tests.support.services import run
from tests.support.stall import FOR_GOOD, ONLINE, TICKET, Stall

H = 3_600_000_000
TWO_CLOCKS = Offer(
    code="two", kind="online_rental", periods=(720, 744), clocks=2, finish_within_hours=48
)


class Market(Stall):
    """A stall with billing on the other side, one premiere and one buyer."""

    def __init__(self, database: Database, clock: ManualClock) -> None:
        super().__init__(database)
        self.clock = clock
        self.billing = OrderDesk(database)
        self.item("mauser", "Маузер", offers=(TICKET, ONLINE, FOR_GOOD, TWO_CLOCKS))
        self.bob = self.buyer()
        clock.move(H)

    def start(
        self, consumer: str | None = None, offer: str = "hall", *,
        own_id: str | None = None, item: str = "mauser", **more: Any,
    ) -> Purchase:  # fmt: skip
        """Begin a purchase; of the theatre ticket by Bob unless said otherwise."""
        terms = PurchaseTerms(item=item, offer=offer, **more)
        who = consumer or self.bob
        return run(self.database, purchases.start_purchase, who, terms, purchase_id=own_id)

    def purchase(self, made: Purchase) -> Purchase:
        """Return a purchase as it is now."""
        return run(self.database, purchases.read_purchase, made.id)

    def complete(self, made: Purchase, order: str = "ord_1", **more: Any) -> Event:
        """Say that a purchase was paid."""
        return self.billing.tell(
            "order.completed", order, purchaseId=made.id, itemId=made.item,
            consumerId=made.consumer, **more,
        )  # fmt: skip

    def buy(self, offer: str = "online", order: str = "ord_1", **more: Any) -> Purchase:
        """Buy something and have it."""
        if offer == "online":
            more.setdefault("period_hours", 48)
        made = self.start(offer=offer, **more)
        self.complete(made, order)
        return self.purchase(made)

    def refund(self, made: Purchase, order: str = "ord_1") -> Event:
        """Say that an order was refunded."""
        return self.billing.tell("refund.issued", order, itemId=made.item, consumerId=made.consumer)

    def left(self, offer: str = "hall") -> int | None:
        """Return how many places are left."""
        found = run(self.database, availability_of, self.read("mauser"))
        return {each.offer: each.left for each in found}[offer]

    def rights(self, consumer: str | None = None) -> list[Any]:
        """Return what somebody is entitled to now: item and offer."""
        found = run(self.database, list_entitlements, [consumer or self.bob])
        return [(one.key, one.value) for one in found]

    def rental(self, made: Purchase) -> Seen:
        """Return the rental of a purchase as it stands."""
        return run(self.database, rentals.read_rental, str(self.purchase(made).rental))

    def told(self, *types: str) -> list[dict[str, Any]]:
        """Return the data of what access told."""
        return [event.data for event in self.billing.told(*types)]

    def reminded(self) -> list[str]:
        """Tell what is due, and return the ends that were told in all."""
        while RentalReminders(self.database).step():
            pass
        return [data["endsAt"] for data in self.told("entitlement.expiring")]
