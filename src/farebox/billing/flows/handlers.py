"""Which events of access billing acts on, by source and type.

`COPIES` may be run again by a replay or a snapshot; `HANDLERS` run once for an event.
"""

from collections.abc import Callable, Mapping
from typing import Final

from farebox.billing.copies import service as copies
from farebox.billing.flows.begin_subscription import begin_subscription
from farebox.billing.flows.change_rental import charge_change, note_rental, undo_failed_change
from farebox.billing.flows.change_subscription import change_subscription
from farebox.billing.flows.fill_low_buckets import fill_low_bucket
from farebox.billing.flows.follow_consumer import follow_consumer
from farebox.billing.flows.rate_usage import aggregate_usage
from farebox.billing.flows.take_purchase import note_granted, take_purchase, undo_ungrantable
from farebox.events.model import Event, source_of
from farebox.platform.model import SYSTEM
from farebox.platform.service_test_clock import SUBJECT, catch_up_with
from farebox.storage import Tx

Handler = Callable[[Tx, Event], None]
ACCESS: Final = source_of("access")


def follow_clock(tx: Tx, event: Event) -> None:
    """Let billing's time be access's, whose test clock was moved. Repeating changes nothing."""
    if event.subject == SUBJECT:
        catch_up_with(tx, SYSTEM, event.data["offsetUs"])


def _of(noun: str, handler: Handler, *whats: str) -> dict[tuple[str, str], Handler]:
    return {(ACCESS, f"{noun}.{what}"): handler for what in whats}


COPIES: Final[Mapping[tuple[str, str], Handler]] = {
    **_of("product", copies.keep_product, "created", "updated", "archived"),
    **_of("feature", copies.keep_feature, "created", "updated", "archived"),
    **_of("plan", copies.keep_plan, "created", "updated", "archived"),
    **_of("plan", copies.keep_plan_version, "version"),
    **_of("item", copies.keep_item, "created", "updated", "archived"),
    **_of("consumer", copies.keep_consumer, "updated"),
    **_of("group", copies.keep_group, "updated"),
    **_of("group", copies.drop_group, "deleted"),
    **_of("subscription", copies.keep_subscription, "created", "updated"),
    **_of("test_clock", follow_clock, "moved"),
}
HANDLERS: Final[Mapping[tuple[str, str], Handler]] = {
    **_of("marketplace.purchase", take_purchase, "initiated"),
    **_of("marketplace.purchase", note_granted, "completed"),
    **_of("order", note_granted, "fulfilment_completed"),
    **_of("order", undo_ungrantable, "fulfilment_failed"),
    **_of("rental", note_rental, "created", "changed", "revoked"),
    **_of("rental", charge_change, "change_requested"),
    **_of("rental", undo_failed_change, "change_failed"),
    **_of("bucket", fill_low_bucket, "low"),
    **_of("subscription", begin_subscription, "created"),
    **_of("subscription", change_subscription, "change_requested"),
    **_of("usage", aggregate_usage, "aggregated"),
    **_of("consumer", follow_consumer, "updated"),
}
