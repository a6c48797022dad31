"""Groups and their members."""

from farebox.access.consumers.model import Group, Member
from farebox.platform.model import Actor, Page
from farebox.storage import Tx


def create_group(tx: Tx, actor: Actor, *, name: str, priority: int = 0) -> Group:
    """Create an empty group."""
    raise NotImplementedError


def read_group(tx: Tx, group_id: str) -> Group:
    """Return a group; refuses an unknown one (`group_unknown`)."""
    raise NotImplementedError


def list_groups(tx: Tx, *, after: str | None = None, limit: int = 100) -> Page[Group]:
    """Return groups in the order of their ids."""
    raise NotImplementedError


def update_group(
    tx: Tx, actor: Actor, group_id: str, *, name: str | None = None, priority: int | None = None
) -> Group:
    """Change what is given."""
    raise NotImplementedError


def delete_group(tx: Tx, actor: Actor, group_id: str) -> None:
    """Remove a group and its memberships. Whether it still holds buckets asks the flow `delete_group`."""
    raise NotImplementedError


def add_member(tx: Tx, actor: Actor, *, group: str, consumer: str) -> Member:
    """Add a consumer to a group; adding a member again changes nothing. Refuses devices (`device_draws_as_owner`)."""
    raise NotImplementedError


def remove_member(tx: Tx, actor: Actor, *, group: str, consumer: str) -> None:
    """Take a consumer out of a group, from the next decision on; refuses a stranger (`member_unknown`)."""
    raise NotImplementedError


def is_member(tx: Tx, *, group: str, consumer: str) -> bool:
    """Tell whether a consumer is in a group."""
    raise NotImplementedError


def list_members(
    tx: Tx, group_id: str, *, after: str | None = None, limit: int = 100
) -> Page[Member]:
    """Return a group's members in the order of their ids."""
    raise NotImplementedError


def groups_of(tx: Tx, consumer_id: str) -> tuple[Group, ...]:
    """Return the groups of a consumer in the order in which they are drawn: by priority, then id."""
    raise NotImplementedError
