"""Endpoints, deliveries and attempts of outgoing webhooks."""

from typing import ClassVar, Final, Literal

import msgspec

from farebox.kernel.refusals import Refusal

EndpointState = Literal["active", "disabled"]
DisabledBecause = Literal["operator", "failing", "gone"]
DeliveryState = Literal["waiting", "delivered", "failed"]

LONGEST_URL: Final = 2_048
LONGEST_DESCRIPTION: Final = 256
MOST_ENDPOINTS: Final = 1_000
MOST_TYPES: Final = 100


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A receiver of events. No `types` means every type.

    `failing_since` is when the attempts that have failed ever since began to fail.
    """

    id: str
    url: str
    description: str
    types: tuple[str, ...]
    state: EndpointState
    disabled_because: DisabledBecause | None
    failing_since: int | None
    created_at: int


class NewEndpoint(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint with a secret that was just made, which is shown here and never again."""

    endpoint: Endpoint
    secret: str


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One event on its way to one endpoint; `due_at` is None once it has ended."""

    id: str
    endpoint: str
    event: str
    type: str
    state: DeliveryState
    attempts: int
    due_at: int | None
    created_at: int
    ended_at: int | None


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One call and what came of it: a status, or the reason why there was none."""

    seq: int
    delivery: str
    endpoint: str
    event: str
    number: int
    at: int
    status: int | None
    duration_ms: int
    error: str | None


class Parcel(msgspec.Struct, frozen=True, kw_only=True):
    """All that one attempt needs. `claim` tells this attempt from a later one of the delivery."""

    delivery: str
    endpoint: str
    event: str
    url: str
    body: bytes
    secrets: tuple[bytes, ...]
    tries: int
    number: int
    claim: int


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What an attempt met: the receiver's status, or an error when none came."""

    status: int | None = None
    error: str | None = None
    duration_ms: int = 0
    retry_after_s: int | None = None


class EndpointUnknown(Refusal):
    """There is no such webhook."""

    code: ClassVar[str] = "webhook_unknown"


class EndpointDisabled(Refusal):
    """The webhook is disabled, so nothing is sent to it."""

    code: ClassVar[str] = "webhook_disabled"


class DeliveryUnknown(Refusal):
    """There is no such delivery."""

    code: ClassVar[str] = "webhook_delivery_unknown"


class TooManyEndpoints(Refusal):
    """There are as many webhooks as one Farebox serves."""

    code: ClassVar[str] = "too_many_webhooks"
