"""Verify: replay the journal and prove every stored balance, while the system runs.

Bucket by bucket, in pages: the counters, grants, open holds and the head of the history are read
in one snapshot; the journal rows behind that head never change, so they may be read afterwards at
leisure. Walking from the newest row back, each row's effect is taken off again: at the first row
everything must be back at zero.
"""

from collections.abc import Iterator
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from farebox.kernel.amounts import Asset
from farebox.ledger import store
from farebox.ledger.model import AccountKind, GrantState, HoldState, Kind
from farebox.ledger.reading import change_of, walk
from farebox.storage import Database, Tx

BUCKETS_A_PAGE: Final = 100
SINK_ROWS_A_STEP: Final = 50_000
_OUT: Final = frozenset({Kind.USE, Kind.CAPTURE, Kind.BREAKAGE, Kind.MOVE_OUT, Kind.VOID})
_IN: Final = frozenset({Kind.GRANT, Kind.REVERSE, Kind.MOVE_IN})
POSTED: Final = tuple(sorted(int(kind) for kind in (*_OUT, *_IN, Kind.DEBT, Kind.POST)))
"""The rows that move value; the others reserve, release, begin or freeze."""
_FREED: Final = frozenset({Kind.CAPTURE, Kind.RELEASE, Kind.EXPIRE_HOLD})


class Fault(msgspec.Struct, frozen=True):
    """Something that the journal does not explain."""

    bucket: int
    what: str


class Report(msgspec.Struct):
    """What was proved, and what could not be."""

    buckets: int = 0
    entries: int = 0
    faults: list[Fault] = []


class _Counters(msgspec.Struct):
    pending: int = 0
    debited: int = 0
    credited: int = 0


class _Bucket(msgspec.Struct):
    """One bucket as a snapshot shows it."""

    row: Any
    grants: dict[int, Any]
    parts: dict[int, int]
    holds: int


def verify(database: Database) -> Iterator[Report]:
    """Prove all buckets, a page at a time; yields the report so far after each page."""
    report = Report()
    last = 0
    while True:
        with database.read() as tx:
            page = _page(tx, last)
        if not page:
            break
        for found in page:
            last = found.row.id
            with database.read() as tx:
                _prove(tx, found, report)
        yield report
    with database.read() as tx:
        _prove_sinks(tx, report)
    yield report


def _page(tx: Tx, after: int) -> list[_Bucket]:
    account, hold, part = store.account, store.hold, store.hold_part
    statement = sa.select(account).where(
        account.c.kind == AccountKind.BUCKET.value, account.c.id > after
    )
    rows = tx.run(statement.order_by(account.c.id).limit(BUCKETS_A_PAGE)).all()
    ids = [row.id for row in rows]
    found = {row.id: _Bucket(row, {}, {}, 0) for row in rows}
    for grant in tx.run(sa.select(account).where(account.c.kind == 2, account.c.bucket.in_(ids))):  # noqa: PLR2004
        found[grant.bucket].grants[grant.id] = grant
    open_parts = (
        sa.select(part.c.bucket, part.c.account, part.c.amount)
        .join(hold, hold.c.id == part.c.hold)
        .where(hold.c.state == HoldState.OPEN.value, part.c.bucket.in_(ids))
    )
    for each in tx.run(open_parts):
        parts = found[each.bucket].parts
        parts[each.account] = parts.get(each.account, 0) + each.amount
    held = sa.select(hold.c.bucket, sa.func.sum(hold.c.amount).label("held")).where(
        hold.c.state == HoldState.OPEN.value, hold.c.bucket.in_(ids)
    )
    for each in tx.run(held.group_by(hold.c.bucket)):
        found[each.bucket].holds = int(each.held)
    return list(found.values())


