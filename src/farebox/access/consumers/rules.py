"""What a consumer may look like, and what a token must say to be believed."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey

from farebox.access.consumers.model import (
    LONGEST_NAME,
    MOST_METADATA,
    Identity,
    Issuer,
    IssuerFault,
    Metadata,
    TokenExpired,
    TokenRefused,
)
from farebox.kernel.amounts import MAX_AMOUNT
from farebox.kernel.clock import LAST_US, SECOND_US
from farebox.kernel.refusals import SettingsRefused, ValueRefused
from farebox.platform.rules import checked_text

LEEWAY_S: Final = 30
LONGEST_SUBJECT: Final = 255
SHORTEST_SECRET: Final = 32
SHORTEST_RSA_BITS: Final = 2048
ASYMMETRIC: Final = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
)
# What the header `typ` of an access token may say (RFC 7519, RFC 9068).
_KINDS: Final = frozenset({"jwt", "at+jwt", "application/at+jwt"})
# Keycloak says in the claim `typ` what a token is for; these are not for us.
_FOREIGN_KINDS: Final = frozenset({"id", "refresh", "offline", "logout"})
_KEYS: Final[Mapping[str, type[Key]]] = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}
_KEY_TYPES: Final = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP", "HS": "oct"}
_NAMES: Final = ("preferred_username", "name", "email", "sub")


def checked_metadata(metadata: Metadata | None) -> Metadata:
    """Return metadata that both engines and every JSON reader keep as it is, else refuse it."""
    found = metadata or {}
    if len(found) > MOST_METADATA:
        raise ValueRefused(f"metadata has at most {MOST_METADATA} entries")
    for name, value in found.items():
        checked_text(name, "a name in metadata", longest=64)
        if isinstance(value, str):
            checked_text(value, "a text in metadata", longest=512, least=0)
        elif isinstance(value, int) and not -MAX_AMOUNT <= value <= MAX_AMOUNT:
            raise ValueRefused(f"a number in metadata is from -{MAX_AMOUNT} to {MAX_AMOUNT}")
    return dict(found)


def checked_identity(issuer: str | None, subject: str | None) -> tuple[str | None, str | None]:
    """Return an issuer with its subject, or neither; refuses one without the other."""
    if (issuer is None) != (subject is None):
        raise ValueRefused("issuer and subject are given together or not at all")
    if issuer is None or subject is None:
        return None, None
    longest = LONGEST_SUBJECT
    return (
        checked_text(issuer, "an issuer", longest=longest),
        checked_text(subject, "a subject", longest=longest),
    )


def checked_issuer(issuer: Issuer) -> Issuer:
    """Return an issuer's settings if its tokens can be verified by them, else refuse them."""
    if not issuer.issuer.startswith(("https://", "http://")) or not issuer.audience:
        raise SettingsRefused("an issuer has a URL and an audience")
    if issuer.hs256_secret is not None:
        if len(issuer.hs256_secret.encode()) < SHORTEST_SECRET:
            raise SettingsRefused(f"a secret for HS256 has at least {SHORTEST_SECRET} bytes")
        return issuer
    if not issuer.algorithms or not set(issuer.algorithms) <= ASYMMETRIC:
        raise SettingsRefused(f"an issuer's algorithms are of {', '.join(sorted(ASYMMETRIC))}")
    return issuer


def algorithms_of(issuer: Issuer) -> tuple[str, ...]:
    """Return what an issuer may sign by; a secret and public keys never mix."""
    return issuer.algorithms if issuer.hs256_secret is None else ("HS256",)


def parsed_object(body: bytes) -> dict[str, Any]:
    """Return a JSON object; raises `IssuerFault` for anything else."""
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise IssuerFault("the answer is not a JSON object") from error


def usable_keys(jwks: Mapping[str, Any]) -> tuple[Key, ...]:
    """Return the public signing keys of a JWKS (RFC 7517); raises `IssuerFault` without one.

    Keys for encryption, symmetric keys, short ones and kinds that we do not know are left out.
    """
    listed = jwks.get("keys")
    found = []
    for one in listed if isinstance(listed, list) else []:
        if isinstance(one, dict) and _is_usable(one):
            try:
                found.append(_KEYS[one["kty"]].import_key(one))
            except (JoseError, ValueError, TypeError, KeyError):
                continue
    if not found:
        raise IssuerFault("the answer has no key that signs")
    return tuple(found)


