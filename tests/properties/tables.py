"""The ledger's invariants, read from the tables alone (`reference`: I1 to I8, I11, I13).

Nothing here asks the ledger: the rows are added up by hand.
"""

from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import sqlalchemy as sa

from farebox.ledger.model import AccountKind, GrantState, HoldState, Kind
from farebox.storage import Tx

Row = dict[str, Any]
IN = {Kind.GRANT, Kind.REVERSE, Kind.MOVE_IN}
OUT = {Kind.USE, Kind.CAPTURE, Kind.BREAKAGE, Kind.MOVE_OUT, Kind.VOID}
FREED = {Kind.CAPTURE, Kind.RELEASE, Kind.EXPIRE_HOLD}


@dataclass
class Tables:
    """All rows of one ledger."""

    buckets: dict[int, Row]
    grants: dict[int, Row]
    sinks: dict[int, Row]
    holds: dict[int, Row]
    parts: list[Row]
    journal: list[Row]


def read_tables(tx: Tx) -> Tables:
    """Read every row, in the order of the journal."""

    def all_of(sql: str) -> list[Row]:
        return [dict(row) for row in tx.run(sa.text(sql)).mappings()]

    accounts = all_of("SELECT * FROM account ORDER BY id")

    def accounts_of(kind: AccountKind) -> dict[int, Row]:
        return {row["id"]: row for row in accounts if row["kind"] == kind}

    return Tables(
        buckets=accounts_of(AccountKind.BUCKET),
        grants=accounts_of(AccountKind.GRANT),
        sinks=accounts_of(AccountKind.SINK),
        holds={row["id"]: row for row in all_of("SELECT * FROM hold ORDER BY id")},
        parts=all_of("SELECT * FROM hold_part ORDER BY hold, line"),
        journal=all_of("SELECT * FROM transfer ORDER BY seq"),
    )


def sink_balances(tables: Tables) -> dict[int, int]:
    """Add up what reached each sink and what left it, over the posted rows."""
    balances: dict[int, int] = defaultdict(int)
    for row in tables.journal:
        if row["kind"] in IN | OUT | {Kind.DEBT}:
            for side, sign in (("debit", -1), ("credit", 1)):
                if row[side] in tables.sinks:
                    balances[row[side]] += sign * row["amount"]
    return {sink: balance for sink, balance in balances.items() if balance}


def broken(tables: Tables) -> list[str]:
    """Return every broken invariant as a sentence; none is what we want."""
    return [
        *_books_balance(tables),
        *_floors_hold(tables),
        *_bucket_is_its_grants(tables),
        *_pending_is_open_holds(tables),
        *_replay_is_stored(tables),
        *_holds_end_once(tables),
        *_history_is_in_order(tables),
        *_nothing_drawn_outside_its_time(tables),
    ]


def _left(row: Row) -> int:
    return int(row["credits_posted"] - row["debits_posted"] - row["debits_pending"])


def _books_balance(tables: Tables) -> list[str]:
    """I1: per asset, what is in grants came from sinks, and nothing else."""
    totals: dict[int, int] = defaultdict(int)
    for row in tables.grants.values():
        totals[row["asset"]] += row["credits_posted"] - row["debits_posted"]
    for sink, balance in sink_balances(tables).items():
        totals[tables.sinks[sink]["asset"]] += balance
    return [f"I1: asset {asset} is off by {sum_}" for asset, sum_ in totals.items() if sum_]


def _floors_hold(tables: Tables) -> list[str]:
    """I2: nothing limited is below its floor."""
    limited = [*tables.buckets.values(), *tables.grants.values()]
    return [f"I2: {row['id']:x} is at {_left(row)}" for row in limited if _left(row) < row["floor"]]


def _bucket_is_its_grants(tables: Tables) -> list[str]:
    """I3: a bucket's counters are its grants', and so is what waits and what is open."""
    found = []
    for bucket in tables.buckets.values():
        own = [row for row in tables.grants.values() if row["bucket"] == bucket["id"]]
        found += [
            f"I3: {name} of {bucket['id']:x} is not the sum of its grants'"
            for name in ("debits_pending", "debits_posted", "credits_posted", "floor")
            if bucket[name] != sum(row[name] for row in own)
        ]
        waiting = sum(_left(row) for row in own if row["state"] == GrantState.WAITING)
        if bucket["waiting"] != waiting:
            found.append(f"I3: {bucket['waiting']} wait in {bucket['id']:x}, not {waiting}")
        if bucket["grants"] != sum(row["state"] == GrantState.OPEN for row in own):
            found.append(f"I3: {bucket['id']:x} miscounts its open grants")
        for row in own:
            spent = not (row["credits_posted"] - row["debits_posted"] or row["floor"])
            if (row["state"] == GrantState.CLOSED) != spent:
                found.append(f"I3: grant {row['id']:x} is in state {row['state']}, spent: {spent}")
    return found


