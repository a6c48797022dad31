"""F11: the server ends connections, crashes, refuses, times out. Lanes recover by themselves."""

import itertools
import random
import signal
import threading
import time

import psycopg
import pytest

from farebox.kernel.clock import ManualClock
from farebox.kernel.refusals import TryAgain
from farebox.ledger.batch import Lane
from farebox.ledger.model import Applied, Command, Hold, Source, Use
from farebox.ledger.service import Ledger, request
from tests.support.engines import Postgresql
from tests.support.lanes import ask, one_batch
from tests.support.proof import drawn, faults
from tests.support.scene import Scene
from tests.support.threads import Worker

CLIENTS = 4
USES = 60
PATIENCE_S = 60


@pytest.fixture(scope="module")
def server():
    """Return a server of its own, which a test may break."""
    engine = Postgresql(durable=True)
    yield engine
    engine.close()


@pytest.fixture
def engine(server):
    return server


@pytest.fixture
def open_at(database_url, open_database_at):
    """Return the URL, and a function that opens it afresh: its connections are all alive."""
    return database_url, open_database_at


@pytest.fixture
def lanes(open_lane):
    return [open_lane(), open_lane()]


def backends(engine, url):
    """Return the processes that serve the connections to a database."""
    name = engine.name_of(url)
    found = engine.execute("SELECT pid, datname FROM pg_stat_activity")
    return [pid for pid, database in found if database == name]


def crash(engine):
    """Stop the server as a crash does, and start it again."""
    engine._admin.close()
    postmaster = engine.server.get_postmaster_info().process
    postmaster.send_signal(signal.SIGQUIT)
    postmaster.wait(PATIENCE_S)
    start_again(engine)


def start_again(engine):
    """Start a server that was stopped."""
    engine.server.ensure_postgres_running()
    engine._admin = psycopg.connect(engine.server.get_uri(), autocommit=True)


def draw_all(lanes, bucket, acknowledged, name, may=None):
    """Draw unit after unit, repeating what was answered "try again"; return how often that was.

    With a semaphore `may`, each unit is drawn only when that allows it.
    """
    repeats = 0
    for number in range(USES):
        assert may is None or may.acquire(timeout=PATIENCE_S)
        deadline = time.monotonic() + PATIENCE_S
        for attempt in itertools.count():
            use = Use(sources=(Source(bucket),), amount=1)
            try:
                outcome = ask(lanes[(number + attempt) % 2], use, caller=name, key=f"{number}")
            except TryAgain:
                repeats += 1
                assert time.monotonic() < deadline
                time.sleep(0.005)  # a client's pause before it asks again
                continue
            assert isinstance(outcome, Applied), outcome
            acknowledged.append(outcome.operation)
            break
    return repeats


def under_load(lanes, bucket, break_something, may=None):
    """Run clients, and `break_something(answered)` while they work; return what was answered."""
    acknowledged: list[int] = []
    names = [f"client-{n}" for n in range(CLIENTS)]
    clients = [Worker(draw_all, lanes, bucket, acknowledged, name, may) for name in names]
    for client in clients:
        client.start()
    break_something(acknowledged)
    for client in clients:
        client.result(PATIENCE_S)
    return acknowledged


def wait_for(acknowledged, count):
    """Wait until so many were answered: only then is anything under way."""
    deadline = time.monotonic() + PATIENCE_S
    while len(acknowledged) < count:
        assert time.monotonic() < deadline
        time.sleep(0.001)


def journal_of(url, bucket):
    """Return a bucket's uses, read by a connection of our own."""
    with psycopg.connect(url) as connection:
        uses = "SELECT operation FROM transfer WHERE bucket = %s AND kind = 2"
        return {row[0] for row in connection.execute(uses, (bucket,))}


def assert_exact(database, bucket, acknowledged):
    journal = [row.operation for row in drawn(database, bucket)]
    assert len(acknowledged) == CLIENTS * USES
    assert sorted(acknowledged) == sorted(journal)
    assert faults(database) == []


@pytest.mark.parametrize("seed", [11])
def test_ended_connections_lose_and_double_nothing(lanes, scene, engine, open_at, seed):
    database_url, open_database_at = open_at
    chance = random.Random(seed)
    bucket = scene.bucket(CLIENTS * USES)
    ended = []
    # The clients do not run ahead: every round finds them at work, however late it comes.
    may = threading.Semaphore(0)
    rounds, each = 20, 9

    def end_connections(acknowledged):
        for round_ in range(rounds):
            may.release(each)
            for pid in chance.sample(found := backends(engine, database_url), min(2, len(found))):
                ended.extend(engine.execute(f"SELECT pg_terminate_backend({pid})"))
            wait_for(acknowledged, (round_ + 1) * each)
        may.release(CLIENTS * USES - rounds * each)

    acknowledged = under_load(lanes, bucket, end_connections, may)
    assert len(ended) > 20
    assert_exact(open_database_at(database_url), bucket, acknowledged)


def test_a_crash_of_the_server_loses_nothing_that_was_acknowledged(lanes, scene, engine, open_at):
    database_url, open_database_at = open_at
    bucket = scene.bucket(CLIENTS * USES)
    survived = []

    def crash_twice(acknowledged):
        for count in (20, 90):
            wait_for(acknowledged, count)
            before = list(acknowledged)
            crash(engine)
            survived.append((before, journal_of(database_url, bucket)))

    acknowledged = under_load(lanes, bucket, crash_twice)
    for before, after in survived:
        assert set(before) <= after
    assert_exact(open_database_at(database_url), bucket, acknowledged)


