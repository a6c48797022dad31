"""Caps: how much of a group's bucket one member may draw."""

from farebox.access.buckets.model import MemberCap
from farebox.platform.model import Actor
from farebox.storage import Tx


def set_cap(tx: Tx, actor: Actor, *, bucket_id: int, consumer: str, amount: int) -> MemberCap:
    """Let a member draw `amount` of a group's bucket in all, what was drawn under the cap before included."""
    raise NotImplementedError


def remove_cap(tx: Tx, actor: Actor, *, bucket_id: int, consumer: str) -> None:
    """Let a member draw as much as there is; refuses where no cap is (`cap_unknown`)."""
    raise NotImplementedError


def caps_of_bucket(tx: Tx, bucket_id: int) -> tuple[MemberCap, ...]:
    """Return the caps on a bucket."""
    raise NotImplementedError
