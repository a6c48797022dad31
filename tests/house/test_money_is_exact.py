"""Billing computes without floats: none is written, made or asked for."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "src/farebox"
FILES = sorted([*(SOURCE / "billing").rglob("*.py"), SOURCE / "kernel/rounding.py"])


def floats(text: str) -> Iterator[int]:
    """Yield the lines on which a float arises, but where one is asked for to refuse it."""
    tree = ast.parse(text)
    asked = {
        name
        for call in ast.walk(tree)
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Name)
        and call.func.id == "isinstance"
        for name in ast.walk(call.args[1])
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant):
            found = isinstance(node.value, float | complex)
        elif isinstance(node, ast.Name):
            found = node.id == "float" and node not in asked
        else:
            continue
        if found:
            yield node.lineno


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(SOURCE).as_posix())
def test_no_float_arises_in_billing(file):
    assert list(floats(file.read_text())) == []


@pytest.mark.parametrize("line", ["x = 0.1", "x = float(y)", "x: float", "x = 1e3", "x = 1j"])
def test_a_float_is_found(line):
    assert list(floats(line)) == [1]


@pytest.mark.parametrize("line", ["x = 1", "isinstance(x, float)", "isinstance(x, int | float)"])
def test_what_is_no_float_is_not(line):
    assert not list(floats(line))
