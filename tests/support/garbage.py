"""What tests leave open is found in their own file, not in whichever test comes next.

A socket that nobody closed is often held by a circle of objects, and says so only when the garbage
collector comes by, minutes later and in the middle of a stranger's test.
"""

import gc
from collections.abc import Iterator

import pytest


def pytest_collection_finish() -> None:
    """Set aside what collecting has made, so that looking for garbage is quick from here on."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module", autouse=True)
def nothing_left_open() -> Iterator[None]:
    yield
    gc.collect()
