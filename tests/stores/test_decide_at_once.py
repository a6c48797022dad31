"""Deciding without a task answers what deciding with one does, or does nothing at all."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from farebox.access.buckets import service as buckets
from farebox.access.buckets.model import Terms
from farebox.access.catalog.service import create_product
from farebox.access.consumers import service as consumers
from farebox.access.decisions import service_rates
from farebox.access.decisions.model import Rate
from farebox.access.flows.asks import AskRefused
from farebox.access.flows.callers import Callers
from farebox.access.flows.decide import Decider
from farebox.contracts.decisions import DecideRequest, Decision
from farebox.kernel.refusals import Refusal
from farebox.ledger.batch import Lane
from farebox.ledger.service import Ledger
from farebox.platform import service_credentials, service_operators, service_secrets
from farebox.storage import Database
from tests.support.cinema import Cinema
from tests.support.proof import faults
from tests.support.services import ADA, run

PATIENCE_S = 60
TIGHT = Rate(key="", product="films", most=1, seconds=60, burst=2)
Asked = dict[str, Any]
Heard = list[msgspec.Struct | Exception]


class Desk(Cinema):
    """A family's films, callers of every kind, and a process that decides."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.ada, self.bob, self.cleo = self.members
        self.television = self.consumer("Television", owner=self.ada)
        self.suspend(self.cleo)
        with database.write() as tx:
            pepper = service_secrets.ensure_pepper(tx)
        self.lanes = (Lane(database, Ledger()), Lane(database, Ledger(), writes=False))
        self.decider = Decider(database, *self.lanes, Callers(database, pepper))
        self.decider.rates._now = lambda: 0
        self.keys = {
            "edge": self.key("operator", self.operator("edge")),
            "viewer": self.key("operator", self.operator("viewer")),
            **{
                name: self.key("consumer", consumer)
                for name, consumer in (
                    ("ada", self.ada),
                    ("bob", self.bob),
                    ("cleo", self.cleo),
                    ("television", self.television),
                )
            },
        }
        self.keys["ada, of books"] = self.key("consumer", self.ada, scopes=["books"])
        self.keys["nobody"] = "fb_live_nobody"

    def operator(self, role: str) -> str:
        made = run(self.database, service_operators.create_operator, ADA, name=role, roles=(role,))
        return str(made.id)

    def key(self, kind: str, subject: str, **named: Any) -> str:
        made = run(
            self.database, service_credentials.create_credential, ADA, kind=kind, subject=subject,
            **named,
        )  # fmt: skip
        return str(made.key)

    def limit(self) -> None:
        """Let Ada decide twice at once, and then once a minute."""
        run(
            self.database, service_rates.set_rates, ADA, self.ada, [TIGHT], guarded_by=self.ada
        )  # fmt: skip

    def revoke(self, name: str) -> None:
        key = self.keys[name]
        digest = self.decider.callers.known(key)
        assert digest is not None
        assert digest.key_id is not None
        run(self.database, service_credentials.revoke_credential, ADA, digest.key_id)

    def ask_of(self, asked: Asked) -> DecideRequest:
        named = {"mode": "consume", "product": "films", **asked}
        for name in ("consumer", "credential"):
            if name in named:
                named[name] = getattr(self, named[name], None) or self.keys.get(
                    named[name], named[name]
                )
        if "credential" in asked:
            named["credential"] = self.keys[asked["credential"]]
        return DecideRequest(**named)

    def decide(self, by: str, asked: Asked, key: str | None = None) -> Decision | Exception:
        """Decide with a task, and so learn what must be in memory."""
        try:
            return asyncio.run(self.decider.decide(self.keys[by], self.ask_of(asked), key))
        except Refusal as refused:
            return refused

    def at_once(self, by: str, asked: Asked, key: str | None = None) -> Heard | None:
        """Decide at once; returns what was told, None where nothing could be done."""

        async def work() -> Heard | None:
            heard: Heard = []
            done = asyncio.Event()

            def tell(said: msgspec.Struct | Exception) -> None:
                heard.append(said)
                done.set()

            if not self.decider.decide_at_once(self.keys[by], self.ask_of(asked), key, tell):
                return None
            await asyncio.wait_for(done.wait(), PATIENCE_S)
            # Whoever told twice would have done so by the end of another turn of both lanes.
            for mode in ("check", "consume"):
                await self.decider.decide(self.keys["bob"], self.ask_of({"mode": mode}), mode)
            return heard

        return asyncio.run(work())

    def kinds(self) -> tuple[int, int, int]:
        return self.decider.allowed, self.decider.denied, self.decider.stale


@pytest.fixture
def desk(database: Database) -> Iterator[Desk]:
    made = Desk(database)
    yield made
    for lane in made.lanes:
        lane.close()


