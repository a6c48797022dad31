"""Short ways to set a scene on the ledger, and to read what happened from the tables alone."""

from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa

from farebox.kernel.amounts import Asset
from farebox.kernel.clock import ManualClock
from farebox.ledger.model import Command, Grant, Outcome, Request, Source, Use
from farebox.ledger.service import Ledger, request
from farebox.storage import Database

HOUR: Final = 3600 * 1_000_000
DAY: Final = 24 * HOUR


class Scene:
    """One database with a ledger, an asset `film`, and buckets as a test needs them."""

    def __init__(self, database: Database, ledger: Ledger, clock: ManualClock) -> None:
        self.database = database
        self.ledger = ledger
        self.clock = clock
        self._assets: dict[str, Asset] = {}

    def asset(self, code: str = "film", scale: int = 0) -> Asset:
        """Return an asset, making it at first."""
        if code not in self._assets:
            self._assets[code] = self.database.run(
                lambda tx: self.ledger.open_asset(tx, code, scale)
            )
        return self._assets[code]

    def bucket(self, *grants: int | Grant, credit_limit: int = 0, asset: str = "film") -> int:
        """Open a bucket with grants: an amount each, or a `Grant` whose bucket is filled in."""
        kind = self.asset(asset)
        made = self.database.run(
            lambda tx: self.ledger.open_bucket(tx, kind, credit_limit=credit_limit)
        )
        for grant in grants:
            terms = Grant(bucket=made, amount=grant) if isinstance(grant, int) else grant
            fields = {name: getattr(terms, name) for name in terms.__struct_fields__}
            self.do(Grant(**{**fields, "bucket": made}))
        return made

    def run(self, requests: Sequence[Request]) -> list[tuple[Outcome, ...]]:
        """Run requests as one batch in a transaction of their own."""
        return self.database.run(lambda tx: self.ledger.apply(tx, requests))

    def do(self, *commands: Command, **options: Any) -> Outcome:
        """Run one request; returns the outcome of its last command."""
        return self.run([request(*commands, **options)])[0][-1]

    def use(self, bucket: int, amount: int, **options: Any) -> Outcome:
        """Use an amount of one bucket."""
        return self.do(Use(sources=(Source(bucket),), amount=amount), **options)

    def rows(self, sql: str, **parameters: Any) -> list[dict[str, Any]]:
        """Read rows as they lie in the tables, past everything the ledger remembers."""
        with self.database.read() as tx:
            return [dict(row) for row in tx.run(sa.text(sql), parameters).mappings()]

    def available(self, bucket: int) -> int:
        """Return what a bucket's row says is neither spent nor held."""
        row = self.rows(
            "SELECT credits_posted - debits_posted - debits_pending AS available "
            "FROM account WHERE id = :id",
            id=bucket,
        )
        return int(row[0]["available"])
