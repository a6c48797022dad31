"""The ledger's front door: load, decide, write. Takes a transaction and never commits one."""

import hashlib
from collections.abc import Callable, Sequence
from typing import Final

import msgspec
import sqlalchemy as sa

from farebox.kernel import ids
from farebox.kernel.amounts import Asset, checked_amount
from farebox.kernel.periods import Unit, check_terms, period_at
from farebox.kernel.refusals import TryAgain, ValueRefused
from farebox.ledger import store
from farebox.ledger.books import Balances, Books, NeedMore
from farebox.ledger.decide import decide
from farebox.ledger.loading import Memory, Needs, load
from farebox.ledger.model import (
    CREDIT_PRIORITY,
    FOREVER,
    UNLIMITED,
    AccountKind,
    Applied,
    AssetDiffers,
    AssetUnknown,
    BucketUnknown,
    Command,
    Grant,
    GrantState,
    Look,
    Outcome,
    Refused,
    Request,
    Sink,
    Source,
    sink_id,
)
from farebox.storage import Tx

_ROUNDS: Final = 16
_EVERYTHING: Final = 8  # times that a bucket's grants were not enough: 64 * 8^8 are all there are


def digest_of(caller: str, key: str) -> bytes:
    """Return the 16 bytes under which a caller's key is remembered.

    A key is 1 to 255 visible ASCII characters; others are refused (`value_invalid`).
    """
    if not (1 <= len(key) <= 255 and key.isascii() and key.isprintable()) or " " in key:  # noqa: PLR2004
        raise ValueRefused("an Idempotency-Key is 1 to 255 visible ASCII characters")
    return hashlib.blake2b(f"{caller}\0{key}".encode(), digest_size=16).digest()


def fingerprint_of(payload: bytes) -> bytes:
    """Return the 16 bytes that tell payloads under one key apart; the form is versioned."""
    return hashlib.blake2b(b"1" + payload, digest_size=16).digest()


def request(
    *commands: Command,
    caller: str = "",
    key: str | None = None,
    payload: bytes | None = None,
    guards: tuple[tuple[str, int], ...] = (),
    operations: tuple[int, ...] | None = None,
) -> Request:
    """Make a request of linked commands, minting its operation ids.

    With a `key` the payload's fingerprint is kept; without `payload` the commands are it.
    """
    if operations is None:
        operations = tuple(ids.mint() for _ in commands)
    if key is None:
        return Request(commands=commands, operations=operations, guards=guards)
    return Request(
        commands=commands,
        operations=operations,
        digest=digest_of(caller, key),
        fingerprint=fingerprint_of(
            msgspec.msgpack.encode(commands) if payload is None else payload
        ),
        guards=guards,
    )


