"""Transactions of postings under keys and references, as Formance's ledger has them; and its clock.

A transaction is one request: for each posting a use of its source and a grant of its destination.
`world` has no limit, everybody else is prepaid. Theirs scope a key by ledger: a ledger is a caller.
A reference is a second key, which belongs to one transaction: it is claimed in the same database
transaction, by a request whose payload is that transaction.
"""

import itertools
import json
import re
from typing import Any, Final

from farebox.kernel.amounts import Asset
from farebox.ledger.model import Applied, Denied, Grant, Look, Outcome, Request, Source, Use
from farebox.ledger.service import request
from farebox.storage import Tx
from tests.golden.cases import Case, Strange, Wrong
from tests.golden.family import Family, expects, op, shape

WORLD: Final = "world"
_RESULT: Final = re.compile(r"ok(?: id=(?P<id>\w+))?(?P<same> \(same\))?|error (?P<error>[A-Z_]+)")
_ERRORS: Final = {
    "bucket_empty": "INSUFFICIENT_FUND",
    "value_invalid": "VALIDATION",
    "idempotency_key_reused": "VALIDATION",
    "reference_taken": "CONFLICT",
}


class _Refused(Exception):
    """Rolls a transaction back that did not take effect."""


class Postings(Family):
    """The vocabulary create_tx."""

    GIVEN = (shape("balances"), shape("ledgers"))

    @classmethod
    def unread_values(cls, case: Case) -> str | None:
        for step in case.steps:
            if not _RESULT.fullmatch(step["result"]):
                return f"result {step['result']!r}"
            if any(len(posting) != 4 for posting in step["postings"]):
                return f"postings {step['postings']}"
        return None

    def open(self, given: dict[str, Any]) -> None:
        self.buckets: dict[tuple[str, str, str], int] = {}
        self.named: dict[str, int] = {}
        self.operations: set[int] = set()
        self.nonces = itertools.count()
        self.ledgers = given.get("ledgers", [""])
        codes = {posting[3] for step in self.case.steps for posting in step["postings"]}
        for ledger in self.ledgers:
            for name, balance in given.get("balances", {}).items():
                for code in codes:
                    self.stage.do(Grant(bucket=self._bucket(ledger, name, code), amount=balance))
        self.stage.begin()

    def _asset(self, code: str) -> Asset:
        return self.stage.asset(code, int(code.partition("/")[2] or 0))

    def _bucket(self, ledger: str, account: str, code: str) -> int:
        place = (ledger, account, code)
        if place not in self.buckets:
            asset = self._asset(code)
            stage = self.stage
            self.buckets[place] = (
                stage.unlimited(asset) if account == WORLD else stage.bucket(asset)
            )
        return self.buckets[place]

    @op("create_tx", "postings result", "key reference ledger")
    def create_tx(
        self,
        *,
        postings: list[Any],
        result: str,
        key: str | None = None,
        reference: str | None = None,
        ledger: str = "",
    ) -> None:
        if ledger not in self.ledgers:
            raise Strange(f"ledger {ledger!r} is none of {self.ledgers}")
        commands: list[Use | Grant] = []
        for source, dest, amount, code in postings:
            between = self.stage.sink(self._asset(code), "between accounts")
            sources = (Source(self._bucket(ledger, source, code)),)
            target = self._bucket(ledger, dest, code)
            commands.append(Use(sources=sources, amount=amount, sink=between))
            commands.append(Grant(bucket=target, amount=amount, source=between))
        payload = json.dumps([postings, reference]).encode()
        main = request(*commands, caller=ledger, key=key, payload=payload)
        outcome = self._create(main, ledger, reference, key)
        self._judge_result(outcome, result)

    def _create(
        self, main: Request, ledger: str, reference: str | None, key: str | None
    ) -> Outcome | str:
        """Run a transaction with its reference; return how it ended."""
        requests = [main]
        if reference is not None:
            whose = f"key {key}" if key is not None else f"number {next(self.nonces)}"
            look = Look(sources=(Source(self._bucket(ledger, WORLD, "any")),), amount=0)
            requests.append(
                request(
                    look, caller=f"reference in {ledger}", key=reference, payload=whose.encode()
                )
            )
        ends: list[tuple[Outcome, ...]] = []

        def work(tx: Tx) -> None:
            ends[:] = self.stage.ledger.apply(tx, requests)
            if not all(isinstance(each[0], Applied) for each in ends):
                raise _Refused

        try:
            self.stage.database.run(work)
        except _Refused:
            # What was denied is remembered by itself, without the reference.
            if isinstance(ends[0][0], Denied):
                self.stage.batch([main])
        if len(ends) > 1 and not isinstance(ends[1][0], Applied):
            return "reference_taken"
        own = [each for each in ends[0] if getattr(each, "code", None) != "linked_failed"]
        return own[0]

    def _judge_result(self, ours: Outcome | str, result: str) -> None:
        wanted = _RESULT.fullmatch(result)
        assert wanted is not None
        if not isinstance(ours, Applied):
            code = ours if isinstance(ours, str) else ours.code
            if code not in _ERRORS:
                raise Wrong(f"ours says {ours}, which none of their errors is")
            self.same(_ERRORS[code], wanted["error"], "error")
            return
        self.same(None, wanted["error"], "error")
        if wanted["id"] is not None:
            if wanted["same"] is not None and wanted["id"] not in self.named:
                raise Strange(f"{result!r}, but nothing was called {wanted['id']} before")
            known = self.named.setdefault(wanted["id"], ours.operation)
            self.same(ours.operation, known, f"operation {wanted['id']}")
        self.same(ours.operation in self.operations, wanted["same"] is not None, "a repeat")
        self.operations.add(ours.operation)

    @expects("balances")
    def judge_balances(self, wanted: dict[str, int], key: str) -> None:
        codes = {code for _, _, code in self.buckets}
        for path, balance in wanted.items():
            ledger, _, account = path.rpartition("/")
            buckets = [self.buckets.get((ledger, account, code)) for code in codes]
            ours = sum(self.stage.balance(each) for each in buckets if each is not None)
            self.same(ours, balance, f"{key} of {path}")


class Appends(Family):
    """The vocabulary append: entries at the times that a wall clock shows."""

    GIVEN = (shape("last_applied_us"),)

    def open(self, given: dict[str, Any]) -> None:
        self.bucket = self.stage.bucket(self.stage.asset())
        self.zero = self.stage.begin()
        self.times: list[int] = []
        self.append(given["last_applied_us"])
        self.times.clear()

    @op("append", "wall_us")
    def append(self, wall_us: int) -> None:
        self.stage.clock.set(self.zero + wall_us)
        self.times.append(self.stage.do(Grant(bucket=self.bucket, amount=1)).at - self.zero)

    @expects("timestamps_us")
    def judge_times(self, wanted: list[int], key: str) -> None:
        self.same(self.times, wanted, key)
        written = [entry.at - self.zero for entry in reversed(self.stage.history(self.bucket))]
        self.same(written[1:], wanted, f"{key} in the journal")
