"""Usage records: each report once, drawn from what is left, the rest as overage."""

from functools import partial
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from farebox.access.buckets import service as buckets
from farebox.access.buckets.model import Terms
from farebox.access.catalog.service import archive_product, create_product
from farebox.access.consumers import service as consumers
from farebox.access.consumers import service_groups as groups
from farebox.access.usage.model import MOST_REPORTS, NotRecorded, Recorded, Report
from farebox.access.usage.service_queries import list_records, read_record
from farebox.kernel.refusals import ValueRefused
from farebox.ledger.verify import verify
from tests.support.metering import DAY_US, GATEWAY, HOUR_US
from tests.support.services import ADA, at_once, run


def rows(database) -> int:
    with database.read() as tx:
        return int(tx.run(sa.text("SELECT count(*) FROM usage_record")).scalar_one())


# -- drawing -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bucket", "quantity", "drawn", "overage"),
    [(10, 4, 4, 0), (10, 10, 10, 0), (10, 13, 10, 3), (0, 5, 0, 5)],
)
def test_report_draws_what_is_left_and_posts_the_rest_to_overage(
    metering, bucket, quantity, drawn, overage
):
    ada = metering.consumer()
    if bucket:
        metering.bucket(ada, bucket)
    made = metering.report(ada, quantity)
    assert (made.quantity, made.drawn, made.overage) == (quantity, drawn, overage)


def test_several_buckets_are_drawn_in_their_order_before_overage(metering):
    ada = metering.consumer()
    second = metering.bucket(ada, 10, priority=2)
    first = metering.bucket(ada, 5, priority=1)
    made = metering.report(ada, 7)
    assert (made.drawn, made.overage) == (7, 0)
    assert (metering.left(first), metering.left(second)) == (0, 8)


def test_every_unit_that_was_reported_stands_in_the_journal(metering, database):
    ada = metering.consumer()
    metering.bucket(ada, 10)
    for quantity in (4, 4, 4, 4):
        metering.report(ada, quantity)
    *_, report = verify(database)
    assert report.faults == []
    with database.read() as tx:
        drawn = sa.text("SELECT sum(amount) FROM transfer WHERE credit % 16 = 7 AND kind = 2")
        assert int(tx.run(drawn).scalar_one()) == 16


def test_frozen_bucket_does_not_keep_a_report_from_being_stored(metering, database):
    ada = metering.consumer()
    run(database, buckets.freeze_bucket, ADA, metering.bucket(ada, 10))
    made = metering.report(ada, 4)
    assert (made.drawn, made.overage) == (0, 4)


def test_suspended_consumer_is_recorded_because_it_was_used(metering, database):
    ada = metering.consumer()
    run(database, consumers.suspend_consumer, ADA, ada)
    assert metering.report(ada, 2).quantity == 2


def test_device_draws_as_its_owner(metering):
    ada = metering.consumer()
    bucket = metering.bucket(ada, 10)
    device = metering.consumer("phone", owner=ada)
    made = metering.report(device, 4)
    assert (made.consumer, made.drawn, metering.left(bucket)) == (device, 4, 6)


def test_group_is_named_or_found_by_the_bucket_that_gave(metering, database):
    ada = metering.consumer()
    group = run(database, groups.create_group, ADA, name="Team").id
    run(database, groups.add_member, ADA, group=group, consumer=ada)
    run(
        database, buckets.create_bucket, ADA, product="api", holder_kind="group", holder=group,
        grant=Terms(amount=5),
    )  # fmt: skip
    own = metering.bucket(ada, 3)
    assert metering.report(ada, 1).group is None
    assert metering.report(ada, 1, group=group).group == group
    assert metering.left(own) == 2
    metering.report(ada, 2)
    assert metering.report(ada, 1).group == group
    metering.roll_up()
    assert metering.total(group=group) == (2, 2)


# -- keys ----------------------------------------------------------------------------------------


def test_repeat_answers_the_same_and_changes_nothing(metering, database):
    ada = metering.consumer()
    bucket = metering.bucket(ada, 10)
    said = metering.said(ada, 4)
    (first,) = metering.send(said)
    metering.clock.move(HOUR_US)
    (again,) = metering.send(said)
    assert isinstance(first, Recorded)
    assert isinstance(again, Recorded)
    assert (first.repeated, again.repeated) == (False, True)
    assert msgspec.structs.replace(again.record, seq=0) == first.record
    assert (metering.left(bucket), rows(database)) == (6, 1)


