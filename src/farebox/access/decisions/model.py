"""Who asks, the state a decision is made from, and access keys."""

from typing import ClassVar, Final, Literal

import msgspec

from farebox.access.catalog.model import FeatureValue
from farebox.access.consumers.model import ConsumerState
from farebox.kernel.refusals import Refusal
from farebox.ledger.model import FOREVER

# Named again here, because it is what a decision starts from.
from farebox.platform.model import Principal as Principal  # noqa: PLC0414

ACCESS_KEY_TYPE: Final = "access+jwt"
SHORTEST_ACCESS_KEY_SECONDS: Final = 1
LONGEST_ACCESS_KEY_SECONDS: Final = 86_400
MOST_RATES: Final = 16
LONGEST_RATE_SECONDS: Final = 86_400
Mode = Literal["consume", "reserve"]


class ProductSource(msgspec.Struct, frozen=True, kw_only=True):
    """A bucket to draw on, the consumer's cap on it, and the group that holds it (None: own).

    A `quota` bucket is granted anew each period; what is used above one is counted on an
    `overage` bucket, which never runs out.
    """

    bucket: int
    cap: int | None
    group: str | None
    quota: bool = False
    overage: bool = False


class Rate(msgspec.Struct, frozen=True, kw_only=True):
    """At most `most` decisions in `seconds`, `burst` of them at once, counted under `key`.

    It counts decisions about one `product`, or about all of them (None).
    """

    key: str
    most: int
    seconds: int
    burst: int
    product: str | None = None


class Allowance(msgspec.Struct, frozen=True, kw_only=True):
    """What a quota brings in its present period, and when the next one begins (None: never)."""

    bucket: int
    limit: int
    resets_at: int | None


class SubjectState(msgspec.Struct, frozen=True, kw_only=True):
    """What a decision about a consumer is made from.

    `state` is suspended when the consumer or, for a device, the owner is. `products` are the
    sources of each product in the order in which they are drawn, `allowances` the quotas among
    them. `features` have the values that plans and entitlements give them, `items` are what the
    consumer is entitled to. `closed` names, by product or feature, why a subscription that would
    bring it gives no access. `guards` are the subjects whose change makes this state old, with the
    revisions that were read before everything else; at `until` it grows old by itself. `name`,
    `subject` (the issuer's) and `groups` are how backends may know the consumer.
    """

    consumer: str
    state: ConsumerState
    guards: tuple[tuple[str, int], ...]
    products: dict[str, tuple[ProductSource, ...]]
    until: int = FOREVER
    allowances: tuple[Allowance, ...] = ()
    features: dict[str, FeatureValue] = msgspec.field(default_factory=dict)
    items: frozenset[str] = frozenset()
    closed: dict[str, str] = msgspec.field(default_factory=dict)
    rates: tuple[Rate, ...] = ()
    name: str = ""
    subject: str | None = None
    groups: tuple[str, ...] = ()


class UsageRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Ask for the authorisation of a usage. `reserve` makes a hold that the provider captures."""

    consumer: str
    product: str
    quantity: int
    group: str | None = None
    mode: Mode = "consume"
    ttl_seconds: int = 300
    metadata: str | None = None


class Authorisation(msgspec.Struct, frozen=True, kw_only=True):
    """A usage that was authorised: the access key proves it until `expires_at`."""

    access_key: str
    operation: int
    consumer: str
    product: str
    group: str | None
    bucket: int
    quantity: int
    remaining: int
    hold: int | None
    issued_at: int
    expires_at: int


class Denial(msgspec.Struct, frozen=True, kw_only=True):
    """A "no" that is an answer: its code, and what is left."""

    code: str
    consumer: str
    product: str
    remaining: int


class AccessKey(msgspec.Struct, frozen=True, kw_only=True):
    """What an access key says. Times are microseconds."""

    issuer: str
    consumer: str
    product: str
    group: str | None
    quantity: int
    operation: int
    hold: int | None
    issued_at: int
    expires_at: int


class Redemption(msgspec.Struct, frozen=True, kw_only=True):
    """An access key that was redeemed: when and by whom."""

    key: AccessKey
    redeemed_at: int
    redeemed_by: str


class IntrospectedRight(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a consumer is entitled to now, by its key; without roles it is for every role.

    `limit` is what the present period brings and `remaining` what is left of it, in the product's
    smallest unit. `exp` is its end in seconds.
    """

    key: str
    kind: str
    roles: tuple[str, ...] = ()
    value: FeatureValue | None = None
    limit: int | None = None
    remaining: int | None = None
    exp: int | None = None


class Introspection(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The answer of RFC 7662; whatever is not active says nothing but that. Times are seconds.

    `scope` are the codes that an API key is limited to, `entitlements` (an extension) what its
    consumer may use.
    """

    active: bool
    scope: str | None = None
    client_id: str | None = None
    token_type: str | None = None
    exp: int | None = None
    iat: int | None = None
    sub: str | None = None
    aud: str | None = None
    iss: str | None = None
    jti: str | None = None
    group: str | None = None
    quantity: int | None = None
    entitlements: tuple[IntrospectedRight, ...] | None = None


class AccessKeyInvalid(Refusal):
    """This is not an access key of ours."""

    code: ClassVar[str] = "access_key_invalid"


class AccessKeyExpired(Refusal):
    """The access key has expired."""

    code: ClassVar[str] = "access_key_expired"


class AlreadyRedeemed(Refusal):
    """The access key was redeemed before."""

    code: ClassVar[str] = "already_redeemed"


class ConsumerSuspended(Refusal):
    """The consumer is suspended."""

    code: ClassVar[str] = "consumer_suspended"
