"""Open an AccMan account: consumer, credential, bucket, first grant, event (source 001)."""

import msgspec

from farebox.access.buckets.model import Movement, Terms
from farebox.access.buckets.service import create_bucket, top_up
from farebox.access.consumers.model import Consumer
from farebox.access.consumers.service import create_consumer, create_key, import_key
from farebox.contracts.accounts import ACCOUNT_PRODUCT
from farebox.events.service import publish
from farebox.kernel import ids
from farebox.platform.model import Actor, Once
from farebox.platform.rules import checked_imported_key, hint_of
from farebox.platform.service_posted import answer_once
from farebox.storage import Database, Tx


class OpenedAccount(msgspec.Struct, frozen=True, kw_only=True):
    """An account that was opened. The credential is shown here and never again."""

    bucket: int
    consumer: str
    credential: str
    tot: int


def open_account(
    database: Database,
    actor: Actor,
    *,
    amount: int,
    credential: str | None = None,
    once: Once | None = None,
) -> OpenedAccount:
    """Open an account with `amount` on it; without a `credential` one is made.

    Refuses a credential that is in use (`credential_taken`).
    """

    def work(tx: Tx) -> OpenedAccount:
        return answer_once(
            tx, once, OpenedAccount, lambda: create_account(tx, actor, credential, amount)
        )

    return database.run(work)


def create_account(tx: Tx, actor: Actor, credential: str | None, amount: int) -> OpenedAccount:
    """Make everything that an account is, and tell of it by `account.opened`."""
    if credential is None:
        consumer = create_consumer(tx, actor, name="Account")
        key = create_key(tx, actor, consumer.id, label="Account").key
    else:
        consumer = create_account_holder(tx, actor, credential)
        key = credential
    made = open_account_bucket(tx, actor, consumer.id, amount)
    return OpenedAccount(
        bucket=made.bucket, consumer=consumer.id, credential=key, tot=made.available
    )


def create_account_holder(tx: Tx, actor: Actor, credential: str) -> Consumer:
    """Make the consumer of an account whose credential was brought along."""
    checked_imported_key(credential)
    consumer = create_consumer(tx, actor, name=f"Account {hint_of(credential)}".strip())
    import_key(tx, actor, consumer.id, key=credential, label="Account")
    return consumer


def open_account_bucket(
    tx: Tx,
    actor: Actor,
    consumer: str,
    amount: int,
    *,
    once: Once | None = None,
    operation: int | None = None,
) -> Movement:
    """Open the bucket of a consumer's account, put `amount` on it, and tell of it."""
    bucket = create_bucket(
        tx, actor, product=ACCOUNT_PRODUCT, holder_kind="consumer", holder=consumer
    )
    terms = Terms(amount=amount)
    done = top_up(tx, actor, bucket.id, terms, once=once, operation=operation)
    shown = ids.show("bkt", bucket.id)
    data = {
        "account": shown,
        "consumer": consumer,
        "product": ACCOUNT_PRODUCT,
        "amount": amount,
    }
    publish(tx, type="account.opened", subject=shown, data=data)
    return done
