"""Buckets as resources: whose they are, what is on them, members' caps, service plans."""

from typing import ClassVar, Literal

import msgspec

from farebox.kernel.refusals import Refusal

HolderKind = Literal["consumer", "group"]
GrantClass = Literal["included", "purchased"]


class Bucket(msgspec.Struct, frozen=True, kw_only=True):
    """A bucket's record: what it holds and whose it is. `id` is the ledger's.

    `origin` is the subscription or entitlement that brought it; None was opened by itself. On an
    `overage` bucket is counted what goes above a quota, without a limit.
    """

    id: int
    product: str
    holder_kind: HolderKind
    holder: str
    priority: int
    label: str
    created_at: int
    origin: str | None = None
    overage: bool = False


class Balance(msgspec.Struct, frozen=True, kw_only=True):
    """What is on a bucket, in the product's smallest unit.

    `available` is what may be used now, credit limit included, `held` what is reserved. `granted`
    and `used` count from the beginning; `used` is all that has left, also what expired or was
    taken back. A `fault` stops the bucket until an operator has looked.
    """

    available: int
    held: int
    granted: int
    used: int
    credit_limit: int
    frozen: bool
    fault: bool

    @property
    def is_empty(self) -> bool:
        """Tell whether nothing may be used now."""
        return self.available <= 0


class BucketView(msgspec.Struct, frozen=True, kw_only=True):
    """A bucket with its balance."""

    bucket: Bucket
    balance: Balance


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What a grant is: see the ledger's burn order. Times are microseconds; None is no end."""

    amount: int
    priority: int = 0
    class_: GrantClass = "purchased"
    starts_at: int | None = None
    expires_at: int | None = None


class Movement(msgspec.Struct, frozen=True, kw_only=True):
    """What an operation did to a bucket: `amount` moved, `available` is left after it."""

    operation: int
    bucket: int
    amount: int
    available: int
    at: int


class Shortage(msgspec.Struct, frozen=True, kw_only=True):
    """A denial: its code and what is available."""

    code: str
    bucket: int
    available: int


class HistoryEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One operation on a bucket. `by` is signed: what it added to or took from the balance."""

    operation: int
    at: int
    kind: str
    by: int
    available_after: int
    actor: str | None
    product: str | None
    metadata: str | None


class MemberCap(msgspec.Struct, frozen=True, kw_only=True):
    """How much of a group's bucket one member may draw; `available` is what is left of it."""

    bucket: int
    consumer: str
    amount: int
    available: int


class BucketSource(msgspec.Struct, frozen=True, kw_only=True):
    """A bucket that a consumer may draw on, with the bucket of the consumer's cap on it.

    What has an `origin` may be drawn only while that gives access: see the subscription.
    """

    bucket: int
    product: str
    holder: str
    cap: int | None
    origin: str | None = None
    overage: bool = False


class ServicePlan(msgspec.Struct, frozen=True, kw_only=True):
    """What a vendor provisioned: a service for a group, up to a limit on one bucket."""

    id: str
    product: str
    group: str
    bucket: int
    bucket_limit: int
    created_at: int


class BucketRecordUnknown(Refusal):
    """There is no such bucket."""

    code: ClassVar[str] = "bucket_unknown"


class CapRefused(Refusal):
    """A cap is for a member, on a bucket of the member's group."""

    code: ClassVar[str] = "cap_refused"


class CapUnknown(Refusal):
    """This member has no cap on this bucket."""

    code: ClassVar[str] = "cap_unknown"


class ServicePlanUnknown(Refusal):
    """There is no such service plan."""

    code: ClassVar[str] = "service_plan_unknown"


class LedgerRefused(Refusal):
    """The ledger refused the command; `code` is its own (hold_unknown, bucket_fault ...)."""

    def __init__(self, code: str, detail: str | None) -> None:
        super().__init__(detail or code.replace("_", " ").capitalize())
        self.code = code  # type: ignore[misc] # the ledger's code is the refusal's


class BucketDenied(LedgerRefused):
    """The ledger denied the movement, on a route where a denial is no answer (bucket_frozen)."""
