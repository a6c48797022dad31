"""Refund policies and commission, in versions that never change."""

from collections.abc import Sequence
from typing import Final

import sqlalchemy as sa

from farebox.billing.orders import store
from farebox.billing.orders.model_refunds import RefundPolicy, RefundPolicyUnknown, RefundRule
from farebox.billing.orders.rules import checked_percent
from farebox.billing.orders.rules_refunds import DEFAULTS, check_rules
from farebox.kernel.refusals import TryAgain
from farebox.platform.model import Actor
from farebox.platform.rules import checked_text
from farebox.platform.service_audit import record
from farebox.storage import Tx

EVERYBODY: Final = "*"
"""The owner whose commission holds for all who have none of their own."""
LONGEST_CODE: Final = 128


def write_policy(tx: Tx, actor: Actor, code: str, rules: Sequence[RefundRule]) -> RefundPolicy:
    """Write the next version of a policy; what was sold keeps the version it was sold under.

    The same rules again make no version. Refuses (`refund_policy_invalid`) rules that cannot be
    applied.
    """
    checked_text(code, "a policy's code", longest=LONGEST_CODE)
    wanted = check_rules(rules)
    before = find_policy(tx, code)
    if before is not None and before.version and before.rules == wanted:
        return before
    version = 1 if before is None else before.version + 1
    made = RefundPolicy(code=code, version=version, rules=wanted, created_at=tx.now_us)
    if not tx.insert_once(store.policy, store.row_of(made, store.policy), key=("code", "version")):
        raise TryAgain
    record(tx, actor, "refund_policy.written", f"refund_policy:{code}", before=before, after=made)
    return made


def find_policy(tx: Tx, code: str, version: int | None = None) -> RefundPolicy | None:
    """Return a policy's version, the newest unless one is named; version 0 is our default."""
    table = store.policy
    statement = sa.select(table).where(table.c.code == code)
    if version is not None:
        statement = statement.where(table.c.version == version)
    row = tx.one(statement.order_by(table.c.version.desc()).limit(1))
    if row is not None:
        return store.policy_of(row)
    if version not in {None, 0} or code not in DEFAULTS:
        return None
    return RefundPolicy(code=code, version=0, rules=DEFAULTS[code])


def read_policy(tx: Tx, code: str, version: int | None = None) -> RefundPolicy:
    """Return a policy; refuses (`refund_policy_unknown`) where there is none."""
    found = find_policy(tx, code, version)
    if found is None:
        raise RefundPolicyUnknown
    return found


def list_policies(tx: Tx) -> tuple[RefundPolicy, ...]:
    """Return each policy in its newest version, by code."""
    table = store.policy
    newest = sa.select(table.c.code, sa.func.max(table.c.version).label("version"))
    last = newest.group_by(table.c.code).subquery()
    joined = sa.select(table).join(
        last, (last.c.code == table.c.code) & (last.c.version == table.c.version)
    )
    found = {row.code: store.policy_of(row) for row in tx.run(joined)}
    for code, rules in DEFAULTS.items():
        found.setdefault(code, RefundPolicy(code=code, version=0, rules=rules))
    return tuple(found[code] for code in sorted(found))


def set_commission(tx: Tx, actor: Actor, owner: str, percent: str) -> str:
    """Set our part of an owner's sales from now on, as a decimal percentage; `*` is everybody.

    Refuses (`value_invalid`) what is not from 0 to 100.
    """
    checked_percent(percent)
    checked_text(owner, "an owner", longest=LONGEST_CODE)
    table = store.commission
    last = sa.select(sa.func.max(table.c.version)).where(table.c.owner == owner)
    version = int(tx.run(last).scalar() or 0) + 1
    row = {"owner": owner, "version": version, "percent": percent, "created_at": tx.now_us}
    before = commission_percent(tx, owner)
    if not tx.insert_once(table, row, key=("owner", "version")):
        raise TryAgain
    record(tx, actor, "commission.set", f"commission:{owner}", before=before, after=percent)
    return percent


def commission_percent(tx: Tx, owner: str) -> str:
    """Return our part of an owner's sales in per cent: theirs, else everybody's, else 0."""
    table = store.commission
    here = table.c.owner.in_([owner, EVERYBODY])
    ordered = sa.select(table).where(here).order_by(table.c.version.desc())
    found: dict[str, str] = {}
    for row in tx.run(ordered):
        found.setdefault(row.owner, row.percent)
    return found.get(owner) or found.get(EVERYBODY) or "0"
