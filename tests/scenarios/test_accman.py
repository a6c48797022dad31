"""AccMan: accounts that are opened, added to, taken from and looked back on (source 001)."""

from functools import partial

import pytest

from farebox.access.buckets import service as buckets
from farebox.access.buckets.model import BucketDenied, Shortage
from farebox.access.catalog.service import ensure_product
from farebox.access.consumers import service as consumers
from farebox.access.decisions.model import ConsumerSuspended
from farebox.access.flows.accounts import AccountUnknown, Modified, mod, past, tot
from farebox.access.flows.open_account import OpenedAccount, open_account
from farebox.contracts.accounts import ACCOUNT_PRODUCT
from farebox.events.model import Position
from farebox.events.service import events_after
from farebox.kernel import ids
from farebox.kernel.refusals import ValueRefused
from farebox.platform import service_credentials as credentials
from farebox.platform import service_operators as operators
from farebox.platform.model import Actor, CredentialTaken, KeyReused, Once
from farebox.platform.rules import checksum_ok
from farebox.platform.service_audit import list_audit
from farebox.platform.service_secrets import ensure_pepper
from farebox.storage import Database
from tests.support.services import ADA, at_once, run

SERVICE = Actor(kind="operator", id="opr_films")


@pytest.fixture
def accounts(database):
    database.run(ensure_pepper)
    run(database, ensure_product, code=ACCOUNT_PRODUCT, name="Account", unit="credit")
    return database


def move(database: Database, by: int, credential: str = "cinema-7", **named):
    return mod(database, SERVICE, credential=credential, by=by, **named)


def key(name: str, by: int) -> Once:
    return Once(caller=SERVICE.id, key=name, payload=f"mod {by}".encode())


def holder(database: Database, credential: str = "cinema-7") -> str:
    found = run(database, credentials.find_by_key, credential)
    assert found is not None
    return found.subject


def test_money_with_an_unknown_credential_opens_the_account(accounts):
    opened = move(accounts, 1_000_000)
    assert (opened.by, opened.tot) == (1_000_000, 1_000_000)
    assert run(accounts, tot, "cinema-7") == 1_000_000
    (event,) = [
        event
        for event in run(accounts, events_after, Position()).events
        if event.type == "account.opened"
    ]
    assert event.data["amount"] == 1_000_000
    assert event.data["consumer"] == holder(accounts)
    assert "cinema-7" not in repr(event)


def test_an_account_is_added_to_and_taken_from(accounts):
    move(accounts, 100)
    taken = move(accounts, -30)
    assert (taken.by, taken.tot) == (-30, 70)
    assert move(accounts, 5).tot == 75
    assert run(accounts, tot, "cinema-7") == 75


def test_what_would_go_below_the_floor_is_denied_and_changes_nothing(accounts):
    move(accounts, 10)
    denied = move(accounts, -11)
    assert isinstance(denied, Shortage)
    assert (denied.code, denied.available) == ("bucket_empty", 10)
    assert run(accounts, tot, "cinema-7") == 10
    assert len(run(accounts, past, "cinema-7").items) == 1
    assert move(accounts, -10).tot == 0


def test_an_unknown_account_is_refused_and_nothing_is_made(accounts):
    with pytest.raises(AccountUnknown):
        move(accounts, -1)
    for look in (tot, past):
        with pytest.raises(AccountUnknown):
            run(accounts, look, "cinema-7")
    assert run(accounts, consumers.list_consumers).items == ()


@pytest.mark.parametrize("by", [0, 2**53, -(2**53), 2**63])
def test_an_amount_that_cannot_be_is_refused_and_opens_nothing(accounts, by):
    with pytest.raises(ValueRefused):
        move(accounts, by)
    assert run(accounts, consumers.list_consumers).items == ()


@pytest.mark.parametrize("credential", ["", "k" * 513, "fb_live_wrongchecksum", "fb_live_"])
def test_a_credential_that_cannot_be_is_refused_and_opens_nothing(accounts, credential):
    with pytest.raises(ValueRefused):
        move(accounts, 1, credential)
    with pytest.raises(AccountUnknown):
        run(accounts, tot, credential)


@pytest.mark.parametrize("credential", ["a b", "пароль", "\0", "a\nb", "'; DROP TABLE account --"])
def test_any_other_string_is_a_credential(accounts, credential):
    move(accounts, 7, credential)
    assert run(accounts, tot, credential) == 7
    with pytest.raises(AccountUnknown):
        run(accounts, tot, credential + " ")


def test_many_who_take_at_once_never_take_more_than_there_is(accounts):
    move(accounts, 50)
    answers = at_once([partial(move, accounts, -10)] * 8)
    assert sum(isinstance(answer, Modified) for answer in answers) == 5
    assert sum(isinstance(answer, Shortage) for answer in answers) == 3
    assert run(accounts, tot, "cinema-7") == 0


def test_many_who_open_one_account_at_once_open_one(accounts):
    answers = at_once([partial(move, accounts, 10)] * 8)
    assert all(isinstance(answer, Modified) for answer in answers), answers
    assert run(accounts, tot, "cinema-7") == 80
    assert len(run(accounts, consumers.list_consumers).items) == 1
    assert len(run(accounts, buckets.list_buckets).items) == 1


def test_a_consumer_without_an_account_gets_one_also_from_many_at_once(accounts):
    bob = run(accounts, consumers.create_consumer, ADA, name="Bob").id
    run(accounts, consumers.import_key, ADA, bob, key="cinema-7")
    with pytest.raises(AccountUnknown):
        run(accounts, tot, "cinema-7")
    answers = at_once([partial(move, accounts, 10)] * 6)
    assert all(isinstance(answer, Modified) for answer in answers), answers
    assert run(accounts, tot, "cinema-7") == 60
    assert len(run(accounts, buckets.list_buckets, holder=bob).items) == 1


