"""A stall on the marketplace: an owner with premieres, buyers, and short ways to use them."""

from typing import Any, Final

from farebox.access.consumers import service as consumers
from farebox.access.marketplace import service as items
from farebox.access.marketplace.model import Draft, Found, Item, Offer, Place, Sight, Wanted
from farebox.access.marketplace.rules import offer_of
from farebox.access.marketplace.service_places import hold_place
from farebox.access.marketplace.service_search import find_items
from farebox.platform import service_operators
from farebox.storage import Database, Tx
from tests.support.services import ADA, run

ON_SALE: Final = Sight(on_sale=True)
ONLINE: Final = Offer(code="online", kind="online_rental", periods=(12, 24, 48, 72))
TICKET: Final = Offer(code="hall", kind="theatre_ticket", capacity=5)
FOR_GOOD: Final = Offer(code="keep", kind="purchase")


class Stall:
    """One owner's items on `database`."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.owner = self.operator("Seller", "owner")

    def operator(self, name: str, *roles: Any) -> str:
        """Return the id of a new operator."""
        make = service_operators.create_operator
        return run(self.database, make, ADA, name=name, roles=roles).id

    def buyer(self, name: str = "Bob") -> str:
        """Return the id of a new consumer."""
        return run(self.database, consumers.create_consumer, ADA, name=name).id

    def item(self, code: str, title: str, *, published: bool = True, **said: Any) -> Item:
        """Make an item with a Russian title, published unless said otherwise."""
        owner = said.pop("owner", self.owner)
        said.setdefault("offers", (ONLINE,))
        if isinstance(said.get("description"), str):
            said["description"] = {"ru": said["description"]}
        draft = Draft(kind=said.pop("kind", "premiere"), title={"ru": title}, **said)

        def work(tx: Tx) -> Item:
            made = items.create_item(tx, ADA, code=code, owner=owner, draft=draft)
            return items.publish_item(tx, ADA, code) if published else made

        return self.database.run(work)

    def change(self, code: str, **changes: Any) -> Item:
        """Change an item."""
        return run(self.database, items.change_item, ADA, code, changes)

    def read(self, code: str) -> Item:
        """Return an item as it is."""
        return run(self.database, items.read_item, code)

    def search(self, query: str = "", *, sight: Sight = ON_SALE, **more: Any) -> Found:
        """Search as consumers do."""
        paging = {name: more.pop(name) for name in ("after", "limit") if name in more}
        return run(self.database, find_items, sight, Wanted(query=query, **more), **paging)

    def codes(self, query: str = "", **more: Any) -> list[str]:
        """Return the codes of what a search finds, in order."""
        return [item.code for item in self.search(query, **more).items]

    def hold(self, consumer: str, item: str, offer: str = "hall") -> Place:
        """Hold a place."""

        def work(tx: Tx) -> Place:
            found = items.read_item(tx, item)
            return hold_place(tx, consumer, found, offer_of(found, offer))

        return self.database.run(work)
