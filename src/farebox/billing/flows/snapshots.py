"""How things stand on billing's side, for those who keep a copy of it."""

from collections.abc import Iterator
from typing import Final

from farebox.billing.customers.service import facts_of, list_customers
from farebox.events.model import Fact
from farebox.events.service_snapshots import Providers
from farebox.storage import Tx

PAGE: Final = 500


def _customers(tx: Tx) -> Iterator[Fact]:
    after = None
    while True:
        page = list_customers(tx, after=after, limit=PAGE)
        for one in page.items:
            yield Fact(type="customer.updated", subject=one.id, data=facts_of(one))
        if page.next is None:
            return
        after = page.next


PROVIDERS: Final[Providers] = {"customers": _customers}