def _pending_is_open_holds(tables: Tables) -> list[str]:
    """I4: what is pending on a grant is what open holds have on it."""
    held: dict[int, int] = defaultdict(int)
    of_hold: dict[tuple[int, int], int] = defaultdict(int)
    for part in tables.parts:
        of_hold[part["hold"], part["bucket"]] += part["amount"]
        if tables.holds[part["hold"]]["state"] == HoldState.OPEN:
            held[part["account"]] += part["amount"]
    found = [
        f"I4: grant {row['id']:x} has {row['debits_pending']} pending, holds {held[row['id']]}"
        for row in tables.grants.values()
        if row["debits_pending"] != held[row["id"]]
    ]
    for hold in tables.holds.values():
        places = [hold["bucket"], *([hold["cap"]] if hold["cap"] else [])]
        found += [
            f"I4: hold {hold['id']:x} of {hold['amount']} has {of_hold[hold['id'], place]}"
            for place in places
            if of_hold[hold["id"], place] != hold["amount"]
        ]
    return found


def _replay_is_stored(tables: Tables) -> list[str]:
    """I6: the journal, replayed from nothing, gives the stored counters."""
    replayed = {grant: [0, 0, 0] for grant in tables.grants}
    for row in tables.journal:
        if row["kind"] in IN:
            replayed[row["credit"]][2] += row["amount"]
        elif row["debit"] in replayed:
            counters = replayed[row["debit"]]
            counters[1] += row["amount"] * (row["kind"] in OUT)
            counters[0] += row["amount"] * ((row["kind"] == Kind.HOLD) - (row["kind"] in FREED))
    names = ("debits_pending", "debits_posted", "credits_posted")
    return [
        f"I6: grant {key:x} stores {[row[name] for name in names]}, replayed {replayed[key]}"
        for key, row in tables.grants.items()
        if [row[name] for name in names] != replayed[key]
    ]


def _holds_end_once(tables: Tables) -> list[str]:
    """I8: what a hold has captured and given back is its amount, once it has ended."""
    moved: dict[tuple[int, bool], int] = defaultdict(int)
    for row in tables.journal:
        if row["kind"] in FREED and row["bucket"] == tables.holds[row["hold"]]["bucket"]:
            moved[row["hold"], row["kind"] == Kind.CAPTURE] += row["amount"]
    found = []
    for key, hold in tables.holds.items():
        ended = hold["state"] != HoldState.OPEN
        expected = (hold["captured"], (hold["amount"] - hold["captured"]) if ended else 0)
        if (moved[key, True], moved[key, False]) != expected:
            found.append(f"I8: hold {key:x} moved {moved[key, True]} and {moved[key, False]}")
        if (hold["state"] == HoldState.CAPTURED) != (hold["captured"] > 0):
            found.append(f"I8: hold {key:x} captured {hold['captured']} in state {hold['state']}")
    return found


def _history_is_in_order(tables: Tables) -> list[str]:
    """I11: a bucket's entries are dense, its time never stands still between operations."""
    histories: dict[int, list[Row]] = defaultdict(list)
    for row in tables.journal:
        histories[row["bucket"]].append(row)
    found = []
    for bucket, rows in histories.items():
        stored = tables.buckets[bucket]
        if [row["entry"] for row in rows] != list(range(1, stored["entries"] + 1)):
            found.append(f"I11: the entries of {bucket:x} are not dense")
        if rows[-1]["at"] > stored["last_at"] or rows[-1]["operation"] != stored["head"]:
            found.append(f"I11: {bucket:x} does not know its last entry")
        for one, next_ in pairwise(rows):
            later = next_["at"] >= one["at"] + (one["operation"] != next_["operation"])
            if not later or next_["previous"] != _before(one, next_):
                found.append(f"I11: entry {next_['entry']} of {bucket:x} is out of order")
    return found


def _before(one: Row, next_: Row) -> int:
    return int(one["previous"] if one["operation"] == next_["operation"] else one["operation"])


def _nothing_drawn_outside_its_time(tables: Tables) -> list[str]:
    """I13: no unit is used or held before its grant starts, nor at or after its end."""
    found = []
    for row in tables.journal:
        grant = tables.grants.get(row["debit"])
        if grant is None or row["kind"] not in {Kind.USE, Kind.HOLD, Kind.MOVE_OUT}:
            continue
        if not grant["starts_at"] <= row["at"] < grant["expires_at"]:
            found.append(f"I13: grant {grant['id']:x} was drawn at {row['at']}")
    return found
