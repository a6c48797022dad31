"""The table of redeemed access keys."""

import sqlalchemy as sa

metadata = sa.MetaData()
redemption = sa.Table(
    "redemption",
    metadata,
    sa.Column("operation", sa.BigInteger),
    sa.Column("at", sa.BigInteger),
    sa.Column("redeemed_by", sa.Text),
)
