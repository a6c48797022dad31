"""Keys: made, brought from elsewhere, looked up, rotated, revoked."""

from farebox.platform.model import Actor, Credential, NewCredential, Page, SubjectKind
from farebox.storage import Tx


def create_credential(
    tx: Tx,
    actor: Actor,
    *,
    kind: SubjectKind,
    subject: str,
    label: str = "",
    expires_at: int | None = None,
) -> NewCredential:
    """Generate a key for an operator or a consumer that exists; it is shown in this answer only."""
    raise NotImplementedError


def import_credential(
    tx: Tx,
    actor: Actor,
    *,
    kind: SubjectKind,
    subject: str,
    key: str,
    label: str = "",
    expires_at: int | None = None,
) -> Credential:
    """Take a key from elsewhere: any string of 1 to 512 characters; refuses one in use (`credential_taken`)."""
    raise NotImplementedError


def read_credential(tx: Tx, key_id: str) -> Credential:
    """Return a credential by its id (`key_...`); refuses an unknown one (`credential_unknown`)."""
    raise NotImplementedError


def find_by_digest(tx: Tx, digest: bytes) -> Credential | None:
    """Return the credential behind a digest, also one that is revoked or expired."""
    raise NotImplementedError


def find_by_key(tx: Tx, key: str) -> Credential | None:
    """Return the credential that a key is, under any pepper, also a revoked or expired one."""
    raise NotImplementedError


def list_credentials(
    tx: Tx, subject: str, *, after: str | None = None, limit: int = 100
) -> Page[Credential]:
    """Return a subject's credentials, oldest first."""
    raise NotImplementedError


def rotate_credential(tx: Tx, actor: Actor, key_id: str, *, overlap_us: int) -> NewCredential:
    """Make a new key for the same subject; the old one works for `overlap_us` longer, then no more."""
    raise NotImplementedError


def revoke_credential(tx: Tx, actor: Actor, key_id: str) -> Credential:
    """Stop a key at once; revoking a revoked one changes nothing."""
    raise NotImplementedError