class Ledger:
    """The ledger of one database."""

    def __init__(self, mint: Callable[[], int] = ids.mint) -> None:
        self._mint = mint

    # -- opening ---------------------------------------------------------------------------------

    def asset(self, tx: Tx, code: str) -> Asset:
        """Return an asset by its code; refuses an unknown one (`asset_unknown`)."""
        found = _find_asset(tx, code)
        if found is None:
            raise AssetUnknown(asset=code)
        return found

    def assets(self, tx: Tx) -> list[Asset]:
        """Return every asset."""
        rows = tx.run(sa.select(store.asset).order_by(store.asset.c.number))
        return [Asset(number=row.number, code=row.code, scale=row.scale) for row in rows]

    def open_asset(self, tx: Tx, code: str, scale: int = 0) -> Asset:
        """Make an asset with its sinks, or return it; refuses another scale (`asset_differs`)."""
        if not 0 <= scale <= 18:  # noqa: PLR2004 - 10^18 is the largest power below 2^63
            raise ValueRefused("a scale is 0 to 18")
        found = _find_asset(tx, code)
        if found is not None and found.scale == scale:
            return found
        number = sa.select(sa.func.coalesce(sa.func.max(store.asset.c.number), 0) + 1)
        values = {"number": number.scalar_subquery(), "code": code, "scale": scale}
        if tx.insert_unless_taken(store.asset, values):
            made = self.asset(tx, code)
            rows = [_sink_row(sink_id(made.number, sink), made.number, sink.name) for sink in Sink]
            tx.insert_many(store.account, store.ACCOUNT, rows)
            return made
        found = _find_asset(tx, code)
        if found is None:
            # Somebody has made another asset at the same time, and has its number.
            raise TryAgain
        if found.scale != scale:
            raise AssetDiffers(asset=code, scale=found.scale)
        return found

    def open_sink(self, tx: Tx, asset: Asset, name: str) -> int:
        """Return the id of an asset's sink with this name, making it at first."""
        found = _find_sink(tx, asset, name)
        if found is None:
            row = _sink_row(self._mint(), asset.number, name)
            tx.insert_unless_taken(store.account, dict(zip(store.ACCOUNT, row, strict=True)))
            # Ours, or that of somebody who has made it at the same time.
            found = _find_sink(tx, asset, name)
        if found is None:
            raise TryAgain
        return found

    def open_bucket(
        self, tx: Tx, asset: Asset, *, credit_limit: int = 0, bucket_id: int | None = None
    ) -> int:
        """Make an empty bucket and return its id; it may go down to minus `credit_limit`."""
        if credit_limit:
            checked_amount(credit_limit)
        number = self._mint() if bucket_id is None else bucket_id
        row = store.new_bucket_row(number, asset.number, -credit_limit, 0)
        rows = [row]
        if credit_limit:
            rows = [
                _with_grants(row, 1),
                _credit_row(self._mint(), asset.number, number, credit_limit),
            ]
        tx.insert_many(store.account, store.ACCOUNT, rows)
        return number

    def add_schedule(
        self,
        tx: Tx,
        bucket: int,
        amount: int,
        *,
        unit: Unit,
        anchor_at: int,
        unit_count: int = 1,
        zone: str = "UTC",
        priority: int = 0,
        class_: int = 0,
        rollover: int = 0,
        ends_at: int = FOREVER,
        begins_at: int | None = None,
    ) -> int:
        """Let a bucket get a grant each period; it ends with the period, up to `rollover` goes on.

        Refuses (`value_invalid`) terms that name no period, an end that is not after the anchor.
        The first touch of the bucket in a period makes the period's grant, exactly once. An
        anchor may lie in the past: periods that have begun since are granted from now on, and
        what was said of the past stays true. With `begins_at` (now or later) the first grant is
        that of the period which holds this instant, valid from then on; the anchor is before it.
        """
        checked_amount(amount)
        checked_amount(rollover, least=0)
        check_terms(unit, unit_count, zone)
        if not anchor_at < ends_at <= FOREVER:
            raise ValueRefused("a recurrence ends after it begins")
        first = None
        if begins_at is not None:
            first = period_at(unit, unit_count, anchor_at, zone, begins_at)
            if first is None or not begins_at < ends_at:
                raise ValueRefused("a recurrence begins after its anchor and before its end")
            end = min(first.end_us, ends_at)
            grant = Grant(
                bucket=bucket, amount=amount, priority=priority, class_=class_,
                starts_at=begins_at, expires_at=end,
            )  # fmt: skip
            outcome = self.apply(tx, [request(grant)])[0][0]
            if not isinstance(outcome, Applied):
                raise ValueRefused(f"the bucket takes no grant now: {outcome.code}")
        self._settle(tx, bucket)
        number = self._mint()
        tx.run(
            store.schedule.insert(),
            {
                "id": number, "bucket": bucket, "amount": amount, "unit": unit,
                "unit_count": unit_count, "anchor_at": anchor_at, "zone": zone,
                "priority": priority, "class": class_, "rollover": rollover, "ends_at": ends_at,
            },
        )  # fmt: skip
        if first is not None:
            # The first grant is the period's from now on; the next one follows where it ends.
            newest = store.newest_grant(tx, bucket)
            here = store.account.c.id == newest
            of_period = {"schedule": number, "period": first.index}
            tx.run(store.account.update().where(here).values(of_period))
        self._reschedule(tx, bucket, anchor_at if first is None else FOREVER)
        return number

    def end_schedules(self, tx: Tx, bucket: int) -> None:
        """Let nothing recur on a bucket from now on; what was granted stays until its own end."""
        self._settle(tx, bucket)
        here = (store.schedule.c.bucket == bucket, store.schedule.c.ends_at > tx.now_us)
        tx.run(store.schedule.update().where(*here).values(ends_at=tx.now_us))
        self._reschedule(tx, bucket, FOREVER)

    def _settle(self, tx: Tx, bucket: int) -> None:
        """Write what has fallen due on a bucket; refuses an unknown one (`bucket_unknown`)."""
        outcome = self.apply(tx, [request(Look(sources=(Source(bucket),), amount=0))])[0][0]
        if isinstance(outcome, Refused) and outcome.code == "bucket_unknown":
            raise BucketUnknown

    def _reschedule(self, tx: Tx, bucket: int, wake_at: int) -> None:
        """Tell everybody who remembers a bucket that its schedules have changed."""
        books = store.lock_buckets(tx, [bucket], lock=True)
        if not books:
            raise BucketUnknown
        wake = min(wake_at, books[0].next_event_at)
        version = books[0].version
        row = (bucket, version, version + 1, wake, max(books[0].last_at, tx.now_us))
        changes = ("version", "next_event_at", "last_at")
        tx.update_many(store.account, changes, [row], key=("id", "version"))

    # -- commands --------------------------------------------------------------------------------

    def apply(self, tx: Tx, requests: Sequence[Request]) -> list[tuple[Outcome, ...]]:
        """Decide requests inside the caller's own transaction: once, with all its commands."""
        return self.run(tx, requests, Memory())[0]

    def run(
        self,
        tx: Tx,
        requests: Sequence[Request],
        memory: Memory,
        *,
        writes: bool = True,
        until: int = 0,
        everything: bool = False,
    ) -> tuple[list[tuple[Outcome, ...]], Books]:
        """Load, decide and write a batch. Raises `TryAgain` when the transaction must run again.

        Without `writes` nothing is locked or written: for looks alone. These may ask about a later
        instant (`until`) and for every open grant of their buckets (`everything`).
        """
        needs = Needs(tx, requests)
        far = dict.fromkeys(needs.buckets, _EVERYTHING) if everything else {}
        for _ in range(_ROUNDS):
            books = Books(self._mint)
            try:
                load(tx, needs, memory, books, far, until=until, lock=writes)
                outcomes = decide(books, requests, max(tx.now_us, until))
                if writes:
                    store.write_changes(tx, books)
            except NeedMore as more:
                needs.buckets.update(more.buckets)
                far.update((key, far.get(key, 0) + 1) for key in more.buckets)
                memory.drop(books.buckets)
                continue
            except BaseException as error:
                error.balances = books.balances()  # type: ignore[attr-defined]
                memory.drop(books.buckets)
                raise
            if not writes:
                # What was settled for a look is not in the database: it must not be remembered.
                books.looked = dict(books.buckets)
                memory.drop(books.touched)
                for key in books.touched:
                    books.buckets.pop(key, None)
            return outcomes, books
        raise TryAgain

    # -- subjects' revisions ---------------------------------------------------------------------

    def revision(self, tx: Tx, subject: str) -> int:
        """Return a subject's revision; 0 if it never changed."""
        return store.revisions_of(tx, [subject]).get(subject, 0)

    def advance_revision(self, tx: Tx, subject: str) -> int:
        """Say that a subject has changed: requests that saw it as it was will be answered stale."""
        statement = tx.insert_of(store.revision).values(subject=subject, revision=1)
        changed = statement.on_conflict_do_update(
            index_elements=["subject"], set_={"revision": store.revision.c.revision + 1}
        ).returning(store.revision.c.revision)
        return int(tx.run(changed).scalar_one())

    def declare_fault(self, tx: Tx, balances: Balances, *, surely: bool) -> list[int]:
        """Freeze the buckets that may not have these balances; an operator has to act then.

        With `surely`, all of them where no stored floor tells which. Returns those it froze.
        """
        buckets = _impossible(tx, balances)
        if surely and not buckets:
            buckets = sorted({bucket for bucket, *_ in balances.values()})
        account = store.account
        chosen = (account.c.id.in_(buckets), account.c.kind == AccountKind.BUCKET.value)
        # The version tells everybody who remembers a bucket that it has changed.
        tx.run(account.update().where(*chosen).values(frozen=2, version=account.c.version + 1))
        return buckets


