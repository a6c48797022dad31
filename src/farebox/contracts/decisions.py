"""What `decide`, `capture` and `release` say on the wire.

Worked example, a request that may cost up to 5 and then costs 3, on a balance of 20:

    POST /v1/access/decide   {"mode": "reserve", "product": "films", "quantity": 5}
    200 {"allowed": true, "code": "allowed", "hold": "hld_1", "quantity": 5, "remaining": 15, ...}
    POST /v1/access/capture  {"hold": "hld_1", "quantity": 3}
    200 {"hold": "hld_1", "captured": 3, "released": 2, "debt": 0, "remaining": 17, ...}

Quantities are whole numbers of the product's smallest unit, at most 2**53 - 1, so that every JSON
reader holds them exactly. A denial is an answer with status 200; problems are `Problem`.
"""

from datetime import datetime
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

LARGEST_QUANTITY: Final = 2**53 - 1
LONGEST_HOLD_SECONDS: Final = 366 * 24 * 60 * 60
LARGEST_BATCH: Final = 1_000
LONGEST_CREDENTIAL: Final = 8192

DECIDE_PATH: Final = "/v1/access/decide"
DECIDE_BATCH_PATH: Final = "/v1/access/decide/batch"
CAPTURE_PATH: Final = "/v1/access/capture"
RELEASE_PATH: Final = "/v1/access/release"

Mode = Literal["check", "consume", "reserve"]
OnExpiry = Literal["release", "capture"]
OverCapture = Literal["deny", "cap", "debt"]

Quantity = Annotated[int, Meta(ge=1, le=LARGEST_QUANTITY, description="Smallest units, at least 1")]
QuantityFromZero = Annotated[
    int, Meta(ge=0, le=LARGEST_QUANTITY, description="Smallest units; 0 is legal")
]
Seconds = Annotated[int, Meta(ge=1, le=LONGEST_HOLD_SECONDS)]
Identifier = Annotated[str, Meta(min_length=1, max_length=64)]
ProductCode = Annotated[str, Meta(min_length=1, max_length=128)]
Credential = Annotated[
    str, Meta(min_length=1, max_length=LONGEST_CREDENTIAL, description="API key or JWT")
]
MetadataName = Annotated[str, Meta(min_length=1, max_length=64)]
MetadataText = Annotated[str, Meta(max_length=512)]
MetadataNumber = Annotated[int, Meta(ge=-LARGEST_QUANTITY, le=LARGEST_QUANTITY)]
Metadata = Annotated[
    dict[MetadataName, MetadataText | MetadataNumber | bool | None], Meta(max_length=32)
]


class DecideRequest(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False
):
    """Ask whether a consumer may use a product, and take or reserve it in the same step.

    `check` moves nothing, `consume` debits, `reserve` makes a hold for `capture` or `release`. What
    is asked for is a `product`, the right to a `feature` or an `item`, or several of these; then
    all must be given. Without a product there is nothing to draw, so only `check` asks that. An
    operator names `consumer` or `credential`, never both; a consumer who calls with an own
    credential gives neither. `quantity` null means everything available and is for `reserve` with
    `at_most`. `at_most` takes what is there, up to `quantity`. `ttl_seconds`, `on_expiry` and
    `over_capture` speak of the hold; `ttl_seconds` null makes one that does not expire.
    """

    mode: Mode
    product: ProductCode | None = None
    feature: ProductCode | None = None
    item: ProductCode | None = None
    quantity: Quantity | None = 1
    consumer: Identifier | None = None
    credential: Credential | None = None
    group: Identifier | None = None
    bucket: Identifier | None = None
    at_most: bool = False
    ttl_seconds: Seconds | None = 60
    on_expiry: OnExpiry = "release"
    over_capture: OverCapture = "deny"
    metadata: Metadata | None = None


class Decision(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Answer a `DecideRequest`.

    `code` is `allowed`, or the stable reason of the denial (`bucket_empty`, `account_unknown`);
    it is text and not a closed list, because new reasons may come. `quantity` is what was taken or
    reserved, `remaining` what is available after it. Where a quota was asked, `limit` is what each
    period brings and `resets_at` when the next one begins. `value` is the feature's. `retry_after`
    are the seconds after which a denied rate limit admits again. A field that says nothing about
    this decision is left out: a denial has no `operation`, a check and a consume have no `hold`.
    """

    allowed: bool
    code: str
    operation: str | None = None
    hold: str | None = None
    consumer: str | None = None
    product: str | None = None
    bucket: str | None = None
    quantity: int | None = None
    remaining: int | None = None
    expires_at: Annotated[datetime, Meta(tz=True)] | None = None
    limit: int | None = None
    resets_at: Annotated[datetime, Meta(tz=True)] | None = None
    feature: str | None = None
    value: bool | int | str | None = None
    item: str | None = None
    retry_after: int | None = None


class DecideBatchRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ask up to 1,000 independent decisions at once; each stands or falls alone."""

    decisions: Annotated[list[DecideRequest], Meta(min_length=1, max_length=LARGEST_BATCH)]


class DecideBatchResult(msgspec.Struct, frozen=True, kw_only=True):
    """Answer a `DecideBatchRequest`, in its order."""

    decisions: list[Decision]


class CaptureRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Turn a hold into a debit of `quantity` and give the rest back.

    `quantity` null captures everything, 0 captures nothing. More than was held follows the hold's
    `over_capture`. `hold_on` reserves that much anew in the same step, for `ttl_seconds`.
    """

    hold: Identifier
    quantity: QuantityFromZero | None = None
    hold_on: Quantity | None = None
    ttl_seconds: Seconds | None = 60


class CaptureResult(msgspec.Struct, frozen=True, kw_only=True):
    """Answer a `CaptureRequest`.

    `debt` is the part above the hold that went to a receivable (`over_capture: debt`);
    `remaining` is what the bucket has available after it.
    """

    hold: str
    operation: str
    captured: int
    released: int
    debt: int = 0
    remaining: int
    next_hold: str | None = None


class ReleaseRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Give a hold back in full."""

    hold: Identifier


class ReleaseResult(msgspec.Struct, frozen=True, kw_only=True):
    """Answer a `ReleaseRequest`."""

    hold: str
    operation: str
    released: int
    remaining: int
