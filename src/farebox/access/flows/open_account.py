"""Open an AccMan account: consumer, credential, bucket, first grant, event."""

import msgspec

from farebox.platform.model import Actor, Once
from farebox.storage import Database


class OpenedAccount(msgspec.Struct, frozen=True, kw_only=True):
    """An account that was opened. The credential is shown here and never again."""

    bucket: int
    consumer: str
    credential: str
    tot: int


def open_account(
    database: Database,
    actor: Actor,
    *,
    amount: int,
    credential: str | None = None,
    once: Once | None = None,
) -> OpenedAccount:
    """Open an account with `amount` on it; refuses a credential in use (`credential_taken`)."""
    raise NotImplementedError
