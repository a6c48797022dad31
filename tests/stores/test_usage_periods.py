"""Periods and aggregations: closed once, told once."""

from typing import Any

import pytest

from farebox.access.flows.aggregate_usage import snapshot_usage
from farebox.access.usage import service_periods
from farebox.access.usage.service_aggregations import declare_aggregation
from farebox.events import service as events
from farebox.kernel.clock import parse_time
from farebox.ledger.model import Hold, Source
from farebox.ledger.service import Ledger, request
from tests.support.metering import DAY_US, HOUR_US, close, told
from tests.support.services import ADA, at_once, run

GRACE_US = HOUR_US


def sums(data: dict[str, Any]) -> list[tuple]:
    return [(one["productCode"], one["count"], one["sum"]) for one in data["totals"]]


# -- periods -------------------------------------------------------------------------------------


def test_period_is_told_once_when_its_end_and_grace_have_passed(metering):
    ada = metering.consumer()
    bucket = metering.bucket(ada, 10)
    metering.report(ada, 4)
    metering.decide(ada, bucket, 3)
    metering.at("2026-12-01T00:59:59Z")
    assert close(metering) == 0
    metering.at("2026-12-01T01:00:00Z")
    assert close(metering) == 1
    assert close(metering) == 0
    (data,) = told(metering)
    assert (data["consumerId"], data["period"], data["interim"]) == (ada, "2026-11", False)
    assert sums(data) == [("api", 2, 7)]
    assert data["totals"][0]["maximum"] == 4
    assert metering.events("usage.aggregated")[0].subject == f"{ada}:2026-11"


@pytest.mark.parametrize(
    ("reported_at", "period", "late"),
    [
        ("2026-11-30T23:59:00Z", "2026-11-01T00:00:00Z", False),
        ("2026-12-01T00:59:59Z", "2026-11-01T00:00:00Z", False),
        ("2026-12-01T01:00:00Z", "2026-12-01T00:00:00Z", True),
        ("2027-02-10T00:00:00Z", "2027-02-01T00:00:00Z", True),
    ],
)
def test_late_use_counts_in_its_period_until_that_is_closed(metering, reported_at, period, late):
    ada = metering.consumer()
    used_at = parse_time("2026-11-30T23:50:00Z")
    metering.at(reported_at)
    made = metering.report(ada, 5, at=used_at)
    assert (made.period, made.late) == (parse_time(period), late)


def test_late_use_is_told_in_the_next_period_as_late(metering):
    ada = metering.consumer()
    metering.report(ada, 1)
    metering.at("2026-12-02T00:00:00Z")
    assert close(metering) == 1
    metering.report(ada, 2, at=parse_time("2026-11-21T00:00:00Z"))
    metering.report(ada, 4)
    metering.at("2027-01-02T00:00:00Z")
    assert close(metering) == 1
    first, second = told(metering)
    assert sums(first) == [("api", 1, 1)]
    assert sums(second) == [("api", 2, 6)]
    assert second["totals"][0]["late"] == {"count": 1, "sum": 2}
    found = metering.used(consumer=ada, since=parse_time("2026-11-01T00:00:00Z"), bucketing="month")
    assert found == [(2, 3, 2), (1, 4, 4)], "by time it stays where it was used"


def test_correction_of_a_closed_period_counts_in_the_next(metering):
    ada = metering.consumer()
    number = metering.report(ada, 10).id
    metering.at("2026-12-02T00:00:00Z")
    close(metering)
    made = metering.correct(number, 4)
    assert made.late
    metering.at("2027-01-02T00:00:00Z")
    close(metering)
    assert [sums(one) for one in told(metering)] == [[("api", 1, 10)], [("api", 0, -4)]]


def test_closing_twice_at_once_tells_once(metering, database):
    people = [metering.consumer(str(n)) for n in range(5)]
    for one in people:
        metering.report(one)
    metering.at("2026-12-02T00:00:00Z")
    answers = at_once([lambda: close(metering)] * 3)
    assert sum(answers) == 5  # type: ignore[arg-type] # none was raised
    assert sorted(one["consumerId"] for one in told(metering)) == sorted(people)


