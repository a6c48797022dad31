"""Who is told of a limit, and how quotas stand after a report: once each, by what is left."""

import pytest

from farebox.access.buckets import service as buckets
from farebox.access.buckets.model import Terms
from farebox.access.catalog.model import Quota
from farebox.access.flows.record_usage import record_usage
from farebox.access.usage.model import NotRecorded, Report
from farebox.access.usage.service_notices import set_low_mark
from tests.support.metering import GATEWAY, Metering, close, told
from tests.support.services import ADA, run


def test_quota_is_told_at_80_and_at_100_percent_once_a_period(people, database, clock):
    metering = Metering(database, clock)
    ada = people.ada
    people.plan("pro", Quota(product="films", limit=10, unit="month"))
    people.active("pro")

    def used(quantity: int) -> list[tuple]:
        for _ in range(quantity):
            assert people.use(1)
        for _ in range(2):
            metering.roll_up()
        found = metering.events("quota.threshold", "quota.exceeded")
        return [(one.type, one.data["percent"], one.data["used"]) for one in found]

    assert used(7) == []
    assert used(1) == [("quota.threshold", 80, 8)]
    assert used(1) == [("quota.threshold", 80, 8)]
    both = [("quota.threshold", 80, 8), ("quota.exceeded", 100, 10)]
    assert used(1) == both
    people.at("2026-12-21T00:00:00Z")
    again = used(10)
    assert [kind for kind, _, _ in again[2:]] == ["quota.threshold", "quota.exceeded"]
    assert metering.events("quota.exceeded")[0].data["consumerId"] == ada


def test_bucket_is_told_low_once_until_it_is_filled_again(metering, database):
    ada = metering.consumer()
    bucket = metering.bucket(ada, 10)
    run(database, set_low_mark, ADA, bucket, 3)

    def after(quantity: int) -> int:
        if quantity:
            metering.report(ada, quantity)
        metering.roll_up()
        return len(metering.events("bucket.low"))

    assert [after(6), after(1), after(1)] == [0, 1, 1]
    run(database, buckets.top_up, ADA, bucket, Terms(amount=10))
    assert [after(0), after(8), after(2)] == [1, 1, 2]
    data = metering.events("bucket.low")[0].data
    assert (data["consumerId"], data["level"], data["available"]) == (ada, 3, 3)


@pytest.mark.parametrize(
    ("moves", "low"),
    [
        ([8], True),
        ([3, 5], True),
        ([5, 3, -10], False),
        ([8, -10, 9], True),
        ([-10, 8], False),
    ],
)
def test_what_is_left_is_what_the_last_row_of_a_stretch_says_whatever_its_kind(
    metering, database, moves, low
):
    ada = metering.consumer()
    bucket = metering.bucket(ada, 10)
    other = metering.bucket(ada, 10)
    run(database, set_low_mark, ADA, bucket, 3)
    metering.roll_up()
    for amount in moves:
        if amount > 0:
            metering.decide(ada, bucket, amount)
            metering.decide(ada, other)
        else:
            run(database, buckets.top_up, ADA, bucket, Terms(amount=-amount))
    metering.roll_up()
    told_of = [one.data["available"] for one in metering.events("bucket.low")]
    assert told_of == ([10 - sum(moves)] if low else [])


def test_period_of_a_subscriber_is_that_of_the_subscription(people, database, clock):
    metering = Metering(database, clock)
    people.plan("pro", Quota(product="films", limit=10, unit="month"))
    people.active("pro")
    metering.report(people.ada, 2)
    people.at("2026-12-19T23:00:00Z")
    assert close(metering) == 0
    people.at("2026-12-20T10:00:00Z")
    assert close(metering) == 1
    (data,) = told(metering)
    assert (data["from"], data["to"]) == (
        "2026-11-20T09:00:00.000000Z", "2026-12-20T09:00:00.000000Z",
    )  # fmt: skip


def test_report_answers_how_the_quota_stands(people, database, clock):
    people.plan("pro", Quota(product="films", limit=10, unit="month"))
    people.active("pro")
    seen = []
    for n in range(3):
        said = Report(source="/g", event=f"e{n}", consumer=people.ada, product="films", quantity=4)
        (result,) = record_usage(database, GATEWAY, [said], with_quota=True)
        assert not isinstance(result, NotRecorded)
        quota = result.record.quota
        assert quota is not None
        seen.append((quota.limit, quota.used, quota.remaining, quota.overage))
    assert seen == [(10, 4, 6, 0), (10, 8, 2, 0), (10, 10, 0, 2)]
