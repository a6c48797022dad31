"""Asking the API for what an operator may see."""

from typing import Any

from farebox.web.api import Problem
from farebox.web.pages import Page


async def allowed(page: Page, path: str, **query: object) -> Any:  # noqa: ANN401 - JSON
    """Ask the API; None for what this operator's roles do not allow, or what is not served here."""
    try:
        return await page.get(path, **query)
    except Problem as problem:
        if problem.status in {403, 404, 503}:
            return None
        raise
