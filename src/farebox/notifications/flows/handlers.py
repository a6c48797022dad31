"""Which events of access and billing notifications acts on, by source and type.

This is what the queue `SendNotify` brings, by whichever transport. `COPIES` may be run again by a
replay or a snapshot; `HANDLERS` run once for an event, and never for a snapshot: what was told
before is not told again.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from farebox.events.model import Event, source_of
from farebox.notifications.copies import service as copies
from farebox.notifications.deliveries.model import Draft
from farebox.notifications.deliveries.service import queue
from farebox.notifications.flows import tell_money, tell_rentals, tell_usage
from farebox.notifications.recipients import service as recipients
from farebox.platform.model import SYSTEM
from farebox.platform.service_test_clock import SUBJECT, catch_up_with
from farebox.storage import Tx

Handler = Callable[[Tx, Event], None]
Compose = Callable[[Tx, Event], Iterator[Draft]]
ACCESS: Final = source_of("access")
BILLING: Final = source_of("billing")
LETTERS: Final[Mapping[tuple[str, str], Compose]] = {
    (ACCESS, "account.opened"): tell_usage.account_opened,
    (ACCESS, "quota.threshold"): tell_usage.quota_near,
    (ACCESS, "quota.exceeded"): tell_usage.quota_used_up,
    (ACCESS, "entitlement.expiring"): tell_rentals.reminder,
    (ACCESS, "rental.changed"): tell_rentals.rental_changed,
    (BILLING, "rental.change_paid"): tell_rentals.change_paid,
    (BILLING, "rental.change_refused"): tell_rentals.change_failed,
    (BILLING, "order.fulfilled"): tell_rentals.purchase,
    (BILLING, "refund.issued"): tell_rentals.refund,
    (BILLING, "allowance.issued"): tell_rentals.refund,
    (BILLING, "payment.failed"): tell_money.payment_failed,
    (BILLING, "invoice.ready"): tell_money.invoice_ready,
    (BILLING, "credit_note.ready"): tell_money.credit_note_ready,
    (BILLING, "wallet.low"): tell_money.balance_low,
    (BILLING, "wallet.filled"): tell_money.top_up_filled,
    (BILLING, "wallet.top_up_failed"): tell_money.top_up_failed,
    (BILLING, "wallet.automatic_top_up_stopped"): tell_money.top_up_stopped,
}


def _telling(compose: Compose) -> Handler:
    def handle(tx: Tx, event: Event) -> None:
        for made in compose(tx, event):
            queue(tx, made)

    return handle


def follow_clock(tx: Tx, event: Event) -> None:
    """Let this service's time be access's, whose test clock was moved."""
    if event.subject == SUBJECT:
        catch_up_with(tx, SYSTEM, event.data["offsetUs"])


COPIES: Final[Mapping[tuple[str, str], Handler]] = {
    (ACCESS, "consumer.updated"): recipients.keep_consumer,
    (BILLING, "customer.updated"): recipients.keep_customer,
    **{(ACCESS, f"item.{what}"): copies.keep_item for what in ("created", "updated", "archived")},
    **{
        (ACCESS, f"product.{what}"): copies.keep_product
        for what in ("created", "updated", "archived")
    },
    **{
        (ACCESS, f"rental.{what}"): copies.keep_rental for what in ("created", "changed", "revoked")
    },
    (ACCESS, "test_clock.moved"): follow_clock,
}
HANDLERS: Final[Mapping[tuple[str, str], Handler]] = {
    key: _telling(compose) for key, compose in LETTERS.items()
}
