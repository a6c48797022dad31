"""Who asks: the owner of a credential, with what the credential is good for."""

from farebox.access.decisions.model import Principal
from farebox.ledger.service import Ledger
from farebox.platform.model import Credential
from farebox.platform.rules import is_live
from farebox.platform.service_credentials import find_by_digest
from farebox.platform.service_operators import find_operator
from farebox.storage import Tx

_ledger = Ledger()


def find_credential(tx: Tx, digest: bytes) -> Principal | None:
    """Return whose credential this is.

    None for an unknown, revoked or expired one, and for a suspended operator's; a suspended
    consumer is found, so that its denial can say why. Read it in a reading transaction, whose one
    snapshot makes revision and credential fit together.
    """
    found = find_by_digest(tx, digest)
    if found is None or not is_live(found, tx.now_us):
        return None
    return _principal(tx, found)


def consumer_of_credential(tx: Tx, digest: bytes) -> str | None:
    """Return the consumer whose credential this is, None where it does not work or is no one's."""
    found = find_by_digest(tx, digest)
    if found is None or found.subject_kind != "consumer" or not is_live(found, tx.now_us):
        return None
    return found.subject


def _principal(tx: Tx, credential: Credential) -> Principal | None:
    roles: frozenset[str] = frozenset()
    if credential.subject_kind == "operator":
        operator = find_operator(tx, credential.subject)
        if operator is None or operator.state != "active":
            return None
        roles = frozenset(operator.roles)
    return Principal(
        kind=credential.subject_kind,
        id=credential.subject,
        roles=roles,
        revision=_ledger.revision(tx, credential.subject),
        key_id=credential.id,
        expires_at=credential.expires_at,
        scopes=frozenset(credential.scopes) or None,
    )
