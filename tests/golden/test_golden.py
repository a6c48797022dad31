"""Golden cases: what the best systems of the field promise, played through the real code.

The cases lie in `data/`, and in the folder that FAREBOX_GOLDEN_DIR names. `families/` translates
their vocabularies to commands on the ledger, and worked numbers to calls of billing's rules;
`not_applicable` says where ours answers otherwise by design.
"""

from collections.abc import Callable

import pytest

from farebox.kernel.clock import ManualClock
from farebox.ledger.service import Ledger
from farebox.storage import Database
from tests.golden.cases import Case, load
from tests.golden.dispatch import is_pure, play
from tests.golden.stage import Stage
from tests.support.engines import ENGINES

CASES = load()
# Both at once, so that a test's id begins with the stem of the case's file.
BOTH = [
    pytest.param(case, engine, id=f"{case.name}-{engine}")
    for case in CASES
    for engine in ENGINES
    if not is_pure(case)
]
ALONE = [pytest.param(case, id=case.name) for case in CASES if is_pure(case)]


@pytest.mark.parametrize(("case", "engine"), BOTH, indirect=["engine"])
def test_golden(
    case: Case,
    database: Database,
    ledger: Ledger,
    clock: ManualClock,
    record_property: Callable[[str, object], None],
) -> None:
    stage = Stage(database, ledger, clock)
    try:
        family = play(case, stage)
        stage.prove()
    finally:
        stage.close()
    for rule in family.cited:
        record_property("golden", (case.name, rule.feature, family.left))


@pytest.mark.parametrize("case", ALONE)
def test_golden_number(case: Case, record_property: Callable[[str, object], None]) -> None:
    family = play(case, None)
    for rule in family.cited:
        record_property("golden", (case.name, rule.feature, family.left))
