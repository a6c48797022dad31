"""Two workers on one database: both get on, none starves. Counted, not timed."""

from tests.support.proof import drawn, faults

USES = 1_500


def test_two_workers_on_one_sqlite_file_take_turns(nursery, sqlite_engine, sqlite_scene):
    url, scene = sqlite_scene
    bucket = scene.bucket(10**6)
    terms = {"url": url, "bucket": bucket, "uses": USES}
    children = [nursery.start("take_turns", **terms, name=name) for name in ("one", "two")]
    for child in children:
        assert child.hear() == "ready"
    for child in children:
        child.say("go")
    told = [child.hear() for child in children]
    assert [len(writes) for writes in told] == [USES + 1, USES + 1], told
    for child in children:
        child.say("enough")
    uses = [child.hear() for child in children]
    assert [child.wait() for child in children] == [0, 0]
    # Whoever comes back for more stands behind the one who waits, so that one waits for the write
    # at work and no other. The few more are of a worker that the host took off its processor
    # after it had looked at the counter and before it stood in line.
    waited = [writes for each in told for writes in each]
    assert sum(writes > 2 for writes in waited) < USES / 20, waited
    # They met before it was counted: each has waited for the other.
    assert all(first > 0 for first, *_ in told)
    names = [row.actor for row in drawn(scene.database, bucket)]
    assert (names.count("one"), names.count("two")) == tuple(uses)
    assert faults(scene.database) == []
