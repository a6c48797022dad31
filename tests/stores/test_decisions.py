"""What a decision is made from: who a credential is, and the state with its guards."""

from collections.abc import Callable

import pytest

from farebox.access.buckets import service as buckets
from farebox.access.buckets.model import Terms
from farebox.access.consumers import service as consumers
from farebox.access.consumers import service_groups as groups
from farebox.access.decisions.model import Principal, SubjectState
from farebox.access.decisions.service import (
    consumer_of_credential,
    find_credential,
)
from farebox.access.decisions.service_subjects import load_subject
from farebox.access.flows.delete_group import delete_group
from farebox.kernel.clock import SECOND_US
from farebox.ledger.model import Refused, Source, Use
from farebox.ledger.service import Ledger, request
from farebox.platform import service_credentials as credentials
from farebox.platform import service_operators as operators
from farebox.platform.rules import hash_credential
from farebox.platform.service_secrets import peppers
from farebox.storage import Database
from tests.support.cinema import Cinema
from tests.support.services import ADA, now, run


@pytest.fixture
def cinema(database):
    return Cinema(database)


def shown(database: Database, key: str) -> Principal | None:
    with database.read() as tx:
        return find_credential(tx, hash_credential(peppers(tx)[0], key))


def state(database: Database, consumer: str) -> SubjectState:
    found = run(database, load_subject, consumer)
    assert found is not None
    return found


# -- who asks ------------------------------------------------------------------------------------


def test_a_consumers_key_is_the_consumer_with_the_revision_to_guard_by(cinema):
    ada, database = cinema.members[0], cinema.database
    made = run(database, consumers.create_key, ADA, ada)
    found = shown(database, made.key)
    assert found == Principal(
        kind="consumer",
        id=ada,
        roles=frozenset(),
        revision=run(database, Ledger().revision, ada),
        key_id=made.credential.id,
        expires_at=None,
    )
    with database.read() as tx:
        digest = hash_credential(peppers(tx)[0], made.key)
        assert consumer_of_credential(tx, digest) == ada
        assert consumer_of_credential(tx, b"\0" * 32) is None


def test_a_suspended_consumer_is_still_found_so_that_the_denial_says_why(cinema):
    ada = cinema.members[0]
    key = run(cinema.database, consumers.create_key, ADA, ada).key
    before = shown(cinema.database, key)
    cinema.suspend(ada)
    after = shown(cinema.database, key)
    assert before is not None
    assert after is not None
    assert after.revision == before.revision + 1


def test_an_operators_key_has_its_roles_until_the_operator_is_suspended(cinema):
    database = cinema.database
    made = run(database, operators.create_operator, ADA, name="Edge", roles=["edge", "viewer"])
    key = run(database, credentials.create_credential, ADA, kind="operator", subject=made.id).key
    found = shown(database, key)
    assert found is not None
    assert found.kind == "operator"
    assert (found.id, found.roles) == (made.id, frozenset({"edge", "viewer"}))
    with database.read() as tx:
        assert consumer_of_credential(tx, hash_credential(peppers(tx)[0], key)) is None
    run(database, operators.suspend_operator, ADA, made.id)
    assert shown(database, key) is None
    run(database, operators.activate_operator, ADA, made.id)
    assert shown(database, key) is not None


def test_a_dead_key_is_nobodys(cinema, clock):
    ada, database = cinema.members[0], cinema.database
    soon = now(database) + 60 * SECOND_US
    mortal = run(database, consumers.create_key, ADA, ada, expires_at=soon)
    revoked = run(database, consumers.create_key, ADA, ada)
    assert shown(database, mortal.key) is not None
    run(database, credentials.revoke_credential, ADA, revoked.credential.id)
    clock.move(120 * SECOND_US)
    for key in (mortal.key, revoked.key, "fb_live_nobody", ""):
        assert shown(database, key) is None
    with database.read() as tx:
        digest = hash_credential(peppers(tx)[0], mortal.key)
        assert consumer_of_credential(tx, digest) is None


# -- what about ----------------------------------------------------------------------------------


def test_an_unknown_consumer_has_no_state(cinema):
    assert run(cinema.database, load_subject, "con_nobody") is None


def test_a_devices_state_is_guarded_by_device_owner_and_groups(cinema):
    ada = cinema.members[0]
    television = cinema.consumer("Television", owner=ada)
    found = state(cinema.database, television)
    assert found.consumer == television
    assert [subject for subject, _ in found.guards] == [television, ada, cinema.group]
    assert found.products == state(cinema.database, ada).products


def empty_and_delete(cinema: Cinema) -> None:
    cinema.watch(cinema.members[1], quantity=20)
    delete_group(cinema.database, ADA, cinema.group)


CHANGES: dict[str, Callable[[Cinema], object]] = {
    "suspended": lambda cinema: cinema.suspend(cinema.members[0]),
    "taken out": lambda cinema: cinema.remove(cinema.members[0]),
    "capped": lambda cinema: cinema.cap(cinema.members[0], 3),
    "put in another group": lambda cinema: run(
        cinema.database,
        groups.add_member,
        ADA,
        group=run(cinema.database, groups.create_group, ADA, name="Club").id,
        consumer=cinema.members[0],
    ),
    "given a bucket": lambda cinema: run(
        cinema.database,
        buckets.create_bucket,
        ADA,
        product="films",
        holder_kind="consumer",
        holder=cinema.members[0],
        grant=Terms(amount=1),
    ),
    "the group given a bucket": lambda cinema: run(
        cinema.database,
        buckets.create_bucket,
        ADA,
        product="films",
        holder_kind="group",
        holder=cinema.group,
    ),
    "the group moved in order": lambda cinema: run(
        cinema.database, groups.update_group, ADA, cinema.group, priority=9
    ),
    "the group deleted": empty_and_delete,
    "a key revoked": lambda cinema: run(
        cinema.database,
        credentials.revoke_credential,
        ADA,
        run(cinema.database, consumers.create_key, ADA, cinema.members[0]).credential.id,
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_was_known_before_a_change_draws_nothing_after_it(cinema, change):
    ada, database = cinema.members[0], cinema.database
    known = state(database, ada)
    source = known.products["films"][0]
    command = Use(sources=(Source(source.bucket, source.cap),), amount=1)
    CHANGES[change](cinema)
    left = cinema.left()
    outcome = run(database, Ledger().apply, [request(command, guards=known.guards)])[0][0]
    assert isinstance(outcome, Refused)
    assert outcome.code == "stale"
    assert cinema.left() == left


def test_what_was_known_stays_good_while_nothing_of_it_changes(cinema):
    ada, bob, _ = cinema.members
    known = state(cinema.database, ada)
    cinema.top_up(5)
    cinema.watch(bob)
    cinema.suspend(bob)
    run(cinema.database, consumers.update_consumer, ADA, bob, name="Bob L.")
    run(cinema.database, consumers.update_consumer, ADA, ada, metadata={"tier": "gold"})
    assert state(cinema.database, ada) == known
