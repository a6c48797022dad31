"""Refund policies, our part of sellers' sales, and credits that are bought by themselves."""

from typing import Annotated

from litestar import delete, get, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Meta

from farebox.billing.orders import service_automatic, service_policies
from farebox.billing.orders.model import MOST_QUANTITY
from farebox.billing.orders.model_automatic import AutomaticPurchase, AutomaticPurchaseUnknown
from farebox.billing.orders.model_refunds import RefundPolicy, RefundRule
from farebox.billing.orders.rules_refunds import MOST_RULES
from farebox.http.deps import BILLING, Command, Desk
from farebox.http.routes.carts import Currency
from farebox.http.routes.orders import ReasonName
from farebox.http.wire import Amount, Body, Id, IdFilter, View
from farebox.kernel.periods import Unit
from farebox.storage import Tx

TAGS = ["Refund policies"]
Percent = Annotated[str, Meta(pattern=r"^(100(\.0{1,6})?|[0-9]{1,2}(\.[0-9]{1,6})?)$")]
Version = Annotated[int | None, QueryParameter(ge=0, le=2**31, description="Newest without")]
Hours = Annotated[int, Meta(ge=0, le=1_000_000)]


class RuleBody(Body, frozen=True):
    """`percent` goes back where every condition that is set holds; the first such rule counts.

    `hours_before_start`: so many hours or more are left. `hours_since_order`: at most so many have
    passed since it was paid.
    """

    percent: Percent
    reason: ReasonName | None = None
    started: bool | None = None
    played: bool | None = None
    hours_before_start: Hours | None = None
    hours_since_order: Hours | None = None


class WritePolicy(Body, frozen=True):
    """The rules in their order."""

    rules: Annotated[list[RuleBody], Meta(min_length=1, max_length=MOST_RULES)]


class RuleView(View, frozen=True):
    """One rule."""

    percent: str
    reason: ReasonName | None
    started: bool | None
    played: bool | None
    hours_before_start: int | None
    hours_since_order: int | None


class PolicyView(View, frozen=True):
    """A policy in one version; version 0 is what holds before anybody writes one."""

    code: str
    version: int
    rules: list[RuleView]


class Policies(View, frozen=True):
    """Each policy in its newest version."""

    items: list[PolicyView]


class SetCommission(Body, frozen=True):
    """Our part of an owner's sales, in per cent."""

    percent: Percent


class CommissionView(View, frozen=True):
    """Our part of an owner's sales, in per cent: theirs, else everybody's (`*`), else 0."""

    owner: str
    percent: str


class SetAutomatic(Body, frozen=True):
    """What is bought when the bucket is told to be low, and the most that a period may cost."""

    product: Id
    quantity: Annotated[int, Meta(ge=1, le=MOST_QUANTITY)]
    currency: Currency
    most: Amount
    unit: Unit
    unit_count: Annotated[int, Meta(ge=1, le=366)] = 1
    consumer: Id | None = None


class AutomaticView(View, frozen=True):
    """What is bought for a bucket by itself; `spent` counts what this period's orders cost."""

    bucket: str
    customer: str
    product: str
    quantity: int
    currency: str
    most: int
    spent: int
    unit: str
    unit_count: int


def show_policy(one: RefundPolicy) -> PolicyView:
    """Return a policy as the API shows it."""
    rules = [
        RuleView(
            percent=rule.percent,
            reason=rule.reason,
            started=rule.started,
            played=rule.played,
            hours_before_start=rule.hours_before_start,
            hours_since_order=rule.hours_since_order,
        )
        for rule in one.rules
    ]
    return PolicyView(code=one.code, version=one.version, rules=rules)


@get(
    "/v1/refund-policies",
    operation_id="listRefundPolicies",
    tags=TAGS,
    opt=BILLING,
    sync_to_thread=True,
)
def list_policies(desk: NamedDependency[Desk]) -> Policies:
    """List refund policies, each in its newest version."""
    found = desk.read(service_policies.list_policies)
    return Policies(items=[show_policy(one) for one in found])


@get(
    "/v1/refund-policies/{code:str}",
    operation_id="readRefundPolicy",
    tags=TAGS,
    opt=BILLING,
    sync_to_thread=True,
)
def read_policy(
    code: FromPath[str], desk: NamedDependency[Desk], version: Version = None
) -> PolicyView:
    """Read a refund policy, in its newest version unless one is named."""
    return desk.read(lambda tx: show_policy(service_policies.read_policy(tx, code, version)))


