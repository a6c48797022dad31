"""Decisions over everything that access knows: in which order it says no, and what it tells."""

import asyncio
import threading
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from farebox.access.buckets import service as buckets
from farebox.access.buckets.model import Terms
from farebox.access.catalog.model import Quota, RateLimit
from farebox.access.consumers import service as consumers
from farebox.access.decisions import service_rates
from farebox.access.decisions.model import (
    IntrospectedRight,
    Introspection,
    Rate,
    SubjectState,
)
from farebox.access.decisions.service_access_keys import introspect
from farebox.access.decisions.service_subjects import load_subject
from farebox.access.entitlements.service import (
    grant_entitlement,
    revoke_entitlement,
    update_entitlement,
)
from farebox.access.flows import decide
from farebox.access.flows.asks import AskRefused
from farebox.access.flows.callers import Callers
from farebox.access.flows.decide import Decider
from farebox.contracts.decisions import DecideRequest, Decision
from farebox.kernel.clock import ManualClock, show_time
from farebox.ledger.batch import Lane
from farebox.ledger.service import Ledger
from farebox.platform import service_credentials, service_operators, service_secrets
from farebox.storage import Database, Tx
from tests.support.proof import faults
from tests.support.services import ADA, run
from tests.support.subscribers import Subscribers, when

MONTHLY = Quota(product="films", limit=5, unit="month", anchor="calendar")
ABOVE = Quota(product="films", limit=5, unit="month", anchor="calendar", overage=True, hard=False)


class Desk(Subscribers):
    """Subscribers, and a process that decides about them."""

    def __init__(self, database: Database, clock: ManualClock) -> None:
        super().__init__(database, clock, "2027-01-10")
        with database.write() as tx:
            pepper = service_secrets.ensure_pepper(tx)
        self.lanes = (Lane(database, Ledger()), Lane(database, Ledger(), writes=False))
        self.decider = self.process(pepper)
        self.now = 0
        self.decider.rates._now = lambda: self.now
        self.other = self.process(pepper)
        made = run(database, service_operators.create_operator, ADA, name="Edge", roles=("edge",))
        self.edge = self.key("operator", made.id)
        self.own = self.key("consumer", self.ada)

    def process(self, pepper: bytes) -> Decider:
        return Decider(self.database, *self.lanes, Callers(self.database, pepper))

    def key(self, kind: str, subject: str, **named: Any) -> str:
        made = run(
            self.database, service_credentials.create_credential, ADA, kind=kind, subject=subject,
            **named,
        )  # fmt: skip
        return str(made.key)

    def decide(
        self, mode: str = "consume", *, by: str | None = None, key: str | None = None,
        at: Decider | None = None, **named: Any,
    ) -> Decision:  # fmt: skip
        """Decide about Ada, who asks by her own key, or an operator about whom it names."""
        if not {"feature", "item", "product"} & named.keys():
            named["product"] = "films"
        ask = DecideRequest(mode=mode, **named)  # type: ignore[arg-type]
        return asyncio.run((at or self.decider).decide(by or self.own, ask, key))

    def prepaid(self, amount: int, product: str = "films") -> int:
        return int(
            run(
                self.database, buckets.create_bucket, ADA, product=product, holder_kind="consumer",
                holder=self.ada, grant=Terms(amount=amount),
            ).id
        )  # fmt: skip


@pytest.fixture
def desk(database: Database, clock: ManualClock) -> Iterator[Desk]:
    made = Desk(database, clock)
    yield made
    for lane in made.lanes:
        lane.close()


def test_quota_tells_its_limit_and_when_it_begins_anew(desk: Desk) -> None:
    desk.active(desk.plan("basic", MONTHLY))
    done = desk.decide(quantity=2)
    assert (done.code, done.remaining, done.limit) == ("allowed", 3, 5)
    assert done.resets_at is not None
    assert show_time(when("2027-02-01")).startswith(done.resets_at.isoformat()[:19])
    denied = desk.decide(quantity=4)
    assert (denied.code, denied.remaining, denied.limit) == ("quota_exceeded", 3, 5)
    desk.at("2027-02-01")
    assert desk.decide(quantity=4).remaining == 1


def test_prepaid_bucket_goes_on_where_the_quota_ends_and_is_named_when_both_are_empty(
    desk: Desk,
) -> None:
    desk.prepaid(3)
    desk.active(desk.plan("basic", MONTHLY))
    assert desk.decide(quantity=6).remaining == 2
    denied = desk.decide(quantity=3)
    assert (denied.code, denied.remaining) == ("bucket_empty", 2)
    desk.at("2027-02-01")
    assert desk.decide(quantity=5).remaining == 2, "the quota is drawn before what was bought"


