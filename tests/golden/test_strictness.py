"""Golden cases cannot pass by mistake: what nobody understands fails, and so does what is wrong.

Breaks are planted into our own cases; one that goes unnoticed fails here.
"""

import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from farebox.kernel.clock import ManualClock
from farebox.ledger.service import Ledger
from tests.golden.cases import ELSEWHERE, OWN, Case, Strange, load, read
from tests.golden.dispatch import FAMILIES, KINDS, WORKED, family_of, is_pure, play
from tests.golden.families.standards_api import STANDARDS
from tests.golden.family import Family
from tests.golden.not_applicable import RULES
from tests.golden.stage import Stage
from tests.support.engines import Engine

ALL = [case for path in sorted(OWN.glob("*.json")) for case in read(path)]
OURS = [case for case in ALL if "input" not in case.content]
ASKED = [case for case in ALL if case.kind in STANDARDS]
# Of those that ask the API one of a kind is broken: making the scene costs more than the question.
BROKEN = [case for case in ASKED if is_pure(case)]
BROKEN += {case.kind: case for case in reversed(ASKED) if not is_pure(case)}.values()
NUMBERS = [case for case in ALL if "input" in case.content and case.kind not in STANDARDS]
# The case with 100,000 grants is played once a run, not once a break.
QUICK = [case for case in OURS if '"repeat": 100000' not in json.dumps(case.given, default=str)]
Playing = Callable[[Case], Family]


@pytest.fixture
def playing(sqlite_engine: Engine) -> Playing:
    """Return a function that plays a case on a database of its own."""

    def play_alone(case: Case) -> Family:
        if is_pure(case):
            return play(case, None)
        url = sqlite_engine.migrated()
        clock = ManualClock()
        database = sqlite_engine.open(url, clock)
        stage = Stage(database, Ledger(), clock)
        try:
            return play(case, stage)
        finally:
            stage.close()
            database.close()
            sqlite_engine.drop(url)

    return play_alone


def changed(case: Case, **fields: object) -> Case:
    return replace(case, content={**copy.deepcopy(case.content), **fields})


# -- what nobody understands ---------------------------------------------------------------------


def test_a_kind_that_is_unknown_fails():
    case = changed(OURS[0], kind="charge_graduated")
    with pytest.raises(Strange, match="unknown: 'charge_graduated'"):
        family_of(case)


def breaks(case: Case) -> Iterator[Case]:
    """Yield a case with something in it that nobody reads, in each place where that may be."""
    steps = case.steps
    yield changed(case, surprise=1)
    yield changed(case, expected={})
    yield changed(case, expected={**case.expected, "surprise": 1})
    yield changed(case, given={**case.given, "surprise": 1})
    yield changed(case, steps=[*steps, {"op": "surprise"}])
    yield changed(case, steps=[{**steps[0], "surprise": 1}, *steps[1:]])


@pytest.mark.parametrize("case", OURS, ids=[case.name for case in OURS])
def test_what_no_family_reads_fails(case):
    family_of(case)
    understood = [each for each in breaks(case) if _read(each)]
    # A history may be asked for any account: what is no account fails when it is looked for.
    assert [set(each.expected) - set(case.expected) for each in understood] in ([], [{"surprise"}])
    assert not understood or family_of(case).__name__ == "Histories"


def _read(case: Case) -> bool:
    try:
        family_of(case)
    except Strange:
        return False
    return True


@pytest.mark.parametrize("case", NUMBERS, ids=[case.name for case in NUMBERS])
def test_what_is_unread_or_wrong_in_a_worked_number_fails(case, playing):
    unread = [
        changed(case, kind="surprise"),
        changed(case, surprise=1),
        changed(case, expected={}),
        changed(case, expected={**case.expected, "surprise": "1"}),
        changed(case, input={**case.content["input"], "surprise": "1"}),
    ]
    broken = [
        changed(case, expected={**case.expected, name: wrong(case.expected[name])})
        for name in case.expected
    ]
    playing(case)
    for each in unread + broken:
        with pytest.raises(AssertionError):
            playing(each)


@pytest.mark.parametrize("case", BROKEN, ids=[case.name for case in BROKEN])
def test_what_is_unread_or_wrong_in_a_case_of_a_standard_fails(case, playing):
    cited = playing(case).cited
    unread = [changed(case, surprise=1), changed(case, expected={})]
    if isinstance(case.content["input"], dict) and not cited:
        # Named as no attribute of an event may be: those that nobody knows are ignored.
        unread.append(changed(case, input={**case.content["input"], "sur-prise": "1"}))
    for each in unread:
        with pytest.raises((AssertionError, Strange)):
            playing(each)


