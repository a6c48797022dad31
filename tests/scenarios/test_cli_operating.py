"""The commands of whoever runs Farebox: migrate, verify, keys, clock; on both engines."""

import re

import pytest
import sqlalchemy as sa

from farebox.ledger import store
from farebox.ledger.service import Ledger
from farebox.platform.service_audit import list_audit
from farebox.platform.service_credentials import find_by_key
from farebox.storage.migrations import applied
from tests.support.commands import Farebox
from tests.support.services import run

COMPONENTS = ["ledger", "events", "platform", "access", "billing", "notifications"]


@pytest.fixture
def farebox(farebox_on_engine):
    return farebox_on_engine


def keys_of(farebox: Farebox) -> dict[str, tuple[str, str, str]]:
    """Return what `keys list` shows: roles, id, and state of each name's key."""
    header, *lines = farebox.done("keys", "list").splitlines()
    assert header.split() == ["name", "roles", "key", "ends", "in", "made", "state"]
    found = {}
    for line in lines:
        name, roles, key, _hint, _made, state = re.split(r"\s{2,}", line.strip())
        found[name] = (roles, key, state)
    return found


def test_migrate_brings_the_schema_up_to_date_once(command_nursery, tmp_path, empty_url):
    farebox = Farebox(command_nursery, tmp_path, FAREBOX_ACCESS_DATABASE_URL=empty_url)

    first = farebox.done("migrate").splitlines()

    components = [line.removeprefix("applied ").split()[0] for line in first]
    assert sorted(set(components), key=components.index) == COMPONENTS
    assert farebox.done("migrate") == "the schema is up to date\n"


def test_a_database_from_the_future_is_left_alone(farebox, database_url, open_database_at):
    row = {"component": "ledger", "number": 9999, "name": "9999_tomorrow.sql", "at_us": 0}
    open_database_at(database_url).run(lambda tx: tx.run(applied.insert(), row))
    why = "the access database was made by a newer Farebox: it has 9999_tomorrow.sql"

    assert farebox.refused("migrate") == why
    assert farebox.refused("serve", "--port", "0") == why
    assert farebox.refused("keys", "list") == why


def test_a_key_is_printed_once_listed_and_revoked_with_its_reason(
    farebox, database_url, open_database_at
):
    key = farebox.done(
        "keys",
        "create",
        "Cinema Rex",
        "--role",
        "edge",
        "--role",
        "provider",
        "--reason",
        "opening",
    ).strip()
    roles, key_id, state = keys_of(farebox)["Cinema Rex"]
    database = open_database_at(database_url)

    assert (roles, state) == ("provider, edge", "active")
    assert [key_id] == [found.id for found in [run(database, find_by_key, key)] if found]
    assert farebox.done("keys", "revoke", key_id, "--reason", "lost") == f"revoked {key_id}\n"
    assert farebox.done("keys", "revoke", key_id) == f"revoked {key_id}\n"
    assert keys_of(farebox)["Cinema Rex"][2] == "revoked"
    entries = {entry.action: entry for entry in run(database, list_audit).items}
    assert entries["operator.created"].reason == "opening"
    assert entries["credential.revoked"].reason == "lost"
    assert entries["credential.revoked"].actor == "command-line"
    assert key not in str(entries)


def test_old_keys_outlive_a_new_pepper(farebox, database_url, open_database_at):
    old = farebox.done("keys", "create", "Old", "--role", "viewer").strip()
    assert farebox.done("keys", "rotate-pepper") == "new keys are hashed under a new pepper\n"
    new = farebox.done("keys", "create", "New", "--role", "viewer").strip()

    database = open_database_at(database_url)
    for key in (old, new):
        assert run(database, find_by_key, key) is not None


def test_a_new_signing_key_is_named(farebox):
    said = farebox.done("keys", "rotate-signing")
    said += farebox.done("keys", "rotate-signing", "--reason", "yearly")

    first, second = re.findall(
        r"^access keys are signed by ([\w-]+) from now on$", said, re.MULTILINE
    )
    assert first != second


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("create", "Rex", "--role", "king"), 'Invalid value "king" for --role. Choose from: "ve'),
        (("create", "Rex"), 'Command "keys create" parameter --role requires an argument.'),
        (("create", "", "--role", "edge"), "a name has 1 to 256 characters"),
        (("create", "a\nb", "--role", "edge"), "a name has no control characters"),
        (("revoke", "key_nobodys"), "There is no such key."),
    ],
)
def test_a_wrong_word_to_keys_is_one_line(arguments, why, command_nursery, tmp_path):
    farebox = Farebox(command_nursery, tmp_path)
    assert farebox.refused("keys", *arguments).startswith(why)


def test_confirming_the_clock_is_told_to_every_process(farebox, database_url, open_database_at):
    database, ledger = open_database_at(database_url), Ledger()
    before = run(database, ledger.revision, "clock")

    assert farebox.done("clock", "confirm").startswith("confirmed")

    assert run(database, ledger.revision, "clock") == before + 1


def test_verify_names_the_bucket_that_cannot_be_proved(farebox, database_url, open_database_at):
    line = b'10.0.0.1 - vera [21/Nov/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 1 "-" "-"\n'
    farebox.done("replay", "-", "--allowance", "5", stdin=line * 3)
    assert farebox.done("verify") == "1 buckets, 4 entries, 0 faults\n"
    spoilt = sa.and_(store.account.c.kind == 1, store.account.c.credits_posted == 5)
    more = store.account.update().where(spoilt).values(credits_posted=6)
    assert open_database_at(database_url).run(lambda tx: tx.run(more).rowcount) == 1

    done = farebox("verify")

    assert done.returncode == 1
    assert re.search(r"^bkt_[0-9a-f]{16}: \S", done.stdout, re.MULTILINE)
    assert not done.stdout.endswith(" 0 faults\n")
