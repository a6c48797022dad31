"""Buckets as resources: whose they are, what is on them, caps and service plans."""

from functools import partial

import pytest

from farebox.access.buckets import service as buckets
from farebox.access.buckets import service_caps as caps
from farebox.access.buckets import service_plans as plans
from farebox.access.buckets.model import (
    BucketDenied,
    BucketRecordUnknown,
    CapRefused,
    CapUnknown,
    MemberCap,
    Movement,
    ServicePlanUnknown,
    Shortage,
    Terms,
)
from farebox.access.catalog import service as catalog
from farebox.access.catalog.model import ProductArchived, ProductUnknown
from farebox.access.consumers import service as consumers
from farebox.access.consumers import service_groups as groups
from farebox.access.consumers.model import ConsumerUnknown, DeviceRefused, GroupUnknown
from farebox.access.decisions.service_subjects import load_subject
from farebox.kernel import ids
from farebox.kernel.clock import SECOND_US
from farebox.kernel.refusals import ValueRefused
from farebox.ledger.model import Source, Use
from farebox.ledger.service import Ledger, request
from farebox.platform import service_audit as audit
from farebox.platform.model import KeyReused, Once
from farebox.storage import Database
from tests.support.services import ADA, at_once, now, run

DAY = 86_400 * SECOND_US


@pytest.fixture
def family(database: Database) -> str:
    """Return a group of Bob, with the product `films`."""
    run(database, catalog.create_product, ADA, code="films", name="Films", unit="film")
    return run(database, groups.create_group, ADA, name="Family").id


@pytest.fixture
def bob(database: Database, family: str) -> str:
    made = run(database, consumers.create_consumer, ADA, name="Bob").id
    run(database, groups.add_member, ADA, group=family, consumer=made)
    return made


def bucket(database: Database, holder: str, films: int | None = 20, **named) -> int:
    kind = "group" if holder.startswith("grp_") else "consumer"
    grant = None if films is None else Terms(amount=films)
    terms = {"product": "films", "holder_kind": kind, "holder": holder, "grant": grant, **named}
    return run(database, buckets.create_bucket, ADA, **terms).id


def available(database: Database, number: int) -> int:
    return run(database, buckets.read_bucket, number).balance.available


def use(database: Database, source: Source, amount: int = 1):
    command = Use(sources=(source,), amount=amount)
    return run(database, Ledger().apply, [request(command)])[0][0]


# -- making and reading --------------------------------------------------------------------------


def test_a_bucket_says_whose_it_is_and_what_is_on_it(database, family):
    number = bucket(database, family, 20, label="Summer", priority=3)
    run(database, buckets.consume, ADA, number, 5)
    view = run(database, buckets.read_bucket, number)
    assert (view.bucket.holder, view.bucket.label, view.bucket.priority) == (family, "Summer", 3)
    balance = view.balance
    assert (balance.granted, balance.used, balance.held, balance.available) == (20, 5, 0, 15)
    assert not balance.is_empty
    run(database, buckets.consume, ADA, number, 15)
    assert run(database, buckets.read_bucket, number).balance.is_empty


def test_a_new_bucket_is_seen_by_its_holders_decisions(database, family, bob):
    before = run(database, load_subject, bob)
    shared = bucket(database, family)
    own = bucket(database, bob)
    after = run(database, load_subject, bob)
    assert before is not None
    assert after is not None
    assert before.products == {}
    assert [source.bucket for source in after.products["films"]] == [own, shared]
    assert dict(after.guards)[bob] == dict(before.guards)[bob] + 1
    assert dict(after.guards)[family] == dict(before.guards)[family] + 1


def test_who_cannot_hold_a_bucket_is_refused(database, family, bob):
    television = run(database, consumers.create_consumer, ADA, name="TV", owner=bob).id
    for holder, refusal in (
        ("grp_nothing", GroupUnknown),
        ("con_nobody", ConsumerUnknown),
        (television, DeviceRefused),
    ):
        with pytest.raises(refusal):
            bucket(database, holder)


