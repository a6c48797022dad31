"""Random fills, payments, returns and lapses against a dumber wallet; the books sum to zero."""

import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from farebox.billing.books import service as books
from farebox.billing.books.model import About, Line
from farebox.billing.copies import store as copies
from farebox.billing.customers.service import ensure_customer
from farebox.billing.wallets import service as wallets
from farebox.billing.wallets.model import GiveBackExceeds, Paid, Short
from farebox.kernel.clock import SECOND_US
from farebox.ledger.model import INCLUDED, PURCHASED
from farebox.ledger.verify import verify
from tests.support.services import now, run

DAY_US = 86_400 * SECOND_US
_NUMBERS = itertools.count(1)
AMOUNT = st.integers(1, 40)
COMMAND = st.one_of(
    st.tuples(st.just("fill"), AMOUNT),
    st.tuples(st.just("bonus"), AMOUNT, st.none() | st.integers(1, 3)),
    st.tuples(st.just("pay"), AMOUNT),
    st.tuples(st.just("give_back"), st.integers(0, 5), AMOUNT),
    st.tuples(st.just("take"), st.sampled_from(["paid", "bonus"]), AMOUNT),
    st.tuples(st.just("wait"), st.integers(1, 3)),
    st.tuples(st.just("again"), st.integers(0, 20)),
)


class Model:
    """A wallet kept the simplest way: a list of what is in it, in the order of its burning."""

    def __init__(self) -> None:
        self.parts: list[list[int]] = []  # [end or a large number, 1 if paid, order, amount]
        self.draws: list[list[tuple[list[int], int]]] = []

    def fill(self, amount: int, *, paid: bool, end: int) -> None:
        self.parts.append([end, int(paid), len(self.parts), amount])

    def sums(self, at: int) -> tuple[int, int]:
        live = [part for part in self.parts if part[0] > at]
        return tuple(sum(each[3] for each in live if each[1] == one) for one in (1, 0))  # type: ignore[return-value]

    def draw(self, amount: int, at: int, only: int | None = None) -> list[tuple[list[int], int]]:
        """Take an amount that is there, and return from which parts."""
        taken = []
        for part in sorted(self.parts, key=lambda each: each[:3]):
            if part[0] <= at or only not in {None, part[1]}:
                continue
            each = min(part[3], amount)
            if each:
                part[3] -= each
                amount -= each
                taken.append((part, each))
        assert amount == 0
        return taken

    def give_back(self, draw: list[tuple[list[int], int]], amount: int) -> None:
        while amount:
            part, taken = draw.pop()
            back = min(taken, amount)
            part[3] += back
            amount -= back
            if taken > back:
                draw.append((part, taken - back))


class Story:
    """A customer of its own, whose wallet does what the commands say."""

    def __init__(self, database, clock):
        self.database, self.clock = database, clock
        self.who = f"con_{next(_NUMBERS)}"
        row = {
            "consumer_id": self.who, "name": "Anna", "state": "active", "owner": None,
            "metadata": "{}",
        }  # fmt: skip
        run(database, lambda tx: tx.run(copies.consumer.insert(), row))
        run(database, ensure_customer, "consumer", self.who)
        self.model = Model()
        self.operations: list[int] = []
        self.done: list[tuple] = []

    def call(self, work, *arguments, **named):
        key = f"{self.who}:{len(self.done)}"
        named = {**named, "about": About(kind="story", customer=self.who), "key": key}
        answer = run(self.database, work, *arguments, **named)
        self.done.append((work, arguments, named, answer))
        return answer

    def do(self, what, *more):
        at = now(self.database)
        paid, bonus = self.model.sums(at)
        if what == "fill":
            self.call(
                wallets.fill, self.who, "RUB", *more, source_account="cash:x", class_=PURCHASED
            )
            self.model.fill(*more, paid=True, end=2**62)
        elif what == "bonus":
            amount, days = more
            end = None if days is None else at + days * DAY_US
            self.call(
                wallets.fill, self.who, "RUB", amount, source_account="bonus", class_=INCLUDED,
                expires_at=end,
            )  # fmt: skip
            self.model.fill(amount, paid=False, end=end or 2**62)
        elif what == "pay":
            self.pay(more[0], paid + bonus, at)
        elif what == "take":
            part, amount = more
            room = paid if part == "paid" else bonus
            answer = self.call(
                wallets.take, self.who, "RUB", amount, part=part, to_account="rounding"
            )
            if amount > room:
                self.done.pop()
                assert answer == Short(available=room, missing=amount - room)
            else:
                assert isinstance(answer, Paid)
                self.model.draw(amount, at, only=int(part == "paid"))
        elif what == "give_back" and self.operations:
            self.give_back(more[0] % len(self.operations), more[1])
        elif what == "wait":
            self.clock.move(more[0] * DAY_US)
        elif what == "again" and self.done:
            work, arguments, named, answer = self.done[more[0] % len(self.done)]
            assert run(self.database, work, *arguments, **named) == answer

    def pay(self, amount, room, at):
        to = (Line("suspense", "revenue", amount),)
        answer = self.call(wallets.pay, self.who, "RUB", amount, to=to)
        if amount > room:
            self.done.pop()
            assert answer == Short(available=room, missing=amount - room)
            return
        drawn = self.model.draw(amount, at)
        bonus = sum(each for part, each in drawn if not part[1])
        assert (answer.paid, answer.bonus) == (amount - bonus, bonus)
        self.operations.append(answer.operation)
        self.model.draws.append(drawn)

    def give_back(self, place, amount):
        draw = self.model.draws[place]
        out_of = (Line("refunds", "suspense", amount),)
        left = sum(each for _, each in draw)
        if amount > left:
            with pytest.raises(GiveBackExceeds):
                self.call(wallets.give_back, self.operations[place], amount, out_of=out_of)
            return
        answer = self.call(wallets.give_back, self.operations[place], amount, out_of=out_of)
        assert answer.paid + answer.bonus == amount
        self.model.give_back(draw, amount)

    def check(self):
        found = run(self.database, wallets.balance_of, self.who, "RUB")
        assert (found.paid, found.bonus) == self.model.sums(now(self.database))
        assert found.available == found.paid + found.bonus


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(commands=st.lists(COMMAND, min_size=5, max_size=25))
def test_whatever_happens_to_a_wallet_the_books_sum_to_zero(billing, clock, commands):
    story = Story(billing, clock)
    for command in commands:
        story.do(*command)
        story.check()
    found = run(billing, books.balances, "RUB")
    assert sum(found.values()) == 0
    assert found.get("suspense", 0) == 0
    [*_, report] = verify(billing)
    assert report.faults == []
