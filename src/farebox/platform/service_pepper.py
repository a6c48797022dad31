"""The pepper from outside: whoever has the database alone cannot try keys against its digests.

The database holds only a check of it, by which a start with a wrong one is noticed before it would
refuse every key. What was hashed under an earlier pepper, the database's own included, is found
and hashed anew when it is shown next, because only then is the key itself at hand.
"""

import contextlib
import hmac
from typing import Final

from farebox.kernel.refusals import SettingsRefused, TryAgain
from farebox.platform import store
from farebox.platform.model import SYSTEM
from farebox.platform.rules import hash_credential
from farebox.platform.service_audit import record
from farebox.platform.service_secrets import (
    PEPPER,
    add_version,
    peppers,
    versions_of,
)
from farebox.storage import Database, Tx

_CHECK: Final = "pepper_check"


def tell_peppers(database: Database, pepper: str | None, old: str | None = None) -> None:
    """Let a process's transactions hash under this pepper, and find what the old one hashed."""
    told = tuple(text.encode() for text in (pepper, old) if text is not None)
    database.secrets = {**database.secrets, PEPPER: told} if told else database.secrets


def settle_pepper(tx: Tx) -> None:
    """Make sure that this process was told the pepper of this database, or the next one.

    The first one that is told is the one from then on. Another one is taken when the one before is
    told beside it. Refuses (`settings_invalid`) a missing, a wrong and a changed one.
    """
    told = [_check_of(pepper) for pepper in tx.secrets.get(PEPPER, ())]
    known = versions_of(tx, _CHECK)
    if not told:
        if known:
            raise SettingsRefused(
                "this data needs its pepper: set FAREBOX_PEPPER as it was when the data was made"
            )
        return
    if any(old not in known for old in told[1:]):
        raise SettingsRefused("FAREBOX_PEPPER_OLD was never the pepper of this data")
    if known and told[0] == known[0]:
        return
    if known and known[0] not in told[1:]:
        raise SettingsRefused(
            "FAREBOX_PEPPER is not the pepper of this data; to change it, "
            "set the one before as FAREBOX_PEPPER_OLD"
        )
    # The number that follows what was just read: whoever else read the same is stopped by it.
    if not add_version(tx, _CHECK, len(known) + 1, told[0]):
        raise TryAgain
    record(tx, SYSTEM, "pepper.rotated" if known else "pepper.begun", PEPPER)


def renew_digest(database: Database, key: str) -> None:
    """Hash a key that was shown under the pepper in use, if an older one hashed it."""

    def work(tx: Tx) -> None:
        newest, *older = [hash_credential(pepper, key) for pepper in peppers(tx)]
        here = store.credential.c.digest.in_(older)
        tx.run(store.credential.update().where(here).values(digest=newest))

    # If not now, then when it is shown next.
    with contextlib.suppress(TryAgain):
        database.run(work)


def _check_of(pepper: bytes) -> bytes:
    """Return what tells peppers apart and gives none away: they are long and random."""
    return hmac.digest(pepper, b"farebox pepper check", "sha256")