@pytest.mark.parametrize(
    "wrong",
    [
        {"films": 0},
        {"films": 2**53},
        {"credit_limit": -1},
        {"priority": 2**31 - 1},
        {"label": "a\0"},
        {"grant": Terms(amount=1, priority=2**31)},
        {"grant": Terms(amount=1, expires_at=1)},
        {"grant": Terms(amount=1, expires_at=2**62)},
        {"grant": Terms(amount=1, starts_at=-1)},
        {"grant": Terms(amount=1, starts_at=5 * 10**15, expires_at=4 * 10**15)},
    ],
)
def test_a_bucket_that_cannot_be_is_refused_and_leaves_nothing(database, family, wrong):
    with pytest.raises(ValueRefused):
        bucket(database, family, **wrong)
    assert run(database, buckets.list_buckets).items == ()


def test_an_archived_or_unknown_product_gets_no_new_buckets_but_what_was_sold_stays(
    database, family
):
    sold = bucket(database, family)
    run(database, catalog.archive_product, ADA, "films")
    with pytest.raises(ProductArchived):
        bucket(database, family)
    with pytest.raises(ProductUnknown):
        bucket(database, family, product="filmz")
    assert isinstance(run(database, buckets.consume, ADA, sold, 1), Movement)


def test_buckets_are_listed_by_holder_and_product_in_pages(database, family, bob):
    run(database, catalog.create_product, ADA, code="data", name="Data")
    made = [bucket(database, family) for _ in range(3)]
    bucket(database, bob)
    other = bucket(database, family, product="data")
    first = run(database, buckets.list_buckets, holder=family, product="films", limit=2)
    rest = run(
        database,
        buckets.list_buckets,
        holder=family,
        product="films",
        after=int(first.next or 0),
        limit=2,
    )
    assert [view.bucket.id for view in first.items + rest.items] == made
    assert rest.next is None
    assert run(database, buckets.list_buckets, product="data").items[0].bucket.id == other


def test_a_bucket_of_the_ledger_alone_is_no_resource(database, family, bob):
    shared = bucket(database, family)
    run(database, caps.set_cap, ADA, bucket_id=shared, consumer=bob, amount=5)
    state = run(database, load_subject, bob)
    assert state is not None
    cap = state.products["films"][0].cap
    for work in (buckets.read_bucket, buckets.history, caps.caps_of_bucket):
        for number in (cap, 12345, 2**62):
            with pytest.raises(BucketRecordUnknown):
                run(database, work, number)
    with pytest.raises(BucketRecordUnknown):
        run(database, buckets.consume, ADA, cap, 1)


# -- moving --------------------------------------------------------------------------------------


def test_a_bucket_denies_what_is_not_there_and_says_what_is(database, family):
    number = bucket(database, family, 3)
    shortage = run(database, buckets.consume, ADA, number, 4)
    assert shortage == Shortage(code="bucket_empty", bucket=number, available=3)
    assert available(database, number) == 3
    for amount in (0, -1, 2**53, True):
        with pytest.raises(ValueRefused):
            run(database, buckets.consume, ADA, number, amount)


def test_a_credit_limit_may_be_drawn(database, family):
    number = bucket(database, family, None, credit_limit=5)
    run(database, buckets.consume, ADA, number, 4)
    assert run(database, buckets.read_bucket, number).balance.credit_limit == 5
    assert available(database, number) == 1


def test_a_repeated_movement_under_a_key_moves_once(database, family):
    number = bucket(database, family, 10)
    key = Once(caller="opr_ada", key="k1", payload=b"consume 4")
    first = run(database, buckets.consume, ADA, number, 4, once=key)
    assert run(database, buckets.consume, ADA, number, 4, once=key) == first
    with pytest.raises(KeyReused):
        run(
            database,
            buckets.consume,
            ADA,
            number,
            5,
            once=Once(caller="opr_ada", key="k1", payload=b"consume 5"),
        )
    assert available(database, number) == 6


