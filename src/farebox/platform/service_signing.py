"""Ed25519 signing keys, their rotation, and the JWKS that others verify with."""

from typing import Any, Final

import msgspec
import sqlalchemy as sa
from joserfc.jwk import OKPKey

from farebox.kernel.clock import SECOND_US
from farebox.platform import store
from farebox.platform.model import LONGEST_TOKEN_SECONDS, Actor, SigningKey
from farebox.platform.service_audit import record
from farebox.storage import Tx

# Verifiers' clocks may be behind ours, and they fetch the set ahead of what they verify.
_SPARE_US: Final = 3600 * SECOND_US


def ensure_signing_key(tx: Tx) -> SigningKey:
    """Return the key that signs, generating the first one."""
    return _newest(tx) or _generate(tx)


def signing_key(tx: Tx) -> SigningKey:
    """Return the key that signs: the newest one. There is one from the first start on."""
    found = _newest(tx)
    assert found is not None, "ensure_signing_key runs before the first token is signed"
    return found


def rotate_signing_key(tx: Tx, actor: Actor) -> SigningKey:
    """Let a new key sign; the old ones stay in the JWKS until their last token has expired."""
    here = store.signing_key.c.retired_at.is_(None)
    tx.run(store.signing_key.update().where(here).values(retired_at=tx.now_us))
    made = _generate(tx)
    record(tx, actor, "signing_key.rotated", made.kid)
    return made


def jwks(tx: Tx) -> dict[str, Any]:
    """Return the public keys (RFC 7517) under which tokens of ours may still be valid."""
    gone = tx.now_us - LONGEST_TOKEN_SECONDS * SECOND_US - _SPARE_US
    retired_at = store.signing_key.c.retired_at
    statement = sa.select(store.signing_key).where(sa.or_(retired_at.is_(None), retired_at > gone))
    rows = tx.run(statement.order_by(store.signing_key.c.created_at, store.signing_key.c.kid))
    return {"keys": [_public(store.signing_key_of(row)) for row in rows]}


def _newest(tx: Tx) -> SigningKey | None:
    statement = sa.select(store.signing_key).where(store.signing_key.c.retired_at.is_(None))
    # Two nodes at their first start may both have made one; all nodes choose the same of them.
    newest = statement.order_by(store.signing_key.c.created_at.desc(), store.signing_key.c.kid)
    row = tx.one(newest.limit(1))
    return None if row is None else store.signing_key_of(row)


def _generate(tx: Tx) -> SigningKey:
    key = OKPKey.generate_key("Ed25519")
    private = msgspec.json.encode(key.as_dict(private=True)).decode()
    made = SigningKey(kid=key.thumbprint(), private=private, created_at=tx.now_us)
    tx.run(store.signing_key.insert(), msgspec.structs.asdict(made))
    return made


def _public(key: SigningKey) -> dict[str, Any]:
    public = OKPKey.import_key(msgspec.json.decode(key.private)).as_dict(private=False)
    return {**public, "kid": key.kid, "use": "sig", "alg": "EdDSA"}
