"""Worked numbers of billing, beside the charge models: each kind with its player.

`MONEY` is played by rules alone, `BURNING` on a ledger.
"""

from typing import Final

from tests.golden.families.billing_money_changes import CHANGES
from tests.golden.families.billing_money_grants import BURNING
from tests.golden.families.billing_money_invoices import INVOICES
from tests.golden.families.billing_money_notes import NOTES
from tests.golden.families.billing_money_periods import PERIODS
from tests.golden.families.billing_money_reports import REPORTS
from tests.golden.worked import Player

__all__ = ["BURNING", "MONEY"]

MONEY: Final[dict[str, Player]] = {**CHANGES, **INVOICES, **NOTES, **PERIODS, **REPORTS}
