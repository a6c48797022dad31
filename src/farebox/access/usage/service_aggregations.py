"""What is counted of a product beside number, sum and maximum: declared, read, removed."""

import msgspec
import sqlalchemy as sa

from farebox.access.catalog.service import read_product
from farebox.access.usage import store
from farebox.access.usage.model import (
    LONGEST_NAME,
    MOST_AGGREGATIONS,
    Aggregation,
    AggregationKind,
    AggregationRefused,
    AggregationTaken,
    AggregationUnknown,
    TooManyAggregations,
)
from farebox.platform.model import Actor
from farebox.platform.rules import checked_text
from farebox.platform.service_audit import record
from farebox.storage import Tx


def declare_aggregation(
    tx: Tx,
    actor: Actor,
    *,
    product: str,
    name: str,
    kind: AggregationKind,
    dimension: str | None = None,
    split_by: str | None = None,
) -> Aggregation:
    """Count something more of a product from now on.

    `unique` counts the different values of `dimension` in the metadata of uses; `split_by` names
    what else in it splits any of them into parts. Refuses an unknown product, a name that is
    taken (`aggregation_taken`), a dimension that does not fit (`aggregation_refused`).
    """
    read_product(tx, product)
    if (kind == "unique") != (dimension is not None):
        raise AggregationRefused
    for text in (name, dimension, split_by):
        if text is not None:
            checked_text(text, "a name", longest=LONGEST_NAME)
    if len(list_aggregations(tx, product)) >= MOST_AGGREGATIONS:
        raise TooManyAggregations
    made = Aggregation(
        product=product,
        name=name,
        kind=kind,
        dimension=dimension,
        split_by=split_by,
        created_at=tx.now_us,
    )
    row = msgspec.structs.asdict(made)
    if not tx.insert_once(store.aggregation, row, key=("product", "name")):
        raise AggregationTaken
    record(tx, actor, "aggregation.declared", f"product:{product}", after=made)
    return made


def list_aggregations(tx: Tx, product: str) -> tuple[Aggregation, ...]:
    """Return what is declared for a product, by name."""
    table = store.aggregation
    statement = sa.select(table).where(table.c.product == product).order_by(table.c.name)
    return tuple(store.aggregation_of(row) for row in tx.run(statement))


def remove_aggregation(tx: Tx, actor: Actor, *, product: str, name: str) -> None:
    """Stop counting it; refuses an unknown one (`aggregation_unknown`)."""
    found = [one for one in list_aggregations(tx, product) if one.name == name]
    if not found:
        raise AggregationUnknown
    table = store.aggregation
    tx.run(table.delete().where(table.c.product == product, table.c.name == name))
    record(tx, actor, "aggregation.removed", f"product:{product}", before=found[0])
