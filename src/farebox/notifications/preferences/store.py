"""The table of preferences."""

from functools import partial
from typing import Any

import msgspec
import sqlalchemy as sa

from farebox.notifications.letters.model import LetterKind
from farebox.notifications.preferences.model import Choice, Preference, Quiet
from farebox.storage import table

metadata = sa.MetaData()
_table = partial(table, metadata)
preference = _table(
    "preference",
    recipient=sa.Text,
    channel=sa.Text,
    letters=sa.Text,
    quiet_from=sa.BigInteger,
    quiet_until=sa.BigInteger,
    locale=sa.Text,
    zone=sa.Text,
    phone=sa.Text,
    changed_at=sa.BigInteger,
)


def preference_of(row: sa.Row[Any]) -> Preference:
    """Return a row of `preference`."""
    quiet = None
    if row.quiet_from is not None:
        quiet = Quiet(start=row.quiet_from, end=row.quiet_until)
    return Preference(
        recipient=row.recipient,
        channel=row.channel,
        letters=msgspec.json.decode(row.letters, type=dict[LetterKind, Choice]),
        quiet=quiet,
        locale=row.locale,
        zone=row.zone,
        phone=row.phone,
        changed_at=row.changed_at,
    )


def row_of(one: Preference) -> dict[str, Any]:
    """Return a preference as a row."""
    return {
        "recipient": one.recipient,
        "channel": one.channel,
        "letters": msgspec.json.encode(one.letters).decode(),
        "quiet_from": None if one.quiet is None else one.quiet.start,
        "quiet_until": None if one.quiet is None else one.quiet.end,
        "locale": one.locale,
        "zone": one.zone,
        "phone": one.phone,
        "changed_at": one.changed_at,
    }
