"""The ledger's words: commands, outcomes, and the numbers they are stored as.

Amounts are whole numbers of an asset's smallest unit; times are microseconds UTC. `FOREVER` stands
for "no end", so that comparisons and indexes need no special case.
"""

from enum import IntEnum
from typing import Final, Literal

import msgspec

from farebox.kernel.amounts import MAX_AMOUNT
from farebox.kernel.refusals import Refusal

FOREVER: Final = 2**62
NO_EVENT: Final = FOREVER
UNLIMITED: Final = MAX_AMOUNT
INCLUDED: Final = 0
PURCHASED: Final = 1
CREDIT_PRIORITY: Final = 2**31 - 1
MARK_EVERY: Final = 128


class AccountKind(IntEnum):
    """What an account row is."""

    BUCKET = 1
    GRANT = 2
    SINK = 3


class GrantState(IntEnum):
    """Where a grant stands: only open ones are in the burn order."""

    OPEN = 1
    WAITING = 2  # its start lies ahead
    CLOSED = 3  # nothing left and nothing held


class HoldState(IntEnum):
    """How a hold stands; it leaves `OPEN` once."""

    OPEN = 1
    CAPTURED = 2
    RELEASED = 3
    EXPIRED = 4


class Kind(IntEnum):
    """What a journal row did to its bucket."""

    GRANT = 1
    USE = 2
    HOLD = 3
    CAPTURE = 4
    RELEASE = 5
    EXPIRE_HOLD = 6
    BREAKAGE = 7
    REVERSE = 8
    MOVE_OUT = 9
    MOVE_IN = 10
    VOID = 11
    DEBT = 12
    START = 13
    FREEZE = 14
    UNFREEZE = 15
    POST = 16  # between sinks: it belongs to no bucket's history


class Sink(IntEnum):
    """The unlimited accounts that each asset has; other sinks are accounts with a name."""

    WORLD = 1
    USAGE = 2
    BREAKAGE = 3
    RECEIVABLE = 4
    TRANSIT = 5
    CAP = 6  # what members' caps count; never part of usage
    REPORTED = 7  # what was used elsewhere and reported: its record counts it, not the journal


def sink_id(asset: int, sink: Sink) -> int:
    """Return the account id of an asset's own sink. It needs no look-up: asset * 16 + sink."""
    return asset * 16 + sink


OnExpiry = Literal["release", "capture"]
OverCapture = Literal["deny", "cap", "debt"]


