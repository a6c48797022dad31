"""Worked numbers of billing, beside the charge models: each kind with its player."""

from typing import Final

from tests.golden.families.billing_money_changes import CHANGES
from tests.golden.families.billing_money_periods import PERIODS
from tests.golden.worked import Player

MONEY: Final[dict[str, Player]] = {**CHANGES, **PERIODS}
