"""Who calls: the credential that a request shows, whose it is, and whether they may."""

import base64
import binascii
from typing import Any

from anyio import to_thread
from litestar.connection import ASGIConnection
from litestar.datastructures import Headers
from litestar.handlers import HTTPRouteHandler
from litestar.handlers.base import BaseRouteHandler

from farebox.access.consumers.model import TokenRefused
from farebox.access.consumers.service_tokens import TokenVerifier
from farebox.access.decisions.service import find_credential
from farebox.access.flows.asks import NotAllowed
from farebox.access.flows.callers import CredentialInvalid
from farebox.access.flows.sign_in import principal_of_token
from farebox.http.deps import Services
from farebox.http.refusals import CredentialAmbiguous, CredentialMissing
from farebox.http.roles import ROLES
from farebox.platform.model import Principal
from farebox.platform.rules import checksum_ok, hash_credential
from farebox.platform.service_pepper import renew_digest
from farebox.platform.service_secrets import peppers
from farebox.storage import Database

AnyConnection = ASGIConnection[Any, Any, Any, Any]


def shown_credential(headers: Headers) -> str:
    """Return the credential of a request; refuses none, two, and a form that it does not know.

    `Authorization: Bearer`, or `X-API-Key`. Clients of introspection send `Basic`; there the
    password is the key.
    """
    values = headers.getall("authorization", []) + headers.getall("x-api-key", [])
    if not values:
        raise CredentialMissing
    if len(values) > 1:
        raise CredentialAmbiguous
    if "x-api-key" in headers:
        return _checked(values[0].strip())
    scheme, _, rest = values[0].strip().partition(" ")
    if scheme.lower() == "bearer":
        return _checked(rest.strip())
    if scheme.lower() == "basic":
        return _checked(_password(rest.strip()))
    raise CredentialInvalid


def _checked(key: str) -> str:
    if not key:
        raise CredentialMissing
    return key


def _password(encoded: str) -> str:
    try:
        return base64.b64decode(encoded, validate=True).decode().partition(":")[2]
    except (binascii.Error, ValueError) as error:
        raise CredentialInvalid from error


class Lookup:
    """Finds whose credential this is in the database, each time anew."""

    def __init__(self, database: Database, verifier: TokenVerifier | None) -> None:
        self._database = database
        self._verifier = verifier

    def __call__(self, key: str) -> Principal | None:
        """Return whose key or token this is, or None. Not for the event loop."""
        if not checksum_ok(key):
            return None
        with self._database.read() as tx:
            digests = [hash_credential(pepper, key) for pepper in peppers(tx)]
            tries = ((digest, find_credential(tx, digest)) for digest in digests)
            digest, found = next((each for each in tries if each[1] is not None), (b"", None))
        if found is not None:
            if digest != digests[0]:
                renew_digest(self._database, key)
            return found
        if self._verifier is None or key.count(".") != 2:  # noqa: PLR2004 - a JWT has three parts
            return None
        try:
            return principal_of_token(self._database, self._verifier, key)
        except TokenRefused:
            return None


async def admit(connection: AnyConnection, handler: BaseRouteHandler) -> None:
    """Let a caller pass who may call this route. Every route but the public ones is guarded."""
    if handler.opt.get("public"):
        return
    assert isinstance(handler, HTTPRouteHandler)
    assert isinstance(handler.operation_id, str)
    services: Services = connection.app.state.services
    shown = shown_credential(connection.headers)
    principal = await to_thread.run_sync(services.authenticate, shown)
    if principal is None:
        raise CredentialInvalid
    if not ROLES[handler.operation_id].admits(principal):
        raise NotAllowed
    connection.scope["user"] = principal
    connection.scope["auth"] = shown