def _is_usable(jwk: Mapping[str, Any]) -> bool:
    kind = jwk.get("kty")
    if jwk.get("use", "sig") != "sig" or not isinstance(kind, str) or kind not in _KEYS:
        return False
    if kind == "OKP":
        return jwk.get("crv") in ("Ed25519", "Ed448")
    if kind == "RSA":
        modulus = jwk.get("n")
        return isinstance(modulus, str) and len(modulus) * 6 >= SHORTEST_RSA_BITS
    return True


def may_verify(key: Key, header: Mapping[str, Any]) -> bool:
    """Tell whether a key may have signed a token with this header, by kid, alg and kind of key."""
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or key.key_type != _KEY_TYPES.get(algorithm[:2]):
        return False
    if key.get("alg") not in (None, algorithm):
        return False
    kid = header.get("kid")
    return kid is None or key.get("kid") is None or key.get("kid") == kid


def identity_of(
    issuer: Issuer, header: Mapping[str, Any], claims: Mapping[str, Any], now: int
) -> Identity:
    """Return what the claims of a token say whose signature was verified.

    Refuses (`token_invalid`) a token of another issuer, for another audience or of another kind,
    and claims of a wrong form; (`token_expired`) one whose end is more than 30 s ago.
    """
    _check_kind(header, claims)
    if claims.get("iss") != issuer.issuer:
        raise TokenRefused("the token is of another issuer")
    if not _is_for(issuer, claims):
        raise TokenRefused("the token is for somebody else")
    subject = claims.get("sub")
    if not isinstance(subject, str):
        raise TokenRefused("the token names no subject")
    expires_at = _instant(claims, "exp")
    if expires_at is None or (issued_at := _instant(claims, "iat")) is None:
        raise TokenRefused("the token does not say when it was made and until when it is good")
    leeway = LEEWAY_S * SECOND_US
    if expires_at + leeway <= now:
        raise TokenExpired
    if max(issued_at, _instant(claims, "nbf") or 0) > now + leeway:
        raise TokenRefused("the token is not valid yet")
    try:
        checked_text(subject, "a subject", longest=LONGEST_SUBJECT)
    except ValueRefused as error:
        raise TokenRefused(error.detail) from error
    return Identity(
        issuer=issuer.issuer,
        subject=subject,
        name=_name(claims),
        roles=_roles(issuer, claims),
        expires_at=expires_at + leeway,
    )


def _check_kind(header: Mapping[str, Any], claims: Mapping[str, Any]) -> None:
    kind = header.get("typ")
    if kind is not None and (not isinstance(kind, str) or kind.lower() not in _KINDS):
        raise TokenRefused("this kind of token gives no access")
    purpose = claims.get("typ")
    if isinstance(purpose, str) and purpose.lower() in _FOREIGN_KINDS:
        raise TokenRefused("this kind of token gives no access")


def _is_for(issuer: Issuer, claims: Mapping[str, Any]) -> bool:
    audience = claims.get("aud")
    named = [audience] if isinstance(audience, str) else audience
    if isinstance(named, list) and issuer.audience in named:
        return True
    party = claims.get("azp")
    return isinstance(party, str) and party in issuer.allow_azp


def _instant(claims: Mapping[str, Any], name: str) -> int | None:
    """Return a time claim in microseconds, None where it is absent; refuses what is no time."""
    value = claims.get(name)
    if value is None:
        return None
    # Not a number is less than nothing and more than nothing: the comparison refuses it.
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 <= value <= LAST_US // SECOND_US:
        raise TokenRefused(f"the token's {name} is not a time")
    return int(value) * SECOND_US


def _name(claims: Mapping[str, Any]) -> str:
    """Return the best name that a token has, as far as it can be shown."""
    for claim in _NAMES:
        value = claims.get(claim)
        if isinstance(value, str):
            shown = "".join(letter for letter in value if letter.isprintable())[:LONGEST_NAME]
            if shown.strip():
                return shown
    return "Unnamed"


def _roles(issuer: Issuer, claims: Mapping[str, Any]) -> frozenset[str]:
    """Return Keycloak's roles: the realm's, and those of the clients that the settings name."""
    places = [claims.get("realm_access")]
    clients = claims.get("resource_access")
    if isinstance(clients, dict):
        places += [clients.get(client) for client in issuer.role_clients]
    found: set[str] = set()
    for place in places:
        roles = place.get("roles") if isinstance(place, dict) else None
        if isinstance(roles, list):
            found.update(role for role in roles if isinstance(role, str))
    return frozenset(found)
