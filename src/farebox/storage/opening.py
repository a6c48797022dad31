"""From a URL to a database: the only place that chooses the engine."""

from pathlib import Path

import sqlalchemy as sa

from farebox.kernel.clock import Clock
from farebox.kernel.refusals import SettingsRefused
from farebox.storage.database import Database
from farebox.storage.sqlite import SqliteDatabase


def url_of_file(path: Path) -> str:
    """Return the URL of an embedded database in a file."""
    return sa.URL.create("sqlite", database=str(path.resolve())).render_as_string()


def open_database(name: str, url: str, clock: Clock) -> Database:
    """Open `sqlite:///path` or `postgresql://...`; refuses other URLs (`settings_invalid`)."""
    try:
        parts = sa.make_url(url)
    except sa.exc.ArgumentError as error:
        raise SettingsRefused(f"the {name} database URL is not a URL") from error
    if parts.get_backend_name() == "sqlite":
        if not parts.database or parts.database == ":memory:":
            raise SettingsRefused(f"the {name} database needs a file: sqlite:///folder/{name}.db")
        return SqliteDatabase(name, Path(parts.database), clock)
    if parts.get_backend_name() == "postgresql":
        # Imported here, so that SQLite users need no PostgreSQL driver.
        from farebox.storage.postgresql import PostgresqlDatabase  # noqa: PLC0415

        url = parts.set(drivername="postgresql+psycopg").render_as_string(hide_password=False)
        return PostgresqlDatabase(name, url, clock)
    raise SettingsRefused(f"the {name} database must be sqlite:/// or postgresql://")
