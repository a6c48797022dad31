"""Keys: made, brought from elsewhere, looked up, rotated, revoked.

A key is stored as its digest under a pepper. Whatever changes what a key is good for advances the
revision of its subject, so that every node that remembers the key looks again.
"""

import secrets

import msgspec
import sqlalchemy as sa

from farebox.kernel.ids import record_id
from farebox.kernel.refusals import ValueRefused
from farebox.ledger.service import Ledger
from farebox.platform import store
from farebox.platform.model import (
    LONGEST_LABEL,
    SESSION,
    Actor,
    Credential,
    CredentialRevoked,
    CredentialTaken,
    CredentialUnknown,
    NewCredential,
    OperatorUnknown,
    Page,
    SubjectKind,
)
from farebox.platform.rules import (
    DIGITS,
    RANDOM_LETTERS,
    checked_imported_key,
    checked_limit,
    checked_scopes,
    checked_text,
    checksum_ok,
    hash_credential,
    hint_of,
    is_live,
    key_of,
    page_of,
)
from farebox.platform.service_audit import record
from farebox.platform.service_secrets import ensure_pepper, peppers
from farebox.storage import Tx

_ledger = Ledger()


def create_credential(
    tx: Tx,
    actor: Actor,
    *,
    kind: SubjectKind,
    subject: str,
    label: str = "",
    expires_at: int | None = None,
    scopes: tuple[str, ...] = (),
) -> NewCredential:
    """Generate a key for an operator or a consumer; it is shown in this answer only.

    Refuses an unknown operator (`operator_unknown`); whether a consumer exists, its own service
    has asked. Scopes as for `import_credential`.
    """
    key = key_of("".join(secrets.choice(DIGITS) for _ in range(RANDOM_LETTERS)))
    made = import_credential(
        tx,
        actor,
        kind=kind,
        subject=subject,
        key=key,
        label=label,
        expires_at=expires_at,
        scopes=scopes,
    )
    return NewCredential(credential=made, key=key)


def import_credential(
    tx: Tx,
    actor: Actor,
    *,
    kind: SubjectKind,
    subject: str,
    key: str,
    label: str = "",
    expires_at: int | None = None,
    scopes: tuple[str, ...] = (),
) -> Credential:
    """Take a key from elsewhere: any string of 1 to 512 characters.

    Refuses one that is in use, or ever was (`credential_taken`), an end that is not ahead, and
    scopes for an operator, who has roles.
    """
    checked_imported_key(key)
    if scopes and kind == "operator":
        raise ValueRefused("an operator has roles, not scopes")
    checked_text(label, "a label", longest=LONGEST_LABEL, least=0)
    if expires_at is not None and expires_at <= tx.now_us:
        raise ValueRefused("a credential expires in the future")
    if kind == "operator" and not _operator_exists(tx, subject):
        raise OperatorUnknown
    # Under an older pepper the same key has another digest, so the primary key would not see it.
    if find_by_key(tx, key) is not None:
        raise CredentialTaken
    made = Credential(
        id=record_id("key"),
        subject_kind=kind,
        subject=subject,
        label=label,
        hint=hint_of(key),
        created_at=tx.now_us,
        expires_at=expires_at,
        scopes=checked_scopes(scopes),
    )
    row = {**msgspec.structs.asdict(made), "scopes": " ".join(made.scopes)}
    row["digest"] = hash_credential(ensure_pepper(tx), key)
    if not tx.insert_once(store.credential, row, key=("digest",)):
        raise CredentialTaken
    record(tx, actor, "credential.created", subject, after=made)
    return made


def read_credential(tx: Tx, key_id: str) -> Credential:
    """Return a credential by its id (`key_...`); refuses an unknown one (`credential_unknown`)."""
    row = tx.one(sa.select(*store.CREDENTIAL).where(store.credential.c.id == key_id))
    if row is None:
        raise CredentialUnknown
    return store.credential_of(row)


