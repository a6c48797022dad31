"""Only storage knows which engine it talks to."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "src/farebox"


def mentions_of_an_engine(source):
    """Return the lines where code asks for, or names, an engine; texts for people may."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if (isinstance(node, ast.Attribute) and node.attr == "dialect")
        or (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and node.value.startswith(("sqlite", "postgres", "psycopg"))
        )
    ]


@pytest.mark.parametrize(
    ("source", "caught"),
    [
        ('if engine.dialect.name == "x":\n    pass', True),
        ('def kind(url):\n    return url.startswith("postgresql://")', True),
        ('ENGINES = {"sqlite": 1}', True),
        ('print("Farebox runs on SQLite")', False),
    ],
)
def test_a_mention_is_seen(source, caught):
    assert bool(mentions_of_an_engine(source)) is caught


def test_no_code_outside_storage_names_an_engine():
    assert {
        path.relative_to(SOURCE).as_posix(): lines
        for path in SOURCE.rglob("*.py")
        if path.relative_to(SOURCE).parts[0] != "storage"
        and (lines := mentions_of_an_engine(path.read_text()))
    } == {}
