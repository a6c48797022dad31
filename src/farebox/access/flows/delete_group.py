"""Delete a group that holds nothing any more."""

from farebox.platform.model import Actor
from farebox.storage import Database


def delete_group(database: Database, actor: Actor, group_id: str) -> None:
    """Delete a group; refuses while something is on its buckets (`group_has_buckets`)."""
    raise NotImplementedError
