"""Local accounts: an address and a password, for those whom no identity provider knows.

A password is kept as its Argon2id hash. Hashing takes a tenth of a second on purpose, so it is done
before a transaction is opened, in a thread. Whoever fails ten times in a row waits a quarter of an
hour, with the right password as well; a wrong address takes as long as a wrong password.
"""

from functools import lru_cache
from typing import Final

import argon2
import sqlalchemy as sa

from farebox.access.consumers import store
from farebox.access.consumers.model import (
    AccountTaken,
    LocalAccount,
    SignInRefused,
)
from farebox.access.consumers.service import lock_consumer
from farebox.kernel.clock import SECOND_US
from farebox.kernel.refusals import ValueRefused
from farebox.platform.model import Actor
from farebox.platform.rules import checked_text
from farebox.platform.service_audit import record
from farebox.platform.service_credentials import end_sessions
from farebox.storage import Database, Tx

SHORTEST_PASSWORD: Final = 8
LONGEST_PASSWORD: Final = 512
MOST_FAILURES: Final = 10
CLOSED_US: Final = 15 * 60 * SECOND_US
_hasher: Final = argon2.PasswordHasher()


def hash_password(password: str) -> str:
    """Return what a password hashes to; refuses one that is too short or too long."""
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise ValueRefused(f"a password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters")
    return _hasher.hash(password)


def set_account(tx: Tx, actor: Actor, *, consumer: str, email: str, password: str) -> None:
    """Let a consumer sign in with an address and a (hashed) password; again changes both.

    Where it takes the place of another one, every session of the consumer ends: whoever knew the
    old password is out. Refuses an unknown consumer (`consumer_unknown`) and an address that is
    somebody else's (`account_taken`).
    """
    lock_consumer(tx, consumer)
    address = _checked_address(email)
    table = store.local_account
    taken = tx.one(sa.select(table.c.consumer).where(table.c.email == address))
    if taken is not None and taken.consumer != consumer:
        raise AccountTaken
    gone = tx.run(table.delete().where(table.c.consumer == consumer).returning(table.c.consumer))
    if gone.all():
        end_sessions(tx, actor, consumer)
    made = {"email": address, "consumer": consumer, "password": password, "failures": 0}
    row = {**made, "closed_until": 0, "changed_at": tx.now_us}
    if not tx.insert_once(table, row, key=("email",)):
        raise AccountTaken
    record(tx, actor, "account.set", consumer, after={"email": address})


def sign_in(database: Database, email: str, password: str) -> LocalAccount:
    """Return the account whose address and password these are; else refuses (`sign_in_refused`).

    Opens its own transactions and takes a while: call it in a thread.
    """
    with database.read() as tx:
        found = _find(tx, email.strip().casefold())
        now_us = tx.now_us
    good = _verified(found.password if found is not None else _nobodys(), password)
    if found is None or found.closed_until > now_us:
        raise SignInRefused
    if not good:
        database.run(lambda tx: _note_failure(tx, found.email))
        raise SignInRefused
    if found.failures:
        database.run(lambda tx: _set_failures(tx, found.email, 0, 0))
    return found


def keep_account(tx: Tx, account: LocalAccount) -> None:
    """Keep an account's password as it is until the commit.

    Refuses (`sign_in_refused`) one that has another password by now, or is gone.
    """
    here = store.local_account.c.consumer == account.consumer
    row = tx.one(sa.select(store.local_account.c.password).where(here).with_for_update())
    if row is None or row.password != account.password:
        raise SignInRefused


def _find(tx: Tx, address: str) -> LocalAccount | None:
    table = store.local_account
    row = tx.one(sa.select(table).where(table.c.email == address))
    return None if row is None else store.account_of(row)


def _note_failure(tx: Tx, address: str) -> None:
    found = _find(tx, address)
    if found is None:
        return
    failures = found.failures + 1
    closed = failures >= MOST_FAILURES
    until = tx.now_us + CLOSED_US if closed else found.closed_until
    _set_failures(tx, address, 0 if closed else failures, until)


def _set_failures(tx: Tx, address: str, failures: int, closed_until: int) -> None:
    table = store.local_account
    changed = table.update().where(table.c.email == address)
    tx.run(changed.values(failures=failures, closed_until=closed_until))


def _verified(hashed: str, password: str) -> bool:
    try:
        return _hasher.verify(hashed, password[:LONGEST_PASSWORD])
    except argon2.exceptions.VerificationError:
        return False


@lru_cache(maxsize=1)
def _nobodys() -> str:
    """Return a hash that takes as long to compare as anybody's."""
    return _hasher.hash("nobody has this password")


def _checked_address(email: str) -> str:
    address = checked_text(email.strip().casefold(), "an address", longest=254)
    if address.count("@") != 1 or address.startswith("@") or address.endswith("@"):
        raise ValueRefused(f"{email!r} is not an address")
    return address
