"""Whom no identity provider knows: an address and a password of their own."""

from typing import Annotated

from litestar import put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import Meta

from farebox.access.consumers.service_accounts import (
    LONGEST_PASSWORD,
    SHORTEST_PASSWORD,
    hash_password,
    set_account,
)
from farebox.http.deps import Command
from farebox.http.wire import Body, View


class SetAccount(Body, frozen=True):
    """What somebody signs in with at the pages: an address for letters, and a password."""

    email: Annotated[str, Meta(min_length=3, max_length=254, pattern=r"^[!-?A-~]+@[!-?A-~]+$")]
    password: Annotated[str, Meta(min_length=SHORTEST_PASSWORD, max_length=LONGEST_PASSWORD)]


class AccountOfConsumer(View, frozen=True):
    """Whose account this is, and its address. The password is never told."""

    consumer: str
    email: str


@put(
    "/v1/consumers/{consumer:str}/account",
    operation_id="setLocalAccount",
    tags=["Consumers"],
    sync_to_thread=True,
)
def set_local_account(
    consumer: FromPath[str], data: JSONBody[SetAccount], command: NamedDependency[Command]
) -> AccountOfConsumer:
    """Let a consumer sign in with an address and a password; again replaces both.

    Then every session of the consumer ends, and the new password begins the next one.
    """
    hashed = hash_password(data.password)
    command.write(
        lambda tx: set_account(
            tx, command.actor, consumer=consumer, email=data.email, password=hashed
        )
    )
    return AccountOfConsumer(consumer=consumer, email=data.email.casefold())


HANDLERS = (set_local_account,)
