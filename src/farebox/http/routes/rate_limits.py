"""Rate limits of single consumers and keys, beside those that plans bring."""

from typing import Annotated

from litestar import get, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import Meta

from farebox.access.consumers.service import read_consumer
from farebox.access.decisions.model import LONGEST_RATE_SECONDS, MOST_RATES, Rate
from farebox.access.decisions.service_rates import rates_of, set_rates
from farebox.contracts.decisions import LARGEST_QUANTITY, ProductCode
from farebox.http.deps import Command, Desk
from farebox.http.routes.keys import readable
from farebox.http.wire import Body, View
from farebox.platform.model import CredentialUnknown
from farebox.storage import Tx

TAGS = ["Rate limits"]
Calls = Annotated[int, Meta(ge=1, le=LARGEST_QUANTITY)]


class RateLimitBody(Body, frozen=True):
    """At most `limit` decisions in `seconds`, `burst` of them at once.

    It counts decisions about one `product`, or about all of them (null).
    """

    limit: Calls
    seconds: Annotated[int, Meta(ge=1, le=LONGEST_RATE_SECONDS)]
    burst: Calls
    product: ProductCode | None = None


class SetRateLimits(Body, frozen=True):
    """All rate limits that shall hold from now on; an empty list takes them away."""

    rate_limits: Annotated[list[RateLimitBody], Meta(max_length=MOST_RATES)]


class RateLimits(View, frozen=True):
    """The rate limits of a consumer or a key."""

    rate_limits: list[RateLimitBody]


def show_rates(rates: tuple[Rate, ...]) -> RateLimits:
    """Return rate limits as the API shows them."""
    return RateLimits(
        rate_limits=[
            RateLimitBody(limit=one.most, seconds=one.seconds, burst=one.burst, product=one.product)
            for one in rates
        ]
    )


def read_rates(data: SetRateLimits) -> tuple[Rate, ...]:
    """Return the rate limits of a body."""
    return tuple(
        Rate(key="", most=one.limit, seconds=one.seconds, burst=one.burst, product=one.product)
        for one in data.rate_limits
    )


@get(
    "/v1/consumers/{consumer:str}/rate-limits",
    operation_id="readRateLimitsOfConsumer",
    tags=TAGS,
    sync_to_thread=True,
)
def read_of_consumer(consumer: FromPath[str], desk: NamedDependency[Desk]) -> RateLimits:
    """Read the rate limits that were set for a consumer."""

    def work(tx: Tx) -> RateLimits:
        read_consumer(tx, consumer)
        return show_rates(rates_of(tx, (consumer,)))

    return desk.read(work)


@put(
    "/v1/consumers/{consumer:str}/rate-limits",
    operation_id="setRateLimitsOfConsumer",
    tags=TAGS,
    sync_to_thread=True,
)
def set_of_consumer(
    consumer: FromPath[str], data: JSONBody[SetRateLimits], command: NamedDependency[Command]
) -> RateLimits:
    """Set a consumer's rate limits, in place of those that were set before."""

    def work(tx: Tx) -> RateLimits:
        read_consumer(tx, consumer)
        return show_rates(
            set_rates(tx, command.actor, consumer, read_rates(data), guarded_by=consumer)
        )

    return command.answer(RateLimits, work)


@get(
    "/v1/keys/{key:str}/rate-limits",
    operation_id="readRateLimitsOfKey",
    tags=TAGS,
    sync_to_thread=True,
)
def read_of_key(key: FromPath[str], desk: NamedDependency[Desk]) -> RateLimits:
    """Read the rate limits that were set for a key."""

    def work(tx: Tx) -> RateLimits:
        return show_rates(rates_of(tx, (readable(tx, desk, key).id,)))

    return desk.read(work)


@put(
    "/v1/keys/{key:str}/rate-limits",
    operation_id="setRateLimitsOfKey",
    tags=TAGS,
    sync_to_thread=True,
)
def set_of_key(
    key: FromPath[str], data: JSONBody[SetRateLimits], command: NamedDependency[Command]
) -> RateLimits:
    """Set the rate limits of a consumer's key; operators' keys have none."""

    def work(tx: Tx) -> RateLimits:
        found = readable(tx, command, key)
        if found.subject_kind != "consumer":
            raise CredentialUnknown
        return show_rates(
            set_rates(tx, command.actor, found.id, read_rates(data), guarded_by=found.subject)
        )

    return command.answer(RateLimits, work)


HANDLERS = (read_of_consumer, set_of_consumer, read_of_key, set_of_key)