def find_by_digest(tx: Tx, digest: bytes) -> Credential | None:
    """Return the credential behind a digest, also one that is revoked or expired."""
    row = tx.one(sa.select(*store.CREDENTIAL).where(store.credential.c.digest == digest))
    return None if row is None else store.credential_of(row)


def find_by_key(tx: Tx, key: str) -> Credential | None:
    """Return the credential that a key is, under any pepper, also a revoked or expired one."""
    if not checksum_ok(key):
        return None
    digests = [hash_credential(pepper, key) for pepper in peppers(tx)]
    row = tx.one(sa.select(*store.CREDENTIAL).where(store.credential.c.digest.in_(digests)))
    return None if row is None else store.credential_of(row)


def list_credentials(
    tx: Tx, subject: str, *, after: str | None = None, limit: int = 100
) -> Page[Credential]:
    """Return a subject's credentials by id, revoked and expired ones too."""
    statement = sa.select(*store.CREDENTIAL).where(store.credential.c.subject == subject)
    if after is not None:
        statement = statement.where(store.credential.c.id > after)
    statement = statement.order_by(store.credential.c.id).limit(checked_limit(limit) + 1)
    found = [store.credential_of(row) for row in tx.run(statement)]
    return page_of(found, limit, lambda credential: credential.id)


def rotate_credential(
    tx: Tx, actor: Actor, key_id: str, *, overlap_us: int, expires_at: int | None = None
) -> NewCredential:
    """Make a new key for the same subject; the old one works for `overlap_us` longer at most.

    Refuses to rotate a revoked or expired key (`credential_revoked`).
    """
    if overlap_us < 0:
        raise ValueRefused("an overlap is not negative")
    old = _locked(tx, key_id)
    if not is_live(old, tx.now_us):
        raise CredentialRevoked
    end = tx.now_us + overlap_us
    ends_at = end if old.expires_at is None else min(end, old.expires_at)
    _set(tx, old, expires_at=ends_at)
    record(tx, actor, "credential.rotated", old.subject, before=old, after={"expires_at": ends_at})
    return create_credential(
        tx,
        actor,
        kind=old.subject_kind,
        subject=old.subject,
        label=old.label,
        expires_at=expires_at,
        scopes=old.scopes,
    )


def revoke_credential(tx: Tx, actor: Actor, key_id: str) -> Credential:
    """Stop a key at once; revoking a revoked one changes nothing."""
    old = _locked(tx, key_id)
    if old.revoked_at is not None:
        return old
    _set(tx, old, revoked_at=tx.now_us)
    gone = read_credential(tx, key_id)
    record(tx, actor, "credential.revoked", old.subject, before=old, after=gone)
    return gone


def end_sessions(tx: Tx, actor: Actor, subject: str) -> int:
    """Revoke every session of a subject that is open; returns how many were."""
    table = store.credential
    found = sa.select(table.c.id).where(
        table.c.subject == subject,
        table.c.label.startswith(SESSION, autoescape=True),
        table.c.revoked_at.is_(None),
    )
    open_ones = [row.id for row in tx.run(found.order_by(table.c.id))]
    for key_id in open_ones:
        revoke_credential(tx, actor, key_id)
    return len(open_ones)


def _locked(tx: Tx, key_id: str) -> Credential:
    """Return a credential whose row nobody else changes until the commit."""
    statement = sa.select(*store.CREDENTIAL).where(store.credential.c.id == key_id)
    row = tx.one(statement.with_for_update())
    if row is None:
        raise CredentialUnknown
    return store.credential_of(row)


def _set(tx: Tx, credential: Credential, **changes: int) -> None:
    """Change a credential's end; whoever remembers its subject looks again."""
    here = store.credential.c.id == credential.id
    tx.run(store.credential.update().where(here).values(**changes))
    _ledger.advance_revision(tx, credential.subject)


def _operator_exists(tx: Tx, operator_id: str) -> bool:
    statement = sa.select(store.operator.c.id).where(store.operator.c.id == operator_id)
    return tx.one(statement) is not None
