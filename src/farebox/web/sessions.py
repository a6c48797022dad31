"""Sessions: a consumer's key with an end, in a cookie that scripts cannot read.

So a session is nothing new: it is listed, expires and is revoked like any key, counts on every
process at once, and the API knows it. Its label says which browser it was made in.
"""

import re
from collections.abc import Callable
from typing import Final

import msgspec
from anyio import to_thread

from farebox.access.consumers.model import LocalAccount
from farebox.access.consumers.service import find_consumer
from farebox.access.consumers.service_accounts import keep_account
from farebox.kernel.clock import SECOND_US
from farebox.platform.model import SESSION, Actor, NewCredential, Principal
from farebox.platform.service_credentials import create_credential, revoke_credential
from farebox.storage import Database, Tx

COOKIE: Final = "farebox_session"
LIFE_S: Final = 30 * 86_400
_BROWSERS: Final = ("Firefox", "Edg", "OPR", "Chrome", "Safari")
_SYSTEMS: Final = ("Android", "iPhone", "iPad", "Windows", "Mac OS", "Linux")


class Visitor(msgspec.Struct, frozen=True):
    """Who looks at a page: a consumer, their name, and the key that the cookie holds."""

    consumer: str
    name: str
    key: str
    key_id: str


class Sessions:
    """Begins, knows and ends sessions over access's database."""

    def __init__(self, database: Database, authenticate: Callable[[str], Principal | None]) -> None:
        self._database = database
        self._authenticate = authenticate

    async def begin(self, consumer: str, agent: str, account: LocalAccount | None = None) -> str:
        """Make a session for a consumer who has proved who they are; return the cookie's key.

        Where an account's password was the proof it must still be the account's, or the session is
        refused (`sign_in_refused`).
        """
        return await to_thread.run_sync(self._begin, consumer, agent, account)

    def _begin(self, consumer: str, agent: str, account: LocalAccount | None) -> str:
        actor = Actor(kind="consumer", id=consumer, reason="signed in")

        def make(tx: Tx) -> NewCredential:
            if account is not None:
                keep_account(tx, account)
            return create_credential(
                tx,
                actor,
                kind="consumer",
                subject=consumer,
                label=f"{SESSION}{browser_of(agent)}",
                expires_at=tx.now_us + LIFE_S * SECOND_US,
            )

        return self._database.run(make).key

    async def visitor(self, key: str | None) -> Visitor | None:
        """Return whose session a cookie is; None for none, an ended one, or what is no session."""
        if not key:
            return None
        return await to_thread.run_sync(self._visitor, key)

    def principal(self, key: str | None) -> Principal | None:
        """Return whose key this is, or None. Not for the event loop."""
        return self._authenticate(key) if key else None

    def _visitor(self, key: str) -> Visitor | None:
        found = self._authenticate(key)
        if found is None or found.kind != "consumer" or found.key_id is None:
            return None
        with self._database.read() as tx:
            consumer = find_consumer(tx, found.id)
        if consumer is None:
            return None
        return Visitor(consumer=found.id, name=consumer.name, key=key, key_id=found.key_id)

    async def end(self, visitor: Visitor) -> None:
        """End a session on every process at once."""
        await self.end_key(visitor, visitor.key_id)

    async def end_key(self, visitor: Visitor, key_id: str) -> None:
        """End another session of the same visitor; whose it is, the caller has looked up."""
        actor = Actor(kind="consumer", id=visitor.consumer, reason="signed out")
        await to_thread.run_sync(
            self._database.run, lambda tx: revoke_credential(tx, actor, key_id)
        )


def browser_of(agent: str) -> str:
    """Say which browser on which system a User-Agent means, in words that people know."""
    browser = next((name for name in _BROWSERS if f"{name}/" in agent), None)
    system = next((name for name in _SYSTEMS if re.search(rf"\b{name}", agent)), None)
    known = {"Edg": "Edge", "OPR": "Opera", "Mac OS": "macOS"}
    words = [known.get(word, word) for word in (browser, system) if word is not None]
    return ", ".join(words) or "another program"
