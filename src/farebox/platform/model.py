"""Who runs and calls the platform: operators, roles, credentials, actors, the audit log."""

from enum import StrEnum
from typing import ClassVar, Final, Generic, Literal, TypeVar

import msgspec

from farebox.kernel.refusals import Refusal

T = TypeVar("T")

Role = Literal["vendor", "provider", "edge", "billing", "support", "viewer", "owner", "admin"]
ROLES: Final[tuple[Role, ...]] = (
    "vendor", "provider", "edge", "billing", "support", "viewer", "owner", "admin",
)  # fmt: skip
OperatorState = Literal["active", "suspended"]
SubjectKind = Literal["operator", "consumer"]

FIRST_ADMIN: Final = "opr_admin"
LARGEST_PAGE: Final = 1_000
LONGEST_CREDENTIAL: Final = 512
LONGEST_LABEL: Final = 128
SESSION: Final = "session: "
"""With this the label of a key begins that a browser was given at signing in."""
LONGEST_NAME: Final = 256
MOST_SCOPES: Final = 100
SHORTEST_ADMIN_KEY: Final = 32
LONGEST_TOKEN_SECONDS: Final = 86_400
"""No token that we sign lives longer, so that a retired signing key is needed no longer."""


class Permission(StrEnum):
    """What an operator may be allowed; `rules.PERMISSIONS` says which role has which."""

    READ = "read"
    READ_AUDIT = "read_audit"
    READ_EVENTS = "read_events"
    PRODUCTS = "products"
    CONSUMERS = "consumers"
    SUSPEND = "suspend"
    KEYS = "keys"
    GROUPS = "groups"
    BUCKETS = "buckets"
    GRANT = "grant"
    PLANS = "plans"
    DECIDE = "decide"
    RESOLVE = "resolve"
    REDEEM = "redeem"
    INTROSPECT = "introspect"
    SUBSCRIPTIONS = "subscriptions"
    ENTITLEMENTS = "entitlements"
    BILLING_EVENTS = "billing_events"
    READ_ITEMS = "read_items"
    ITEMS = "items"
    ITEM_OWNERSHIP = "item_ownership"
    PURCHASES = "purchases"
    RENTALS = "rentals"
    ACCOUNTS = "accounts"
    OPERATORS = "operators"
    TEST_CLOCK = "test_clock"
    SECRETS = "secrets"
    WEBHOOKS = "webhooks"
    DEAD_LETTERS = "dead_letters"
    GATEWAYS = "gateways"
    PRICES = "prices"
    INVOICES = "invoices"
    REPORTS = "reports"
    ORDERS = "orders"
    REFUNDS = "refunds"
    CUSTOMERS = "customers"
    WALLETS = "wallets"
    PAYMENTS = "payments"
    PAYOUTS = "payouts"


class Page(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """One page of a list. `next` is the cursor of the page after it, None on the last one."""

    items: tuple[T, ...]
    next: str | None = None


class Actor(msgspec.Struct, frozen=True, kw_only=True):
    """Who does something and why, for the audit log."""

    kind: Literal["operator", "consumer", "system"]
    id: str
    reason: str | None = None


SYSTEM: Final = Actor(kind="system", id="system")


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """Whose credential was shown.

    `roles` are an operator's roles, or what a consumer's token says; only `rules.may` turns them
    into permissions. `revision` is the subject's, read before the rest: guard with it. `scopes`
    are what a consumer's key is good for (None: everything).
    """

    kind: SubjectKind
    id: str
    roles: frozenset[str]
    revision: int
    key_id: str | None = None
    expires_at: int | None = None
    scopes: frozenset[str] | None = None


class Operator(msgspec.Struct, frozen=True, kw_only=True):
    """Who runs the platform, or a service of theirs, with roles."""

    id: str
    name: str
    roles: tuple[Role, ...]
    state: OperatorState
    created_at: int


class Credential(msgspec.Struct, frozen=True, kw_only=True):
    """A key that an operator or a consumer shows. The key itself is nowhere.

    `scopes` are the codes of products, features and items that a consumer's key is good for; none
    is all of them.
    """

    id: str
    subject_kind: SubjectKind
    subject: str
    label: str
    hint: str
    created_at: int
    expires_at: int | None = None
    revoked_at: int | None = None
    scopes: tuple[str, ...] = ()


class NewCredential(msgspec.Struct, frozen=True, kw_only=True):
    """A credential with its key, which is shown here and never again."""

    credential: Credential
    key: str


class SigningKey(msgspec.Struct, frozen=True, kw_only=True):
    """An Ed25519 key: `private` is its JWK as JSON text."""

    kid: str
    private: str
    created_at: int
    retired_at: int | None = None


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One change: who, what, why, before, after. `before` and `after` are JSON text."""

    seq: int
    at: int
    actor_kind: str
    actor: str
    action: str
    subject: str
    reason: str | None
    before: str | None
    after: str | None


class Once(msgspec.Struct, frozen=True, kw_only=True):
    """A caller's Idempotency-Key and what was asked under it.

    `payload` is everything that makes the request what it is: method, path and body.
    """

    caller: str
    key: str
    payload: bytes


class ClockReading(msgspec.Struct, frozen=True, kw_only=True):
    """What a test clock shows, and by how much it is ahead of the real time; both microseconds."""

    now: int
    offset_us: int


class OperatorUnknown(Refusal):
    """There is no such operator."""

    code: ClassVar[str] = "operator_unknown"


class LastAdmin(Refusal):
    """The last active operator with the role admin stays one, or nobody could run the platform."""

    code: ClassVar[str] = "last_admin"


class CredentialUnknown(Refusal):
    """There is no such key."""

    code: ClassVar[str] = "credential_unknown"


class CredentialTaken(Refusal):
    """This credential is already somebody's."""

    code: ClassVar[str] = "credential_taken"


class CredentialRevoked(Refusal):
    """This key is revoked or expired, so there is nothing to rotate."""

    code: ClassVar[str] = "credential_revoked"


class KeyReused(Refusal):
    """This Idempotency-Key was used for another request."""

    code: ClassVar[str] = "idempotency_key_reused"


class TestClockAbsent(Refusal):
    """This database was begun without a test clock, so its time cannot be moved."""

    code: ClassVar[str] = "test_clock_absent"


class ClockTooFar(Refusal):
    """A test clock goes as far as the year 9000, so that what begins then can end."""

    code: ClassVar[str] = "clock_too_far"


class ClockGoesForward(Refusal):
    """A test clock goes forward only."""

    code: ClassVar[str] = "clock_goes_forward"
