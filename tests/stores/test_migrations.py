"""Migrations: one portable text, the same tables on both engines and in the stores' own words."""

import importlib
import pkgutil
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

import farebox
from farebox.ledger import store
from farebox.ledger.model import Command, Grant, Source, Use
from farebox.ledger.service import Ledger, request
from farebox.platform import store as audit
from farebox.storage import Database, MigrationRefused, migrate, migrations, pending
from farebox.storage.migrations import Step, steps_of
from tests.support.engines import ACCESS, BILLING, NOTIFICATIONS, Engine, existing
from tests.support.nursery import Nursery

OpenAt = Callable[..., Database]
SERVICES = {"access": ACCESS, "billing": BILLING, "notifications": NOTIFICATIONS}
Shape = dict[str, dict[str, Any]]
AUDITED = {
    "at": 7, "actor_kind": "operator", "actor": "ada", "action": "price.created",
    "subject": "price:prc_1",
}  # fmt: skip


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    found = Nursery("tests.support.storage_roles")
    yield found
    found.close()


@pytest.fixture
def empty(empty_url: str, open_database_at: OpenAt) -> Database:
    return open_database_at(empty_url)


def kind_of(column: Any) -> str:
    """Return what a column can hold, in words that both engines share."""
    for kind, name in ((sa.Integer, "int"), (sa.LargeBinary, "bytes"), (sa.Text, "text")):
        if isinstance(column, kind):
            return name
    return str(column).lower()


def shape_of(database: Database) -> Shape:
    """Return tables, columns and constraints as the engine itself tells of them."""
    with database.read() as tx:
        inspector = sa.inspect(tx.connection)
        return {
            name: {
                "columns": {
                    each["name"]: (kind_of(each["type"]), each["nullable"])
                    for each in inspector.get_columns(name)
                },
                "key": inspector.get_pk_constraint(name)["constrained_columns"],
                "unique": sorted(
                    (each["name"], tuple(each["column_names"]))
                    for each in inspector.get_unique_constraints(name)
                ),
                "checks": sorted(
                    str(each["name"]) for each in inspector.get_check_constraints(name)
                ),
                "references": sorted(
                    (each["name"], tuple(each["constrained_columns"]), each["referred_table"])
                    for each in inspector.get_foreign_keys(name)
                ),
                "indexes": sorted(
                    (each["name"], bool(each["unique"]), tuple(each["column_names"]))
                    for each in inspector.get_indexes(name)
                    if not each.get("duplicates_constraint")
                    and not str(each["name"]).endswith("_txid_ix")
                ),
            }
            for name in inspector.get_table_names()
            if not name.startswith("sqlite_")
        }


def declared(components: tuple[str, ...]) -> dict[str, sa.Table]:
    """Return every table that a module of these components declares."""
    found: dict[str, sa.Table] = {}
    for module in pkgutil.walk_packages(farebox.__path__, "farebox."):
        if module.name.rpartition(".")[2] not in {"store", "migrations"}:
            continue
        if module.name.split(".")[1] not in {*components, "storage"}:
            continue
        metadata = getattr(importlib.import_module(module.name), "metadata", None)
        for table in metadata.tables.values() if metadata is not None else ():
            assert table.name not in found, f"{table.name} has two owners"
            found[table.name] = table
    return found


# -- the tables ----------------------------------------------------------------------------------


@pytest.mark.parametrize("components", SERVICES.values(), ids=SERVICES)
def test_migrated_tables_are_those_that_the_stores_declare(
    empty: Database, components: tuple[str, ...]
) -> None:
    migrate(empty, components)
    tables = declared(components)
    shape = shape_of(empty)
    assert shape.keys() == tables.keys()
    for name, table in tables.items():
        stored = {column: kind for column, (kind, _) in shape[name]["columns"].items()}
        assert stored == {column.name: kind_of(column.type) for column in table.c}, name


@pytest.mark.parametrize("components", SERVICES.values(), ids=SERVICES)
def test_both_engines_have_the_same_schema(
    sqlite_engine: Engine, postgresql_engine: Engine, clock: Any, components: tuple[str, ...]
) -> None:
    shapes = []
    for engine in (sqlite_engine, postgresql_engine):
        url = engine.migrated(components)
        database = engine.open(url, clock)
        shapes.append(shape_of(database))
        database.close()
        engine.drop(url)
    one, other = shapes
    assert one.keys() == other.keys()
    for table, stored in one.items():
        # SQLite calls the column of an IDENTITY nullable, and never stores a null there.
        for shape in (stored, other[table]):
            shape["columns"] = {
                name: (kind, nullable and name not in shape["key"])
                for name, (kind, nullable) in shape["columns"].items()
            }
        assert stored == other[table], table