def test_a_repeat_under_the_same_key_moves_once(accounts):
    first = move(accounts, 10, once=key("k1", 10))
    assert move(accounts, 10, once=key("k1", 10)) == first
    taken = move(accounts, -4, once=key("k2", -4))
    assert move(accounts, -4, once=key("k2", -4)) == taken
    with pytest.raises(KeyReused):
        move(accounts, -5, once=key("k2", -5))
    assert run(accounts, tot, "cinema-7") == 6


def test_a_denied_repeat_stays_denied_and_a_known_key_outlives_a_suspension(accounts):
    move(accounts, 10)
    denied = move(accounts, -11, once=key("k1", -11))
    taken = move(accounts, -3, once=key("k2", -3))
    move(accounts, 100)
    assert move(accounts, -11, once=key("k1", -11)) == denied
    run(accounts, consumers.suspend_consumer, ADA, holder(accounts))
    assert move(accounts, -3, once=key("k2", -3)) == taken
    with pytest.raises(ConsumerSuspended):
        move(accounts, -3, once=key("k3", -3))
    assert run(accounts, tot, "cinema-7") == 107


def test_a_suspended_account_can_be_seen_and_added_to(accounts):
    move(accounts, 10)
    run(accounts, consumers.suspend_consumer, ADA, holder(accounts))
    assert run(accounts, tot, "cinema-7") == 10
    assert move(accounts, 5).tot == 15


def test_a_frozen_account_shows_what_is_on_it_and_moves_nothing(accounts):
    move(accounts, 10)
    (view,) = run(accounts, buckets.list_buckets).items
    run(accounts, buckets.freeze_bucket, ADA, view.bucket.id)
    assert run(accounts, tot, "cinema-7") == 10
    for by in (1, -1):
        with pytest.raises(BucketDenied) as raised:
            move(accounts, by)
        assert raised.value.code == "bucket_frozen"


def test_the_past_is_told_newest_first_in_pages(accounts):
    for by in (100, -30, 5):
        move(accounts, by)
    first = run(accounts, past, "cinema-7", limit=2)
    rest = run(accounts, past, "cinema-7", before=int(first.next or 0), limit=2)
    told = [(entry.kind, entry.by, entry.available_after) for entry in first.items + rest.items]
    assert told == [("grant", 5, 75), ("use", -30, 70), ("grant", 100, 100)]
    assert rest.next is None


def test_a_revoked_credential_is_no_account_and_cannot_be_taken_over(accounts):
    move(accounts, 10)
    found = run(accounts, credentials.find_by_key, "cinema-7")
    assert found is not None
    run(accounts, credentials.revoke_credential, ADA, found.id)
    with pytest.raises(AccountUnknown):
        run(accounts, tot, "cinema-7")
    with pytest.raises(AccountUnknown):
        move(accounts, -1)
    with pytest.raises(CredentialTaken):
        move(accounts, 5)


def test_an_operators_key_is_no_account(accounts):
    admin = run(accounts, operators.first_admin, None)
    assert admin is not None
    with pytest.raises(AccountUnknown):
        run(accounts, tot, admin)
    with pytest.raises(CredentialTaken):
        move(accounts, 5, admin)


# -- opening -------------------------------------------------------------------------------------


def test_an_opened_account_has_a_credential_of_ours_and_its_money(accounts):
    made = open_account(accounts, SERVICE, amount=1000)
    assert made.credential.startswith("fb_live_")
    assert checksum_ok(made.credential)
    assert made.tot == run(accounts, tot, made.credential) == 1000
    assert run(accounts, tot, made.credential) == 1000
    (view,) = run(accounts, buckets.list_buckets, holder=made.consumer).items
    assert view.bucket.id == made.bucket


def test_an_account_opened_twice_under_one_key_is_one_and_shows_the_same_credential(accounts):
    once = Once(caller=SERVICE.id, key="k1", payload=b"open 1000")
    open_it = partial(open_account, accounts, SERVICE, amount=1000, once=once)
    answers = at_once([open_it] * 5)
    assert all(isinstance(answer, OpenedAccount) for answer in answers), answers
    assert len({answer.credential for answer in answers if isinstance(answer, OpenedAccount)}) == 1
    assert len(run(accounts, buckets.list_buckets).items) == 1


def test_an_account_is_opened_with_a_credential_from_elsewhere_once(accounts):
    made = open_account(accounts, SERVICE, amount=5, credential="cinema-7")
    assert made.credential == "cinema-7"
    with pytest.raises(CredentialTaken):
        open_account(accounts, SERVICE, amount=5, credential="cinema-7")
    assert run(accounts, tot, "cinema-7") == 5
    assert len(run(accounts, consumers.list_consumers).items) == 1


@pytest.mark.parametrize("amount", [0, -1, 2**53])
def test_an_account_without_money_is_not_opened(accounts, amount):
    with pytest.raises(ValueRefused):
        open_account(accounts, SERVICE, amount=amount)
    assert run(accounts, consumers.list_consumers).items == ()


def test_who_gave_the_money_is_in_the_audit_log(accounts):
    made = open_account(accounts, SERVICE, amount=5)
    move(accounts, 7, made.credential)
    move(accounts, -2, made.credential)
    log = run(accounts, list_audit, subject=ids.show("bkt", made.bucket)).items
    assert [entry.action for entry in log] == ["bucket.granted", "bucket.granted", "bucket.created"]
    assert {entry.actor for entry in log} == {"opr_films"}
