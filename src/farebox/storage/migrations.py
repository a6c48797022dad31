"""Forward-only migrations, written once for both engines.

A component (ledger, events, platform, access ...) keeps numbered files `NNNN_name.sql` in a folder
`migrations`. They use the SQL both engines share and a few words that the engines translate:
`IDENTITY`, `TXID`, `BIGINT`, `BYTES`, `STRICT`, `WITHOUT ROWID`, `APPEND_ONLY table`,
`ORDERED_LOG table`, `EXPIRING table`: append-only until now, its rows may go once their `at`
lies before the `until` that the table `expiry` has for it, and
`REFUSE name INSERT | UPDATE | DELETE ON table WHEN condition SAYING 'text'`: a change that the
database itself refuses, by a condition on OLD and NEW in the SQL that both engines share.
Statements end with a semicolon at the end of a line.
"""

import re
from collections.abc import Sequence
from importlib import resources
from typing import Final

import msgspec
import sqlalchemy as sa

from farebox.kernel.refusals import Refusal
from farebox.storage.database import Database, Tx

_FILE: Final = re.compile(r"^(\d{4})_[a-z0-9_]+\.sql$")
metadata = sa.MetaData()
applied = sa.Table(
    "migration",
    metadata,
    sa.Column("component", sa.Text, nullable=False),
    sa.Column("number", sa.BigInteger, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("at_us", sa.BigInteger, nullable=False),
    sa.PrimaryKeyConstraint("component", "number", name="migration_pk"),
)


class MigrationRefused(Refusal):
    """The database was made by a newer Farebox."""

    code = "schema_newer"


class Step(msgspec.Struct, frozen=True):
    """One migration file."""

    component: str
    number: int
    name: str
    text: str


def steps_of(components: Sequence[str]) -> list[Step]:
    """Read the components' files, each component's in number order."""
    steps = []
    for component in components:
        folder = resources.files(f"farebox.{component}") / "migrations"
        for file in sorted(folder.iterdir(), key=lambda entry: entry.name):
            if match := _FILE.match(file.name):
                number = int(match.group(1))
                steps.append(Step(component, number, file.name, file.read_text("utf-8")))
    return steps


def _done(tx: Tx) -> dict[tuple[str, int], str]:
    if not sa.inspect(tx.connection).has_table("migration"):
        return {}
    return {(row.component, row.number): row.name for row in tx.run(sa.select(applied))}


def pending(database: Database, components: Sequence[str]) -> list[Step]:
    """Return what `migrate` would do; refuses (`schema_newer`) a database from the future."""
    with database.read() as tx:
        done = _done(tx)
    steps = steps_of(components)
    known = {(step.component, step.number) for step in steps}
    if unknown := [name for key, name in done.items() if key not in known]:
        raise MigrationRefused(
            f"the {database.name} database was made by a newer Farebox: it has {unknown[0]}"
        )
    return [step for step in steps if (step.component, step.number) not in done]


def migrate(database: Database, components: Sequence[str]) -> list[Step]:
    """Bring the schema up to date in one transaction; two processes at once are harmless."""
    if not (todo := pending(database, components)):
        return []
    with database.write() as tx:
        if tx.connection.dialect.name == "postgresql":
            tx.connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7046029254386353131)")
        done = _done(tx)
        if not done:
            applied.create(tx.connection, checkfirst=True)
        made = [step for step in todo if (step.component, step.number) not in done]
        for step in made:
            for statement in _statements(step.text):
                for own in database.translate(statement):
                    tx.connection.exec_driver_sql(own)
            row = {"component": step.component, "number": step.number, "name": step.name}
            tx.run(applied.insert(), {**row, "at_us": tx.now_us})
    return made


def _statements(text: str) -> list[str]:
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("--")]
    return [part.strip() for part in re.split(r";\s*(?:\n|$)", "\n".join(lines)) if part.strip()]
