"""`farebox keys`: operators and secrets, straight on the database."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeVar

from rich.console import Console
from rich.table import Table

from farebox.kernel.clock import show_time
from farebox.platform import (
    service_credentials,
    service_operators,
    service_secrets,
    service_signing,
)
from farebox.platform.model import Actor, Credential, Operator
from farebox.storage import Tx
from farebox.wiring.services import opened_served
from farebox.wiring.settings import Settings

T = TypeVar("T")
WIDE: Final = 240


def _actor(reason: str) -> Actor:
    return Actor(kind="system", id="command-line", reason=reason or None)


def _change(settings: Settings, work: Callable[[Tx], T]) -> T:
    with opened_served(settings) as database:
        return database.run(work)


def show_keys(settings: Settings) -> None:
    """Print a table of operators' keys."""
    table = Table(box=None, pad_edge=False)
    for heading in ("name", "roles"):
        table.add_column(heading, overflow="fold")
    for heading in ("key", "ends in", "made", "state"):
        table.add_column(heading, no_wrap=True)
    with (
        opened_served(settings) as database,
        database.read() as tx,
    ):
        for operator in _operators(tx):
            for each in service_credentials.list_credentials(tx, operator.id, limit=1000).items:
                table.add_row(
                    operator.name,
                    ", ".join(operator.roles),
                    each.id,
                    each.hint,
                    show_time(each.created_at)[:10],
                    _state(operator, each, tx.now_us),
                )
    console = Console()
    if not console.is_terminal:
        # What reads a pipe wants a key a line, not our guess at its width.
        console = Console(width=WIDE)
    console.print(table)


def _operators(tx: Tx) -> Iterator[Operator]:
    after = None
    while True:
        page = service_operators.list_operators(tx, after=after)
        yield from page.items
        if page.next is None:
            return
        after = page.next


def _state(operator: Operator, key: Credential, now_us: int) -> str:
    if key.revoked_at is not None:
        return "revoked"
    if key.expires_at is not None and key.expires_at <= now_us:
        return "expired"
    return operator.state


def create_key(settings: Settings, name: str, roles: Sequence[str], reason: str) -> None:
    """Make an operator and print its key."""

    def work(tx: Tx) -> str:
        actor = _actor(reason)
        made = service_operators.create_operator(tx, actor, name=name, roles=roles)
        new = service_credentials.create_credential(tx, actor, kind="operator", subject=made.id)
        return new.key

    print(_change(settings, work))


def revoke_key(settings: Settings, key_id: str, reason: str) -> None:
    """Revoke a key."""
    _change(settings, lambda tx: service_credentials.revoke_credential(tx, _actor(reason), key_id))
    print(f"revoked {key_id}")


def rotate_signing_key(settings: Settings, reason: str) -> None:
    """Rotate the key that signs access keys."""
    made = _change(settings, lambda tx: service_signing.rotate_signing_key(tx, _actor(reason)))
    print(f"access keys are signed by {made.kid} from now on")


def rotate_pepper_now(settings: Settings, reason: str) -> None:
    """Rotate the pepper."""
    _change(settings, lambda tx: service_secrets.rotate_pepper(tx, _actor(reason)))
    print("new keys are hashed under a new pepper")
