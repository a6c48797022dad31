"""Random reports, repeats, decisions, corrections and steps of the worker against a dumb model.

The model is a dictionary: what was said under which key, what a bucket has left, and how much
each record still counts. Whatever order things come in, and wherever the worker stands, sums by
consumer and period, balances and answers are the model's.
"""

import random
from functools import partial
from typing import Any

import msgspec
import pytest

from farebox.access.flows.aggregate_usage import close_due_periods, roll_up
from farebox.access.flows.record_usage import record_usage
from farebox.access.usage.model import NotRecorded, Recorded, Report
from farebox.ledger.verify import verify
from tests.support.metering import GATEWAY, HOUR_US, Metering
from tests.support.services import at_once

GRACE_US = HOUR_US
MANY = 20_000


class Model:
    """What must be true, kept the simplest way."""

    def __init__(self) -> None:
        self.said: dict[str, Report] = {}
        self.kept: dict[str, int] = {}  # what a record or decision still counts
        self.whose: dict[str, str] = {}
        self.left: dict[str, int] = {}

    def count(self, key: str, consumer: str, quantity: int) -> None:
        self.kept[key] = quantity
        self.whose[key] = consumer
        self.left[consumer] -= min(quantity, self.left[consumer])

    def sums(self, consumer: str) -> tuple[int, int]:
        mine = [kept for key, kept in self.kept.items() if self.whose[key] == consumer and kept]
        return len(mine), sum(mine)


@pytest.mark.parametrize("seed", range(6))
def test_whatever_comes_the_sums_are_the_models(database, clock, seed):
    chance = random.Random(seed)
    metering, model = Metering(database, clock), Model()
    metering.at("2026-11-29T20:00:00Z")
    people = [metering.consumer(str(n)) for n in range(3)]
    buckets = {}
    for one in people:
        model.left[one] = chance.randrange(5, 60)
        buckets[one] = metering.bucket(one, model.left[one])
    numbers: dict[str, int] = {}
    for step in range(60):
        who = chance.choice(people)
        match chance.choice(["batch", "batch", "decide", "correct", "roll", "wait", "close"]):
            case "batch":
                _batch(metering, model, chance, people, numbers, step)
            case "decide" if model.left[who]:
                quantity = chance.randint(1, model.left[who])
                numbers[f"d{step}"] = metering.decide(who, buckets[who], quantity)
                model.count(f"d{step}", who, quantity)
            case "correct" if any(model.kept.values()):
                key = chance.choice([key for key, kept in model.kept.items() if kept])
                quantity = chance.randint(1, model.kept[key])
                made = metering.correct(numbers[key], quantity)
                model.kept[key] -= quantity
                assert made.remains == model.kept[key]
                model.left[model.whose[key]] -= made.drawn
            case "roll":
                roll_up(database, rows=chance.randint(1, 7))
            case "wait":
                clock.move(chance.randrange(HOUR_US))
            case "close":
                close_due_periods(database)
        who = chance.choice(people)
        assert metering.total(consumer=who) == model.sums(who)
        assert metering.left(buckets[who]) == model.left[who]
    metering.at("2027-03-02T00:00:00Z")
    while close_due_periods(database):
        pass
    _compare_told(metering, model, people)
    *_, report = verify(database)
    assert report.faults == []


def _batch(  # noqa: PLR0917 - the hands of one game
    metering: Metering, model: Model, chance: random.Random, people: list[str],
    numbers: dict[str, int], step: int,
) -> None:  # fmt: skip
    """Send new reports, repeats and impostors, shuffled."""
    fresh = [
        metering.said(
            chance.choice(people), chance.randint(1, 9), event=f"{step}-{n}",
            at=metering.clock.now_us() - chance.randrange(6 * HOUR_US),
        )
        for n in range(chance.randrange(6))
    ]  # fmt: skip
    known = list(model.said.values())
    again = chance.sample(known, min(len(known), 3))
    other = [
        msgspec.structs.replace(one, quantity=(one.quantity or 0) + 1)
        for one in chance.sample(known, min(len(known), 2))
    ]
    batch = [*fresh, *again, *other, *fresh[:2]]
    chance.shuffle(batch)
    results = record_usage(metering.database, GATEWAY, batch)
    for one, result in zip(batch, results, strict=True):
        first = model.said.setdefault(one.event, one)
        if first != one:
            assert isinstance(result, NotRecorded)
            continue
        assert isinstance(result, Recorded)
        assert result.repeated == (one.event in numbers)
        if not result.repeated:
            drawn = min(one.quantity or 0, model.left[str(one.consumer)])
            assert (result.record.drawn, result.record.quantity) == (drawn, one.quantity)
            model.count(one.event, str(one.consumer), one.quantity or 0)
        numbers[one.event] = result.record.id


def _compare_told(metering: Metering, model: Model, people: list[str]) -> None:
    told: dict[str, list[int]] = {one: [0, 0] for one in people}
    seen: set[str] = set()
    for event in metering.events("usage.aggregated"):
        assert event.subject not in seen, "once per consumer and period"
        seen.add(event.subject)
        for one in event.data["totals"]:
            told[event.data["consumerId"]][0] += one["count"]
            told[event.data["consumerId"]][1] += one["sum"]
    assert {one: tuple(sums) for one, sums in told.items()} == {
        one: model.sums(one) for one in people
    }


def test_many_reports_at_once_with_repeats_and_out_of_order_lose_and_double_nothing(
    database, clock
):
    metering = Metering(database, clock)
    metering.at("2026-11-20T09:00:00Z")
    people = [metering.consumer(str(n)) for n in range(50)]
    reports = [
        metering.said(people[n % 50], 1 + n % 7, event=f"e{n}", at=clock.now_us() - n * 1_000)
        for n in range(MANY)
    ]
    chance = random.Random(7)
    shuffled = [*reports, *chance.sample(reports, MANY // 5)]
    chance.shuffle(shuffled)
    halves = shuffled[::2], shuffled[1::2]

    def send(mine: list[Report]) -> None:
        for start in range(0, len(mine), 4_000):
            record_usage(database, GATEWAY, mine[start : start + 4_000])
            roll_up(database)

    answers: list[Any] = at_once([partial(send, half) for half in halves])
    assert answers == [None, None]
    expected = (MANY, sum(one.quantity or 0 for one in reports))
    assert metering.total(product="api") == expected
    metering.roll_up()
    assert metering.total(product="api") == expected
