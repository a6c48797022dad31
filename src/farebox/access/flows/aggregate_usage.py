"""Add usage up, tell who comes near a limit, and close periods (source 002, flow 3)."""

from typing import NamedTuple

from farebox.access.usage.model import GRACE_US
from farebox.access.usage.service_notices import (
    low_buckets,
    quota_notices,
    tell_low,
    tell_quotas,
)
from farebox.access.usage.service_periods import (
    close_period,
    due_periods,
    is_something_due,
    tell_interim,
)
from farebox.access.usage.service_rollups import (
    ROWS_A_STEP,
    Gathered,
    StretchPassed,
    advance_marks,
    gather,
    read_stretch,
    store_stretch,
)
from farebox.events.model import Event
from farebox.storage import Database, Tx


class Added(NamedTuple):
    """How many rows of the logs were added up, and how many of them were read last."""

    rows: int
    latest: int


def gather_usage(database: Database, *, rows: int, before: Gathered | None) -> Gathered:
    """Read the next part of both logs, for `roll_up` to store later with what was read `before`."""
    with database.read() as tx:
        return gather(tx, rows, before)


def roll_up(
    database: Database,
    *,
    grace_us: int = GRACE_US,
    rows: int = ROWS_A_STEP,
    before: Gathered | None = None,
    move_always: bool = False,
) -> Added:
    """Add the next stretch of both logs to the rollups: what was gathered `before`, and more.

    The stretch is added up in a reading transaction; the writing one stores sums, position and
    the notices that they bring. With `move_always` the position is stored also after nothing.
    """
    with database.read() as tx:
        gathered = gather(tx, rows, before)
        stretch = read_stretch(tx, gathered, grace_us=grace_us)
        notices = quota_notices(tx, stretch.left)
        low = low_buckets(tx, stretch.left)
    if not stretch.rows and not move_always:
        return Added(0, 0)

    def work(tx: Tx) -> None:
        store_stretch(tx, stretch, grace_us=grace_us)
        tell_quotas(tx, notices)
        tell_low(tx, low)

    try:
        database.run(work)
    except StretchPassed:
        return Added(max(stretch.rows, 1), gathered.latest)
    return Added(stretch.rows, gathered.latest)


def catch_up(database: Database, *, grace_us: int = GRACE_US) -> None:
    """Add up all that is there now; what is written meanwhile may wait."""
    while roll_up(database, grace_us=grace_us).latest >= ROWS_A_STEP:
        pass


def close_due_periods(database: Database, *, grace_us: int = GRACE_US, most: int = 50) -> int:
    """Close periods whose end and grace have passed and tell of each; returns how many it closed.

    Where somebody is still writing what began before the end, the period waits for them.
    """
    catch_up(database, grace_us=grace_us)
    with database.read() as tx:
        if not is_something_due(tx):
            return 0
    # The first round sets a mark at the ends of the logs, the second comes past it.
    for _ in range(2):
        catch_up(database, grace_us=grace_us)
        roll_up(database, grace_us=grace_us, move_always=True)
        database.run(advance_marks)
    with database.read() as tx:
        due = due_periods(tx, most)
    return sum(_close(database, consumer, start, grace_us) for consumer, start in due)


def _close(database: Database, consumer: str, starts_at: int, grace_us: int) -> bool:
    return database.run(lambda tx: close_period(tx, consumer, starts_at, grace_us=grace_us))


def snapshot_usage(database: Database, consumer: str, *, grace_us: int = GRACE_US) -> Event:
    """Tell what a consumer has used in the period that runs now (`usage.aggregated`, interim)."""
    catch_up(database, grace_us=grace_us)
    return database.run(lambda tx: tell_interim(tx, consumer, grace_us=grace_us))
