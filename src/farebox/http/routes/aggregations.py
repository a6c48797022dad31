"""What is counted of products beside their uses, and when buckets run low."""

from typing import Annotated, Literal

from litestar import delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import Meta

from farebox.access.usage import service_aggregations, service_notices
from farebox.access.usage.model import Aggregation, LowMark
from farebox.contracts.decisions import LARGEST_QUANTITY
from farebox.http.deps import Command, Desk
from farebox.http.routes.buckets import number_of
from farebox.http.routes.usage import TAGS
from farebox.http.wire import Body, Time, View, Word, show_time
from farebox.kernel import ids

Kind = Literal["count", "sum", "maximum", "unique"]


class DeclareAggregation(Body, frozen=True):
    """`unique` counts the values of `dimension` in the metadata; `split_by` makes parts."""

    name: Word
    kind: Kind
    dimension: Word | None = None
    split_by: Word | None = None


class AggregationView(View, frozen=True):
    """What is counted of a product beside count, sum and maximum."""

    product: str
    name: str
    kind: Kind
    dimension: str | None
    split_by: str | None
    created_at: Time


class Aggregations(View, frozen=True):
    """What is counted of a product."""

    items: list[AggregationView]


class SetLowMark(Body, frozen=True):
    """At or below this the bucket is low."""

    level: Annotated[int, Meta(ge=0, le=LARGEST_QUANTITY)]


class LowMarkView(View, frozen=True):
    """A bucket's low mark; `told` until it is filled above it again."""

    bucket: str
    level: int
    told: bool


def show_aggregation(one: Aggregation) -> AggregationView:
    """Return an aggregation as the API shows it."""
    return AggregationView(
        product=one.product,
        name=one.name,
        kind=one.kind,
        dimension=one.dimension,
        split_by=one.split_by,
        created_at=show_time(one.created_at),
    )


def show_low_mark(one: LowMark) -> LowMarkView:
    """Return a low mark as the API shows it."""
    return LowMarkView(bucket=ids.show("bkt", one.bucket), level=one.level, told=one.told)


@post(
    "/v1/products/{code:str}/aggregations",
    operation_id="declareAggregation",
    tags=TAGS,
    sync_to_thread=True,
)
def declare_aggregation(
    code: FromPath[str], data: JSONBody[DeclareAggregation], command: NamedDependency[Command]
) -> AggregationView:
    """Count something more of a product from now on."""
    return command.answer(
        AggregationView,
        lambda tx: show_aggregation(
            service_aggregations.declare_aggregation(
                tx,
                command.actor,
                product=code,
                name=data.name,
                kind=data.kind,
                dimension=data.dimension,
                split_by=data.split_by,
            )
        ),
    )


@get(
    "/v1/products/{code:str}/aggregations",
    operation_id="listAggregations",
    tags=TAGS,
    sync_to_thread=True,
)
def list_aggregations(code: FromPath[str], desk: NamedDependency[Desk]) -> Aggregations:
    """List what is counted of a product."""
    found = desk.read(lambda tx: service_aggregations.list_aggregations(tx, code))
    return Aggregations(items=[show_aggregation(one) for one in found])


@delete(
    "/v1/products/{code:str}/aggregations/{name:str}",
    operation_id="removeAggregation",
    tags=TAGS,
    sync_to_thread=True,
)
def remove_aggregation(
    code: FromPath[str], name: FromPath[str], command: NamedDependency[Command]
) -> None:
    """Stop counting it; what was counted stays in periods that run."""
    command.write(
        lambda tx: service_aggregations.remove_aggregation(
            tx, command.actor, product=code, name=name
        )
    )


@put(
    "/v1/buckets/{bucket:str}/low-mark",
    operation_id="setLowMark",
    tags=TAGS,
    sync_to_thread=True,
)
def set_low_mark(
    bucket: FromPath[str], data: JSONBody[SetLowMark], command: NamedDependency[Command]
) -> LowMarkView:
    """Let `bucket.low` tell when a bucket comes to a level."""
    number = number_of(bucket)
    return command.answer(
        LowMarkView,
        lambda tx: show_low_mark(
            service_notices.set_low_mark(tx, command.actor, number, data.level)
        ),
    )


@get(
    "/v1/buckets/{bucket:str}/low-mark",
    operation_id="readLowMark",
    tags=TAGS,
    sync_to_thread=True,
)
def read_low_mark(bucket: FromPath[str], desk: NamedDependency[Desk]) -> LowMarkView:
    """Read a bucket's low mark."""
    number = number_of(bucket)
    return show_low_mark(desk.read(lambda tx: service_notices.read_low_mark(tx, number)))


@delete(
    "/v1/buckets/{bucket:str}/low-mark",
    operation_id="removeLowMark",
    tags=TAGS,
    sync_to_thread=True,
)
def remove_low_mark(bucket: FromPath[str], command: NamedDependency[Command]) -> None:
    """Tell nobody any more."""
    number = number_of(bucket)
    command.write(lambda tx: service_notices.remove_low_mark(tx, command.actor, number))


HANDLERS = (
    declare_aggregation,
    list_aggregations,
    remove_aggregation,
    set_low_mark,
    read_low_mark,
    remove_low_mark,
)
