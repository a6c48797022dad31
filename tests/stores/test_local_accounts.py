"""Local accounts: an address and a password of one's own."""

import threading

import pytest

from farebox.access.consumers import service_accounts as accounts
from farebox.access.consumers.model import AccountTaken, ConsumerUnknown, SignInRefused
from farebox.access.consumers.service import create_consumer
from farebox.kernel.refusals import ValueRefused
from farebox.platform.model import SESSION, SYSTEM
from farebox.platform.service_credentials import create_credential, read_credential
from tests.support.services import run

HASHED = accounts.hash_password("a good one")


@pytest.fixture
def ada(database):
    return run(database, create_consumer, SYSTEM, name="Ada").id


def account(database, consumer, email="ada@example.org", password=HASHED):
    run(database, accounts.set_account, SYSTEM, consumer=consumer, email=email, password=password)


def key_of(tx, consumer, label):
    made = create_credential(tx, SYSTEM, kind="consumer", subject=consumer, label=label)
    return made.credential.id


def is_revoked(database, key_id):
    with database.read() as tx:
        return read_credential(tx, key_id).revoked_at is not None


def refused(database, email, password):
    with pytest.raises(SignInRefused):
        accounts.sign_in(database, email, password)
    return True


def test_the_right_password_signs_in_whatever_the_case_of_the_address(database, ada):
    account(database, ada)
    assert accounts.sign_in(database, " Ada@Example.ORG ", "a good one").consumer == ada


def test_a_wrong_password_and_an_unknown_address_are_refused_alike(database, ada):
    account(database, ada)
    assert refused(database, "ada@example.org", "A good one")
    assert refused(database, "eve@example.org", "a good one")


def test_the_database_never_has_the_password(database, ada):
    account(database, ada)
    with database.read() as tx:
        [row] = tx.connection.exec_driver_sql("SELECT * FROM local_account").fetchall()
    assert row.password.startswith("$argon2id$")
    assert "a good one" not in repr(row)


def test_after_ten_failures_the_right_password_waits_a_quarter_of_an_hour(database, ada, clock):
    account(database, ada)
    for _ in range(accounts.MOST_FAILURES):
        assert refused(database, "ada@example.org", "a guess, a guess")
    assert refused(database, "ada@example.org", "a good one")
    clock.move(accounts.CLOSED_US)
    assert accounts.sign_in(database, "ada@example.org", "a good one").consumer == ada


def test_failures_before_a_success_are_forgotten(database, ada):
    account(database, ada)
    for _ in range(3):
        for _ in range(accounts.MOST_FAILURES - 1):
            refused(database, "ada@example.org", "a guess, a guess")
        assert accounts.sign_in(database, "ada@example.org", "a good one").consumer == ada


def test_a_new_password_takes_the_place_of_the_old_one(database, ada):
    account(database, ada)
    account(database, ada, email="ada@new.example", password=accounts.hash_password("another1"))
    assert refused(database, "ada@example.org", "a good one")
    assert accounts.sign_in(database, "ada@new.example", "another1").consumer == ada


def test_a_new_password_ends_every_session_and_no_key(database, ada):
    account(database, ada)
    bob = run(database, create_consumer, SYSTEM, name="Bob").id
    sessions = [
        run(database, key_of, ada, f"{SESSION}Firefox, {each}") for each in ("Linux", "Mac")
    ]
    others = [
        run(database, key_of, ada, "session of the tills"),
        run(database, key_of, bob, SESSION),
    ]
    account(database, ada, password=accounts.hash_password("another1"))
    assert [is_revoked(database, each) for each in sessions] == [True, True]
    assert [is_revoked(database, each) for each in others] == [False, False]


def test_a_first_password_ends_no_session_of_an_identity_provider(database, ada):
    session = run(database, key_of, ada, f"{SESSION}Firefox")
    account(database, ada)
    assert not is_revoked(database, session)


def test_who_proved_an_old_password_is_too_late_after_the_new_one(database, ada):
    account(database, ada)
    proved = accounts.sign_in(database, "ada@example.org", "a good one")
    account(database, ada, password=accounts.hash_password("another1"))
    with pytest.raises(SignInRefused):
        run(database, accounts.keep_account, proved)


def test_a_session_that_begins_while_the_password_changes_ends_with_it(database, ada):
    account(database, ada)
    proved = accounts.sign_in(database, "ada@example.org", "a good one")
    changed = accounts.hash_password("another1")
    change = threading.Thread(target=account, args=(database, ada), kwargs={"password": changed})
    with database.write() as tx:
        accounts.keep_account(tx, proved)
        change.start()
        session = key_of(tx, ada, f"{SESSION}Firefox")
    change.join(30)
    assert is_revoked(database, session)


def test_an_address_is_one_persons(database, ada):
    account(database, ada)
    bob = run(database, create_consumer, SYSTEM, name="Bob").id
    with pytest.raises(AccountTaken):
        account(database, bob)
    assert accounts.sign_in(database, "ada@example.org", "a good one").consumer == ada


def test_nobody_unknown_gets_an_account(database):
    with pytest.raises(ConsumerUnknown):
        account(database, "con_nobody")


@pytest.mark.parametrize("email", ["ada", "@example.org", "ada@", "a@b@c", ""])
def test_what_is_no_address_is_refused(database, ada, email):
    with pytest.raises(ValueRefused):
        account(database, ada, email=email)


@pytest.mark.parametrize("password", ["short12", "x" * 513])
def test_a_password_has_a_decent_length(password):
    with pytest.raises(ValueRefused):
        accounts.hash_password(password)
