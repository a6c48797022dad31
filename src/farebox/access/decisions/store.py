"""The tables of redeemed access keys, of rate limits, and of the processes that share them."""

import sqlalchemy as sa

metadata = sa.MetaData()
redemption = sa.Table(
    "redemption",
    metadata,
    sa.Column("operation", sa.BigInteger),
    sa.Column("at", sa.BigInteger),
    sa.Column("redeemed_by", sa.Text),
)
own_rate_limit = sa.Table(
    "own_rate_limit",
    metadata,
    sa.Column("subject", sa.Text),
    sa.Column("place", sa.BigInteger),
    sa.Column("product", sa.Text),
    sa.Column("most", sa.BigInteger),
    sa.Column("seconds", sa.BigInteger),
    sa.Column("burst", sa.BigInteger),
)
live_process = sa.Table(
    "live_process",
    metadata,
    sa.Column("id", sa.Text),
    sa.Column("seen_at", sa.BigInteger),
)
