"""The dumber model's commands; a group that fails is undone by putting a deep copy back.

Commands and answers are dictionaries. Buckets, holds and grants are named by the ids that the test
gave; a grant that the ledger makes by itself is known by its terms only.
"""

import copy
from typing import Any

from tests.properties.answers import denied, refused, runs
from tests.properties.model import FOREVER, MOST, Answer, Belongings, Lot, Promise, Taken


class Model(Belongings):
    """The ledger, naive."""

    # -- requests --------------------------------------------------------------------------------

    def request(self, commands: list[Answer], key: Any, payload: Any, now: int) -> list[Answer]:
        """Answer one request of linked commands."""
        if key is not None and key in self.keys:
            known, first = self.keys[key]
            if known != payload:
                return [refused("idempotency_key_reused")] * len(commands)
            return first
        before = copy.deepcopy(self.__dict__) if len(commands) > 1 else None
        answers: list[Answer] = []
        for command in commands:
            answers.append(self.step(command, now))
            if answers[-1]["is"] != "applied" and before is not None:
                self.__dict__ = before
                failed = {**answers[-1], "code": "linked_failed", "bucket": None}
                place = len(answers) - 1
                answers = [failed] * place + [answers[-1]] + [failed] * (len(commands) - place - 1)
                break
        if key is not None and answers[-1]["is"] != "refused":
            self.keys[key] = (payload, answers)
        return answers

    def step(self, command: Answer, now: int) -> Answer:
        amount = command.get("amount")
        least = 0 if command["do"] in ("capture", "look") else 1
        if amount is not None and (type(amount) is not int or not least <= amount <= MOST):
            return refused("value_invalid")
        answer: Answer = getattr(self, command["do"])(command, now)
        return answer

    # -- drawing ---------------------------------------------------------------------------------

    def sources(self, command: Answer, now: int) -> Any:
        """Return the instant, what each source gives by itself, and why one gives less."""
        pots = [pot for source in command["sources"] for pot in source[:2] if pot is not None]
        if any(pot not in self.pots for pot in pots):
            return refused("bucket_unknown")
        if not pots:
            return denied("no_bucket", 0, None)
        at = self.moment(pots, now)
        if len({self.pots[pot].asset for pot in pots}) > 1:
            return refused("asset_differs")
        first = command["sources"][0][0]
        if all(self.stopped(source) for source in command["sources"]):
            return denied("bucket_frozen", 0, first)
        return at

    def stopped(self, source: Any) -> bool:
        return any(pot is not None and self.pots[pot].frozen for pot in source[:2])

    def give(self, source: Any, spoken: list[int]) -> tuple[int, str | None]:
        """Return what a source gives beside the units already spoken for, and its complaint."""
        if self.stopped(source):
            return 0, "bucket_frozen"
        pot, cap = source[:2]
        room = max(self.room(pot) - spoken.count(pot), 0)
        if cap is None:
            return room, None
        allowed = max(self.room(cap) - spoken.count(cap), 0)
        return min(room, allowed), "member_cap_reached" if allowed < room else None

    def plan_use(self, command: Answer) -> tuple[list[int], str | None]:
        spoken: list[int] = []
        gives, complaint = [], None
        for source in command["sources"]:
            amount, why = self.give(source, spoken)
            complaint = complaint or why
            gives.append(amount)
            spoken += [pot for pot in source[:2] if pot is not None] * min(amount, 5000)
        return gives, complaint

    def shown(self, source: Any, amount: int) -> int:
        """Return what of an amount is called available: nothing of a spare source's."""
        return 0 if source[2:] else amount

    def use(self, command: Answer, now: int) -> Answer:
        at = self.sources(command, now)
        if isinstance(at, dict):
            return at
        gives, complaint = self.plan_use(command)
        wanted = amount = command["amount"]
        first = command["sources"][0][0]
        available = sum(map(self.shown, command["sources"], gives))
        if amount > sum(gives):
            if not command["at_most"]:
                return denied(complaint or "bucket_empty", available, first)
            amount = sum(gives)
        blocks: list[tuple[list[Lot], list[Lot]]] = []
        left = amount
        for source, most in zip(command["sources"], gives, strict=True):
            part = min(most, left)
            left -= part
            available -= self.shown(source, part)
            mains = self.draw(source[0], part, at, "usage")
            blocks.append((mains, self.draw(source[1], part, at, "cap")))
        self.remember_taken(command, blocks)
        units = [lot for mains, _ in blocks for lot in mains]
        return {
            "is": "applied", "at": at, "amount": amount, "available": available,
            "bucket": units[0].bucket if units else first, "final": amount < wanted,
            "drawn": runs(units),
        }  # fmt: skip

    def remember_taken(self, command: Answer, blocks: list[tuple[list[Lot], list[Lot]]]) -> None:
        pots = [lot.bucket for mains, caps in blocks for lot in mains + caps]
        if pots:
            self.taken[command["id"]] = Taken(blocks, list(dict.fromkeys(pots)))

    def draw(self, pot: int | None, amount: int, at: int, sink: str) -> list[Lot]:
        lots = []
        for _ in range(amount if pot is not None else 0):
            assert pot is not None
            lot = self.unit(pot)
            lot.debited += 1
            self.pour(pot, sink, 1)
            self.pots[pot].last = at
            lots.append(lot)
        return lots

    def look(self, command: Answer, now: int) -> Answer:
        at = self.sources(command, now)
        if isinstance(at, dict):
            return at
        gives, complaint = self.plan_use(command)
        first = command["sources"][0][0]
        available = sum(map(self.shown, command["sources"], gives))
        if sum(gives) < command["amount"]:
            return denied(complaint or "bucket_empty", available, first)
        return {"is": "applied", "amount": 0, "available": available, "bucket": first}

    # -- holds -----------------------------------------------------------------------------------

    def hold(self, command: Answer, now: int) -> Answer:
        at = self.sources(command, now)
        if isinstance(at, dict):
            return at
        found = [self.give(source, []) for source in command["sources"]]
        gives = [amount for amount, _ in found]
        amount = command["amount"]
        able = [place for place, give in enumerate(gives) if give >= amount]
        if not able and not command["at_most"]:
            complaint = next((why for _, why in found if why), None)
            most = max(map(self.shown, command["sources"], gives))
            return denied(complaint or "bucket_empty", most, command["sources"][0][0])
        if not able:
            able = [place for place, give in enumerate(gives) if give > 0]
            able += [p for p, source in enumerate(command["sources"]) if not self.stopped(source)]
            amount = gives[able[0]]
        source = command["sources"][able[0]]
        pot, cap = source[:2]
        ttl = command["ttl"]
        ends = FOREVER if ttl is None else at + ttl
        terms = (command["on_expiry"], command["over"], "usage")
        self.reserve(Promise(command["id"], pot, cap, amount, at, ends, *terms), at)
        return {
            "is": "applied", "at": at, "amount": amount,
            "available": self.shown(source, gives[able[0]] - amount), "bucket": pot,
            "hold": command["id"], "final": amount < command["amount"],
            "expires_at": None if ttl is None else ends,
        }  # fmt: skip

    def reserve(self, promise: Promise, at: int) -> None:
        for pot, parts in ((promise.bucket, promise.parts), (promise.cap, promise.cap_parts)):
            if pot is None:
                continue
            self.pots[pot].last = at
            for _ in range(promise.amount):
                lot = self.unit(pot)
                lot.pending += 1
                parts.append(lot)
        self.promises[promise.id] = promise

    def opened(self, command: Answer, now: int) -> Any:
        """Return a hold that is still open after all that was due, and the instant."""
        promise = self.promises.get(command["hold"])
        if promise is None:
            return refused("hold_unknown")
        at = self.moment([p for p in (promise.bucket, promise.cap) if p is not None], now)
        if promise.state != "open":
            return refused("hold_" + promise.state)
        return promise, at

    def capture(self, command: Answer, now: int) -> Answer:
        if command["hold_on"] is not None and not 0 <= command["hold_on"] <= MOST:
            return refused("value_invalid")
        found = self.opened(command, now)
        if isinstance(found, dict):
            return found
        promise, at = found
        for pot in (promise.bucket, promise.cap):
            if pot is not None and self.pots[pot].frozen:
                return denied("bucket_frozen", 0, pot)
        wanted = promise.amount if command["amount"] is None else command["amount"]
        debt = 0
        if wanted > promise.amount:
            if promise.over == "deny":
                return denied("over_capture", promise.amount, promise.bucket)
            debt = wanted - promise.amount if promise.over == "debt" else 0
            wanted = promise.amount
        self.resolve(promise, wanted, at, "captured" if wanted else "released")
        self.remember_taken(command, [(promise.parts[:wanted], promise.cap_parts[:wanted])])
        if debt:
            self.pour(promise.bucket, "receivable", -debt)
            self.pour(promise.bucket, promise.sink, debt)
            self.pots[promise.bucket].last = at
        answer: Answer = {
            "is": "applied", "at": at, "amount": wanted, "bucket": promise.bucket, "debt": debt,
            "released": promise.amount - wanted, "hold": None, "expires_at": None, "final": False,
        }  # fmt: skip
        if command["hold_on"]:
            answer.update(self.hold_on(promise, command, at))
        return {**answer, "available": max(self.room(promise.bucket), 0)}

    def hold_on(self, promise: Promise, command: Answer, at: int) -> Answer:
        amount, _ = self.give((promise.bucket, promise.cap), [])
        amount = min(amount, command["hold_on"])
        ttl = command["ttl"] or (None if promise.ends == FOREVER else promise.ends - promise.made)
        ends = FOREVER if ttl is None else at + ttl
        terms = (promise.on_expiry, promise.over, promise.sink)
        pot, cap = promise.bucket, promise.cap
        self.reserve(Promise(command["id"], pot, cap, amount, at, ends, *terms), at)
        final = amount < command["hold_on"]
        expires_at = None if ttl is None else ends
        return {"hold": command["id"], "expires_at": expires_at, "final": final}

    def release(self, command: Answer, now: int) -> Answer:
        found = self.opened(command, now)
        if isinstance(found, dict):
            return found
        promise, at = found
        self.resolve(promise, 0, at, "released")
        return {
            "is": "applied", "at": at, "amount": 0, "released": promise.amount,
            "bucket": promise.bucket, "available": max(self.room(promise.bucket), 0),
        }  # fmt: skip

    def pin(self, command: Answer, now: int) -> Answer:
        found = self.opened(command, now)
        if isinstance(found, dict):
            return found
        promise, at = found
        promise.ends = FOREVER if command["ttl"] is None else at + command["ttl"]
        return {
            "is": "applied", "at": at, "amount": promise.amount, "bucket": promise.bucket,
            "hold": command["hold"], "expires_at": None if command["ttl"] is None else promise.ends,
            "available": max(self.room(promise.bucket), 0),
        }  # fmt: skip

    # -- changing what a bucket has --------------------------------------------------------------

    def bucket_at(self, pot: int, now: int) -> Any:
        """Return the instant at which a bucket changes, or why it does not."""
        if pot not in self.pots:
            return refused("bucket_unknown")
        at = self.moment([pot], now)
        return denied("bucket_frozen", 0, pot) if self.pots[pot].frozen else at

    def grant(self, command: Answer, now: int) -> Answer:
        pot = command["bucket"]
        at = self.bucket_at(pot, now)
        if isinstance(at, dict):
            return at
        if command["expires"] <= at or command["expires"] <= command["starts"]:
            return refused("value_invalid")
        terms = [command[name] for name in ("amount", "priority", "purchased", "starts", "expires")]
        self.named[command["id"]] = self.add(Lot(pot, *terms), at, "world")
        return {
            "is": "applied", "at": at, "amount": command["amount"], "bucket": pot,
            "available": max(self.room(pot), 0), "drawn": [(pot, command["amount"])],
        }  # fmt: skip

    def void(self, command: Answer, now: int) -> Answer:
        lot = self.named.get(command["grant"])
        if lot is None:
            return refused("grant_unknown")
        at = self.bucket_at(lot.bucket, now)
        if isinstance(at, dict):
            return at
        wanted = command["amount"]
        amount = lot.left() if wanted is None else min(wanted, lot.left())
        if amount:
            lot.debited += amount
            self.pour(lot.bucket, "world", amount)
            self.pots[lot.bucket].last = at
        return {
            "is": "applied", "at": at, "amount": amount, "bucket": lot.bucket,
            "available": max(self.room(lot.bucket), 0),
            "final": wanted is not None and amount < wanted,
        }  # fmt: skip

    def reverse(self, command: Answer, now: int) -> Answer:
        taken = self.taken.get(command["operation"])
        if taken is None:
            return refused("operation_unknown")
        total = sum(len(mains) for mains, _ in taken.blocks)
        amount = total if command["amount"] is None else command["amount"]
        first = taken.pots[0]
        if not total:
            return refused("nothing_to_reverse")
        if amount > total:
            return denied("reversal_exceeds", total, first)
        at = self.moment(taken.pots, now)
        for pot in taken.pots:
            if self.pots[pot].frozen:
                return denied("bucket_frozen", 0, pot)
        given = []
        for _ in range(amount):
            mains, caps = next(block for block in reversed(taken.blocks) if block[0])
            given.append(mains.pop())
            self.give_back(given[-1], "usage", at)
            if caps:
                self.give_back(caps.pop(), "cap", at)
        return {
            "is": "applied", "at": at, "amount": amount, "bucket": first,
            "available": max(self.room(first), 0), "drawn": runs(given),
        }  # fmt: skip

    def give_back(self, lot: Lot, sink: str, at: int) -> None:
        lot.credited += 1
        self.pour(lot.bucket, sink, -1)
        self.pots[lot.bucket].last = at
        if lot.expires <= at:
            lot.debited += 1
            self.pour(lot.bucket, "breakage", 1)

    def move(self, command: Answer, now: int) -> Answer:
        source, target = command["source"], command["target"]
        if source not in self.pots or target not in self.pots:
            return refused("bucket_unknown")
        at = self.moment([source, target], now)
        if source == target:
            return refused("value_invalid")
        if self.pots[source].asset != self.pots[target].asset:
            return refused("asset_differs")
        for pot in (source, target):
            if self.pots[pot].frozen:
                return denied("bucket_frozen", 0, pot)
        own = self.room(source) - sum(lot.limit for lot in self.lots_of(source))
        if command["amount"] > own:
            return denied("bucket_empty", max(own, 0), source)
        moved: list[tuple[Lot, Lot]] = []
        for _ in range(command["amount"]):
            lot = next(g for g in self.lots_of(source) if g.left() - g.limit > 0)
            lot.debited += 1
            if not moved or moved[-1][0] is not lot:
                terms = (lot.priority, lot.purchased, lot.starts, lot.expires)
                moved.append((lot, self.add(Lot(target, 0, *terms), at, "transit")))
            moved[-1][1].credited += 1
        self.pots[source].last = at
        return {
            "is": "applied", "at": at, "amount": command["amount"], "bucket": source,
            "available": max(self.room(source), 0),
            "drawn": [(source, into.credited) for _, into in moved],
        }  # fmt: skip

    def freeze(self, command: Answer, now: int) -> Answer:
        pot = command["bucket"]
        if pot not in self.pots:
            return refused("bucket_unknown")
        at = self.moment([pot], now)
        if self.pots[pot].frozen != command["frozen"]:
            self.pots[pot].frozen = command["frozen"]
            self.pots[pot].last = at
        return {
            "is": "applied", "at": at, "amount": 0, "bucket": pot,
            "available": max(self.room(pot), 0),
        }  # fmt: skip
