"""Two workers on one database: both get on, none starves. Counted, not timed."""

from tests.support.proof import drawn, faults

# Enough that both are at work at once, also on a host that lets one of them begin late.
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
    waited = []
    for child in children:
        waited += child.hear()
        assert child.wait() == 0
    # Whoever comes back for more stands behind the one who waits, so that one waits for the write
    # at work and no other. The few more are of a worker that the host took off its processor
    # after it had looked at the counter and before it stood in line.
    assert len(waited) == 2 * USES
    assert sum(writes > 2 for writes in waited) < USES / 20, waited
    # They met: else nobody would have had to wait.
    assert any(waited)
    names = [row.actor for row in drawn(scene.database, bucket)]
    assert (names.count("one"), names.count("two")) == (USES + 1, USES + 1)
    assert faults(scene.database) == []
