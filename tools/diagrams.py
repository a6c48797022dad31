"""Draw the diagrams in docs/ from the tables that the code decides by.

`python -m tools.diagrams` writes them between their marks; `tests/house` fails while one differs.
"""

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from farebox.access.subscriptions.rules import ENDED, OPENS, TRANSITIONS

DOCS: Final = Path(__file__).parent.parent / "docs"
_START, _END = "<!-- drawn: {name} -->", "<!-- end of {name} -->"


def subscription_states() -> str:
    """Return the states of a subscription: a line for each step, the facts that lead there."""
    steps: dict[tuple[str, str], list[str]] = {}
    for (before, fact), after in TRANSITIONS.items():
        steps.setdefault((before, after), []).append(fact)
    lines = ["stateDiagram-v2", "    [*] --> pending_payment: subscribe"]
    lines += [f"    {one} --> {other}: {', '.join(facts)}" for (one, other), facts in steps.items()]
    lines += [f"    {state} --> [*]" for state in OPENS if state in ENDED]
    lines += [
        "    classDef open fill:#d7f5dd,stroke:#2f7d43,color:#123",
        "    classDef shut fill:#f9dcdc,stroke:#a33,color:#311",
    ]
    lines += [f"    class {state} {'open' if gives else 'shut'}" for state, gives in OPENS.items()]
    return "\n".join(["```mermaid", *lines, "```"])


DIAGRAMS: Final[Mapping[str, tuple[str, str]]] = {
    "subscription states": ("subscriptions.md", subscription_states()),
}


def drawn(text: str, name: str, diagram: str) -> str:
    """Return a page with a diagram between its marks; asserts that it has them."""
    start, end = _START.format(name=name), _END.format(name=name)
    found = re.compile(f"{re.escape(start)}.*?{re.escape(end)}", re.DOTALL)
    assert found.search(text), f"no place for the diagram {name!r}"
    return found.sub(lambda _: f"{start}\n{diagram}\n{end}", text)


def main() -> int:
    """Draw every diagram anew."""
    for name, (page, diagram) in DIAGRAMS.items():
        path = DOCS / page
        path.write_text(drawn(path.read_text("utf-8"), name, diagram), "utf-8")
        sys.stdout.write(f"{page}: {name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
