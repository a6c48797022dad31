"""Operators and their roles; every change is in the audit log."""

from collections.abc import Iterable

from farebox.platform.model import Actor, Operator, Page, Role
from farebox.storage import Tx


def first_admin(tx: Tx, configured_key: str | None) -> str | None:
    """Make the first admin at the first start; returns the key to print if one was generated."""
    raise NotImplementedError


def create_operator(tx: Tx, actor: Actor, *, name: str, roles: Iterable[Role]) -> Operator:
    """Create an operator without a key; refuses unknown roles (`value_invalid`)."""
    raise NotImplementedError


def read_operator(tx: Tx, operator_id: str) -> Operator:
    """Return an operator; refuses an unknown one (`operator_unknown`)."""
    raise NotImplementedError


def list_operators(tx: Tx, *, after: str | None = None, limit: int = 100) -> Page[Operator]:
    """Return operators in the order of their ids."""
    raise NotImplementedError


def update_operator(
    tx: Tx,
    actor: Actor,
    operator_id: str,
    *,
    name: str | None = None,
    roles: Iterable[Role] | None = None,
) -> Operator:
    """Change an operator's name or roles; refuses to take the last admin away (`last_admin`)."""
    raise NotImplementedError


def suspend_operator(tx: Tx, actor: Actor, operator_id: str) -> Operator:
    """Stop every key of an operator at once; refuses the last admin (`last_admin`)."""
    raise NotImplementedError


def activate_operator(tx: Tx, actor: Actor, operator_id: str) -> Operator:
    """Let an operator's keys work again."""
    raise NotImplementedError