def test_a_repeated_top_up_is_granted_and_audited_once(database, family):
    number = bucket(database, family, None)
    key = Once(caller="opr_ada", key="k1", payload=b"grant 4")
    first = run(database, buckets.top_up, ADA, number, Terms(amount=4), once=key)
    assert run(database, buckets.top_up, ADA, number, Terms(amount=4), once=key) == first
    assert available(database, number) == 4
    log = run(database, audit.list_audit, subject=ids.show("bkt", number)).items
    assert [entry.action for entry in log] == ["bucket.granted", "bucket.created"]
    assert log[0].reason == "asked for by phone"


def test_a_lost_commit_and_a_second_run_do_not_move_twice(database, family):
    number = bucket(database, family, 10)
    operation = ids.mint()
    run(database, buckets.consume, ADA, number, 4, operation=operation)
    with pytest.raises(Exception, match=r"(?i)unique"):
        run(database, buckets.consume, ADA, number, 4, operation=operation)
    assert available(database, number) == 6


def test_a_grant_is_good_from_its_start_to_its_end(database, family, clock):
    at = now(database)
    terms = Terms(amount=7, starts_at=at + DAY, expires_at=at + 3 * DAY, class_="included")
    number = bucket(database, family, None)
    run(database, buckets.top_up, ADA, number, terms)
    assert available(database, number) == 0
    clock.move(2 * DAY)
    assert available(database, number) == 7
    clock.move(2 * DAY)
    assert available(database, number) == 0
    entries = run(database, buckets.history, number).items
    assert (entries[0].kind, entries[0].by) == ("breakage", -7)


def test_a_frozen_bucket_does_not_move_until_it_is_unfrozen(database, family):
    number = bucket(database, family, 10)
    run(database, buckets.freeze_bucket, ADA, number)
    assert run(database, buckets.freeze_bucket, ADA, number).balance.frozen
    shortage = run(database, buckets.consume, ADA, number, 1)
    assert isinstance(shortage, Shortage)
    assert shortage.code == "bucket_frozen"
    with pytest.raises(BucketDenied) as raised:
        run(database, buckets.top_up, ADA, number, Terms(amount=1))
    assert raised.value.code == "bucket_frozen"
    run(database, buckets.unfreeze_bucket, ADA, number)
    assert isinstance(run(database, buckets.consume, ADA, number, 1), Movement)
    log = run(database, audit.list_audit, subject=ids.show("bkt", number)).items
    assert [entry.action for entry in log][:2] == ["bucket.unfrozen", "bucket.frozen"]


def test_the_history_tells_each_operation_once_newest_first(database, family):
    number = bucket(database, family, 2)
    run(database, buckets.top_up, ADA, number, Terms(amount=3, priority=1))
    run(database, buckets.consume, ADA, number, 4, metadata='{"film":"Solaris"}')
    entries = run(database, buckets.history, number).items
    assert [(entry.kind, entry.by, entry.available_after) for entry in entries] == [
        ("use", -4, 1),
        ("grant", 3, 5),
        ("grant", 2, 2),
    ]
    assert entries[0].actor == "opr_ada"
    assert entries[0].product == "films"
    assert entries[0].metadata == '{"film":"Solaris"}'
    first = run(database, buckets.history, number, limit=2)
    rest = run(database, buckets.history, number, before=int(first.next or 0), limit=2)
    assert first.items + rest.items == entries
    assert rest.next is None


def test_the_past_balance_is_what_it_was(database, family, clock):
    number = bucket(database, family, 10)
    then = run(database, buckets.history, number).items[0].at
    clock.move(DAY)
    run(database, buckets.consume, ADA, number, 4)
    assert run(database, buckets.balance_at, number, then) == 10
    assert run(database, buckets.balance_at, number, then - 1) == 0
    assert run(database, buckets.balance_at, number, now(database) + DAY) == 6


# -- caps ----------------------------------------------------------------------------------------


def cap_source(database: Database, consumer: str) -> Source:
    state = run(database, load_subject, consumer)
    assert state is not None
    (source,) = state.products["films"]
    return Source(source.bucket, source.cap)