def test_other_payload_under_the_same_key_is_refused_alone(metering, database):
    ada = metering.consumer()
    said = metering.said(ada, 4)
    metering.send(said)
    good = metering.said(ada, 1)
    results = metering.send(msgspec.structs.replace(said, quantity=5), good)
    assert isinstance(results[0], NotRecorded)
    assert results[0].code == "usage_differs"
    assert isinstance(results[1], Recorded)
    assert rows(database) == 2


def test_same_id_of_another_source_is_another_record(metering, database):
    ada = metering.consumer()
    for source in ("/one", "/two"):
        metering.report(ada, 1, event="e", source=source)
    assert rows(database) == 2


def test_repeat_within_one_batch_counts_once(metering, database):
    ada = metering.consumer()
    said = metering.said(ada, 3)
    other = msgspec.structs.replace(said, quantity=2)
    first, again, differs = metering.send(said, said, other)
    assert isinstance(first, Recorded)
    assert isinstance(again, Recorded)
    assert isinstance(differs, NotRecorded)
    assert again.repeated
    assert (differs.code, rows(database)) == ("usage_differs", 1)


def test_refused_report_leaves_its_key_free(metering, database):
    said = metering.said("con_later", 1)
    assert metering.refused(said) == "consumer_unknown"
    ada = metering.consumer()
    assert metering.report(ada, 1, event=said.event).consumer == ada


def test_same_batch_twice_at_once_is_recorded_once(metering, database):
    people = [metering.consumer(str(n)) for n in range(5)]
    shared = [metering.bucket(one, 30) for one in people]
    batch = [metering.said(one, 2) for one in people for _ in range(10)]
    answers = at_once(
        [
            lambda: metering.send(*batch),
            lambda: metering.send(*reversed(batch)),
            lambda: metering.send(*batch[10:], *batch[:10]),
        ]
    )
    for results in answers:
        assert not isinstance(results, Exception), results
        assert all(isinstance(one, Recorded) for one in results)
    assert rows(database) == 50
    assert [metering.left(bucket) for bucket in shared] == [10] * 5
    metering.roll_up()
    assert metering.total(product="api") == (50, 100)


# -- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"consumer": None}, "report_incomplete"),
        ({"product": None}, "report_incomplete"),
        ({"consumer": "con_nobody"}, "consumer_unknown"),
        ({"product": "nothing"}, "product_unknown"),
        ({"group": "grp_nobody"}, "not_a_member"),
        ({"operation": 77}, "operation_unknown"),
        ({"corrects": 77}, "usage_unknown"),
    ],
)
def test_bad_report_is_refused_alone_and_stores_nothing(metering, database, changed, code):
    ada = metering.consumer()
    bad = msgspec.structs.replace(metering.said(ada, 1), **changed)
    good = metering.said(ada, 1)
    refused, recorded = metering.send(bad, good)
    assert isinstance(refused, NotRecorded)
    assert isinstance(recorded, Recorded)
    assert (refused.code, rows(database)) == (code, 1)


@pytest.mark.parametrize(("ahead_s", "code"), [(300, None), (301, "usage_in_future")])
def test_use_more_than_five_minutes_ahead_is_refused(metering, ahead_s, code):
    ada = metering.consumer()
    said = metering.said(ada, 1, at=metering.clock.now_us() + ahead_s * 1_000_000)
    (result,) = metering.send(said)
    assert getattr(result, "code", None) == code


def test_batch_of_more_than_ten_thousand_is_refused(metering):
    said = metering.said("con_nobody")
    with pytest.raises(ValueRefused):
        metering.send(*[said] * (MOST_REPORTS + 1))


def test_archived_product_can_still_be_reported(metering, database):
    run(database, create_product, ADA, code="old", name="Old")
    run(database, archive_product, ADA, "old")
    assert metering.report(metering.consumer(), 1, product="old").quantity == 1


def test_records_are_never_changed(metering, database):
    metering.report(metering.consumer())
    for statement in ("UPDATE usage_record SET quantity = 9", "DELETE FROM usage_record"):
        with pytest.raises(sa.exc.DBAPIError, match="append-only"), database.write() as tx:
            tx.run(sa.text(statement))


# -- decisions -----------------------------------------------------------------------------------


def test_decision_is_the_usage_record(metering):
    ada = metering.consumer()
    metering.decide(ada, metering.bucket(ada, 10), 3)
    assert metering.total(consumer=ada) == (1, 3)
    metering.roll_up()
    assert metering.total(consumer=ada) == (1, 3)