def test_overage_is_counted_apart_and_never_called_remaining(desk: Desk) -> None:
    desk.active(desk.plan("open", ABOVE))
    assert desk.decide(quantity=4).remaining == 1
    assert desk.decide("check", quantity=9).remaining == 1
    assert desk.decide(quantity=3).remaining == 0
    assert desk.decide(quantity=10).allowed
    assert (desk.quota().used, desk.quota().overage) == (5, 12)


@pytest.mark.parametrize(
    ("billing", "code"),
    [
        (None, "subscription_pending_payment"),
        ("payment.failed", "subscription_suspended"),
        ("subscription.canceled", "subscription_canceled"),
    ],
)
def test_what_a_closed_subscription_would_bring_is_denied_by_its_state(
    desk: Desk, billing: str | None, code: str
) -> None:
    plan = desk.plan("basic", MONTHLY, features={"hd": True})
    sub = desk.subscribe(plan)
    if billing is not None:
        desk.billing("payment.succeeded", sub)
        assert desk.decide().allowed
        assert desk.decide("check", feature="hd").value is True
        desk.billing(billing, sub)
    assert desk.decide().code == code
    assert desk.decide("check", feature="hd").code == code
    desk.prepaid(1)
    assert desk.decide().allowed, "what was bought by itself is not the subscription's"


def test_subscription_that_ends_by_itself_is_over_at_that_very_instant(desk: Desk) -> None:
    sub = desk.active(desk.plan("basic", MONTHLY))
    desk.billing("subscription.canceled", sub, effectiveAt="2027-01-20T00:00:00Z")
    desk.at("2027-01-19T23:59:59.999999")
    assert desk.decide().allowed
    desk.at("2027-01-20")
    assert desk.decide().code == "subscription_canceled"
    assert desk.decide("check").code == "subscription_canceled"


def test_features_have_the_best_value_of_all_that_bring_them(desk: Desk) -> None:
    desk.active(desk.plan("basic", features={"screens": 2}))
    family = desk.family(desk.ada)
    desk.active(
        desk.plan("family", features={"screens": 4, "hd": True}), holder=family, kind="group"
    )
    assert desk.decide("check", feature="screens").value == 4
    assert desk.decide("check", feature="hd").value is True
    assert desk.decide("check", feature="sound").code == "feature_not_in_plan"
    run(
        desk.database, grant_entitlement, ADA, holder_kind="consumer", holder=desk.ada,
        key="screens", kind="feature", source_kind="operator", source="gift", value=6,
        expires_at=when("2027-01-11"),
    )  # fmt: skip
    assert desk.decide("check", feature="screens").value == 6
    desk.at("2027-01-11")
    assert desk.decide("check", feature="screens").value == 4


def test_product_with_a_feature_needs_both(desk: Desk) -> None:
    desk.prepaid(5)
    assert desk.decide(product="films", feature="hd").code == "feature_not_in_plan"
    desk.active(desk.plan("basic", features={"hd": True}))
    done = desk.decide(product="films", feature="hd")
    assert (done.allowed, done.value, done.remaining) == (True, True, 4)


def test_item_is_for_whoever_is_entitled_from_its_start_to_its_end(desk: Desk) -> None:
    assert desk.decide("check", item="nosferatu").code == "not_entitled"
    made = run(
        desk.database, grant_entitlement, ADA, holder_kind="consumer", holder=desk.ada,
        key="nosferatu", kind="item", source_kind="item", source="ord_1",
        starts_at=when("2027-01-12"), expires_at=when("2027-01-14"),
    )  # fmt: skip
    assert desk.decide("check", item="nosferatu").code == "not_entitled"
    desk.at("2027-01-12")
    assert desk.decide("check", item="nosferatu").allowed
    run(desk.database, revoke_entitlement, ADA, made.id)
    assert desk.decide("check", item="nosferatu").code == "not_entitled"


@pytest.mark.parametrize(
    "named", [{"item": "nosferatu"}, {"feature": "hd"}, {"feature": "hd", "item": "nosferatu"}]
)
def test_only_a_product_can_be_consumed(desk: Desk, named: dict[str, Any]) -> None:
    with pytest.raises(AskRefused):
        desk.decide("consume", **named)


