"""Keys: found by their digest alone, alive exactly as long as they should be."""

from functools import partial

import pytest
import sqlalchemy as sa

from farebox.kernel.clock import SECOND_US
from farebox.kernel.refusals import ValueRefused
from farebox.ledger.service import Ledger
from farebox.platform import service_audit as audit
from farebox.platform import service_credentials as credentials
from farebox.platform import service_secrets as shared
from farebox.platform.model import (
    Credential,
    CredentialRevoked,
    CredentialTaken,
    CredentialUnknown,
    NewCredential,
    OperatorUnknown,
)
from farebox.platform.rules import checksum_ok, hash_credential, is_live
from farebox.storage import Database
from tests.support.services import ADA, at_once, now, run


def key_for(database: Database, **named) -> NewCredential:
    terms = {"kind": "consumer", "subject": "con_1", **named}
    return run(database, credentials.create_credential, ADA, **terms)


def found_by(database: Database, key: str) -> Credential:
    found = run(database, credentials.find_by_key, key)
    assert found is not None
    return found


def test_a_key_is_found_by_its_digest_and_is_nowhere_in_the_database(database):
    made = key_for(database, label="laptop")
    with database.read() as tx:
        pepper = shared.peppers(tx)[0]
        assert credentials.find_by_digest(tx, hash_credential(pepper, made.key)) == made.credential
        assert credentials.find_by_key(tx, made.key) == made.credential
        rows = repr(tx.run(sa.text("SELECT * FROM credential")).all())
        rows += repr(tx.run(sa.text("SELECT * FROM audit")).all())
    assert made.key not in rows
    assert made.key[-8:] not in rows
    assert made.credential.hint == made.key[-4:]
    assert checksum_ok(made.key)


@pytest.mark.parametrize("key", ["cinema-7", "x", "пароль", "a b\nc", "\0", "k" * 512])
def test_any_string_may_be_brought_along_as_a_key(database, key):
    made = run(
        database,
        credentials.import_credential,
        ADA,
        kind="consumer",
        subject="con_1",
        key=key,
    )
    assert run(database, credentials.find_by_key, key) == made


def test_a_key_in_use_is_refused_also_when_its_digest_has_another_pepper(database):
    made = key_for(database)
    run(database, shared.rotate_pepper, ADA)
    for subject in ("con_1", "con_2"):
        with pytest.raises(CredentialTaken):
            run(
                database,
                credentials.import_credential,
                ADA,
                kind="consumer",
                subject=subject,
                key=made.key,
            )


def test_two_who_bring_the_same_key_at_once_do_not_both_get_it(database):
    answers = at_once(
        partial(
            run,
            database,
            credentials.import_credential,
            ADA,
            kind="consumer",
            subject=f"con_{number}",
            key="cinema-7",
        )
        for number in range(8)
    )
    won = [answer for answer in answers if isinstance(answer, Credential)]
    assert len(won) == 1
    assert sum(isinstance(answer, CredentialTaken) for answer in answers) == 7
    assert found_by(database, "cinema-7") == won[0]


def test_older_keys_go_on_working_after_the_pepper_was_rotated(database):
    old = key_for(database)
    run(database, shared.rotate_pepper, ADA)
    new = key_for(database)
    with database.read() as tx:
        assert len(shared.peppers(tx)) == 2
        assert credentials.find_by_key(tx, old.key) == old.credential
        assert credentials.find_by_key(tx, new.key) == new.credential


def test_a_revoked_key_is_dead_at_once_and_its_subject_is_looked_at_again(database):
    made = key_for(database)
    before = run(database, Ledger().revision, "con_1")
    gone = run(database, credentials.revoke_credential, ADA, made.credential.id)
    assert not is_live(gone, now(database))
    assert run(database, Ledger().revision, "con_1") == before + 1
    assert run(database, credentials.revoke_credential, ADA, made.credential.id) == gone
    assert run(database, Ledger().revision, "con_1") == before + 1
    assert [entry.action for entry in run(database, audit.list_audit).items] == [
        "credential.revoked",
        "credential.created",
    ]


def test_a_rotated_key_works_until_the_overlap_ends(database, clock):
    old = key_for(database, label="laptop")
    new = run(
        database,
        credentials.rotate_credential,
        ADA,
        old.credential.id,
        overlap_us=60 * SECOND_US,
    )
    assert new.key != old.key
    assert new.credential.label == "laptop"
    assert new.credential.subject == "con_1"
    fading = run(database, credentials.read_credential, old.credential.id)
    assert is_live(fading, now(database))
    assert fading.expires_at is not None
    assert not is_live(fading, fading.expires_at)
    assert abs(fading.expires_at - now(database) - 60 * SECOND_US) < 30 * SECOND_US
    clock.move(120 * SECOND_US)
    assert not is_live(fading, now(database))
    assert is_live(new.credential, now(database))
    assert run(database, Ledger().revision, "con_1") == 1


def test_rotating_never_lets_an_old_key_live_longer(database):
    soon = now(database) + 3600 * SECOND_US
    old = key_for(database, expires_at=soon)
    run(
        database,
        credentials.rotate_credential,
        ADA,
        old.credential.id,
        overlap_us=86_400 * SECOND_US,
    )
    assert run(database, credentials.read_credential, old.credential.id).expires_at == soon


def test_a_dead_key_cannot_be_rotated(database):
    old = key_for(database)
    run(database, credentials.revoke_credential, ADA, old.credential.id)
    with pytest.raises(CredentialRevoked):
        run(database, credentials.rotate_credential, ADA, old.credential.id, overlap_us=0)


def test_a_key_needs_somebody_to_be_for(database):
    with pytest.raises(OperatorUnknown):
        key_for(database, kind="operator", subject="opr_nobody")
    with pytest.raises(CredentialUnknown):
        run(database, credentials.read_credential, "key_nothing")
    with pytest.raises(ValueRefused):
        key_for(database, expires_at=now(database))


def test_keys_are_listed_in_pages(database):
    made = [key_for(database).credential.id for _ in range(3)]
    key_for(database, subject="con_2")
    first = run(database, credentials.list_credentials, "con_1", limit=2)
    rest = run(database, credentials.list_credentials, "con_1", after=first.next, limit=2)
    assert [one.id for one in first.items + rest.items] == sorted(made)
    assert rest.next is None
