"""The diagrams in docs/ are those of the tables that the code decides by."""

import pytest

from farebox.access.subscriptions.model import FACTS, STATES
from farebox.access.subscriptions.rules import OPENS, TRANSITIONS
from tools.diagrams import DIAGRAMS, DOCS, drawn


@pytest.mark.parametrize("name", DIAGRAMS)
def test_a_diagram_is_as_the_code_decides(name: str) -> None:
    page, diagram = DIAGRAMS[name]
    text = (DOCS / page).read_text("utf-8")
    assert drawn(text, name, diagram) == text, "run `python -m tools.diagrams`"


def test_another_table_would_be_seen() -> None:
    page, diagram = DIAGRAMS["subscription states"]
    text = (DOCS / page).read_text("utf-8")
    other = diagram.replace("pending_payment --> active: paid", "pending_payment --> paused: paid")
    assert drawn(text, "subscription states", other) != text


def test_a_page_without_a_place_is_refused() -> None:
    with pytest.raises(AssertionError):
        drawn("A page.", "subscription states", "")


def test_every_state_and_fact_is_in_the_table() -> None:
    assert tuple(OPENS) == STATES
    assert {fact for _, fact in TRANSITIONS} == set(FACTS)
    reached = set(TRANSITIONS.values()) | {"pending_payment"}
    assert reached == set(STATES)