def seen(answer: Any) -> Any:
    """Return an answer without what each has of its own."""
    if isinstance(answer, Refusal):
        return type(answer), answer.code, answer.detail
    assert isinstance(answer, Decision)
    return msgspec.structs.replace(
        answer,
        operation=answer.operation and "op",
        hold=answer.hold and "hold",
        remaining=None,
        # The clock moves by a little with each operation.
        expires_at=answer.expires_at and answer.expires_at.replace(microsecond=0),
    )


ASKS: dict[str, tuple[str, Asked]] = {
    "consumed": ("edge", {"consumer": "ada"}),
    "consumed by the consumer's key": ("ada", {}),
    "consumed by who names itself": ("ada", {"consumer": "ada"}),
    "checked": ("edge", {"consumer": "ada", "mode": "check"}),
    "reserved": ("edge", {"consumer": "ada", "mode": "reserve", "quantity": 2}),
    "reserved for ever": ("ada", {"mode": "reserve", "ttl_seconds": None}),
    "consumed with the consumer's credential": ("edge", {"credential": "ada"}),
    "consumed with a device's credential": ("edge", {"credential": "television"}),
    "consumed by a device": ("television", {}),
    "too many": ("edge", {"consumer": "ada", "quantity": 1000}),
    "too many to reserve": ("ada", {"mode": "reserve", "quantity": 1000}),
    "too many to check": ("ada", {"mode": "check", "quantity": 1000}),
    "nothing to draw on": ("ada", {"product": "books"}),
    "a feature of no plan": ("ada", {"mode": "check", "product": None, "feature": "hd"}),
    "suspended": ("edge", {"consumer": "cleo"}),
    "suspended, by the own key": ("cleo", {}),
    "a key that is not good for it": ("ada, of books", {}),
    "another group": ("ada", {"group": "grp_none"}),
}


@pytest.mark.parametrize("mode", ["without a key", "under a key"])
@pytest.mark.parametrize("what", ASKS)
def test_at_once_is_answered_as_with_a_task(desk: Desk, what: str, mode: str) -> None:
    by, asked = ASKS[what]
    keys = ("one", "two") if mode == "under a key" else (None, None)
    expected = desk.decide(by, asked, keys[0])
    before = desk.left()
    heard = desk.at_once(by, asked, keys[1])
    assert heard is not None
    assert [seen(each) for each in heard] == [seen(expected)]
    # One more film each time that both lanes were waited for, but under one key.
    drawn = expected.quantity if isinstance(expected, Decision) and expected.operation else 0
    assert before - desk.left() == (drawn or 0) + 1
    assert faults(desk.database) == []


@pytest.mark.parametrize(
    ("by", "asked"),
    [
        ("nobody", {}),
        ("viewer", {"consumer": "ada"}),
        ("edge", {"consumer": "con_nobody"}),
        ("edge", {"credential": "nobody"}),
        ("edge", {"credential": "edge"}),
        ("edge", {}),
        ("edge", {"consumer": "ada", "credential": "ada"}),
        ("ada", {"consumer": "bob"}),
        ("ada", {"credential": "bob"}),
        ("ada", {"credential": "ada"}),
    ],
)
def test_what_can_only_be_refused_or_must_be_looked_up_is_left_to_the_task(
    desk: Desk, by: str, asked: Asked
) -> None:
    first = desk.decide(by, asked)
    counted = desk.kinds()
    assert desk.at_once(by, asked) is None
    assert desk.kinds() == counted
    assert desk.left() == 20
    assert seen(desk.decide(by, asked)) == seen(first)
    refused = isinstance(first, Refusal) or not first.allowed  # type: ignore[union-attr]
    assert refused


NEEDED: dict[str, tuple[str, Asked, Callable[[Desk], object]]] = {
    "the caller": ("ada", {}, lambda desk: desk.decider.callers.forget(desk.keys["ada"])),
    "the operator": (
        "edge",
        {"consumer": "ada"},
        lambda desk: desk.decider.callers.forget(desk.keys["edge"]),
    ),
    "the credential": (
        "edge",
        {"credential": "ada"},
        lambda desk: desk.decider.callers.forget(desk.keys["ada"]),
    ),
    "the consumer": ("ada", {}, lambda desk: desk.decider._subjects.clear()),
}


@pytest.mark.parametrize("what", NEEDED)
def test_nothing_is_done_where_something_must_be_read_first(desk: Desk, what: str) -> None:
    by, asked, forget = NEEDED[what]
    desk.limit()
    assert desk.at_once(by, asked) is None
    assert desk.decide(by, {**asked, "mode": "check"}).allowed  # type: ignore[union-attr]
    forget(desk)
    before = desk.kinds()
    for _ in range(3):
        assert desk.at_once(by, asked) is None
    assert desk.kinds() == before
    assert desk.left() == 20
    codes = [desk.decide(by, asked).code for _ in range(3)]  # type: ignore[union-attr]
    assert codes == ["allowed", "allowed", "rate_limited"], "what was not done was not counted"