@put(
    "/v1/refund-policies/{code:str}",
    operation_id="writeRefundPolicy",
    tags=TAGS,
    opt=BILLING,
    sync_to_thread=True,
)
def write_policy(
    code: FromPath[str], data: JSONBody[WritePolicy], command: NamedDependency[Command]
) -> PolicyView:
    """Write the next version of a refund policy; what was sold keeps its own."""
    rules = [
        RefundRule(
            percent=rule.percent,
            reason=rule.reason,
            started=rule.started,
            played=rule.played,
            hours_before_start=rule.hours_before_start,
            hours_since_order=rule.hours_since_order,
        )
        for rule in data.rules
    ]

    def work(tx: Tx) -> PolicyView:
        return show_policy(service_policies.write_policy(tx, command.actor, code, rules))

    return command.answer(PolicyView, work)


@get(
    "/v1/commissions/{owner:str}",
    operation_id="readCommission",
    tags=TAGS,
    opt=BILLING,
    sync_to_thread=True,
)
def read_commission(owner: FromPath[str], desk: NamedDependency[Desk]) -> CommissionView:
    """Read our part of an owner's sales."""
    percent = desk.read(lambda tx: service_policies.commission_percent(tx, owner))
    return CommissionView(owner=owner, percent=percent)


@put(
    "/v1/commissions/{owner:str}",
    operation_id="setCommission",
    tags=TAGS,
    opt=BILLING,
    sync_to_thread=True,
)
def set_commission(
    owner: FromPath[str], data: JSONBody[SetCommission], command: NamedDependency[Command]
) -> CommissionView:
    """Set our part of an owner's sales from now on; the owner `*` is everybody."""

    def work(tx: Tx) -> CommissionView:
        percent = service_policies.set_commission(tx, command.actor, owner, data.percent)
        return CommissionView(owner=owner, percent=percent)

    return command.answer(CommissionView, work)


@put(
    "/v1/automatic-purchases/{bucket:str}",
    operation_id="setAutomaticPurchase",
    tags=["Orders"],
    opt=BILLING,
    sync_to_thread=True,
)
def set_automatic(
    bucket: FromPath[str], data: JSONBody[SetAutomatic], command: NamedDependency[Command]
) -> AutomaticView:
    """Let credits be bought by themselves when a bucket is low; operators name the consumer."""
    customer = _payer(command, data.consumer)
    wanted = AutomaticPurchase(
        bucket=bucket,
        customer=customer,
        product=data.product,
        quantity=data.quantity,
        currency=data.currency,
        most=data.most,
        unit=data.unit,
        unit_count=data.unit_count,
        anchor_at=0,
    )

    def work(tx: Tx) -> AutomaticView:
        return _automatic(tx, service_automatic.set_automatic(tx, command.actor, wanted))

    return command.answer(AutomaticView, work)


@get(
    "/v1/automatic-purchases/{bucket:str}",
    operation_id="readAutomaticPurchase",
    tags=["Orders"],
    opt=BILLING,
    sync_to_thread=True,
)
def read_automatic(
    bucket: FromPath[str], desk: NamedDependency[Desk], consumer: IdFilter = None
) -> AutomaticView:
    """Read what is bought for a bucket by itself; operators name the consumer."""
    customer = _payer(desk, consumer)
    return desk.read(
        lambda tx: _automatic(tx, service_automatic.read_automatic(tx, bucket, customer))
    )


@delete(
    "/v1/automatic-purchases/{bucket:str}",
    operation_id="removeAutomaticPurchase",
    tags=["Orders"],
    opt=BILLING,
    sync_to_thread=True,
)
def remove_automatic(
    bucket: FromPath[str], command: NamedDependency[Command], consumer: IdFilter = None
) -> None:
    """Buy nothing by itself for a bucket any more; operators name the consumer."""
    customer = _payer(command, consumer)
    command.write(
        lambda tx: service_automatic.remove_automatic(tx, command.actor, bucket, customer)
    )


def _payer(desk: Desk, named: str | None) -> str:
    """Return who pays: the consumer who asks, or the one whom an operator names."""
    if desk.principal.kind == "consumer" and named in {None, desk.principal.id}:
        return desk.principal.id
    if desk.principal.kind == "consumer" or named is None:
        raise AutomaticPurchaseUnknown
    return named


def _automatic(tx: Tx, one: AutomaticPurchase) -> AutomaticView:
    return AutomaticView(
        bucket=one.bucket,
        customer=one.customer,
        product=one.product,
        quantity=one.quantity,
        currency=one.currency,
        most=one.most,
        spent=service_automatic.spent(tx, one),
        unit=one.unit,
        unit_count=one.unit_count,
    )


HANDLERS = (
    list_policies,
    read_policy,
    write_policy,
    read_commission,
    set_commission,
    set_automatic,
    read_automatic,
    remove_automatic,
)
