"""Remembered answers of POSTs that the ledger does not remember itself.

The key is claimed before the work, in the work's own transaction: whoever comes second with the
same key waits for the first to commit, then finds the answer. If the first fails, its claim is
gone with it and the second does the work.

An answer may hold an API key that is shown only once, so it is sealed (AES-256-GCM) under a key
that needs the deployment's secret and the Idempotency-Key itself, of which only a digest is kept.
"""

import hmac
import secrets
from collections.abc import Callable
from typing import Final, TypeVar

import msgspec
import sqlalchemy as sa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from farebox.kernel.refusals import TryAgain
from farebox.ledger.service import digest_of, fingerprint_of
from farebox.platform import store
from farebox.platform.model import KeyReused, Once
from farebox.platform.service_secrets import ensure_secret
from farebox.storage import Tx

T = TypeVar("T")
_SEAL: Final = "answers"
_NONCE: Final = 12
AT_ONCE: Final = 1_000


def answer_once(tx: Tx, once: Once | None, kind: type[T], work: Callable[[], T]) -> T:
    """Do `work` once under a key, and answer every repeat with its first answer.

    Without a key the work is simply done. `kind` is the type of the answer. A refusal is not
    remembered. Refuses another payload under the same key (`idempotency_key_reused`).
    """
    if once is None:
        return work()
    digest = digest_of(once.caller, once.key)
    row = {"digest": digest, "fingerprint": fingerprint_of(once.payload), "at": tx.now_us}
    if not tx.insert_once(store.posted, row, key=("digest",)):
        return _remembered(tx, once, kind)
    answer = work()
    here = store.posted.c.digest == digest
    sealed = _seal(tx, once, msgspec.msgpack.encode(answer))
    tx.run(store.posted.update().where(here).values(answer=sealed))
    return answer


def forget_answers(tx: Tx, before_us: int) -> int:
    """Forget up to a thousand of the oldest answers from before an instant; returns how many."""
    table = store.posted
    old = sa.select(table.c.digest).where(table.c.at < before_us).order_by(table.c.at)
    gone = table.delete().where(table.c.digest.in_(old.limit(AT_ONCE).scalar_subquery()))
    return len(tx.run(gone.returning(table.c.digest)).all())


def _remembered(tx: Tx, once: Once, kind: type[T]) -> T:
    digest = digest_of(once.caller, once.key)
    found = tx.one(sa.select(store.posted).where(store.posted.c.digest == digest))
    if found is None:
        raise TryAgain
    if bytes(found.fingerprint) != fingerprint_of(once.payload):
        raise KeyReused
    return msgspec.msgpack.decode(_open(tx, once, bytes(found.answer)), type=kind)


def _cipher(tx: Tx, once: Once) -> AESGCM:
    material = f"{once.caller}\0{once.key}".encode()
    return AESGCM(hmac.digest(ensure_secret(tx, _SEAL), material, "sha256"))


def _seal(tx: Tx, once: Once, answer: bytes) -> bytes:
    nonce = secrets.token_bytes(_NONCE)
    return nonce + _cipher(tx, once).encrypt(nonce, answer, None)


def _open(tx: Tx, once: Once, sealed: bytes) -> bytes:
    return _cipher(tx, once).decrypt(sealed[:_NONCE], sealed[_NONCE:], None)