FAULTY = """
    CREATE SEQUENCE faulty;
    CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF nextval('faulty') % {every} = 0 THEN
            RAISE EXCEPTION 'injected' USING ERRCODE = '{state}';
        END IF;
        RETURN NULL;
    END $$;
    CREATE TRIGGER fail AFTER {place} FOR EACH STATEMENT EXECUTE FUNCTION fail();
"""


def inject(url, state, place, every):
    """Let every n-th statement at a place fail with a state, as the server raises it itself."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(FAULTY.format(state=state, place=place, every=every))


@pytest.mark.parametrize(
    ("state", "place"),
    [
        ("40001", "UPDATE ON account"),
        ("40P01", "INSERT ON transfer"),
        ("55P03", "UPDATE ON account"),
        ("57014", "INSERT ON transfer"),
    ],
)
def test_what_the_server_asks_to_run_again_no_caller_sees(lanes, scene, database_url, state, place):
    bucket = scene.bucket(CLIENTS * USES)
    inject(database_url, state, place, every=3)
    acknowledged: list[int] = []

    def draw(name):
        return draw_all(lanes, bucket, acknowledged, name)

    clients = [Worker(draw, f"client-{n}") for n in range(CLIENTS)]
    for client in clients:
        client.start()
    assert [client.result(PATIENCE_S) for client in clients] == [0] * CLIENTS
    assert_exact(scene.database, bucket, acknowledged)


def test_what_the_server_cannot_do_now_is_said_so_and_over_when_it_can(lanes, scene, database_url):
    bucket = scene.bucket(10)
    use = Use(sources=(Source(bucket),), amount=1)
    states = ["53100", "53200", "58030", "XX000", "25P03", "53300"]
    for done, state in enumerate(states):
        inject(database_url, state, "UPDATE ON account", every=1)
        for key in (None, state):
            with pytest.raises(TryAgain):
                ask(lanes[0], use, caller="shop", key=key)
        assert len(drawn(scene.database, bucket)) == done
        with psycopg.connect(database_url, autocommit=True) as connection:
            connection.execute("DROP TRIGGER fail ON account")
            connection.execute("DROP FUNCTION fail")
            connection.execute("DROP SEQUENCE faulty")
        assert ask(lanes[0], use, caller="shop", key=state).available == 9 - done
    assert faults(scene.database) == []


def test_a_statement_that_waits_too_long_is_given_up_and_harms_nobody_later(
    engine, database_url, open_database_at, scene
):
    """Somebody else's transaction sits on a bucket, and the server has a statement timeout."""
    bucket, other = scene.bucket(10), scene.bucket(10)
    name = engine.name_of(database_url)
    engine.execute(f"ALTER DATABASE {name} SET statement_timeout = '100ms'")
    lane = Lane(open_database_at(database_url), Ledger())
    use = Use(sources=(Source(bucket),), amount=1)
    try:
        with psycopg.connect(database_url) as sitting:
            sitting.execute("SELECT 1 FROM account WHERE id = %s FOR UPDATE", (bucket,))
            with pytest.raises(TryAgain):
                ask(lane, use, caller="shop", key="once")
            assert ask(lane, Use(sources=(Source(other),), amount=1)).available == 9
        assert ask(lane, use, caller="shop", key="once").available == 9
        assert len(drawn(scene.database, bucket)) == 1
    finally:
        lane.close()


def lose_one_answer(monkeypatch):
    """Let the next commit succeed and its answer never arrive: the connection is gone."""
    commit = psycopg.Connection.commit

    def commit_and_lose(self):
        monkeypatch.undo()
        commit(self)
        self.close()
        raise psycopg.OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(psycopg.Connection, "commit", commit_and_lose)


def test_a_commit_whose_answer_is_lost_happens_once_and_keys_tell(lanes, scene, monkeypatch):
    buckets = [scene.bucket(100) for _ in range(3)]
    batch = []
    for number in range(30):
        source = (Source(buckets[number % 3]),)
        commands: list[Command] = [Use(sources=source, amount=1)]
        if number % 2:
            commands.append(Hold(sources=source, amount=1))
        key = None if number % 3 == 2 else f"{number}"
        batch.append(request(*commands, caller="shop", key=key))
    ask(lanes[0], Use(sources=(Source(buckets[0]),), amount=1))
    answers = one_batch(lanes[0], batch, lambda: lose_one_answer(monkeypatch))
    for asked, answer in zip(batch, answers, strict=True):
        if asked.digest is None:
            # Without a key nobody can tell, and it is not done again.
            assert isinstance(answer, TryAgain)
        else:
            assert [outcome.operation for outcome in answer] == list(asked.operations)
    assert [len(drawn(scene.database, bucket)) for bucket in buckets] == [11, 10, 10]
    assert ask(lanes[0], Use(sources=(Source(buckets[0]),), amount=1)).available == 83
    assert faults(scene.database) == []


def test_a_server_that_is_away_is_waited_for_by_nobody(engine, open_database_at):
    url = engine.migrated()
    database = open_database_at(url)
    scene = Scene(database, Ledger(), ManualClock())
    bucket = scene.bucket(5)
    lane = Lane(database, Ledger())
    use = Use(sources=(Source(bucket),), amount=1)
    try:
        assert ask(lane, use).available == 4
        engine._admin.close()
        engine.server.stop()
        try:
            answers = one_batch(lane, [request(use, caller="shop", key=f"{n}") for n in range(100)])
            assert all(isinstance(answer, TryAgain) for answer in answers)
        finally:
            start_again(engine)
        assert ask(lane, use, caller="shop", key="1").available == 3
    finally:
        lane.close()