def test_report_that_names_its_decision_counts_nothing_twice(metering, database):
    ada = metering.consumer()
    bucket = metering.bucket(ada, 10)
    number = metering.decide(ada, bucket, 3)
    made = metering.report(ada, 3, operation=number)
    assert (made.kind, made.drawn, made.overage) == ("decided", 0, 0)
    for _ in range(2):
        assert (metering.left(bucket), metering.total(consumer=ada)) == (7, (1, 3))
        metering.roll_up()


def test_decision_of_somebody_else_cannot_be_named(metering):
    ada, bob = metering.consumer(), metering.consumer("Bob")
    number = metering.decide(ada, metering.bucket(ada, 10), 3)
    assert metering.refused(metering.said(bob, 3, operation=number)) == "operation_differs"
    assert metering.refused(metering.said(ada, 4, operation=number)) == "operation_differs"


# -- corrections ---------------------------------------------------------------------------------


def test_correction_gives_back_what_came_last_first(metering):
    ada = metering.consumer()
    bucket = metering.bucket(ada, 10)
    number = metering.report(ada, 14).id
    first = metering.correct(number, 3)
    assert (first.quantity, first.drawn, first.overage, first.remains) == (-3, 0, -3, 11)
    second = metering.correct(number, 3)
    assert (second.quantity, second.drawn, second.overage) == (-3, -2, -1)
    assert metering.left(bucket) == 2
    rest = metering.correct(number)
    assert (rest.quantity, rest.remains, rest.counted) == (-8, 0, -1)
    assert metering.left(bucket) == 10
    for _ in range(2):
        assert metering.total(consumer=ada) == (0, 0)
        metering.roll_up()


def test_no_more_is_taken_back_than_was_used(metering):
    ada = metering.consumer()
    number = metering.report(ada, 5).id
    metering.correct(number, 3)
    said = Report(source="/gateway", event="more", corrects=number, quantity=3)
    assert metering.refused(said) == "reversal_exceeds"
    answers: list[Any] = at_once(
        [
            partial(
                metering.send, Report(source="/gateway", event=f"x{n}", corrects=number, quantity=1)
            )
            for n in range(4)
        ]
    )
    assert not any(isinstance(each, Exception) for each in answers), answers
    done = [one for each in answers for one in each if isinstance(one, Recorded)]
    assert sorted(str(one.record.remains) for one in done) == ["0", "1"]


def test_correction_counts_at_the_time_of_what_it_corrects(metering):
    ada = metering.consumer()
    earlier = metering.clock.now_us() - 3 * DAY_US
    number = metering.report(ada, 5, at=earlier).id
    made = metering.correct(number, 2)
    assert made.at == earlier
    metering.roll_up()
    assert metering.used(consumer=ada) == [(1, 3, 5)]


def test_decision_can_be_corrected(metering):
    ada = metering.consumer()
    bucket = metering.bucket(ada, 10)
    number = metering.decide(ada, bucket, 6, meta='{"region": "eu"}')
    made = metering.correct(number, 2)
    assert (made.consumer, made.product, made.metadata) == (ada, "api", '{"region": "eu"}')
    assert metering.left(bucket) == 6
    for _ in range(2):
        assert metering.total(consumer=ada) == (1, 4)
        metering.roll_up()


def test_only_what_counts_is_corrected(metering):
    ada = metering.consumer()
    number = metering.decide(ada, metering.bucket(ada, 10), 3)
    named = metering.report(ada, 3, operation=number).id
    correction = metering.correct(number, 1).id
    for wrong in (named, correction):
        said = Report(source="/gateway", event=f"w{wrong}", corrects=wrong)
        assert metering.refused(said) == "correction_refused"
    other = Report(source="/gateway", event="o", corrects=number, consumer="con_other")
    assert metering.refused(other) == "correction_refused"


# -- reading -------------------------------------------------------------------------------------


def test_records_are_listed_in_pages_in_the_order_in_which_they_came(metering, database):
    ada, bob = metering.consumer(), metering.consumer("Bob")
    made = [metering.report(who).id for who in (ada, bob, ada, ada)]
    with database.read() as tx:
        page = list_records(tx, consumer=ada, limit=2)
        rest = list_records(tx, consumer=ada, after=int(page.next or 0), limit=2)
        assert [one.id for one in (*page.items, *rest.items)] == [made[0], *made[2:]]
        assert rest.next is None
        assert read_record(tx, made[1]).consumer == bob
        assert read_record(tx, made[1]).reporter == GATEWAY.id
