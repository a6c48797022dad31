"""Random commands against the real ledger on a real database, and against the dumber model.

After every step the answers must be the model's, the tables must be what the model has, every
invariant must hold in the rows themselves, and what was said of the past must not have changed.
Two nodes with memories of their own take turns; transactions are lost and run again.

`FAREBOX_PROPERTY_EXAMPLES=2000` runs so many random stories instead of the few fixed ones.
"""

import contextlib
import copy
import functools
import itertools
import operator
import os
from collections.abc import Sequence
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from farebox.kernel.clock import ManualClock
from farebox.ledger import verify
from farebox.ledger.loading import Memory
from farebox.ledger.model import Look, Outcome, Request, Sink, Source, sink_id
from farebox.ledger.reading import as_of, bucket_view
from farebox.ledger.service import Ledger, request
from farebox.storage import Database
from tests.properties import requests
from tests.properties.model import FOREVER, Answer, Plan, Pot
from tests.properties.model import Lot as ModelLot
from tests.properties.model_commands import Model
from tests.properties.tables import Tables, broken, read_tables, sink_balances
from tests.support.engines import Engine

LONG = int(os.environ.get("FAREBOX_PROPERTY_EXAMPLES", "0"))
PROFILE = settings(
    max_examples=LONG or 60,
    stateful_step_count=60 if LONG else 40,
    derandomize=not LONG,
    deadline=None,
    database=None,
    print_blob=bool(LONG),
    suppress_health_check=list(HealthCheck),
)
HOLD_STATES = {"open": 1, "captured": 2, "released": 3, "expired": 4}


class Lost(Exception):
    """The transaction is rolled back, as after a crash."""


class Node:
    """One process: its own connections, its own memory."""

    def __init__(self, engine: Engine, url: str, clock: ManualClock) -> None:
        self.database: Database = engine.open(url, clock)
        self.memory = Memory()

    def run(self, ledger: Ledger, asked: Sequence[Request], how: str) -> list[tuple[Outcome, ...]]:
        """Run a batch as a lane does, perhaps losing the first try, or in a stranger's own way."""
        if how == "apply":
            return self.database.run(lambda tx: ledger.apply(tx, asked))
        if how == "lost":
            with contextlib.suppress(Lost), self.database.write() as tx:
                ledger.run(tx, asked, self.memory)
                raise Lost
            self.memory.forget()
        with self.database.write() as tx:
            answers, books = ledger.run(tx, asked, self.memory)
            epoch = tx.epoch_after
        self.memory.keep(books, epoch)
        return answers


