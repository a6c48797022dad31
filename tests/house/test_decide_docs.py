"""The page about deciding names every denial that the code can give."""

from pathlib import Path

from farebox.access.subscriptions.model import STATES
from farebox.access.subscriptions.rules import OPENS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/decide.md").read_text()


def test_the_page_names_every_state_that_shuts_a_subscription():
    shut = {f"`subscription_{state}`" for state in STATES if not OPENS[state]}
    assert {code for code in shut if code not in PAGE} == set()
    opened = {f"`subscription_{state}`" for state in STATES if OPENS[state]}
    assert {code for code in opened if code in PAGE} == set()


def test_the_page_names_every_code_that_deciding_can_answer():
    sources = [ROOT / "src/farebox/access" / name for name in (
        "flows/decide.py", "flows/asks.py", "decisions/rules.py",
    )]  # fmt: skip
    codes = (
        "consumer_unknown", "account_unknown", "consumer_suspended", "no_bucket",
        "feature_not_in_plan", "not_entitled", "scope_missing", "rate_limited", "quota_exceeded",
        "bucket_empty",
    )  # fmt: skip
    text = "".join(source.read_text() for source in sources)
    for code in codes:
        assert f'"{code}"' in text, "the list above is what the code says"
        assert f"`{code}`" in PAGE
