"""A customer's or an operator's wish about a subscription: cancel, resume, pause, change the plan.

A wish changes nothing yet. It goes to billing as `subscription.change_requested`, and what billing
confirms is applied by `apply_billing`; meanwhile the subscription shows what is requested.
"""

import msgspec

from farebox.access.catalog.model import PlanArchived
from farebox.access.catalog.service_plans import read_plan
from farebox.access.flows.subscribe import check_not_subscribed
from farebox.access.flows.subscription_changes import change_subscription
from farebox.access.subscriptions.model import Change, ChangeRefused, Subscription, When
from farebox.access.subscriptions.rules import check_change, paid_period
from farebox.access.subscriptions.service import facts_of, shown_end
from farebox.events.service import publish
from farebox.ledger.service import Ledger
from farebox.platform.model import Actor
from farebox.platform.service_audit import record
from farebox.storage import Tx

_ledger = Ledger()


def request_change(
    tx: Tx,
    actor: Actor,
    subscription_id: str,
    *,
    change: Change,
    at: When = "now",
    plan: str | None = None,
) -> Subscription:
    """Ask billing for a change of a subscription; a wish that is under way is not sent again.

    `plan` names the plan to change to. Refuses an unknown subscription (`subscription_unknown`),
    one that has ended (`subscription_over`), what its state does not allow
    (`subscription_change_refused`), and plans as `subscribe` does.
    """

    def work(current: Subscription) -> Subscription:
        check_change(current, change)
        wish = f"{change}:{at}" if plan is None else f"{change}:{at}:{plan}"
        if current.requested == wish:
            return current
        if change == "plan":
            _check_plan(tx, current, plan)
        _send(tx, current, change, at, plan)
        record(tx, actor, "subscription.change_requested", current.id, after=wish)
        return msgspec.structs.replace(current, requested=wish)

    return change_subscription(tx, actor, subscription_id, work)


def _check_plan(tx: Tx, current: Subscription, plan: str | None) -> None:
    if plan is None:
        raise ChangeRefused("a change of plan names the plan")
    terms = read_plan(tx, plan)
    if terms.state == "archived":
        raise PlanArchived
    newest = (terms.code, terms.version)
    if newest == (current.plan, current.plan_version) and current.pending_plan is None:
        raise ChangeRefused("the subscription has this plan in its newest version already")
    _ledger.advance_revision(tx, current.holder)
    check_not_subscribed(tx, current.holder, plan, besides=current.id)


def _send(tx: Tx, current: Subscription, change: Change, at: When, plan: str | None) -> None:
    period = paid_period(current, tx.now_us)
    data = {
        **facts_of(current),
        "change": change,
        "at": at,
        "plan": plan,
        "periodEnd": None if period is None else shown_end(period.end_us),
    }
    publish(tx, type="subscription.change_requested", subject=current.id, data=data)
