"""Loading what a decision is made from."""

from farebox.access.decisions.model import Principal, SubjectState
from farebox.storage import Tx


def find_credential(tx: Tx, digest: bytes) -> Principal | None:
    """Return whose credential this is; None for an unknown, revoked or expired one, or a suspended operator's."""
    raise NotImplementedError


def consumer_of_credential(tx: Tx, digest: bytes) -> str | None:
    """Return the consumer whose credential this is; None where `find_credential` says None, or an operator."""
    raise NotImplementedError


def load_subject(tx: Tx, consumer_id: str) -> SubjectState | None:
    """Return what decisions about a consumer are made from, or None for an unknown one."""
    raise NotImplementedError