@pytest.mark.parametrize("component", existing((*ACCESS, "billing", "notifications")))
def test_every_constraint_has_a_name(component: str) -> None:
    for step in steps_of([component]):
        text = re.sub(r"--.*", "", step.text)
        for match in re.finditer(r"\b(PRIMARY KEY|UNIQUE|CHECK|FOREIGN KEY|REFERENCES)\b", text):
            line = text[text.rfind("\n", 0, match.start()) + 1 :].splitlines()[0]
            named = re.search(r"CONSTRAINT \w+_(pk|uq|ck|fk)\b|UNIQUE INDEX \w+_uq\b", line)
            assert named, f"{step.name}: {line.strip()}"


@pytest.mark.parametrize("component", existing())
def test_steps_are_numbered_upwards_from_one(component: str) -> None:
    # Billing's contexts have tens of their own, so that their steps do not wait for each other.
    numbers = [step.number for step in steps_of([component])]
    assert numbers == sorted(set(numbers))
    assert numbers[0] == 1


def test_steps_of_billing_are_numbered_once_each_a_ten_for_each_context() -> None:
    numbers = [step.number for step in steps_of(["billing"])]
    assert numbers[0] == 1
    assert numbers == sorted(set(numbers))


# -- migrating -----------------------------------------------------------------------------------


def test_migrating_again_does_nothing(empty: Database) -> None:
    first = migrate(empty, existing())
    assert {step.component for step in first} == set(existing())
    assert pending(empty, existing()) == []
    assert migrate(empty, existing()) == []


def test_component_that_comes_later_is_added(empty: Database) -> None:
    migrate(empty, ("ledger",))
    assert {step.component for step in pending(empty, ("ledger", "events"))} == {"events"}
    migrate(empty, ("ledger", "events"))
    assert {"account", "outbox"} <= shape_of(empty).keys()


def test_two_processes_at_once_migrate_once(
    empty: Database, empty_url: str, nursery: Nursery
) -> None:
    children = [nursery.start("bring_up_to_date", url=empty_url) for _ in range(4)]
    assert [child.hear() for child in children] == ["ready"] * 4
    for child in children:
        child.say("now")
    made = [child.hear() for child in children]
    assert [child.wait() for child in children] == [0] * 4
    assert sorted(made) == [0, 0, 0, len(steps_of(existing()))]
    assert pending(empty, existing()) == []


def test_new_file_is_opened_by_several_processes_at_once(tmp_path: Path, nursery: Nursery) -> None:
    urls = [f"sqlite:///{tmp_path}/{number}.db" for number in range(60)]
    children = [nursery.start("open_new_files", urls=urls) for _ in range(4)]
    for _ in urls:
        assert [child.hear() for child in children] == ["ready"] * 4
        for child in children:
            child.say("now")
        assert [child.hear() for child in children] == ["wal"] * 4
    assert [child.wait() for child in children] == [0] * 4


def test_database_of_a_newer_farebox_is_refused_and_left_alone(empty: Database) -> None:
    migrate(empty, ("ledger",))
    with empty.write() as tx:
        row = {"component": "ledger", "number": 9000, "name": "9000_future.sql", "at_us": 1}
        tx.run(migrations.applied.insert(), row)
    before = shape_of(empty)
    for work in (pending, migrate):
        with pytest.raises(MigrationRefused, match="9000_future"):
            work(empty, ("ledger", "events"))
    assert shape_of(empty) == before


def planted(*texts: str) -> Callable[[Any], list[Step]]:
    """Return a source of steps with texts of our own."""
    steps = [Step("ledger", n, f"{n:04}_planted.sql", text) for n, text in enumerate(texts, 1)]
    return lambda _: steps