@pytest.mark.parametrize("case", BROKEN, ids=[case.name for case in BROKEN])
def test_a_wrong_expectation_of_a_standard_fails(case, playing):
    if playing(case).cited:
        return
    wanted = case.content["expected"]
    # What is expected of one that must be refused is said in a sentence.
    broken = "taken" if isinstance(wanted, dict) and set(wanted) == {"error"} else wrong(wanted)
    with pytest.raises((AssertionError, KeyError, TypeError, AttributeError)):
        # A code of theirs that nobody knows is answered by a rule, which tells so.
        assert not playing(changed(case, expected=broken)).cited


def test_every_kind_and_family_has_a_case_of_ours():
    assert {case.kind for case in ASKED} == set(STANDARDS)
    assert {case.kind for case in NUMBERS} == set(WORKED)
    assert {case.kind for case in OURS} == KINDS
    assert {family_of(case) for case in OURS} == set(FAMILIES)


@pytest.mark.parametrize("text", ["", "[1", "{}", "[]", '[{"kind": "void"}]', "[17]"])
def test_a_file_that_is_no_list_of_cases_fails(tmp_path, text):
    path = tmp_path / "broken.json"
    path.write_text(text)
    (case,) = read(path)
    assert case.name.startswith("broken-")
    with pytest.raises(Strange, match=r"broken\.json"):
        family_of(case)


# -- the other folder ----------------------------------------------------------------------------


def test_cases_of_another_folder_are_played_beside_ours(tmp_path, monkeypatch):
    same, other = OURS[0], changed(OURS[1], note="another one")
    new = changed(OURS[2], id="ZZ-1")
    contents = [same.content, other.content, new.content]
    (tmp_path / f"{same.stem}.json").write_text(json.dumps(contents, default=float))
    monkeypatch.setenv(ELSEWHERE, str(tmp_path))
    names = [case.name for case in load()]
    stem = same.stem
    assert names[:3] == [same.name, other.name, f"{stem}-ZZ-1"]
    assert names.count(same.name) == 1
    assert f"{other.name}-own" in names
    assert len(names) == len(set(names)) == len(ALL) + 2


@pytest.mark.parametrize("folder", ["empty", "missing"])
def test_another_folder_without_cases_fails(tmp_path, monkeypatch, folder):
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv(ELSEWHERE, str(tmp_path / folder))
    with pytest.raises(Strange, match="no JSON file"):
        family_of(load()[0])


# -- what is wrong -------------------------------------------------------------------------------


def wrong(value: Any) -> Any:
    """Return a JSON value with every leaf changed, and something in what was empty."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | Decimal):
        return value + 1
    if isinstance(value, str):
        digits = value.replace(".", "")
        return str(int(digits) + 1) if digits.isdigit() else f"{value}x"
    if isinstance(value, dict):
        return {name: wrong(each) for name, each in value.items()} or {"surprise": 1}
    if isinstance(value, list):
        return [wrong(each) for each in value] or [["surprise", "surprise", 1]]
    return "surprise"


@pytest.mark.parametrize("case", QUICK, ids=[case.name for case in QUICK])
def test_each_wrong_expectation_fails(case, playing):
    played = playing(case)
    for key in case.expected:
        # What must never be is wrong when it is: said of another end, it is still right.
        if key == "never" or played.left:
            continue
        broken = changed(case, expected={**case.expected, key: wrong(case.expected[key])})
        with pytest.raises((AssertionError, KeyError)):
            playing(broken)


@pytest.mark.parametrize("case", QUICK, ids=[case.name for case in QUICK])
def test_each_wrong_result_of_a_step_fails(case, playing):
    for place, step in enumerate(case.steps):
        for field in {"result", "results"} & set(step):
            steps = copy.deepcopy(case.steps)
            steps[place][field] = [9] if step[field] == [] else wrong(step[field])
            if str(step[field]).startswith("ok id="):
                # Another name for a transaction is no other result; a repeat that is none is.
                steps[place][field] = f"{step[field].removesuffix(' (same)')}" + (
                    "" if "same" in step[field] else " (same)"
                )
            with pytest.raises(AssertionError):
                playing(changed(case, steps=steps))


def test_what_must_never_be_fails_when_it_is(playing):
    (case,) = [case for case in OURS if case.id == "EL-01"]
    end = case.expected["one_of"][1]
    with pytest.raises(AssertionError):
        playing(changed(case, expected={**case.expected, "never": [end]}))


def test_each_rule_of_what_does_not_apply_is_shown_by_a_case_of_ours(playing):
    cited = {rule.feature for case in QUICK + NUMBERS + ASKED for rule in playing(case).cited}
    assert cited == set(RULES)
