"""The tables of the copies, and how a copy becomes a row: lists and mappings are JSON."""

from functools import partial
from typing import Any, Final, TypeVar

import msgspec
import sqlalchemy as sa

from farebox.storage import table

metadata = sa.MetaData()
T = TypeVar("T", bound=msgspec.Struct)
_table = partial(table, metadata)
_INT, _TEXT = sa.BigInteger, sa.Text
product = _table(
    "product_copy", product=_TEXT, name=_TEXT, type=_TEXT, unit=_TEXT, scale=_INT, state=_TEXT,
    billable=_INT, version=_INT,
)  # fmt: skip
feature = _table("feature_copy", feature=_TEXT, name=_TEXT, kind=_TEXT, state=_TEXT, version=_INT)
plan = _table("plan_copy", plan=_TEXT, version=_INT, state=_TEXT)
plan_version = _table(
    "plan_version_copy", plan=_TEXT, version=_INT, name=_TEXT, trial_days=_INT, quotas=_TEXT,
    features=_TEXT,
)  # fmt: skip
item = _table(
    "item_copy", item_id=_TEXT, id=_TEXT, owner=_TEXT, kind=_TEXT, title=_TEXT, offers=_TEXT,
    state=_TEXT, version=_INT,
)  # fmt: skip
consumer = _table(
    "consumer_copy", consumer_id=_TEXT, name=_TEXT, state=_TEXT, owner=_TEXT, metadata=_TEXT
)
group = _table("group_copy", group_id=_TEXT, name=_TEXT)
subscription = _table(
    "subscription_copy", subscription_id=_TEXT, holder_kind=_TEXT, consumer_id=_TEXT,
    group_id=_TEXT, plan_id=_TEXT, plan_version=_INT, state=_TEXT, period_unit=_TEXT,
    period_count=_INT, started_at=_TEXT, trial_ends_at=_TEXT, cancel_at=_TEXT, ended_at=_TEXT,
    shut_at=_TEXT,
)  # fmt: skip
TABLES: Final = (product, feature, plan, plan_version, item, consumer, group, subscription)
_JSON: Final = frozenset({"quotas", "features", "title", "offers", "metadata"})


def row_of(copy: msgspec.Struct, table: sa.Table) -> dict[str, Any]:
    """Return a copy as a row of a table; what the table does not have is left out."""
    facts = msgspec.structs.asdict(copy)
    return {column.name: _stored(column.name, facts[column.name]) for column in table.c}


def copy_of(row: sa.Row[Any], kind: type[T]) -> T:
    """Return a row as a copy."""
    names = zip(kind.__struct_fields__, kind.__struct_encode_fields__, strict=True)
    held = row._mapping  # noqa: SLF001 - SQLAlchemy's own name for a row as a mapping
    facts = {told: _read(name, held[name]) for name, told in names}
    # Lenient, because a yes or no is stored as 1 or 0.
    return msgspec.convert(facts, kind, strict=False)


def _stored(name: str, value: Any) -> Any:  # noqa: ANN401 - any column's value
    if name in _JSON:
        return msgspec.json.encode(value).decode()
    return int(value) if isinstance(value, bool) else value


def _read(name: str, value: Any) -> Any:  # noqa: ANN401 - any column's value
    return msgspec.json.decode(value) if name in _JSON else value
