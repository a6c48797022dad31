"""F4: no room, or no leave, to write in mid-commit. Refused, nothing half applied, over when over.

The limit on the size of files stands for the full disk: a write beyond it fails in the same place,
and a process can be given it and freed of it again.
"""

import pytest

from tests.support.proof import drawn, faults


@pytest.mark.parametrize("seed", [1, 2])
def test_a_full_disk_refuses_and_harms_nothing_that_is_there(nursery, sqlite_scene, seed):
    url, scene = sqlite_scene
    bucket = scene.bucket(10**6)
    child = nursery.start("fill_disk", url=url, bucket=bucket, seed=seed)
    told = child.hear()
    assert child.wait() == 0, told
    # It ran into the limit at several sizes, each in the middle of some write.
    assert told["refused"] >= 5
    assert told["answered"] == sorted(row.operation for row in drawn(scene.database, bucket))
    assert faults(scene.database) == []


def test_a_file_that_may_only_be_read_refuses_and_is_written_again_afterwards(
    nursery, sqlite_scene
):
    url, scene = sqlite_scene
    bucket = scene.bucket(10)
    child = nursery.start("write_read_only", url=url, bucket=bucket)
    told = child.hear()
    assert child.wait() == 0, told
    assert told == ["applied", "try_again", "try_again", "applied"]
    assert len(drawn(scene.database, bucket)) == 2
    assert faults(scene.database) == []
