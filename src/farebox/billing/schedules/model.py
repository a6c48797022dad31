"""Schedules: what a subscription has paid, what it owes next, and how it is collected.

The *state* of a subscription is access's; a schedule has the state of its payments, in the same
words. Times are microseconds UTC, amounts whole numbers of the currency's smallest unit.
"""

from typing import Any, ClassVar, Final, Literal, get_args

import msgspec

from farebox.kernel.clock import SECOND_US
from farebox.kernel.periods import Unit
from farebox.kernel.refusals import Refusal

DAY_US: Final = 86_400 * SECOND_US
HOUR_US: Final = 3_600 * SECOND_US
EVERY_PLAN: Final = "*"
"""The plan under which terms of payment stand that hold where a plan has none of its own."""

State = Literal[
    "unpriced",  # its plan has no price yet
    "pending_payment",  # the first invoice is not paid
    "trialing",
    "active",
    "past_due",  # an invoice is late, and is tried again
    "suspended",  # the tries are used up; paying still brings it back
    "paused",
    "canceled",
]
STATES: Final[tuple[State, ...]] = get_args(State)
HolderKind = Literal["consumer", "group"]
Step = Literal["price", "end_trial", "bill", "cancel", "retry", "late", "give_up"]
AtEnd = Literal["cancel", "suspend"]
OnCancel = Literal["credit", "refund", "none"]
ChargeState = Literal["open", "paid", "void"]
UsageState = Literal["waiting", "billed", "free", "held", "interim"]
Proration = Literal["seconds", "days", "days_inclusive", "month_of_30"]


class PaymentTerms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the subscriptions of a plan are collected.

    A payment that fails is tried again after each of `retry_days`, counted from the failure before.
    `grace_days` is how long access goes on meanwhile; None leaves it to the plan's own rule at
    access. After the last try the subscription is canceled, or stays suspended until it is paid
    (`at_end`). An invoice is due `due_days` after it is issued. Who has not paid the first one
    after `first_days` has not subscribed. `on_cancel` is what becomes of paid time that is not
    used. `proration` says how parts of a period are counted.
    """

    retry_days: tuple[int, ...] = (2, 5, 7, 7)
    grace_days: int | None = None
    at_end: AtEnd = "cancel"
    due_days: int = 0
    first_days: int = 3
    on_cancel: OnCancel = "credit"
    proration: Proration = "seconds"


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """What a subscription owes next.

    Periods count from `anchor_at` on the calendar of `zone`; `next_index` is the first one that is
    not billed. Price, version, currency and zone stay as they were agreed. `invoice` is one that is
    not paid yet; `failures` counts the failed tries of it, `retry_at` is when it is tried again
    (without one, when a period is looked at again that waits to know its plan), `late_at` when it
    counts as failed without one, `grace_ends_at` until when access goes on, `give_up_at` when
    nothing more is tried. A plan that is wished for is `pending_plan`: at the end
    of the period, or when `change_invoice` is paid. `pending_price` is the version of a price that
    the next period is on, where another one is planned. In arrears `changed_at` is since when it is
    on its plan.
    """

    subscription: str
    holder_kind: HolderKind
    customer: str
    plan: str
    plan_version: int
    unit: Unit
    count: int
    currency: str
    zone: str
    state: State
    created_at: int
    price: str | None = None
    price_version: int | None = None
    advance: bool = True
    anchor_at: int | None = None
    next_index: int = 0
    trial_days: int = 0
    trial_ends_at: int | None = None
    cancel_at: int | None = None
    pending_plan: str | None = None
    pending_version: int | None = None
    pending_price: str | None = None
    pending_price_version: int | None = None
    change_invoice: str | None = None
    invoice: str | None = None
    failures: int = 0
    retry_at: int | None = None
    late_at: int | None = None
    grace_ends_at: int | None = None
    give_up_at: int | None = None
    paused_at: int | None = None
    changed_at: int | None = None
    last_paid_at: int | None = None
    ended_at: int | None = None
    version: int = 1


class Charge(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of a period that was billed, once: the price of it, and what was credited of it.

    `amount` is the fee, `net` what of it is left after discounts, both before tax where prices are
    without it. `line` is its line on the invoice. `cut_at` is when the stretch ended early, and
    `credited` what of the fee was given back.
    """

    id: str
    subscription: str
    starts_at: int
    ends_at: int
    period_starts_at: int
    period_ends_at: int
    plan: str
    plan_version: int
    price: str
    price_version: int
    amount: int
    net: int
    invoice: str
    line: str
    state: ChargeState
    created_at: int
    credited: int = 0
    cut_at: int | None = None


class UsageTotal(msgspec.Struct, frozen=True, kw_only=True):
    """What a consumer used of a product in a period: finally, or so far (`interim`).

    `customer` pays for it: the consumer, or whose device it is. What cannot be billed is `held`,
    with the `reason`; what nobody asks money for is `free`. Quantities are in the product's
    smallest unit.
    """

    consumer: str
    period: str
    product: str
    interim: bool
    customer: str
    starts_at: int
    ends_at: int
    count: int
    quantity: int
    maximum: int
    aggregations: list[dict[str, Any]]
    state: UsageState
    told_at: int
    reason: str | None = None
    due_at: int | None = None


class UsageBill(msgspec.Struct, frozen=True, kw_only=True):
    """What was billed of a product's usage in a period so far, on which price."""

    customer: str
    period: str
    product: str
    currency: str
    price: str
    price_version: int
    amount: int
    billed_at: int
    invoice: str | None = None


class ScheduleUnknown(Refusal):
    """Billing knows of no such subscription."""

    code: ClassVar[str] = "subscription_unknown"


class TermsRefused(Refusal):
    """Terms of payment are within their bounds."""

    code: ClassVar[str] = "payment_terms_invalid"


class ScheduleChangeRefused(Refusal):
    """What the subscription has paid and owes does not allow this."""

    code: ClassVar[str] = "schedule_change_refused"


class NothingToPay(Refusal):
    """No invoice of the subscription waits for a payment."""

    code: ClassVar[str] = "nothing_to_pay"
