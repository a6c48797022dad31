"""Says at the end of a run which cases ours answers otherwise, by design, and why."""

from collections.abc import Iterator

import pytest

from tests.golden.not_applicable import RULES

CITED = "golden"


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """List each rule that a case cited, with its cases; those left unfinished say so."""
    cited: dict[str, set[str]] = {}
    for name, feature, left in _cited(terminalreporter):
        cited.setdefault(feature, set()).add(f"{name} (left)" if left else name)
    if not cited:
        return
    terminalreporter.section("golden cases: ours differs by design")
    for feature, names in sorted(cited.items()):
        rule = RULES[feature]
        terminalreporter.write_line(f"{feature}: {', '.join(sorted(names))}")
        terminalreporter.write_line(f"    theirs: {rule.theirs}")
        terminalreporter.write_line(f"    ours:   {rule.ours}")


def _cited(terminalreporter: pytest.TerminalReporter) -> Iterator[tuple[str, str, bool]]:
    for report in terminalreporter.stats.get("passed", ()):
        for name, value in getattr(report, "user_properties", ()):
            if name == CITED:
                yield tuple(value)
