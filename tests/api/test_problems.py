"""One table turns every code into a status."""

import ast
import importlib
import pkgutil
from http import HTTPStatus
from pathlib import Path

import msgspec
import pytest

import farebox
from farebox.contracts.problems import Problem
from farebox.http.problems import STATUS, problem, problem_of
from farebox.kernel.refusals import Refusal, ValueRefused

SOURCE = Path(farebox.__file__).parent
# Other programs than the server: what they refuse stands on a terminal or in another service.
OTHERS = {"cli", "demo", "edge"}


def refusals() -> set[type[Refusal]]:
    for module in pkgutil.walk_packages(farebox.__path__, "farebox."):
        if "__main__" not in module.name:
            importlib.import_module(module.name)
    found, todo = set(), [Refusal]
    while todo:
        kind = todo.pop()
        found.add(kind)
        todo.extend(kind.__subclasses__())
    ours = {kind for kind in found if kind.__module__.startswith("farebox.")}
    return {kind for kind in ours if kind.__module__.split(".")[1] not in OTHERS}


def outcome_codes() -> dict[str, str]:
    """Return the codes that the source gives to outcomes, by where they stand."""
    codes = {}
    for path in SOURCE.rglob("*.py"):
        if path.relative_to(SOURCE).parts[0] in OTHERS:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
                continue
            if node.func.id in {"Refused", "Denied"}:
                for word in node.keywords:
                    if word.arg == "code" and isinstance(word.value, ast.Constant):
                        codes[str(word.value.value)] = f"{path.name}:{node.lineno}"
    return codes


def test_every_refusal_has_its_status():
    missing = {kind.__qualname__: kind.code for kind in refusals() if kind.code not in STATUS}
    assert not missing


def test_every_outcome_of_the_ledger_has_its_status():
    codes = outcome_codes()
    assert {"bucket_empty", "hold_captured", "stale"} <= codes.keys()
    assert not {code: place for code, place in codes.items() if code not in STATUS}


def test_the_table_knows_no_code_that_nobody_gives():
    source = "".join(
        path.read_text() for path in SOURCE.rglob("*.py") if path.name != "problems.py"
    )
    assert not [code for code in STATUS if f'"{code}"' not in source]


def test_a_problem_says_code_status_and_what_stands_in_the_way():
    status, body = problem(ValueRefused("by: is not 0", tot=3))
    assert status == 422
    assert msgspec.json.decode(body) == {
        "type": "about:blank",
        "title": HTTPStatus(422).phrase,
        "status": 422,
        "code": "value_invalid",
        "detail": "by: is not 0",
        "tot": 3,
    }


def test_facts_never_overwrite_what_a_problem_is():
    _, body = problem(ValueRefused("no", status=200, code="fine"))
    assert msgspec.json.decode(body, type=Problem).status == 422


@pytest.mark.parametrize("code", sorted(STATUS))
def test_every_code_reads_as_a_sentence(code):
    _, body = problem_of(code)
    detail = msgspec.json.decode(body, type=Problem).detail
    assert " " in detail or code == "refused"
