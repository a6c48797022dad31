"""Consumers, groups, and who an issuer of tokens says that somebody is."""

from typing import ClassVar, Final, Literal

import msgspec

from farebox.kernel.refusals import Refusal

ConsumerState = Literal["active", "suspended"]
MetadataValue = str | int | bool | None
Metadata = dict[str, MetadataValue]
LONGEST_NAME: Final = 256
MOST_METADATA: Final = 32
MOST_GROUPS: Final = 100
"""So many groups one consumer may be in: every decision compares the revision of each."""


class Consumer(msgspec.Struct, frozen=True, kw_only=True):
    """Who uses: a person, a device, a client program.

    `issuer` and `subject` together name one consumer of an identity provider; either both or
    neither. A consumer with an `owner` is a device and draws as its owner.
    """

    id: str
    name: str
    state: ConsumerState
    issuer: str | None
    subject: str | None
    owner: str | None
    metadata: Metadata
    created_at: int


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """Consumers who may share buckets. Of several groups the smallest priority is drawn first."""

    id: str
    name: str
    priority: int
    created_at: int


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """A consumer in a group."""

    group: str
    consumer: str
    added_at: int


class Issuer(msgspec.Struct, frozen=True, kw_only=True):
    """An identity provider whose tokens are accepted.

    `issuer` is compared with the claim `iss` exactly. A token must name `audience`, or, where
    `allow_azp` lists it, come from that client (Keycloak leaves the audience out unless it is
    mapped). `jwks_uri` is found by discovery when it is None. `algorithms` are fixed here, never
    taken from the token. With an `hs256_secret` (at least 32 bytes) the issuer signs by HS256 and
    nothing else. `role_clients` are Keycloak clients whose roles count beside the realm's.
    """

    issuer: str
    audience: str
    jwks_uri: str | None = None
    algorithms: tuple[str, ...] = ("RS256", "ES256", "EdDSA")
    allow_azp: tuple[str, ...] = ()
    create_consumers: bool = False
    hs256_secret: str | None = None
    role_clients: tuple[str, ...] = ()


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """What a verified token says: the issuer's subject, its roles, and until when."""

    issuer: str
    subject: str
    name: str
    roles: frozenset[str]
    expires_at: int


class ConsumerUnknown(Refusal):
    """There is no such consumer."""

    code: ClassVar[str] = "consumer_unknown"


class ConsumerTaken(Refusal):
    """This issuer's subject is already another consumer."""

    code: ClassVar[str] = "consumer_taken"


class OwnerRefused(Refusal):
    """A device's owner is an existing consumer who is not a device."""

    code: ClassVar[str] = "owner_refused"


class DeviceRefused(Refusal):
    """A device draws as its owner, so it has no buckets, caps and memberships of its own."""

    code: ClassVar[str] = "device_draws_as_owner"


class GroupUnknown(Refusal):
    """There is no such group."""

    code: ClassVar[str] = "group_unknown"


class GroupHasBuckets(Refusal):
    """The group still holds buckets with something on them."""

    code: ClassVar[str] = "group_has_buckets"


class TooManyGroups(Refusal):
    """A consumer is in at most 100 groups."""

    code: ClassVar[str] = "too_many_groups"


class MemberUnknown(Refusal):
    """This consumer is not in this group."""

    code: ClassVar[str] = "member_unknown"


class IssuerFault(Exception):
    """An identity provider answered something else than the standards say."""


class TokenRefused(Refusal):
    """The token is not one that this service accepts."""

    code: ClassVar[str] = "token_invalid"


class TokenExpired(TokenRefused):
    """The token has expired."""

    code: ClassVar[str] = "token_expired"


class TokenKeyUnknown(TokenRefused):
    """The token's signing key is not known yet; the issuer's keys are being fetched."""

    code: ClassVar[str] = "token_key_unknown"


class LocalAccount(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody signs in with here: an address, and what their password hashes to.

    After too many failures in a row it is closed for a while (`closed_until`).
    """

    email: str
    consumer: str
    password: str
    failures: int = 0
    closed_until: int = 0
    changed_at: int


class AccountTaken(Refusal):
    """Somebody else signs in with this address."""

    code = "account_taken"


class SignInRefused(Refusal):
    """The address and the password do not go together, or there have been too many tries."""

    code = "sign_in_refused"