class Source(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Where a use may draw: a bucket, and a second bucket that caps how much of it.

    The cap is a bucket of its own (a member's share of a group's bucket); what is drawn from the
    bucket is drawn from the cap as well. A `spare` source counts what goes beyond a quota: it is
    drawn in its turn, but what it gives is never called available.
    """

    bucket: int
    cap: int | None = None
    spare: bool = False


class Grant(msgspec.Struct, frozen=True, kw_only=True, array_like=True, tag="grant"):
    """Credit a bucket by a new grant. Refuses an end that is not after its start."""

    bucket: int
    amount: int
    priority: int = 0
    class_: int = INCLUDED
    starts_at: int = 0
    expires_at: int = FOREVER
    source: int | None = None  # sink account; by default the asset's world
    reason: str | None = None


class Use(msgspec.Struct, frozen=True, kw_only=True, array_like=True, tag="use", gc=False):
    """Draw an amount from the sources in their order and each source's burn order.

    All or nothing, unless `at_most`: then what is there, and nothing there succeeds with 0.
    """

    sources: tuple[Source, ...]
    amount: int
    at_most: bool = False
    sink: int | None = None
    actor: str | None = None
    product: str | None = None
    meta: str | None = None


class Hold(msgspec.Struct, frozen=True, kw_only=True, array_like=True, tag="hold"):
    """Reserve an amount on the first source that can give all of it.

    `ttl_us` counts from the recorded time; None never ends. With `at_most`, reserve what the
    first source with anything has. The hold's id is the operation's id.
    """

    sources: tuple[Source, ...]
    amount: int
    at_most: bool = False
    ttl_us: int | None = None
    on_expiry: OnExpiry = "release"
    over_capture: OverCapture = "deny"
    sink: int | None = None
    actor: str | None = None
    product: str | None = None
    meta: str | None = None


class Capture(msgspec.Struct, frozen=True, kw_only=True, array_like=True, tag="capture"):
    """Take from a hold: None is all of it, 0 releases all; the rest is released at once.

    `hold_on` reserves anew in the same operation: the terms stay, the new hold is the operation.
    """

    hold: int
    amount: int | None = None
    hold_on: int | None = None
    hold_on_at_most: bool = False
    ttl_us: int | None = None


class Release(msgspec.Struct, frozen=True, kw_only=True, array_like=True, tag="release"):
    """Give all of a hold back."""

    hold: int


class Pin(msgspec.Struct, frozen=True, kw_only=True, array_like=True, tag="pin"):
    """Take a hold's end away, or with `ttl_us` give it a new one, counted from now."""

    hold: int
    ttl_us: int | None = None


class Reverse(msgspec.Struct, frozen=True, kw_only=True, array_like=True, tag="reverse"):
    """Give back what an operation took, to the same grants in reverse order; None is all.

    What returns to a grant that has expired meanwhile goes to breakage at once.
    """

    operation: int
    amount: int | None = None
    reason: str | None = None


class Move(msgspec.Struct, frozen=True, kw_only=True, array_like=True, tag="move"):
    """Move an amount to another bucket of the same asset; priority, class and validity travel."""

    source: int
    target: int
    amount: int
    reason: str | None = None


class Void(msgspec.Struct, frozen=True, kw_only=True, array_like=True, tag="void"):
    """Take what is unused, or up to `amount` of it, out of one grant. Held units stay held."""

    grant: int
    amount: int | None = None
    reason: str | None = None
    sink: int | None = None  # by default the asset's world


class Freeze(msgspec.Struct, frozen=True, kw_only=True, array_like=True, tag="freeze"):
    """Stop new movement on a bucket, or allow it again. Holds may still be released or expire."""

    bucket: int
    frozen: bool = True


class Leg(msgspec.Struct, frozen=True, array_like=True):
    """An amount from one sink to another; their balances are credits less debits."""

    debit: int
    credit: int
    amount: int


class Post(msgspec.Struct, frozen=True, kw_only=True, array_like=True, tag="post"):
    """Move amounts between sinks of one asset, which have no floor: an entry in the books.

    Refuses a leg that names no sink (`sink_unknown`), sinks of two assets (`asset_differs`), and
    a leg whose sides are the same (`value_invalid`).
    """

    legs: tuple[Leg, ...]
    actor: str | None = None
    product: str | None = None
    meta: str | None = None


class Look(msgspec.Struct, frozen=True, kw_only=True, array_like=True, tag="look"):
    """Answer what a use of this amount would meet; changes nothing but what was due anyway."""

    sources: tuple[Source, ...]
    amount: int


class Recall(msgspec.Struct, frozen=True, kw_only=True, array_like=True, tag="recall"):
    """Answer only what the request's key remembers; `Refused("key_unknown")` if nothing."""


Command = (
    Grant
    | Use
    | Hold
    | Capture
    | Release
    | Pin
    | Reverse
    | Move
    | Void
    | Freeze
    | Post
    | Look
    | Recall
)


class Applied(msgspec.Struct, frozen=True, kw_only=True, array_like=True, tag="applied", gc=False):
    """The command took effect.

    `amount` is what moved (for a capture: what was captured), `available` what its sources still
    give after it, `final` says that less than asked was there. `drawn` names the grants: (bucket,
    grant, amount), in order.
    """

    operation: int
    at: int
    bucket: int
    amount: int
    available: int
    hold: int | None = None
    expires_at: int | None = None
    released: int = 0
    debt: int = 0
    final: bool = False
    drawn: tuple[tuple[int, int, int], ...] = ()


class Denied(msgspec.Struct, frozen=True, kw_only=True, array_like=True, tag="denied", gc=False):
    """The ledger's "no": a code, what is available, nothing changed."""

    code: str
    available: int
    bucket: int | None = None


class Refused(msgspec.Struct, frozen=True, kw_only=True, array_like=True, tag="refused", gc=False):
    """The command itself cannot be carried out; it is not remembered under its key."""

    code: str
    detail: str | None = None


Outcome = Applied | Denied | Refused


class Request(msgspec.Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """One or more linked commands that succeed or fail together, under one key.

    `operations` are ids minted before queueing, one a command. `digest` (16 bytes over caller and
    key) and `fingerprint` (16 bytes over the payload) are both set or both None. `guards` name
    subjects with the revision their caller has seen; another one answers `Refused("stale")`, and so
    does a decision at or after `until`, when what the caller has seen changes by itself.
    """

    commands: tuple[Command, ...]
    operations: tuple[int, ...]
    digest: bytes | None = None
    fingerprint: bytes | None = None
    guards: tuple[tuple[str, int], ...] = ()
    until: int = FOREVER


class Remembered(msgspec.Struct, frozen=True):
    """What a key remembers."""

    fingerprint: bytes
    outcomes: tuple[Outcome, ...]


class BucketUnknown(Refusal):
    """There is no such bucket."""

    code = "bucket_unknown"


class AssetUnknown(Refusal):
    """There is no such asset."""

    code = "asset_unknown"


class AssetDiffers(Refusal):
    """An asset of this code exists with another scale."""

    code = "asset_differs"


class CursorUnknown(Refusal):
    """The history has no such place to go on from."""

    code = "cursor_unknown"