def test_what_asks_for_nothing_is_refused_before_anything(desk: Desk) -> None:
    with pytest.raises(AskRefused):
        desk.at_once("ada", {"product": None, "mode": "check"})
    with pytest.raises(AskRefused):
        desk.at_once("ada", {"product": None, "feature": "hd"})


def test_a_key_used_again_gives_the_first_outcome_and_with_another_payload_none(
    desk: Desk,
) -> None:
    first = desk.decide("ada", {}, "key")
    assert desk.at_once("ada", {}, "key") == [first]
    (other,) = desk.at_once("ada", {"quantity": 2}, "key") or []
    assert isinstance(other, Refusal)
    assert other.code == "idempotency_key_reused"
    assert seen(other) == seen(desk.decide("ada", {"quantity": 2}, "key"))
    assert desk.left() == 18
    desk.suspend(desk.ada)
    assert desk.at_once("ada", {}, "key") == [first]
    (denied,) = desk.at_once("ada", {}, "another") or []
    assert isinstance(denied, Decision)
    assert denied.code == "consumer_suspended"


CHANGES: dict[str, tuple[str, Asked, Callable[[Desk], object], str]] = {
    "the consumer suspended": (
        "edge",
        {"consumer": "ada"},
        lambda desk: desk.suspend(desk.ada),
        "consumer_suspended",
    ),
    "a device's owner suspended": (
        "edge",
        {"credential": "television"},
        lambda desk: desk.suspend(desk.ada),
        "consumer_suspended",
    ),
    "the key revoked": ("ada", {}, lambda desk: desk.revoke("ada"), "credential_invalid"),
    "the credential revoked": (
        "edge",
        {"credential": "ada"},
        lambda desk: desk.revoke("ada"),
        "account_unknown",
    ),
    "taken out of the group": ("ada", {}, lambda desk: desk.remove(desk.ada), "no_bucket"),
    "made poorer": ("ada", {}, lambda desk: desk.cap(desk.ada, 0), "member_cap_reached"),
    "made richer": (
        "ada",
        {"product": "books"},
        lambda desk: run(
            desk.database, buckets.create_bucket, ADA, product="books", holder_kind="consumer",
            holder=desk.ada, grant=Terms(amount=1),
        ),
        "allowed",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", CHANGES)
def test_what_has_become_old_is_loaded_anew_and_told_once(desk: Desk, what: str) -> None:
    by, asked, change, code = CHANGES[what]
    run(desk.database, create_product, ADA, code="books", name="Books", unit="book")
    desk.decide(by, {**asked, "mode": "check"})
    desk.decide("bob", {"mode": "check"})
    change(desk)
    stale, left = desk.decider.stale, desk.left()
    heard = desk.at_once(by, asked)
    assert heard is not None
    assert [each.code for each in heard] == [code]  # type: ignore[union-attr]
    assert desk.decider.stale > stale
    assert desk.left() == left - 1, "nothing but the film of who was waited for"


@pytest.mark.parametrize("how", ["decide", "at_once"])
def test_a_revoked_credential_is_dead_though_its_consumer_has_been_loaded_anew_since(
    desk: Desk, how: str
) -> None:
    asked = {"credential": "ada", "mode": "check"}
    assert desk.decide("edge", asked).allowed  # type: ignore[union-attr]
    desk.revoke("ada")
    assert desk.decide("edge", {"consumer": "ada"}).allowed  # type: ignore[union-attr]
    answer: Any
    if how == "decide":
        answer = desk.decide("edge", {"credential": "ada"})
    else:
        (answer,) = desk.at_once("edge", {"credential": "ada"}) or []
    assert answer.code == "account_unknown"


def test_a_rate_limit_counts_a_call_once_also_when_its_state_is_old(desk: Desk) -> None:
    desk.limit()
    desk.decide("edge", {"consumer": "ada", "mode": "check"})
    run(desk.database, consumers.create_key, ADA, desk.ada)
    desk.cap(desk.ada, 50)
    codes = []
    for _ in range(3):
        (answer,) = desk.at_once("edge", {"consumer": "ada"}) or []
        assert isinstance(answer, Decision)
        codes.append(answer.code)
    assert codes == ["allowed", "allowed", "rate_limited"]
    assert desk.decider.stale > 0


def test_a_limited_call_under_a_known_key_is_answered_with_its_first_outcome(desk: Desk) -> None:
    desk.limit()
    first = desk.decide("edge", {"consumer": "ada"}, "key")
    desk.decide("edge", {"consumer": "ada"})
    assert desk.at_once("edge", {"consumer": "ada"}, "key") == [first]
    assert desk.left() == 17


def test_a_closed_lane_is_told_and_not_lost(desk: Desk) -> None:
    desk.decide("edge", {"consumer": "ada"})
    desk.lanes[0].close()

    async def work() -> None:
        desk.decider.decide_at_once(
            desk.keys["edge"], desk.ask_of({"consumer": "ada"}), None, lambda _: None
        )

    with pytest.raises(Refusal):
        asyncio.run(work())
