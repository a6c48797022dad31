"""The ledger's own process: killed, lost, and sent what nobody can carry."""

import asyncio
import random
import sys
import threading
from contextlib import asynccontextmanager, contextmanager

import msgspec
import pytest

from farebox.kernel.clock import SystemClock
from farebox.kernel.refusals import Refusal, TryAgain
from farebox.ledger.model import Applied, Source, Use
from farebox.ledger.remote import ENOUGH_TO_SEND, LaneServer, RemoteQueue
from farebox.ledger.running import Runner
from farebox.ledger.service import Ledger, request
from tests.support.proof import drawn, faults

PATIENCE_S = 30
KILLS = 12
CLIENTS = 8
UNITS = KILLS * CLIENTS * 10


@pytest.fixture
def clock():
    """Return the time that the other processes have."""
    return SystemClock()


@contextmanager
def served(path, database):
    """Serve the database's ledger on a socket, from a thread."""
    ledger = Ledger()
    server = LaneServer(path, Runner(database, ledger), Runner(database, ledger, writes=False))
    thread = threading.Thread(target=server.serve)
    thread.start()
    yield
    server.stop()
    thread.join()


@asynccontextmanager
async def queue_to(path):
    """Open a queue to a socket; it is closed whatever happens."""
    queue = RemoteQueue(path)
    try:
        yield queue
    finally:
        queue.close()
        await asyncio.sleep(0)


async def outcome_of(queue, asked):
    """Return what a request was answered: its outcomes, or the refusal that was raised."""
    try:
        return await asyncio.wait_for(queue.submit(asked), PATIENCE_S)
    except Refusal as refusal:
        return refusal


def test_what_cannot_even_be_sent_is_refused_and_harms_nobody_else(database, scene, tmp_path):
    source = (Source(scene.bucket(100)),)

    async def ask():
        good = [request(Use(sources=source, amount=1)) for _ in range(20)]
        poison = [
            request(Use(sources=source, amount=1, meta="\ud800")),
            request(Use(sources=source, amount=2**65)),
        ]
        batch = [*good[:10], *poison, *good[10:]]
        async with queue_to(tmp_path / "ledger.sock") as queue:
            await outcome_of(queue, request(Use(sources=source, amount=1)))
            return await asyncio.gather(*(outcome_of(queue, one) for one in batch))

    with served(tmp_path / "ledger.sock", database):
        answers = asyncio.run(ask())
    assert [answer.code for answer in answers[10:12]] == ["value_invalid"] * 2
    assert all(isinstance(answer[0], Applied) for answer in answers[:10] + answers[12:])
    assert len(drawn(database, source[0].bucket)) == 21
    assert faults(database) == []


def test_what_one_round_asks_goes_out_in_parts_so_that_the_ledger_need_not_wait(tmp_path):
    path = tmp_path / "ledger.sock"
    count = 2 * ENOUGH_TO_SEND + 5

    async def ask():
        parts: list[int] = []
        heard = asyncio.Event()

        async def listen(reader, writer):
            while sum(parts) < count + 1:
                length = int.from_bytes(await reader.readexactly(4), sys.byteorder)
                parts.append(len(msgspec.msgpack.decode(await reader.readexactly(length))))
                if sum(parts) in {1, count + 1}:
                    heard.set()
            writer.close()

        async with await asyncio.start_unix_server(listen, path), queue_to(path) as queue:
            use = request(Use(sources=(Source(1),), amount=1))
            queue.ask(use, lambda _: None)
            await asyncio.wait_for(heard.wait(), PATIENCE_S)
            heard.clear()
            for _ in range(count):
                queue.ask(use, lambda _: None)
            await asyncio.wait_for(heard.wait(), PATIENCE_S)
        return parts

    assert asyncio.run(ask()) == [1, ENOUGH_TO_SEND, ENOUGH_TO_SEND, 5]


def test_a_connection_that_is_lost_as_soon_as_it_is_made_is_made_again(database, scene, tmp_path):
    """As when the ledger's process is killed right after it was started."""
    source = (Source(scene.bucket(10)),)
    path = tmp_path / "ledger.sock"

    async def ask():
        dropped = asyncio.Event()

        async def drop(_, writer):
            writer.transport.abort()
            dropped.set()

        dying = await asyncio.start_unix_server(drop, path)
        use = Use(sources=source, amount=1)
        async with queue_to(path) as queue:
            first = asyncio.ensure_future(outcome_of(queue, request(use)))
            await dropped.wait()
            dying.close()
            with served(path, database):
                # What was sent into the dying connection may be sent again; nothing hangs.
                answer = await first
                while isinstance(answer, TryAgain):
                    answer = await outcome_of(queue, request(use))
        return answer

    assert isinstance(asyncio.run(ask())[0], Applied)


def test_a_queue_whose_connection_dies_before_its_first_word_does_not_wait_for_ever(
    database, scene, tmp_path, monkeypatch
):
    """The loop may learn of the loss before whoever connected goes on."""
    source = (Source(scene.bucket(10)),)
    path = tmp_path / "ledger.sock"
    made = RemoteQueue.connection_made
    lost: list[object] = []

    def made_and_lost(self, transport):
        made(self, transport)
        if not lost:
            lost.append(transport)
            transport.abort()
            self.connection_lost(None)

    monkeypatch.setattr(RemoteQueue, "connection_made", made_and_lost)

    async def ask():
        use = Use(sources=source, amount=1)
        async with queue_to(path) as queue:
            return [await outcome_of(queue, request(use)) for _ in range(2)]

    with served(path, database):
        answers = asyncio.run(ask())
    assert isinstance(answers[1][0], Applied)
    assert lost


@pytest.mark.parametrize("seed", [20240602])
def test_a_killed_ledger_process_loses_no_acknowledged_use_and_doubles_none(
    nursery, database_url, scene, tmp_path, seed
):
    chance = random.Random(seed)
    bucket = scene.bucket(UNITS)
    path = tmp_path / "ledger.sock"
    acknowledged = []
    answered = asyncio.Event()
    lives = []

    def start():
        child = nursery.start("serve_ledger", url=database_url, path=str(path))
        assert child.hear() == "serving"
        lives.append(child)

    async def client(queue, name, share):
        for number in range(share):
            use = Use(sources=(Source(bucket),), amount=1)
            answer = None
            while not isinstance(answer, tuple):
                answer = await outcome_of(queue, request(use, caller=name, key=f"{number}"))
                assert isinstance(answer, (tuple, TryAgain))
            acknowledged.append(answer[0].operation)
            answered.set()

    async def ask():
        share = UNITS // CLIENTS
        async with queue_to(path) as queue:
            work = asyncio.gather(*(client(queue, f"{n}", share) for n in range(CLIENTS)))
            for _ in range(KILLS):
                # Not before a few more were answered; then at a random instant.
                answered.clear()
                await answered.wait()
                await asyncio.sleep(chance.uniform(0, 0.01))
                lives[-1].kill()
                start()
            await work
            return await outcome_of(queue, request(Use(sources=(Source(bucket),), amount=1)))

    start()
    last = asyncio.run(ask())
    lives[-1].kill()
    assert last[0].code == "bucket_empty"
    journal = [row.operation for row in drawn(scene.database, bucket)]
    assert len(acknowledged) == len(set(acknowledged)) == UNITS
    assert sorted(journal) == sorted(acknowledged)
    assert faults(scene.database) == []
