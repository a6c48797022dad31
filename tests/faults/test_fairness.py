"""Two workers on one database: both get on, none starves. Counted, not timed."""

from itertools import groupby

from tests.support.proof import drawn, faults

USES = 300


def runs_of(names):
    """Return how long each worker went on without the other, in order."""
    return [(name, len(list(run))) for name, run in groupby(names)]


def test_two_workers_on_one_sqlite_file_take_turns(nursery, sqlite_engine, sqlite_scene):
    url, scene = sqlite_scene
    bucket = scene.bucket(10**6)
    terms = {"url": url, "bucket": bucket, "uses": USES}
    children = [nursery.start("take_turns", **terms, name=name) for name in ("one", "two")]
    for child in children:
        assert child.hear() == "ready"
    for child in children:
        child.say("go")
    for child in children:
        assert child.hear() == "done"
        assert child.wait() == 0
    names = [row.actor for row in drawn(scene.database, bucket)]
    assert sorted(set(names)) == ["one", "two"]
    # While both were at it: from where both had begun to where the first was done.
    begun = max(names.index("one"), names.index("two"))
    ended = min(len(names) - names[::-1].index(name) for name in ("one", "two"))
    runs = runs_of(names[begun:ended])
    # Whoever comes back for more stands behind the one who waits already; a worker that is not
    # scheduled by the host does not wait, so a run may be longer now and then.
    short = sum(length for _, length in runs if length <= 3)
    assert short > 0.8 * (ended - begun), runs
    assert max(length for _, length in runs) < 60, runs
    assert faults(scene.database) == []
