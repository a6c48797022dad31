"""Operators, and the log of what was changed."""

from functools import partial

import msgspec
import pytest
import sqlalchemy as sa

from farebox.kernel.refusals import SettingsRefused, ValueRefused
from farebox.ledger.service import Ledger
from farebox.platform import service_audit as audit
from farebox.platform import service_credentials as credentials
from farebox.platform import service_operators as operators
from farebox.platform.model import (
    FIRST_ADMIN,
    SYSTEM,
    Credential,
    LastAdmin,
    NewCredential,
    OperatorUnknown,
)
from farebox.platform.rules import is_live
from farebox.storage import Database
from tests.support.services import ADA, at_once, now, run

ADMIN_KEY = "an admin key of 32 letters or so"


def key_for(database: Database, **named) -> NewCredential:
    terms = {"kind": "consumer", "subject": "con_1", **named}
    return run(database, credentials.create_credential, ADA, **terms)


def found_by(database: Database, key: str) -> Credential:
    found = run(database, credentials.find_by_key, key)
    assert found is not None
    return found


def test_the_first_start_makes_one_admin_and_tells_its_key_once(database):
    key = run(database, operators.first_admin, None)
    assert key is not None
    found = found_by(database, key)
    assert (found.subject_kind, found.subject) == ("operator", FIRST_ADMIN)
    assert run(database, operators.read_operator, FIRST_ADMIN).roles == ("admin",)
    assert run(database, operators.first_admin, None) is None
    assert len(run(database, credentials.list_credentials, FIRST_ADMIN).items) == 1


def test_a_configured_admin_key_works_and_replaces_the_one_before(database):
    other = "another admin key, also long enough"
    assert run(database, operators.first_admin, ADMIN_KEY) is None
    assert run(database, operators.first_admin, ADMIN_KEY) is None
    first = found_by(database, ADMIN_KEY)
    assert is_live(first, now(database))
    run(database, operators.first_admin, other)
    assert not is_live(found_by(database, ADMIN_KEY), now(database))
    assert is_live(found_by(database, other), now(database))


def test_a_configured_key_that_cannot_be_the_admins_stops_the_start(database):
    run(database, operators.first_admin, ADMIN_KEY)
    taken = key_for(database).key
    revoked = found_by(database, ADMIN_KEY)
    run(database, credentials.revoke_credential, ADA, revoked.id)
    for key in ("short", taken, ADMIN_KEY):
        with pytest.raises(SettingsRefused):
            run(database, operators.first_admin, key)


def test_an_operators_change_is_audited_and_seen_by_every_node(database):
    made = run(database, operators.create_operator, ADA, name="Cinema", roles=["provider"])
    changed = run(database, operators.update_operator, ADA, made.id, roles=["edge"])
    assert changed.roles == ("edge",)
    run(database, operators.suspend_operator, ADA, made.id)
    run(database, operators.suspend_operator, ADA, made.id)
    assert run(database, Ledger().revision, made.id) == 2, "a repeated suspension changes nothing"
    assert run(database, operators.activate_operator, ADA, made.id).state == "active"
    log = run(database, audit.list_audit, subject=made.id).items
    assert [entry.action for entry in log] == [
        "operator.activated",
        "operator.suspended",
        "operator.updated",
        "operator.created",
    ]
    assert {(entry.actor, entry.reason) for entry in log} == {("opr_ada", "asked for by phone")}
    assert msgspec.json.decode(log[2].before or "")["roles"] == ["provider"]
    assert msgspec.json.decode(log[2].after or "")["roles"] == ["edge"]


def test_the_last_admin_stays(database):
    run(database, operators.first_admin, None)
    with pytest.raises(LastAdmin):
        run(database, operators.suspend_operator, ADA, FIRST_ADMIN)
    with pytest.raises(LastAdmin):
        run(database, operators.update_operator, ADA, FIRST_ADMIN, roles=["viewer"])
    second = run(database, operators.create_operator, ADA, name="Second", roles=["admin"])
    run(database, operators.suspend_operator, ADA, FIRST_ADMIN)
    with pytest.raises(LastAdmin):
        run(database, operators.suspend_operator, ADA, second.id)
    assert run(database, operators.read_operator, second.id).state == "active"


def test_two_admins_cannot_suspend_each_other_at_once(database):
    run(database, operators.first_admin, None)
    second = run(database, operators.create_operator, ADA, name="Second", roles=["admin"])
    answers = at_once(
        partial(run, database, operators.suspend_operator, ADA, operator)
        for operator in (FIRST_ADMIN, second.id)
    )
    assert sum(isinstance(answer, LastAdmin) for answer in answers) == 1


def test_an_operator_needs_a_name_and_known_roles(database):
    for name, roles in (("", ["admin"]), ("a\0b", ["admin"]), ("Root", ["root"])):
        with pytest.raises(ValueRefused):
            run(database, operators.create_operator, ADA, name=name, roles=roles)
    with pytest.raises(OperatorUnknown):
        run(database, operators.read_operator, "opr_nobody")
    assert run(database, operators.list_operators).items == ()


def test_the_audit_log_is_paged_newest_first_and_filtered(database):
    for number in range(5):
        run(database, audit.record, ADA, "thing.made", f"thing_{number % 2}", after={"n": number})
    run(database, audit.record, SYSTEM, "thing.made", "thing_0")
    first = run(database, audit.list_audit, limit=4)
    rest = run(database, audit.list_audit, before=first.next, limit=4)
    entries = first.items + rest.items
    assert [entry.after for entry in entries] == [
        None, '{"n":4}', '{"n":3}', '{"n":2}', '{"n":1}', '{"n":0}',
    ]  # fmt: skip
    assert rest.next is None
    assert len(run(database, audit.list_audit, subject="thing_0", actor="opr_ada").items) == 3
    with pytest.raises(ValueRefused):
        run(database, audit.list_audit, before="x")


@pytest.mark.parametrize("change", ["UPDATE audit SET actor = 'nobody'", "DELETE FROM audit"])
def test_the_audit_log_cannot_be_changed(database, change):
    run(database, audit.record, ADA, "thing.made", "thing_1")
    with pytest.raises(sa.exc.DBAPIError, match="append-only"):
        database.run(lambda tx: tx.run(sa.text(change)))
    assert run(database, audit.list_audit).items[0].actor == "opr_ada"