def cap(database: Database, number: int, consumer: str, amount: int) -> MemberCap:
    return run(database, caps.set_cap, ADA, bucket_id=number, consumer=consumer, amount=amount)


def test_a_cap_counts_what_was_drawn_under_it_when_it_changes(database, family, bob):
    number = bucket(database, family, 30)
    assert cap(database, number, bob, 5).available == 5
    source = cap_source(database, bob)
    assert use(database, source, 3).amount == 3
    # cap, what is left of it when 3 are used, in this order
    for amount, left in ((5, 2), (8, 5), (4, 1), (3, 0), (0, 0), (2, 0), (4, 1), (20, 17)):
        assert cap(database, number, bob, amount).available == left, amount
    assert cap_source(database, bob) == source
    assert use(database, source, 18).code == "member_cap_reached"
    assert available(database, number) == 27


def test_a_cap_reaches_the_members_decisions_and_its_end_too(database, family, bob):
    number = bucket(database, family, 20)
    assert cap_source(database, bob).cap is None
    revision = run(database, Ledger().revision, bob)
    cap(database, number, bob, 5)
    cap(database, number, bob, 5)
    assert run(database, Ledger().revision, bob) == revision + 1
    assert cap_source(database, bob).cap is not None
    run(database, caps.remove_cap, ADA, bucket_id=number, consumer=bob)
    assert cap_source(database, bob).cap is None
    assert run(database, Ledger().revision, bob) == revision + 2
    with pytest.raises(CapUnknown):
        run(database, caps.remove_cap, ADA, bucket_id=number, consumer=bob)
    log = run(database, audit.list_audit, subject=ids.show("bkt", number)).items
    assert [entry.action for entry in log][:2] == ["cap.removed", "cap.set"]


def test_a_member_who_comes_back_gets_no_fresh_cap(database, family, bob):
    number = bucket(database, family, 20)
    cap(database, number, bob, 5)
    use(database, cap_source(database, bob), 5)
    run(database, groups.remove_member, ADA, group=family, consumer=bob)
    run(database, groups.add_member, ADA, group=family, consumer=bob)
    assert use(database, cap_source(database, bob)).code == "member_cap_reached"
    assert [one.available for one in run(database, caps.caps_of_bucket, number)] == [0]


def test_a_cap_is_for_a_member_on_the_groups_own_bucket(database, family, bob):
    stranger = run(database, consumers.create_consumer, ADA, name="Eve").id
    shared, own = bucket(database, family), bucket(database, bob)
    for number, consumer in ((shared, stranger), (own, bob), (shared, "con_nobody")):
        with pytest.raises(CapRefused):
            cap(database, number, consumer, 1)
    for amount in (-1, 2**53, 1.5):
        with pytest.raises(ValueRefused):
            run(database, caps.set_cap, ADA, bucket_id=shared, consumer=bob, amount=amount)


def test_two_who_set_a_cap_at_once_leave_one_of_the_two(database, family, bob):
    number = bucket(database, family, 20)
    answers = at_once(partial(cap, database, number, bob, amount) for amount in (3, 9) * 3)
    assert all(isinstance(answer, MemberCap) for answer in answers)
    (found,) = run(database, caps.caps_of_bucket, number)
    assert found.amount in {3, 9}
    assert found.available == found.amount


# -- service plans -------------------------------------------------------------------------------


def test_a_service_plan_is_a_bucket_of_the_group(database, family):
    plan = run(database, plans.provision, ADA, product="films", group=family, bucket_limit=20)
    view = run(database, buckets.read_bucket, plan.bucket)
    assert (view.bucket.holder, view.balance.available) == (family, 20)
    assert run(database, plans.read_plan, plan.id) == plan
    second = run(database, plans.provision, ADA, product="films", group=family, bucket_limit=5)
    listed = run(database, plans.list_plans, group=family).items
    assert {one.id for one in listed} == {plan.id, second.id}
    assert second.bucket != plan.bucket
    assert run(database, plans.list_plans, group="grp_other").items == ()
    with pytest.raises(ServicePlanUnknown):
        run(database, plans.read_plan, "spl_nothing")
