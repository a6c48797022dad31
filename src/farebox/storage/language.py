"""Words of the portable migration language that say more than a name."""

import re
from typing import Final

import msgspec

_REFUSE: Final = re.compile(
    r"REFUSE (\w+) (INSERT|UPDATE|DELETE) ON (\w+) WHEN (.+) SAYING '([^']+)'", re.DOTALL
)


class RefusalOf(msgspec.Struct, frozen=True):
    """What the database itself refuses: a change of a table, under a condition on OLD and NEW."""

    name: str
    verb: str
    table: str
    condition: str
    text: str


def refusal_of(statement: str) -> RefusalOf:
    """Read a REFUSE of the portable migration language."""
    found = _REFUSE.fullmatch(" ".join(statement.split()))
    assert found, statement
    return RefusalOf(*found.groups())