class LedgerStory(RuleBasedStateMachine):
    """One ledger with five buckets, and the model beside it."""

    def __init__(self, engine: Engine) -> None:
        super().__init__()
        self.engine = engine
        self.url = engine.migrated()
        self.clock = ManualClock()
        self.nodes = [Node(engine, self.url, self.clock) for _ in range(2)]
        self.mint = itertools.count(1 << 40)
        self.ledger = Ledger(mint=lambda: next(self.mint))
        self.model = Model()
        self.asked: list[dict[str, Any]] = []
        self.holds: list[int] = []
        self.operations: list[int] = []
        self.grants: dict[int, int] = {}
        self.counters: dict[int, tuple[int, int]] = {}
        self.past: list[tuple[int, int, int]] = []
        self.steps = 0

    def teardown(self) -> None:
        try:
            self.prove()
        finally:
            for node in self.nodes:
                node.database.close()
            self.engine.drop(self.url)

    @initialize()
    def open(self) -> None:
        with self.nodes[0].database.write() as tx:
            film = self.ledger.open_asset(tx, "film")
            euro = self.ledger.open_asset(tx, "EUR", 2)
            terms = [(film, 0), (film, 6), (film, 0), (film, 0), (euro, 0)]
            self.pots = [
                self.ledger.open_bucket(tx, asset, credit_limit=limit) for asset, limit in terms
            ]
        for pot, (asset, limit) in zip(self.pots, terms, strict=True):
            self.model.pots[pot] = Pot(asset.code)
            if limit:
                credit = ModelLot(pot, 0, 2**31 - 1, limit=limit, age=-1)
                self.model.lots.append(credit)
        first = {"do": "grant", "priority": 0, "purchased": 0, "starts_in": None, "ends_in": None}
        funds = [{**first, "bucket": place, "amount": 12} for place in range(len(self.pots))]
        self.ask([{"commands": [grant], "keyed": False} for grant in funds], 0, "apply")

    # -- asking ----------------------------------------------------------------------------------

    @rule(
        batch=requests.batches,
        node=st.integers(0, 1),
        how=st.sampled_from(["run", "run", "run", "run", "apply", "lost"]),
    )
    def ask(self, batch: list[dict[str, Any]], node: int, how: str) -> None:
        asked = [one for one in map(self.placed, batch) if one is not None]
        real = [one["request"] for one in asked]
        answers = self.nodes[node].run(self.ledger, real, how)
        now = self.clock.now_us()
        for one, found in zip(asked, answers, strict=True):
            expected = self.model.request(one["commands"], one["key"], one["payload"], now)
            for command, outcome, answer in zip(one["commands"], found, expected, strict=True):
                self.compare(command, outcome, answer)
        self.check()

    def placed(self, drawn: dict[str, Any]) -> dict[str, Any] | None:
        """Put ids where places were drawn."""
        if "again" in drawn:
            keyed = [one for one in self.asked if one["key"] is not None]
            if not keyed:
                return None
            first = keyed[-1 - drawn["again"] % len(keyed)]
            caller, key = first["key"]
            if drawn["how"] == "caller":
                caller += "'"
            payload = first["payload"] + (b"!" if drawn["how"] == "other" else b"")
            commands = [{**command, "id": next(self.mint)} for command in first["commands"]]
        else:
            commands = [self.named(command) for command in drawn["commands"]]
            caller, key = "caller", f"key-{len(self.asked)}" if drawn["keyed"] else None
            payload = repr(commands).encode()
        one = {
            "commands": commands, "payload": payload,
            "key": None if key is None else (caller, key),
            "request": request(
                *map(requests.word, commands), caller=caller, key=key, payload=payload,
                operations=tuple(command["id"] for command in commands),
            ),
        }  # fmt: skip
        self.asked.append(one)
        return one

    def named(self, drawn: dict[str, Any]) -> dict[str, Any]:
        command = {**drawn, "id": next(self.mint)}
        do = command["do"]
        if "sources" in command:
            command["sources"] = [
                (*(None if place is None else self.pot(place) for place in source[:2]), *source[2:])
                for source in command["sources"]
            ]
        for name in {"bucket", "target"} & command.keys():
            command[name] = self.pot(command[name])
        if do == "move":
            command["source"] = self.pot(command["source"])
        if do == "grant":
            command = requests.starts_and_ends(command, self.clock.now_us())
        if do in ("capture", "release", "pin"):
            command["hold"] = self.earlier(self.holds, command["hold"])
        if do == "reverse":
            command["operation"] = self.earlier(self.operations, command["operation"])
        if do == "void":
            command["grant"] = self.earlier(list(self.grants), command["grant"])
            command["lot"] = self.grants.get(command["grant"], 7)
        if do == "hold" or command.get("hold_on"):
            self.holds.append(command["id"])
        if do in ("use", "capture"):
            self.operations.append(command["id"])
        return command

    def pot(self, place: int) -> int:
        return self.pots[place] if place < len(self.pots) else 9

    @staticmethod
    def earlier(ids: list[int], place: int) -> int:
        return ids[-1 - place % len(ids)] if ids else 8

    def compare(self, command: dict[str, Any], outcome: Outcome, answer: Answer) -> None:
        found: Answer = {name: getattr(outcome, name, None) for name in answer if name != "is"}
        found["is"] = type(outcome).__name__.lower()
        if command["do"] in ("capture", "pin"):
            found.pop("drawn", None)
        if command["do"] == "grant" and getattr(outcome, "operation", 0) == command["id"]:
            self.grants[command["id"]] = outcome.drawn[0][1]  # type: ignore[union-attr]
        if found.get("drawn") is not None:
            found["drawn"] = [(bucket, amount) for bucket, _, amount in found["drawn"]]
        assert found == answer, f"{command}\nledger: {found}\nmodel:  {answer}"

    # -- what else happens -----------------------------------------------------------------------

    @rule(by=requests.moves)
    def move_clock(self, by: int) -> None:
        if by > 0:
            self.remember_past()
        self.clock.move(by)
        now = self.clock.now_us()
        self.past = [probe for probe in self.past if probe[1] < now]
        self.check()

    @precondition(lambda self: len(self.model.plans) < 3)
    @rule(terms=requests.plans)
    def recur(self, terms: dict[str, Any]) -> None:
        now = self.clock.now_us()
        length = terms["count"] * (60 if terms["unit"] == "minute" else 3600) * requests.SECOND
        anchor = now + terms["anchor_in"] * length // 2
        ends = FOREVER if terms["ends_in"] is None else anchor + terms["ends_in"] * length // 2
        bucket = self.pot(terms["bucket"])
        with self.nodes[0].database.write() as tx:
            number = self.ledger.add_schedule(
                tx, bucket, terms["amount"], unit=terms["unit"], unit_count=terms["count"],
                anchor_at=anchor, priority=terms["priority"], rollover=terms["rollover"],
                ends_at=ends,
            )  # fmt: skip
        self.model.moment([bucket], now)
        self.model.pots[bucket].last = max(self.model.pots[bucket].last, now)
        self.model.plans.append(
            Plan(
                number, bucket, terms["amount"], length, anchor, terms["priority"],
                terms["rollover"], ends,
            )
        )  # fmt: skip
        self.check()

    @rule(rows=st.integers(1, 20))
    def advance_sinks(self, rows: int) -> None:
        verify.advance_sinks(self.nodes[1].database, rows)

    # -- checking --------------------------------------------------------------------------------

    def remember_past(self) -> None:
        """Note what each bucket has now: nothing that happens later may change it."""
        now = self.clock.now_us()
        for pot in self.pots:
            model = copy.deepcopy(self.model)
            instant = max(now, model.pots[pot].last)
            model.moment([pot], now)
            if model.pots[pot].last <= instant:
                self.past.append((pot, instant, max(model.room(pot), 0)))

    def check(self) -> None:
        """Settle what is due, look at all rows, and forget that we settled."""
        self.steps += 1
        model = copy.deepcopy(self.model)
        for pot in self.pots:
            model.moment([pot], self.clock.now_us())
        looks = [request(Look(sources=(Source(pot),), amount=0)) for pot in self.pots]
        database = self.nodes[0].database
        with database.read() as tx:
            before = read_tables(tx)
        assert broken(before) == []
        self.check_growth(before)
        with contextlib.suppress(Lost), database.write() as tx:
            Ledger(mint=itertools.count(1 << 50).__next__).apply(tx, looks)
            tables = read_tables(tx)
            raise Lost
        assert broken(tables) == []
        assert lots_of(tables) == lots_of_model(model)
        assert holds_of(tables) == {
            key: (HOLD_STATES[h.state], h.amount, h.captured, h.ends)
            for key, h in model.promises.items()
        }
        assert sink_balances(tables) == self.sinks_of_model(model)
        frozen = {pot: bool(row["frozen"]) for pot, row in tables.buckets.items()}
        assert frozen == {pot: each.frozen for pot, each in model.pots.items()}
        self.check_reading(model)

    def check_reading(self, model: Model) -> None:
        """I15, I16: the present is what the model has, the past what it was."""
        with self.nodes[1].database.read() as tx:
            pot = self.pots[self.steps % len(self.pots)]
            view = bucket_view(self.ledger, tx, pot)
            assert view.available == max(model.room(pot), 0), view
            for place in range(min(2, len(self.past))):
                pot, instant, available = self.past[(self.steps * 7 + place) % len(self.past)]
                if not any(g[0] == pot and g[1] <= instant < g[2] for g in model.unwritten):
                    assert as_of(self.ledger, tx, pot, instant) == available, (pot, instant)

    def check_growth(self, tables: Tables) -> None:
        """I5: posted counters never decrease."""
        for key, row in (tables.buckets | tables.grants).items():
            posted = (row["debits_posted"], row["credits_posted"])
            least = self.counters.get(key, (0, 0))
            assert all(map(operator.ge, posted, least)), f"{key:x} had {least}, has {posted}"
            self.counters[key] = posted

    def sinks_of_model(self, model: Model) -> dict[int, int]:
        numbers = {"film": 1, "EUR": 2}
        return {
            sink_id(numbers[asset], Sink[name.upper()]): balance
            for (asset, name), balance in model.sinks.items()
            if balance
        }

    def prove(self) -> None:
        """Let the product's own proof agree, and the sinks' snapshots with the journal."""
        database = self.nodes[0].database
        *_, report = verify.verify(database)
        assert report.faults == []
        with database.read() as tx:
            expected = sink_balances(read_tables(tx))
            for asset, sink in itertools.product((1, 2), Sink):
                number = sink_id(asset, sink)
                assert verify.sink_balance(tx, number) == expected.get(number, 0)


def lots_of(tables: Tables) -> list[Any]:
    return sorted(
        (
            row["bucket"], row["priority"], row["class"], row["starts_at"], row["expires_at"],
            -row["floor"], row["schedule"] or 0, row["period"] or 0, row["state"] == 2,
            row["credits_posted"], row["debits_posted"], row["debits_pending"],
        )
        for row in tables.grants.values()
    )  # fmt: skip


def lots_of_model(model: Model) -> list[Any]:
    return sorted(
        (
            lot.bucket, lot.priority, lot.purchased, lot.starts, lot.expires, lot.limit,
            lot.schedule or 0, lot.period or 0, lot.waiting and lot.left() > 0, lot.credited,
            lot.debited, lot.pending,
        )
        for lot in model.lots
    )  # fmt: skip


def holds_of(tables: Tables) -> dict[int, Any]:
    return {
        key: (row["state"], row["amount"], row["captured"], row["expires_at"])
        for key, row in tables.holds.items()
    }


def test_ledger_does_what_the_dumber_model_does(engine: Engine) -> None:
    story: Any = functools.partial(LedgerStory, engine)
    run_state_machine_as_test(story, settings=PROFILE)
