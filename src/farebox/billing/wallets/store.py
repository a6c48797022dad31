"""The tables of wallets, of top-ups and of what fills a wallet automatically."""

from functools import partial
from typing import Any

import msgspec
import sqlalchemy as sa

from farebox.billing.wallets.model import AutomaticTopUp, TopUp, Wallet
from farebox.storage import table

metadata = sa.MetaData()
_table = partial(table, metadata)
_INT, _TEXT = sa.BigInteger, sa.Text
wallet = _table(
    "wallet", customer=_TEXT, currency=_TEXT, bucket=_INT, low_level=_INT, low_told=_INT,
    created_at=_INT,
)  # fmt: skip
automatic = _table(
    "automatic_top_up", customer=_TEXT, currency=_TEXT, level=_INT, amount=_INT, most=_INT,
    unit=_TEXT, unit_count=_INT, method=_TEXT, anchor_at=_INT, due_at=_INT, stopped_because=_TEXT,
)  # fmt: skip
top_up = _table(
    "top_up", id=_TEXT, customer=_TEXT, currency=_TEXT, amount=_INT, automatic=_INT, payment=_TEXT,
    state=_TEXT, operation=_INT, failure=_TEXT, created_at=_INT, settled_at=_INT,
)  # fmt: skip
limit = _table("top_up_limit", currency=_TEXT, least=_INT, most=_INT)


def wallet_of(row: sa.Row[Any]) -> Wallet:
    """Return a row of `wallet`."""
    return Wallet(
        customer=row.customer,
        currency=row.currency,
        bucket=row.bucket,
        created_at=row.created_at,
        low_level=row.low_level,
        low_told=bool(row.low_told),
    )


def automatic_of(row: sa.Row[Any]) -> AutomaticTopUp:
    """Return a row of `automatic_top_up`."""
    return AutomaticTopUp(**row._mapping)  # noqa: SLF001 - SQLAlchemy's own name for it


def top_up_of(row: sa.Row[Any]) -> TopUp:
    """Return a row of `top_up`."""
    facts = {**row._mapping, "automatic": bool(row.automatic)}  # noqa: SLF001 - as above
    return TopUp(**facts)


def row_of(one: Wallet | TopUp | AutomaticTopUp) -> dict[str, Any]:
    """Return one of them as a row."""
    facts = msgspec.structs.asdict(one)
    return {name: int(is_) if isinstance(is_, bool) else is_ for name, is_ in facts.items()}
