"""`farebox keys`: operators and secrets, straight on the database."""

from collections.abc import Callable, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from farebox.kernel.clock import SystemClock, show_time
from farebox.platform import (
    service_credentials,
    service_operators,
    service_secrets,
    service_signing,
)
from farebox.platform.model import Actor
from farebox.storage import Tx
from farebox.wiring.services import opened
from farebox.wiring.settings import Settings


def _actor(reason: str) -> Actor:
    return Actor(kind="system", id="command-line", reason=reason or None)


def _change(settings: Settings, work: Callable[[Tx], Any]) -> Any:  # noqa: ANN401 - whatever the work gives
    with opened(settings, SystemClock()) as database:
        return database.run(work)


def show_keys(settings: Settings) -> None:
    """Print a table of operators and their keys."""
    table = Table("operator", "name", "roles", "key", "ends in", "made", "state")
    with opened(settings, SystemClock()) as database, database.read() as tx:
        now, after = tx.now_us, None
        while True:
            page = service_operators.list_operators(tx, after=after)
            for operator in page.items:
                for each in service_credentials.list_credentials(tx, operator.id).items:
                    ended = each.expires_at is not None and each.expires_at <= now
                    state = "revoked" if each.revoked_at else "expired" if ended else operator.state
                    table.add_row(
                        operator.id,
                        operator.name,
                        ", ".join(operator.roles),
                        each.id,
                        each.hint,
                        show_time(each.created_at)[:16],
                        state,
                    )
            if page.next is None:
                break
            after = page.next
    Console().print(table)


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
