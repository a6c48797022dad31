"""From a case to the family that plays it: by its kind, then by what it is made of."""

from typing import Final

from tests.golden.cases import Case, Strange
from tests.golden.families.accounts import Books, Histories, Moves
from tests.golden.families.balances import Balances
from tests.golden.families.billing_charges import CHARGES
from tests.golden.families.billing_charges_periods import PERIODS
from tests.golden.families.billing_money import BURNING, MONEY
from tests.golden.families.calls import Group, Postpaid, Shares, Units
from tests.golden.families.grants import Grants
from tests.golden.families.lots import Corrections, Lots
from tests.golden.families.postings import Appends, Postings
from tests.golden.families.rating import Pools, Tariffs, Wire
from tests.golden.families.scripts import Scripts
from tests.golden.families.sessions import Sessions
from tests.golden.families.standards import PURE as PURE_STANDARDS
from tests.golden.families.standards_api import STANDARDS
from tests.golden.families.strategies import Blocking, Sharing
from tests.golden.families.transfers import Transfers
from tests.golden.family import Family
from tests.golden.stage import Stage
from tests.golden.standards import Standard
from tests.golden.worked import Player, Worked

FIELDS: Final = frozenset({"id", "source", "kind", "given", "steps", "expected"})
FAMILIES: Final[tuple[type[Family], ...]] = (
    Transfers, Scripts, Postings, Appends, Grants, Lots, Corrections, Balances, Moves, Histories,
    Books, Group, Shares, Postpaid, Units, Sharing, Blocking, Sessions, Pools, Wire, Tariffs,
)  # fmt: skip
# What the cases of a ledger are about. A kind that is not here is somebody else's case, or a new
# idea: it fails until somebody has thought about it.
KINDS: Final = frozenset({
    "as_of", "atomic_group", "balance_assertion", "balance_lock", "batch", "blocker", "breakage",
    "burn_down", "burn_down_capped", "burn_down_expiry", "burn_down_order", "clock_back", "close",
    "concurrency", "conditional", "correction", "correction_lifo", "credit_limit", "deny",
    "event", "final_units", "free_units_first", "freeze", "history", "hold_at_most",
    "hold_expiry", "hold_expiry_race", "hold_idempotency", "idempotency",
    "idempotency_of_failures", "idempotency_scope", "intra_txn_visibility", "lease_expiry",
    "lost_update", "lots_by_colour", "multi_asset", "multi_asset_error", "no_oversell",
    "not_yet_active", "out_of_order", "overage", "overage_backfill", "overflow",
    "oversell_warning", "partial_capture", "partial_then_deny", "postpaid", "precision",
    "quota_pool", "rate_limit_by_holds", "recurrence", "reserve_floor", "rollover", "rollup",
    "rounding", "session", "settlement", "shared_pool", "shared_pool_authorize",
    "sharing_strategy", "shortfall", "take_at_most", "tariff_change", "topup_once", "two_phase",
    "two_phase_mixed", "uniqueness", "units_then_money", "unknown_session", "upper_bound", "void",
    "void_grant", "zero",
})  # fmt: skip
# Worked numbers of billing, each kind with its one player: those that need no ledger, and all.
PURE: Final[dict[str, Player]] = {**MONEY, **CHARGES, **PERIODS}
WORKED: Final[dict[str, Player]] = {**PURE, **BURNING}


def is_pure(case: Case) -> bool:
    """Tell whether a case is played without a ledger."""
    pure = case.kind in PURE or case.kind in PURE_STANDARDS
    return case.fault is None and "input" in case.content and pure


def player_of(case: Case) -> Player | None:
    """Return the player of a worked number, or None where the case is of steps."""
    if case.fault is not None or "input" not in case.content:
        return None
    if case.kind not in WORKED:
        raise Strange(f"{case.name}: a kind of worked number that is unknown: {case.kind!r}")
    return WORKED[case.kind]


def family_of(case: Case) -> type[Family]:
    """Return the one family that reads all of a case; fails where there is none, or more."""
    if case.fault is not None:
        raise Strange(case.fault)
    if case.kind not in KINDS:
        raise Strange(f"{case.name}: a kind of case that is unknown: {case.kind!r}")
    fields = set(case.content)
    if not FIELDS <= fields <= FIELDS | {"note"}:
        raise Strange(f"{case.name}: fields {sorted(fields ^ FIELDS)}")
    if not case.content["expected"]:
        raise Strange(f"{case.name}: a case that expects nothing proves nothing")
    unread = {family: family.unread(case) for family in FAMILIES}
    found = [family for family, fault in unread.items() if fault is None]
    if len(found) != 1:
        told = "; ".join(f"{family.__name__} does not know {it}" for family, it in unread.items())
        raise Strange(f"{case.name}: read by {len(found)} families. {told}")
    return found[0]


def play(case: Case, stage: Stage | None) -> Family:
    """Play a case; returns the family that did, with the rules it cited.

    A pure one needs no stage.
    """
    if case.fault is None and case.kind in STANDARDS:
        standard = Standard(case, stage, STANDARDS[case.kind])
        standard.run()
        return standard
    player = player_of(case)
    if player is not None:
        family: Family = Worked(case, stage, player)
    else:
        assert stage is not None
        family = family_of(case)(case, stage)
    family.run()
    return family