def _impossible(tx: Tx, balances: Balances) -> list[int]:
    """Return the buckets of which an account may not have what it was to have."""
    select = "SELECT id, floor FROM account WHERE id IN :keys"
    found = set()
    for number, floor in tx.select_in(select, ("id", "floor"), sorted(balances)):
        bucket, pending, debited, credited = balances[number]
        short = floor is not None and credited - debited - pending < floor
        if short or min(pending, debited, credited) < 0:
            found.add(bucket)
    return sorted(found)


def _find_asset(tx: Tx, code: str) -> Asset | None:
    row = tx.one(sa.select(store.asset).where(store.asset.c.code == code))
    return None if row is None else Asset(number=row.number, code=row.code, scale=row.scale)


def _find_sink(tx: Tx, asset: Asset, name: str) -> int | None:
    row = tx.one(
        sa.select(store.account.c.id).where(
            store.account.c.asset == asset.number,
            store.account.c.kind == AccountKind.SINK.value,
            store.account.c.name == name,
        )
    )
    return None if row is None else int(row.id)


def _sink_row(number: int, asset_number: int, name: str) -> tuple[object, ...]:
    row = list(store.new_bucket_row(number, asset_number, 0, 0))
    row[1], row[4], row[5] = AccountKind.SINK.value, name.lower(), None
    return tuple(row)


def _with_grants(row: tuple[object, ...], count: int) -> tuple[object, ...]:
    place = store.ACCOUNT.index("grants")
    return (*row[:place], count, *row[place + 1 :])


def _credit_row(number: int, asset_number: int, bucket: int, limit: int) -> tuple[object, ...]:
    row = list(store.new_bucket_row(number, asset_number, -limit, 0))
    row[1], row[3], row[6] = AccountKind.GRANT.value, bucket, CREDIT_PRIORITY
    row[12] = GrantState.OPEN.value
    return tuple(row)


assert UNLIMITED < FOREVER