def test_key_with_scopes_is_good_for_them_alone(desk: Desk) -> None:
    desk.prepaid(5)
    desk.prepaid(5, "books")
    narrow = desk.key("consumer", desk.ada, scopes=("books",))
    assert desk.decide(by=narrow, product="films").code == "scope_missing"
    assert desk.decide(by=narrow, product="books").allowed
    assert desk.decide(by=desk.edge, credential=narrow, product="films").code == "scope_missing"
    assert desk.decide(by=desk.edge, consumer=desk.ada, product="films").allowed


def test_rate_of_a_plan_is_shared_by_the_members_of_a_group(desk: Desk) -> None:
    bob = desk.consumer("Bob")
    family = desk.family(desk.ada, bob)
    limit = RateLimit(limit=2, seconds=10, burst=2)
    quota = Quota(product="films", limit=100, unit="month")
    desk.active(desk.plan("basic", quota, rate_limits=(limit,)), holder=family, kind="group")
    assert desk.decide().allowed
    assert desk.decide(by=desk.edge, consumer=bob).allowed
    denied = desk.decide(by=desk.edge, consumer=bob)
    assert (denied.code, denied.retry_after) == ("rate_limited", 5)
    assert desk.decide("check").code == "rate_limited"
    desk.now += 5_000_000
    assert desk.decide("check").allowed
    assert desk.decide().remaining == 97, "a denied call has consumed nothing"


def test_rates_of_consumers_and_keys_hold_from_the_next_decision_on(desk: Desk) -> None:
    desk.prepaid(50)
    desk.prepaid(50, "books")
    assert desk.decide().allowed
    rate = Rate(key="", most=1, seconds=60, burst=1, product="films")
    set_rates = service_rates.set_rates
    run(desk.database, set_rates, ADA, desk.ada, (rate,), guarded_by=desk.ada)
    # The first of these still had the old state in mind and was told so by the ledger.
    assert [desk.decide().code for _ in range(2)] == ["allowed", "rate_limited"]
    assert desk.decide(product="books").allowed
    run(desk.database, set_rates, ADA, desk.ada, (), guarded_by=desk.ada)
    assert desk.decide().allowed
    with desk.database.read() as tx:
        (one,) = service_credentials.list_credentials(tx, desk.ada).items
    run(desk.database, set_rates, ADA, one.id, (rate,), guarded_by=desk.ada)
    assert [desk.decide().code for _ in range(2)] == ["allowed", "rate_limited"]
    assert desk.decide(by=desk.edge, consumer=desk.ada).allowed, "the key's limit is the key's"


def test_known_key_is_answered_first_by_rate_limit_and_end_of_subscription(desk: Desk) -> None:
    limit = RateLimit(limit=1, seconds=60, burst=1)
    sub = desk.active(desk.plan("basic", MONTHLY, rate_limits=(limit,)))
    first = desk.decide(key="once")
    assert first.allowed
    assert desk.decide(key="twice").code == "rate_limited"
    again = desk.decide(key="once")
    assert (again.code, again.operation) == ("allowed", first.operation)
    desk.billing("payment.failed", sub)
    assert desk.decide(key="once").operation == first.operation
    assert desk.decide(key="twice").code == "subscription_suspended"


def test_processes_divide_a_rate_limit(desk: Desk) -> None:
    desk.prepaid(50)
    limit = Rate(key="", most=60, seconds=60, burst=4)
    run(desk.database, service_rates.set_rates, ADA, desk.ada, (limit,), guarded_by=desk.ada)
    shares = [run(desk.database, service_rates.beat, process) for process in ("one", "two")]
    assert shares == [1, 2]
    desk.decider.rates.share = desk.other.rates.share = 2
    desk.other.rates._now = lambda: desk.now
    admitted = [desk.decide(at=at).allowed for at in (desk.decider, desk.other) for _ in range(4)]
    assert admitted == [True, True, False, False] * 2
    run(desk.database, service_rates.leave, "two")
    assert run(desk.database, service_rates.beat, "one") == 1
    run(desk.database, service_rates.beat, "two")
    desk.clock.move(service_rates.ALIVE_US)
    assert run(desk.database, service_rates.beat, "one") == 1, "the silent one is not counted"


