"""How the periods of many consumers are counted, loaded in a fixed number of statements."""

from collections.abc import Iterable, Mapping

from farebox.access.consumers.service_many import owners_of
from farebox.access.subscriptions.model import Subscription
from farebox.access.subscriptions.service import subscriptions_of, terms_of
from farebox.access.usage.rules import Calendar, timeline_of
from farebox.storage import Tx

_AT_ONCE = 1_000


class Calendars:
    """The calendars of consumers; whoever has no subscription shares the common one."""

    def __init__(self, own: Mapping[str, Calendar]) -> None:
        self._own = own
        self._common = Calendar(timeline_of((), {}))

    def of(self, consumer: str) -> Calendar:
        """Return how a consumer's periods are counted."""
        return self._own.get(consumer, self._common)


def calendars_of(tx: Tx, drawers: Mapping[str, str]) -> Calendars:
    """Return how the periods of consumers are counted, given who draws for each of them."""
    holders = sorted(set(drawers.values()))
    held: dict[str, list[Subscription]] = {}
    for start in range(0, len(holders), _AT_ONCE):
        for one in subscriptions_of(tx, holders[start : start + _AT_ONCE]):
            if one.started_at is not None:
                held.setdefault(one.holder, []).append(one)
    plans = {}
    for one in (one for each in held.values() for one in each):
        if (key := (one.plan, one.plan_version)) not in plans:
            plans[key] = terms_of(tx, one)
    made = {holder: Calendar(timeline_of(each, plans)) for holder, each in held.items()}
    return Calendars(
        {consumer: made[drawer] for consumer, drawer in drawers.items() if drawer in made}
    )


def calendars_for(tx: Tx, consumers: Iterable[str]) -> Calendars:
    """Return how the periods of these consumers are counted."""
    return calendars_of(tx, owners_of(tx, consumers))
