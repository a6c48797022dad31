"""Signed tokens (RFC 7515, RFC 7519): writing ours, reading ours and others'. Pure."""

from collections.abc import Collection
from typing import Any, Final

import msgspec
from joserfc import jwt
from joserfc.errors import JoseError, UnsupportedAlgorithmError
from joserfc.jwk import Key, OKPKey
from joserfc.jws import JWSRegistry

LONGEST_TOKEN: Final = 8192
ALGORITHM: Final = "EdDSA"
_PARTS: Final = 3


class TokenBroken(Exception):
    """The text is no token, or its signature is not by this key."""


class _Registry(JWSRegistry):
    """Allows what it is told, but never a token without a signature.

    joserfc's own warns of `EdDSA` since RFC 9864 renamed it, but that name is the one that the
    verifiers in use know.
    """

    def get_alg(self, name: str) -> Any:  # noqa: ANN401 - joserfc's own model
        if name == "none" or name not in (self.allowed or ()) or name not in self.algorithms:
            raise UnsupportedAlgorithmError(f"Algorithm of '{name}' is not allowed")
        return self.algorithms[name]


def looks_like_token(text: str) -> bool:
    """Tell whether a credential has the form of a JWT in its compact form."""
    return text.count(".") == _PARTS - 1 and text.startswith("ey")


def sign_token(claims: dict[str, Any], *, kind: str, kid: str, private: str) -> str:
    """Return a compact EdDSA token. `kind` is its header `typ`, `private` a JWK as JSON text."""
    key = OKPKey.import_key(msgspec.json.decode(private))
    header = {"alg": ALGORITHM, "typ": kind, "kid": kid}
    return jwt.encode(header, claims, key, registry=_Registry(algorithms=[ALGORITHM]))


def read_token(
    token: str, key: Key, algorithms: Collection[str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return header and claims of a token whose signature this key verifies.

    `algorithms` are what we allow; the token's own word on that counts for nothing.
    """
    registry = _Registry(algorithms=list(algorithms), strict_check_header=False)
    try:
        found = jwt.decode(token, key, registry=registry)
    except (JoseError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise TokenBroken from error
    return found.header, found.claims


def peek(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return header and claims of a token that nobody has verified: for finding the key alone."""
    parts = token.split(".")
    if len(parts) != _PARTS or len(token) > LONGEST_TOKEN:
        raise TokenBroken
    try:
        # msgspec reads standard base64 into bytes; a token has the URL-safe letters unpadded.
        texts = [part.translate(_URL_SAFE) + "=" * (-len(part) % 4) for part in parts[:2]]
        packed = [msgspec.convert(text, bytes) for text in texts]
        header, claims = (msgspec.json.decode(one, type=dict[str, Any]) for one in packed)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise TokenBroken from error
    return header, claims


_URL_SAFE: Final = str.maketrans("-_", "+/")
