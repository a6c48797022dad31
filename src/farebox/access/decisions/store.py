"""The tables of redeemed access keys, of rate limits, and of the processes that share them."""

from functools import partial

import sqlalchemy as sa

from farebox.storage import table

metadata = sa.MetaData()
_table = partial(table, metadata)
_INT, _TEXT = sa.BigInteger, sa.Text
redemption = _table("redemption", operation=_INT, at=_INT, redeemed_by=_TEXT)
own_rate_limit = _table(
    "own_rate_limit", subject=_TEXT, place=_INT, product=_TEXT, most=_INT, seconds=_INT, burst=_INT
)
live_process = _table("live_process", id=_TEXT, seen_at=_INT)