def test_closer_killed_before_its_commit_has_told_nothing(metering, database, monkeypatch):
    metering.report(metering.consumer())
    metering.at("2026-12-02T00:00:00Z")
    publish = events.publish

    def dies(*arguments: Any, **named: Any) -> None:
        publish(*arguments, **named)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(service_periods, "publish", dies)
        with pytest.raises(KeyboardInterrupt):
            close(metering)
    assert told(metering) == []
    assert close(metering) == 1
    assert len(told(metering)) == 1


def test_capture_written_long_after_its_hold_ended_is_not_lost(metering, database):
    """The hold's end is its instant, which lies in a period that was told already."""
    ada = metering.consumer()
    bucket = metering.bucket(ada, 10)
    metering.report(ada, 1)
    hold = Hold(
        sources=(Source(bucket),), amount=6, ttl_us=DAY_US, on_expiry="capture", actor=ada,
        product="api",
    )  # fmt: skip
    database.run(lambda tx: Ledger().apply(tx, [request(hold)]))
    metering.at("2026-12-02T00:00:00Z")
    assert close(metering) == 1
    metering.decide(ada, bucket, 1)
    metering.at("2027-01-02T00:00:00Z")
    assert close(metering) == 1
    counted = [quantity for one in told(metering) for _, _, quantity in sums(one)]
    assert sum(counted) == 1 + 1 + 6


def test_interim_snapshot_is_marked_and_holds_what_was_used_so_far(metering, database):
    ada = metering.consumer()
    metering.report(ada, 4)
    metering.roll_up()
    metering.report(ada, 3)
    event = snapshot_usage(database, ada)
    assert event.data["interim"] is True
    assert sums(event.data) == [("api", 2, 7)]
    metering.at("2026-12-02T00:00:00Z")
    close(metering)
    assert [one["interim"] for one in told(metering)] == [True, False]


def test_device_is_told_with_its_owner(metering):
    ada = metering.consumer()
    device = metering.consumer("phone", owner=ada)
    metering.report(device, 2)
    metering.at("2026-12-02T00:00:00Z")
    close(metering)
    (data,) = told(metering)
    assert (data["consumerId"], data["ownerId"]) == (device, ada)


# -- aggregations --------------------------------------------------------------------------------


def test_declared_aggregations_are_told_by_part_and_follow_corrections(metering, database):
    for name, kind, dimension in (
        ("peak", "maximum", None), ("users", "unique", "user"), ("calls", "count", None),
        ("bytes", "sum", None),
    ):  # fmt: skip
        run(
            database, declare_aggregation, ADA, product="api", name=name, kind=kind,
            dimension=dimension, split_by="region",
        )  # fmt: skip
    ada = metering.consumer()
    bucket = metering.bucket(ada, 100)
    metering.report(ada, 5, metadata='{"region":"eu","user":"a"}')
    wrong = metering.report(ada, 50, metadata='{"region":"eu","user":"b"}').id
    metering.report(ada, 2, metadata='{"region":"us","user":"a"}')
    metering.decide(ada, bucket, 3, meta='{"region":"us","user":"c"}')
    metering.report(ada, 1)
    metering.correct(wrong, 20)
    metering.roll_up()
    metering.correct(wrong)
    metering.at("2026-12-02T00:00:00Z")
    close(metering)
    (data,) = told(metering)
    found = {
        one["name"]: {part["part"]: part["value"] for part in one["parts"]}
        for one in data["totals"][0]["aggregations"]
    }
    assert found == {
        "peak": {"": 1, "eu": 5, "us": 3},
        "users": {"eu": 1, "us": 2},
        "calls": {"": 1, "eu": 1, "us": 2},
        "bytes": {"": 1, "eu": 5, "us": 5},
    }
    assert sums(data) == [("api", 4, 11)]
