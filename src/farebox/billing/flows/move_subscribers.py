"""Moving whoever is on an older version of a price to its newest, now or with the next period.

What was bought keeps its version until an operator moves it. `now` is another plan in the middle
of a period whose plan is the same one (`change_plan`): what is not used goes back at the old price,
the rest of the period is billed at the new one. `period_end` bills the next period on the version
that was newest when it was planned. A preview is the move itself, in a transaction that is taken
back.
"""

from typing import Literal

import msgspec

from farebox.billing.flows.bill_subscription import shown, tell
from farebox.billing.flows.change_plan import change_now
from farebox.billing.flows.looking import undone
from farebox.billing.invoices.model import CreditNote, Invoice
from farebox.billing.pricing.model_prices import Price, PriceArchived
from farebox.billing.pricing.service_prices import find_price, use_price
from farebox.billing.pricing.service_quotes import line_of
from farebox.billing.schedules.model import Schedule
from farebox.billing.schedules.rules import owes_next, period_end
from farebox.billing.schedules.service import lock_on_price, write_schedule
from farebox.platform.model import Actor
from farebox.platform.rules import checked_limit
from farebox.platform.service_audit import record
from farebox.storage import Database, Tx

When = Literal["now", "period_end"]
Reason = Literal["payment_under_way", "plan_planned", "state", "timing_differs", "planned_already"]
_PLANNED = frozenset({"trialing", "active", "past_due"})
_AT_ONCE = frozenset({"trialing", "active"})


class Move(msgspec.Struct, frozen=True, kw_only=True):
    """What a move leads to for one subscription; with a `reason` it stays as it is.

    Fees are those of a whole period, before discounts and tax, in the currency's smallest unit.
    """

    subscription: str
    customer: str
    from_version: int
    fee_before: int
    fee_after: int
    effective_at: int
    reason: Reason | None = None
    invoice: Invoice | None = None
    note: CreditNote | None = None


class Moves(msgspec.Struct, frozen=True, kw_only=True):
    """A page of moves; `next` is the last subscription of it, where more may follow."""

    price: Price
    items: list[Move]
    next: str | None


def move_subscribers(
    tx: Tx, actor: Actor, price_id: str, *, at: When, after: str | None = None, limit: int = 100
) -> Moves:
    """Move up to `limit` subscribers of a price, by their ids, to its newest version.

    Repeating moves nobody twice. Refuses `price_unknown`, and (`price_archived`) a price on which
    nothing is sold any more.
    """
    price = find_price(tx, price_id)
    if price.state == "archived":
        raise PriceArchived
    found = lock_on_price(tx, price.id, price.version, after=after, limit=checked_limit(limit))
    fees: dict[int, int] = {price.version: _fee_of(price)}
    moves = [_moved(tx, one, price, at, fees) for one in found]
    moved = [each.subscription for each in moves if each.reason is None]
    if moved:
        said = {"version": price.version, "at": at, "subscriptions": moved}
        record(tx, actor, "price.subscribers_moved", f"price:{price.id}", after=said)
    last = found[-1].subscription if len(found) == limit else None
    return Moves(price=price, items=moves, next=last)


def preview_moves(
    database: Database,
    actor: Actor,
    price_id: str,
    *,
    at: When,
    after: str | None = None,
    limit: int = 100,
) -> Moves:
    """Return what `move_subscribers` would lead to; nothing of it stays. Refuses as it does."""
    return undone(
        database,
        lambda tx: move_subscribers(tx, actor, price_id, at=at, after=after, limit=limit),
    )


def _moved(tx: Tx, one: Schedule, price: Price, at: When, fees: dict[int, int]) -> Move:
    before = one.price_version or 1
    if before not in fees:
        fees[before] = _fee_of(find_price(tx, price.id, before))
    ends_at = period_end(one, tx.now_us)
    move = Move(
        subscription=one.subscription,
        customer=one.customer,
        from_version=before,
        fee_before=fees[before],
        fee_after=fees[price.version],
        effective_at=tx.now_us if at == "now" else ends_at,
        reason=_why_not(one, price, at, tx.now_us),
    )
    if move.reason is not None:
        return move
    if at == "now":
        changed = change_now(tx, one, price, plan=one.plan, version=one.plan_version)
        after = changed.schedule
        move = msgspec.structs.replace(move, invoice=changed.invoice, note=changed.note)
    else:
        used = use_price(tx, price.id, price.version)
        after = msgspec.structs.replace(
            one, pending_price=used.id, pending_price_version=used.version
        )
    written = write_schedule(tx, one, after)
    tell(
        tx, written, "subscription.price_changed",
        plan=one.plan, feeBefore=move.fee_before, feeAfter=move.fee_after, currency=price.currency,
        effectiveAt=shown(move.effective_at),
    )  # fmt: skip
    return move


def _fee_of(price: Price) -> int:
    return line_of(price, name="1").amount


def _why_not(one: Schedule, price: Price, at: When, now: int) -> Reason | None:
    """Return why a subscription stays on its price, or None."""
    if one.state not in (_AT_ONCE if at == "now" else _PLANNED):
        return "state"
    waits = one.invoice is not None or owes_next(one, now)
    if one.change_invoice is not None or (at == "now" and waits):
        return "payment_under_way"
    if one.pending_plan is not None:
        return "plan_planned"
    if at == "period_end" and one.pending_price_version == price.version:
        return "planned_already"
    if at == "now" and one.state == "active" and (price.timing == "advance") is not one.advance:
        return "timing_differs"
    return None
