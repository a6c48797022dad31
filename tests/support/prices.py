"""What is sold in tests: access tells of it, and it gets a price."""

import itertools
from typing import Any, Final

from farebox.billing.copies import service as copies
from farebox.billing.pricing import service_prices
from farebox.billing.pricing.model_prices import Price, Priced, PriceTerms, Recurring
from farebox.billing.pricing.rules_terms import read_terms
from farebox.events.model import SPEC_VERSION, Event, source_of
from farebox.storage import Database, Tx
from tests.support.services import ADA, run

_numbers: Final = itertools.count(1)
ONLINE: Final = {"code": "online", "kind": "online_rental", "periods": [24, 48]}
HALL: Final = {"code": "hall", "kind": "theatre_ticket", "periods": []}


def flat(amount: str) -> str:
    """Return the terms of a fixed amount."""
    return f'{{"charge": {{"model": "flat", "amount": "{amount}"}}}}'


def per_unit(unit: str) -> str:
    """Return the terms of a price for each unit."""
    return f'{{"charge": {{"model": "per_unit", "unit": "{unit}"}}}}'


def terms(charge: str, **more: Any) -> PriceTerms:
    """Return what of a price may change; `every` is ("month", 1), say."""
    every = more.pop("every", None)
    recurring = None if every is None else Recurring(unit=every[0], count=every[1])
    return PriceTerms(terms=read_terms(charge), recurring=recurring, **more)


def tell(
    tx: Tx, of: str, code: str, *, state: str = "active", offers: Any = (ONLINE, HALL)
) -> None:
    """Let billing know of a product, a plan or an item, as access's event would."""
    version = next(_numbers)
    common: dict[str, Any] = {"state": state, "version": version}
    facts: dict[str, dict[str, Any]] = {
        "product": {
            "product": code, "name": code, "type": "service", "unit": "use", "scale": 0,
            "billable": True,
        },
        "plan": {"plan": code, "name": code, "trial_days": 0, "quotas": [], "features": []},
        "item": {
            "itemId": code, "id": f"itm_{code}", "owner": "opr_admin", "kind": "premiere",
            "title": {"ru": code}, "offers": list(offers),
        },
    }  # fmt: skip
    keep = {"product": copies.keep_product, "plan": copies.keep_plan, "item": copies.keep_item}
    event = Event(
        specversion=SPEC_VERSION,
        id=f"evt_{version}",
        source=source_of("access"),
        type=f"{of}.updated",
        subject=f"{of}:{code}",
        time="2026-01-01T00:00:00Z",
        datacontenttype="application/json",
        subjectversion=version,
        data={**facts[of], **common},
    )
    keep[of](tx, event)


def sell(
    database: Database,
    of: Any,
    code: str,
    charge: str,
    *,
    currency: str = "USD",
    offer: str | None = None,
    period_hours: int | None = None,
    **more: Any,
) -> Price:
    """Return a new price of something that access has told of."""

    def work(tx: Tx) -> Price:
        tell(tx, of, code)
        priced = Priced(of=of, code=code, offer=offer, period_hours=period_hours)
        made = terms(charge, **more)
        return service_prices.create_price(tx, ADA, priced=priced, currency=currency, terms=made)

    return run(database, work)
