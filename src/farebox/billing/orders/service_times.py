"""How long orders wait for their money: half an hour, longer by gateways that people confirm."""

from typing import Final

import sqlalchemy as sa

from farebox.billing.orders import store
from farebox.billing.orders.model import HOLD_US, MINUTE_US
from farebox.billing.payments.model import MANUAL
from farebox.kernel.refusals import ValueRefused
from farebox.platform.model import Actor
from farebox.platform.rules import checked_text
from farebox.platform.service_audit import record
from farebox.storage import Tx

LONGEST_MINUTES: Final = 90 * 24 * 60
LONGEST_GATEWAY: Final = 64
STANDARD_MINUTES: Final = HOLD_US // MINUTE_US
OURS: Final = {MANUAL: 3 * 24 * 60}
"""What holds before anybody says otherwise: a transfer takes days."""


def minutes_for(tx: Tx, gateway: str) -> int:
    """Return how many minutes an order waits for a payment through a gateway."""
    table = store.order_time
    row = tx.one(sa.select(table.c.minutes).where(table.c.gateway == gateway))
    return OURS.get(gateway, STANDARD_MINUTES) if row is None else int(row.minutes)


def list_times(tx: Tx) -> dict[str, int]:
    """Return the minutes of each gateway that has a time of its own, by its name."""
    rows = tx.run(sa.select(store.order_time))
    return dict(sorted({**OURS, **{row.gateway: int(row.minutes) for row in rows}}.items()))


def set_time(tx: Tx, actor: Actor, gateway: str, minutes: int) -> int:
    """Say how long orders wait for payments through a gateway from now on, up to 90 days.

    An order that waits already keeps its time. Refuses `value_invalid`.
    """
    checked_text(gateway, "a gateway", longest=LONGEST_GATEWAY)
    if type(minutes) is not int or not 1 <= minutes <= LONGEST_MINUTES:
        raise ValueRefused(f"an order waits for 1 to {LONGEST_MINUTES} minutes")
    before = minutes_for(tx, gateway)
    row = {"gateway": gateway, "minutes": minutes}
    tx.upsert(store.order_time, row, key=("gateway",))
    record(tx, actor, "order_time.set", f"gateway:{gateway}", before=before, after=minutes)
    return minutes