def _prove(tx: Tx, found: _Bucket, report: Report) -> None:
    row = found.row
    faults: list[str] = []
    counters = {key: _Counters() for key in found.grants}
    available = (
        row.credits_posted - row.debits_posted - row.debits_pending - row.floor - row.waiting
    )
    entry, at = row.entries, row.last_at
    for each in walk(tx, row.id, row.head):
        report.entries += 1
        if each.entry != entry:
            faults.append(f"entry {each.entry} stands where {entry} should")
            break
        if each.at > at:
            faults.append(f"entry {entry} is later than the one after it")
        if each.available_after != available:
            faults.append(f"entry {entry} says {each.available_after} where {available} was left")
            break
        available -= _undo(each, found, counters)
        entry, at = entry - 1, each.at
    if entry and not faults:
        faults.append(f"the history ends at entry {entry}")
    if available != -row.floor and not faults:
        faults.append(f"the history begins with {available} and not with {-row.floor}")
    faults += _compare(found, counters)
    report.buckets += 1
    report.faults = report.faults + [Fault(row.id, what) for what in faults]


def _undo(row: Any, found: _Bucket, counters: dict[int, _Counters]) -> int:  # noqa: ANN401 - a row
    """Count a row on its grant and return its effect on what was available."""
    kind, grant_id = row.kind, row.credit if row.kind in _IN else row.debit
    grant = counters.get(grant_id)
    if grant is None:
        return 0
    if kind in _IN:
        grant.credited += row.amount
    if kind in _OUT:
        grant.debited += row.amount
    if kind == Kind.HOLD:
        grant.pending += row.amount
    if kind in _FREED:
        grant.pending -= row.amount
    # A grant that had not begun changed nothing that could be used.
    if kind in {Kind.GRANT, Kind.VOID} and found.grants[grant_id].starts_at > row.at:
        return 0
    return change_of(kind, row.amount)


def _compare(found: _Bucket, counters: dict[int, _Counters]) -> list[str]:
    faults = []
    sums = _Counters()
    for key, counted in counters.items():
        stored = found.grants[key]
        mine = (stored.debits_pending, stored.debits_posted, stored.credits_posted)
        if mine != (counted.pending, counted.debited, counted.credited):
            faults.append(f"grant {key:x} stores {mine}, its journal says {counted}")
        if found.parts.get(key, 0) != stored.debits_pending:
            faults.append(
                f"grant {key:x} holds {stored.debits_pending}, its open holds say otherwise"
            )
        sums.pending += stored.debits_pending
        sums.debited += stored.debits_posted
        sums.credited += stored.credits_posted
    row = found.row
    if (row.debits_pending, row.debits_posted, row.credits_posted) != (
        sums.pending, sums.debited, sums.credited,
    ):  # fmt: skip
        faults.append("the bucket's counters are not the sum of its grants'")
    if found.holds > row.debits_pending:
        faults.append("open holds exceed what is held")
    is_open = [grant for grant in found.grants.values() if grant.state == GrantState.OPEN.value]
    if row.grants != len(is_open):
        faults.append(f"{len(is_open)} grants are open, the bucket says {row.grants}")
    return faults


def _prove_sinks(tx: Tx, report: Report) -> None:
    """Compare each sink's snapshot with the journal up to its position."""
    counted = _sums(tx, 0, _position(tx))
    for row in tx.run(sa.select(store.sink_snapshot)):
        sums = counted.get(row.account, (0, 0))
        if sums != (row.debits_posted, row.credits_posted):
            what = f"a sink's snapshot is not {sums}"
            report.faults = [*report.faults, Fault(row.account, what)]


# -- sinks ---------------------------------------------------------------------------------------


def sink_balance(tx: Tx, account: int) -> int:
    """Return a sink's balance (credits less debits): its snapshot plus the rows after it."""
    row = tx.one(sa.select(store.sink_snapshot).where(store.sink_snapshot.c.account == account))
    debited, credited = (row.debits_posted, row.credits_posted) if row is not None else (0, 0)
    more = _sums(tx, _position(tx), None).get(account, (0, 0))
    return int(credited + more[1] - debited - more[0])


