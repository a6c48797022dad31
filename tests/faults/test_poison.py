"""A poisonous command in a full batch harms nobody else, on either engine."""

from collections.abc import Callable

from farebox.kernel.refusals import Refusal
from farebox.ledger.model import Applied, Command, Grant, Hold, Look, Refused, Request, Source, Use
from farebox.ledger.service import request
from tests.support.lanes import one_batch
from tests.support.proof import faults, rows

COMPANIONS = 60
NUL, SURROGATE = "a\0b", "a\ud800b"
BIG = 2**63
EVERYWHERE = ("sqlite", "postgresql")
POSTGRESQL = ("postgresql",)

# What is sent, and on which engines it cannot be carried out.
POISONS: dict[str, tuple[Callable[[Source], Command], tuple[str, ...]]] = {
    "NUL in an actor": (lambda s: Use(sources=(s,), amount=1, actor=NUL), POSTGRESQL),
    "NUL in a product": (lambda s: Hold(sources=(s,), amount=1, product=NUL), POSTGRESQL),
    "NUL in metadata": (lambda s: Use(sources=(s,), amount=1, meta=NUL), POSTGRESQL),
    "surrogate in metadata": (lambda s: Use(sources=(s,), amount=1, meta=SURROGATE), EVERYWHERE),
    "surrogate in a reason": (
        lambda s: Grant(bucket=s.bucket, amount=1, reason=SURROGATE),
        EVERYWHERE,
    ),
    "amount of 2^63": (lambda s: Use(sources=(s,), amount=BIG), EVERYWHERE),
    "priority of 2^63": (lambda s: Grant(bucket=s.bucket, amount=1, priority=BIG), EVERYWHERE),
    "class of -2^63 - 1": (lambda s: Grant(bucket=s.bucket, amount=1, class_=-BIG - 1), EVERYWHERE),
    "end at 2^63": (lambda s: Grant(bucket=s.bucket, amount=1, expires_at=BIG), EVERYWHERE),
    "start before time": (
        lambda s: Grant(bucket=s.bucket, amount=1, starts_at=-BIG - 1),
        EVERYWHERE,
    ),
    "sink of 2^63": (lambda s: Use(sources=(s,), amount=1, sink=BIG), EVERYWHERE),
    "bucket of 2^63": (lambda s: Use(sources=(Source(BIG),), amount=1), EVERYWHERE),
    "bucket of 2^64": (lambda s: Look(sources=(Source(2 * BIG),), amount=1), EVERYWHERE),
    "cap of 2^63": (lambda s: Use(sources=(Source(s.bucket, BIG),), amount=1), EVERYWHERE),
}


class Batch:
    """What others ask in the same batch: with keys and without, alone and linked."""

    def __init__(self, scene, name):
        self.database = scene.database
        self.name = name
        self.buckets = [scene.bucket(1000) for _ in range(5)]
        self.asked = [self._companion(number) for number in range(COMPANIONS)]

    def _companion(self, number):
        sources = (Source(self.buckets[number % len(self.buckets)]),)
        commands: list[Command] = [Use(sources=sources, amount=1, actor=self.name)]
        if number % 5 == 0:
            commands.append(Hold(sources=sources, amount=1, ttl_us=10**12))
        key = f"key-{number}" if number % 2 else None
        return request(*commands, caller=self.name, key=key)

    def run(self, lane, poisonous: Request):
        """Run all with the poisonous one in the middle; return what it was answered."""
        place = COMPANIONS // 2
        answers = one_batch(lane, [*self.asked[:place], poisonous, *self.asked[place:]])
        answer = answers.pop(place)
        assert all(isinstance(each, Applied) for one in answers for each in one), self.name
        operations = {operation for one in self.asked for operation in one.operations}
        assert operations <= {row.operation for row in rows(self.database, JOURNAL)}, self.name
        [made] = rows(self.database, USES, actor=self.name)
        assert made.uses == COMPANIONS, self.name
        return answer


JOURNAL = "SELECT operation FROM transfer"
USES = "SELECT count(*) AS uses FROM transfer WHERE kind = 2 AND actor = :actor"


def test_a_poisonous_command_in_a_full_batch_harms_nobody_else(engine, open_lane, scene):
    lane = open_lane()
    for name, (make, refused_on) in POISONS.items():
        batch = Batch(scene, name)
        poisonous = request(make(Source(batch.buckets[0])))
        answer = batch.run(lane, poisonous)
        if engine.name in refused_on:
            code = answer.code if isinstance(answer, Refusal) else answer[0].code
            assert code in {"value_invalid", "bucket_unknown"}, name
            assert isinstance(answer, Refusal) or isinstance(answer[0], Refused), name
            journal = {row.operation for row in rows(scene.database, JOURNAL)}
            assert poisonous.operations[0] not in journal, name
        else:
            assert isinstance(answer[0], Applied), name
    assert faults(scene.database) == []


def test_a_poisonous_guard_harms_nobody_else(engine, open_lane, scene):
    lane = open_lane()
    for name, subject in (("NUL", NUL), ("surrogate", SURROGATE)):
        batch = Batch(scene, name)
        use = Use(sources=(Source(batch.buckets[0]),), amount=1)
        answer = batch.run(lane, request(use, guards=((subject, 0),)))
        if name == "NUL" and engine.name == "sqlite":
            assert isinstance(answer[0], Applied)
        else:
            assert answer.code == "value_invalid"
    assert faults(scene.database) == []
