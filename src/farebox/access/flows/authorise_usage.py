"""Authorise a usage and answer an access key (source 000)."""

from farebox.access.decisions.model import Authorisation, Denial, UsageRequest
from farebox.platform.model import Once
from farebox.storage import Database


def authorise_usage(
    database: Database, request: UsageRequest, *, issuer: str, once: Once | None = None
) -> Authorisation | Denial:
    """Draw a usage's quantity and answer a signed access key, or say why not."""
    raise NotImplementedError