def test_introspection_tells_what_a_key_is_good_for_and_what_its_consumer_is_entitled_to(
    desk: Desk,
) -> None:
    def seen(key: str) -> Introspection:
        return run(desk.database, introspect, key, issuer="https://farebox.test")

    assert seen(desk.own).entitlements == ()
    sub = desk.active(desk.plan("basic", MONTHLY, features={"screens": 2}))
    desk.decide(quantity=2)
    narrow = desk.key("consumer", desk.ada, scopes=("books", "films"))
    assert seen(narrow).scope == "books films"
    assert seen(desk.own).entitlements == (
        IntrospectedRight(key="screens", kind="feature", value=2),
        IntrospectedRight(key="films", kind="product", limit=5, remaining=3),
    )
    desk.billing("payment.failed", sub)
    assert seen(desk.own).entitlements == ()


def test_order_of_checks_is_the_designs(desk: Desk) -> None:
    """Everything is wrong at first; each step mends the cause that was told."""
    narrow = desk.key("consumer", desk.ada, scopes=("books",))
    limit = RateLimit(limit=1, seconds=60, burst=1)
    sub = desk.subscribe(desk.plan("basic", MONTHLY, features={}, rate_limits=(limit,)))
    run(desk.database, consumers.suspend_consumer, ADA, desk.ada)
    ask: dict[str, Any] = {"product": "films", "feature": "hd"}
    assert desk.decide(by=narrow, **ask).code == "consumer_suspended"
    run(desk.database, consumers.activate_consumer, ADA, desk.ada)
    assert desk.decide(by=narrow, **ask).code == "subscription_pending_payment"
    desk.billing("payment.succeeded", sub)
    assert desk.decide(by=narrow, **ask).code == "feature_not_in_plan"
    desk.active(desk.plan("more", features={"hd": True}))
    assert desk.decide(by=narrow, **ask).code == "scope_missing"
    assert desk.decide(quantity=5, **ask).allowed
    assert desk.decide(**ask).code == "rate_limited"
    desk.now += 60_000_000
    assert desk.decide(**ask).code == "quota_exceeded"
    desk.prepaid(1)
    desk.now += 60_000_000
    assert desk.decide(**ask).allowed
    desk.now += 60_000_000
    assert desk.decide(**ask).code == "bucket_empty"


def test_billings_word_counts_at_once_on_every_process(desk: Desk) -> None:
    sub = desk.active(desk.plan("basic", MONTHLY))
    processes = (desk.decider, desk.other)
    assert all(desk.decide(at=at).allowed for at in processes)
    desk.billing("payment.failed", sub)
    assert [desk.decide(at=at).code for at in processes] == ["subscription_suspended"] * 2
    desk.billing("payment.succeeded", sub)
    assert all(desk.decide(at=at).allowed for at in processes)


def test_state_that_is_loaded_while_billing_suspends_lets_nobody_through(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    sub = desk.active(desk.plan("basic", MONTHLY))
    loaded: list[SubjectState] = []

    def load(tx: Tx, consumer: str) -> SubjectState | None:
        found = load_subject(tx, consumer)
        if not loaded:
            assert found is not None
            loaded.append(found)
            # In a thread of its own: the loading transaction is still open.
            suspending = threading.Thread(target=desk.billing, args=("payment.failed", sub))
            suspending.start()
            suspending.join()
        return found

    monkeypatch.setattr(decide, "load_subject", load)
    assert desk.decide().code == "subscription_suspended"
    assert loaded[0].products["films"], "what was loaded would have let it through"


def test_right_to_a_product_without_a_limit_is_drawn_and_counted_without_end(desk: Desk) -> None:
    given: dict[str, Any] = {
        "holder_kind": "consumer", "holder": desk.ada, "key": "films", "kind": "product",
        "source_kind": "operator", "source": "gift",
    }  # fmt: skip
    one = run(desk.database, grant_entitlement, ADA, **given)
    done = desk.decide(quantity=1_000)
    assert (done.allowed, done.remaining) == (True, None)
    assert run(desk.database, buckets.read_bucket, one.bucket).balance.used == 1_000
    change = partial(run, desk.database, update_entitlement, ADA, one.id)
    change(limit=5)
    assert desk.decide(quantity=3).remaining == 2
    assert desk.decide(quantity=3).code == "bucket_empty"
    change(limit=None)
    assert desk.decide(quantity=3).allowed
    change(limit=1)
    assert desk.decide().allowed
    assert desk.decide().code == "bucket_empty"
    run(desk.database, revoke_entitlement, ADA, one.id)
    assert desk.decide().code == "no_bucket"
    assert faults(desk.database) == []
