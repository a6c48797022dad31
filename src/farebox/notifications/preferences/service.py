"""Preferences: read by whoever sends, replaced as a whole by whom they are about."""

import msgspec
import sqlalchemy as sa

from farebox.notifications.letters.model import LetterKind
from farebox.notifications.preferences import rules, store
from farebox.notifications.preferences.model import Preference, RecipientUnknown, Wanted
from farebox.notifications.recipients.service import find_recipient
from farebox.platform.model import Actor
from farebox.platform.service_audit import record
from farebox.storage import Tx


def preference_of(tx: Tx, recipient: str) -> Preference:
    """Return what somebody has chosen; nothing yet is a choice too."""
    row = tx.one(sa.select(store.preference).where(store.preference.c.recipient == recipient))
    return Preference(recipient=recipient) if row is None else store.preference_of(row)


def wanted(tx: Tx, recipient: str, kind: LetterKind, zone: str) -> Wanted:
    """Return how somebody wants a letter of a kind now; `zone` is theirs if they chose none."""
    chosen = preference_of(tx, recipient)
    return Wanted(
        order=rules.channels_for(chosen, kind),
        ringing=rules.RINGING,
        off=rules.is_off(chosen, kind),
        quiet_until=rules.quiet_until(chosen.quiet, chosen.zone or zone, tx.now_us),
    )


def read_preference(tx: Tx, recipient: str) -> Preference:
    """Return what somebody has chosen; refuses (`recipient_unknown`) whom nobody has told of."""
    if find_recipient(tx, recipient) is None:
        raise RecipientUnknown
    return preference_of(tx, recipient)


def set_preference(tx: Tx, actor: Actor, made: Preference) -> Preference:
    """Replace what somebody has chosen; it counts for what is not sent yet as well.

    Refuses `recipient_unknown`, `letter_needed`, `preference_invalid`, `value_invalid`.
    """
    before = read_preference(tx, made.recipient)
    after = msgspec.structs.replace(rules.checked(made), changed_at=before.changed_at)
    if after == before:
        return before
    after = msgspec.structs.replace(after, changed_at=tx.now_us)
    tx.upsert(store.preference, store.row_of(after), key=("recipient",))
    record(tx, actor, "preference.set", made.recipient, before=before, after=after)
    return after