def sink_balances(tx: Tx, asset: Asset) -> dict[str, int]:
    """Return the balance of each sink of an asset by its name; those at zero are left out."""
    account, snapshot = store.account, store.sink_snapshot
    totals = {
        row.account: (row.debits_posted, row.credits_posted) for row in tx.run(sa.select(snapshot))
    }
    for key, (debited, credited) in _sums(tx, _position(tx), None).items():
        was = totals.get(key, (0, 0))
        totals[key] = (was[0] + debited, was[1] + credited)
    here = (account.c.kind == AccountKind.SINK.value, account.c.asset == asset.number)
    names = {
        row.id: row.name for row in tx.run(sa.select(account.c.id, account.c.name).where(*here))
    }
    return {
        name: totals[key][1] - totals[key][0]
        for key, name in names.items()
        if key in totals and totals[key][0] != totals[key][1]
    }


def bucket_balances(tx: Tx, asset: Asset) -> int:
    """Return what all buckets of an asset hold together: credited less debited."""
    account = store.account
    here = (account.c.kind == AccountKind.BUCKET.value, account.c.asset == asset.number)
    summed = sa.func.sum(account.c.credits_posted - account.c.debits_posted)
    return int(tx.run(sa.select(sa.cast(summed, sa.BigInteger)).where(*here)).scalar_one() or 0)


def advance_sinks(database: Database, rows: int = SINK_ROWS_A_STEP) -> int:
    """Bring the sinks' snapshots forward by up to so many journal rows; returns how many it was.

    Only rows behind which none can appear any more are counted. They are added up in a reading
    transaction; the writing one, for which everybody waits, only stores the sums.
    """
    with database.read() as tx:
        position = _position(tx)
        reached = tx.log_reach(store.transfer, position, rows)
        span = tx.log_span(store.transfer, position, reached)
        count = int(tx.run(sa.select(sa.func.count()).where(span)).scalar_one())
        sums = _sums(tx, position, reached) if count else {}
    if count:
        database.run(lambda tx: _store_sums(tx, position, reached, sums))
    return count


def _store_sums(tx: Tx, position: int, reached: int, sums: dict[int, tuple[int, int]]) -> None:
    """Add sums to the snapshots, unless another process has done so meanwhile."""
    table = store.sink_position
    taken = table.update().where(table.c.id == 1, table.c.seq == position).values(seq=reached)
    first = {"id": 1, "seq": reached}
    if tx.run(taken).rowcount != 1 and (position or not tx.insert_once(table, first, key=("id",))):
        return
    for account, (debited, credited) in sums.items():
        snapshot = store.sink_snapshot
        old = tx.one(sa.select(snapshot).where(snapshot.c.account == account))
        tx.upsert(
            snapshot,
            {
                "account": account,
                "seq": reached,
                "debits_posted": debited + (old.debits_posted if old is not None else 0),
                "credits_posted": credited + (old.credits_posted if old is not None else 0),
            },
            key=("account",),
        )


def _position(tx: Tx) -> int:
    row = tx.one(sa.select(store.sink_position.c.seq).where(store.sink_position.c.id == 1))
    return 0 if row is None else int(row.seq)


def _sums(tx: Tx, after: int, until: int | None) -> dict[int, tuple[int, int]]:
    """Return (debits, credits) of each sink over a span of the journal's posted rows."""
    journal, account = store.transfer, store.account
    # The sinks are few: looked up once, not for each row.
    sinks = sa.select(account.c.id).where(
        account.c.kind == sa.literal_column(str(int(AccountKind.SINK)))
    )
    totals: dict[int, tuple[int, int]] = {}
    for side, place in ((journal.c.debit, 0), (journal.c.credit, 1)):
        statement = (
            sa.select(
                side.label("account"),
                sa.cast(sa.func.sum(journal.c.amount), sa.BigInteger).label("moved"),
            )
            .where(side.in_(sinks))
            .where(journal.c.kind.in_(POSTED), tx.log_span(journal, after, until))
            .group_by(side)
        )
        for row in tx.run(statement):
            both = list(totals.get(row.account, (0, 0)))
            both[place] += int(row.moved)
            totals[row.account] = (both[0], both[1])
    return totals
