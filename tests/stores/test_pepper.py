"""The pepper from outside: needed from then on, checked at a start, changed without loss."""

from functools import partial

import pytest
import sqlalchemy as sa

from farebox.http.auth import Lookup
from farebox.kernel.refusals import SettingsRefused
from farebox.platform import service_credentials as credentials
from farebox.platform import service_secrets as shared
from farebox.platform import store
from farebox.platform.rules import hash_credential
from farebox.platform.service_audit import list_audit
from farebox.platform.service_pepper import renew_digest, settle_pepper, tell_peppers
from tests.support.services import ADA, at_once, run

FIRST = "the-first-pepper-0123456789abcdef"
SECOND = "the-second-pepper-0123456789abcde"
THIRD = "the-third-pepper-0123456789abcdef"


@pytest.fixture
def start(database_url, open_database_at):
    """Return a function that starts a process with these peppers, and what it then has open."""

    def one(pepper=None, old=None):
        database = open_database_at(database_url)
        tell_peppers(database, pepper, old)
        run(database, settle_pepper)
        run(database, shared.ensure_pepper)
        return database

    return one


def key_for(database, subject="opr_1"):
    run(database, lambda tx: tx.run(store.operator.insert().values(OPERATOR | {"id": subject})))
    made = run(database, credentials.create_credential, ADA, kind="operator", subject=subject)
    return made.key


OPERATOR = {"name": "Vera", "roles": "viewer", "state": "active", "created_at": 0}


def shows(database, key):
    """Show a key as a request does; return whose it is."""
    found = Lookup(database, None)(key)
    return None if found is None else found.id


def digests(database):
    with database.read() as tx:
        return {bytes(row.digest) for row in tx.run(sa.select(store.credential.c.digest))}


def of(pepper, key):
    return hash_credential(pepper.encode(), key)


def test_keys_are_hashed_under_the_pepper_that_was_told_and_the_database_has_none(start):
    database = start(FIRST)
    key = key_for(database)
    assert digests(database) == {of(FIRST, key)}
    with database.read() as tx:
        kept = tx.run(sa.select(store.secret.c.name, store.secret.c.value)).all()
    assert [row.name for row in kept] == ["pepper_check"]
    assert FIRST.encode() not in {bytes(row.value) for row in kept}
    assert shows(start(FIRST), key) == "opr_1"


def test_an_existing_database_goes_on_and_its_keys_are_hashed_anew_when_shown(start):
    before = start()
    key, other = key_for(before), key_for(before, "opr_2")
    old = digests(before)

    database = start(FIRST)

    assert digests(database) == old
    assert shows(database, key) == "opr_1"
    assert of(FIRST, key) in digests(database)
    assert of(FIRST, other) not in digests(database)
    assert [shows(database, each) for each in (key, other)] == ["opr_1", "opr_2"]
    assert digests(database) == {of(FIRST, key), of(FIRST, other)}


def test_a_rotated_pepper_finds_what_the_old_one_hashed_and_then_needs_it_no_more(start):
    key = key_for(start(FIRST))
    lost = key_for(start(FIRST), "opr_2")

    both = start(SECOND, FIRST)
    assert shows(both, key) == "opr_1"
    assert digests(both) == {of(SECOND, key), of(FIRST, lost)}

    alone = start(SECOND)
    assert shows(alone, key) == "opr_1"
    # What was never shown while the old one was given, nobody can hash any more.
    assert shows(alone, lost) is None
    assert shows(start(SECOND, FIRST), lost) == "opr_2"
    actions = [entry.action for entry in run(alone, list_audit, subject="pepper").items]
    assert actions == ["pepper.rotated", "pepper.begun"]


@pytest.mark.parametrize(
    ("history", "told", "why"),
    [
        ([(FIRST,)], (), "needs its pepper"),
        ([(FIRST,)], (SECOND,), "is not the pepper of this data"),
        ([(FIRST,)], (SECOND, THIRD), "FAREBOX_PEPPER_OLD was never the pepper"),
        ([(FIRST,)], (FIRST, SECOND), "FAREBOX_PEPPER_OLD was never the pepper"),
        ([()], (SECOND, FIRST), "FAREBOX_PEPPER_OLD was never the pepper"),
        ([(FIRST,), (SECOND, FIRST)], (FIRST,), "is not the pepper of this data"),
        ([(FIRST,), (SECOND, FIRST)], (THIRD, FIRST), "is not the pepper of this data"),
    ],
)
def test_a_missing_wrong_or_changed_pepper_stops_the_start(start, history, told, why):
    for each in history:
        start(*each)
    with pytest.raises(SettingsRefused, match=why) as refused:
        start(*told)
    for pepper in (FIRST, SECOND, THIRD):
        assert pepper not in str(refused.value.detail)
    # Nothing was written: the one that was right still is.
    start(*history[-1])


def test_a_pepper_may_be_rotated_back(start):
    key = key_for(start(FIRST))
    assert shows(start(SECOND, FIRST), key) == "opr_1"
    assert shows(start(FIRST, SECOND), key) == "opr_1"
    assert shows(start(FIRST), key) == "opr_1"


def test_nodes_that_start_at_once_agree_on_the_first_pepper(database_url, open_database_at):
    nodes = [open_database_at(database_url) for _ in range(6)]
    for number, node in enumerate(nodes):
        tell_peppers(node, FIRST if number % 2 else SECOND)
    answers = at_once(partial(run, node, settle_pepper) for node in nodes)
    refused = [place for place, answer in enumerate(answers) if answer is not None]
    assert all(isinstance(answers[place], SettingsRefused) for place in refused)
    assert refused in ([0, 2, 4], [1, 3, 5])


def test_a_key_that_is_shown_twice_at_once_is_hashed_anew_once(start):
    key = key_for(start())
    nodes = [start(FIRST) for _ in range(4)]
    assert at_once(partial(renew_digest, node, key) for node in nodes) == [None] * 4
    assert digests(nodes[0]) == {of(FIRST, key)}


def test_a_pepper_from_outside_is_not_rotated_inside(start):
    with pytest.raises(SettingsRefused, match="FAREBOX_PEPPER_OLD"):
        run(start(FIRST), shared.rotate_pepper, ADA)