def test_step_that_fails_leaves_nothing_of_any_step(
    empty: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = "CREATE TABLE one (id BIGINT NOT NULL, CONSTRAINT one_pk PRIMARY KEY (id)) STRICT;\n"
    monkeypatch.setattr(migrations, "steps_of", planted(good, "CREATE TABLE two (;\n"))
    with pytest.raises(sa.exc.DBAPIError):
        migrate(empty, ("ledger",))
    assert shape_of(empty) == {}
    monkeypatch.setattr(migrations, "steps_of", planted(good))
    assert [step.number for step in migrate(empty, ("ledger",))] == [1]


def test_later_step_meets_the_rows_of_an_earlier_one(
    empty: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = (
        "CREATE TABLE one (id BIGINT NOT NULL, CONSTRAINT one_pk PRIMARY KEY (id)) STRICT;\n"
        "INSERT INTO one VALUES (7);\n"
    )
    second = "-- A semicolon; in a comment\nALTER TABLE one ADD COLUMN more BIGINT;\n"
    monkeypatch.setattr(migrations, "steps_of", planted(first))
    migrate(empty, ("ledger",))
    monkeypatch.setattr(migrations, "steps_of", planted(first, second))
    assert [step.number for step in migrate(empty, ("ledger",))] == [2]
    with empty.read() as tx:
        assert [tuple(row) for row in tx.run(sa.text("SELECT id, more FROM one"))] == [(7, None)]


def test_what_was_remembered_before_a_step_is_remembered_after_it(
    empty: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = steps_of(["ledger"])
    monkeypatch.setattr(migrations, "steps_of", lambda _: steps[:2])
    migrate(empty, ("ledger",))
    with empty.write() as tx:
        bucket = Ledger().open_bucket(tx, Ledger().open_asset(tx, "films"))
    asked: list[tuple[Command, str]] = [
        (Grant(bucket=bucket, amount=5), "k1"),
        (Use(sources=(Source(bucket),), amount=7), "k2"),  # denied
    ]

    def apply() -> list[Any]:
        requests = [request(command, caller="anna", key=key) for command, key in asked]
        with empty.write() as tx:
            return list(Ledger().apply(tx, requests))

    first = apply()
    monkeypatch.setattr(migrations, "steps_of", lambda _: steps)
    assert migrate(empty, ("ledger",)) == steps[2:]
    assert apply() == first


def test_journal_takes_rows_and_keeps_them(database: Database) -> None:
    names = ("operation", "line", "kind", "bucket", "entry", "previous", "debit", "credit")
    row = {**dict.fromkeys(names, 1), "credit": 2, "amount": 6, "at": 7, "available_after": 8}
    with database.write() as tx:
        tx.run(store.transfer.insert(), row)
    for statement in ("UPDATE transfer SET amount = 0", "DELETE FROM transfer"):
        with pytest.raises(sa.exc.DBAPIError, match="append-only"), database.write() as tx:
            tx.run(sa.text(statement))
    with database.read() as tx:
        assert tx.run(sa.text("SELECT amount FROM transfer")).scalars().all() == [6]


def test_what_is_kept_is_not_replaced_either(database: Database, engine: Engine) -> None:
    names = ("operation", "line", "kind", "bucket", "entry", "previous", "debit", "credit")
    row = {**dict.fromkeys(names, 1), "credit": 2, "amount": 6, "at": 7, "available_after": 8}
    with database.write() as tx:
        tx.run(store.transfer.insert(), row)
        tx.run(audit.audit.insert(), AUDITED)
    for table, changes in (("transfer", {"amount": "0"}), ("audit", {"actor": "'nobody'"})):
        with database.read() as tx:
            columns = tuple(tx.run(sa.text(f"SELECT * FROM {table}")).keys())  # noqa: S608 - of two
        chosen = ", ".join(changes.get(name, name) for name in columns)
        statement = f"INTO {table} ({', '.join(columns)}) SELECT {chosen} FROM {table}"  # noqa: S608
        statements = {
            # REPLACE removes the old row: past its triggers, unless they are recursive.
            "sqlite": [f"INSERT OR REPLACE {statement}", f"REPLACE {statement}"],
            "postgresql": [f"TRUNCATE {table}"],
        }[engine.name]
        for each in statements:
            with pytest.raises(sa.exc.DBAPIError, match="append-only"), database.write() as tx:
                tx.run(sa.text(each))
    with database.read() as tx:
        assert tx.run(sa.text("SELECT amount FROM transfer")).scalars().all() == [6]
        assert tx.run(sa.text("SELECT actor FROM audit")).scalars().all() == [AUDITED["actor"]]


GUARDS = [
    ("a balance below its floor", "credits_posted = 5, debits_posted = 6"),
    ("a hold below its floor", "credits_posted = 5, debits_pending = 6"),
    ("pending below nothing", "debits_pending = -1"),
    ("waiting below nothing", "waiting = -1"),
    ("beyond what is counted", "floor = NULL, debits_posted = 4611686018427387905"),
]


@pytest.mark.parametrize("change", [case[1] for case in GUARDS], ids=[case[0] for case in GUARDS])
def test_database_itself_guards_every_balance(database: Database, change: str) -> None:
    with database.write() as tx:
        tx.insert_many(store.account, store.ACCOUNT, [store.new_bucket_row(1, 1, 0, 0)])
    with pytest.raises(sa.exc.IntegrityError, match="account_"), database.write() as tx:
        tx.run(sa.text("UPDATE account SET " + change))  # noqa: S608 - from the table above
