"""Real browsers before a real server: Debian's Chromium, one for each worker."""

import shutil
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.browser.portal_stage import Stage, on_stage
from tests.browser.serving import Furnished, Served, a_copy, furnished
from tests.browser.shopper import Shopper
from tests.support.nursery import Nursery

AXE = resources.files("axe_playwright_python") / "axe.min.js"
LOCALES = {"Anna": "ru-RU", "Boris": "en-GB", "Vera": "ru-RU"}
# What is looked for has as long as what is done: a busy machine shows a page late.
expect.set_options(timeout=20_000)


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """Return where the browser is; `make system` installs it."""
    found = shutil.which("chromium")
    assert found is not None, "chromium is missing: make system"
    return found


@pytest.fixture(scope="module")
def chromium(chromium_path: str) -> Iterator[Browser]:
    """Return a browser for a file of tests: while it runs, nothing else can run an event loop."""
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=chromium_path, args=["--no-sandbox"])
        yield made
        made.close()


@pytest.fixture(scope="session")
def example(command_nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> Furnished:
    return furnished(command_nursery, tmp_path_factory.mktemp("example") / "data")


@pytest.fixture
def store(command_nursery: Nursery, example: Furnished, tmp_path: Path) -> Iterator[Served]:
    """Return a server at noon of the example's day."""
    with a_copy(command_nursery, example, tmp_path / "data") as made:
        yield made


@pytest.fixture
def visitor(chromium: Browser, store: Served) -> Iterator[Callable[..., Shopper]]:
    """Return a function that opens a browser for somebody, signed in if they have a name."""
    opened: list[Any] = []

    def enter(name: str | None = None, **options: Any) -> Shopper:
        locale = LOCALES.get(name or "", "ru-RU")
        options = {"locale": locale, "timezone_id": "UTC", **options}
        context = chromium.new_context(**options)
        context.set_default_timeout(20_000)
        opened.append(context)
        made = Shopper(context, store.url)
        return made if name is None else made.sign_in(name)

    yield enter
    for context in opened:
        context.close()


@pytest.fixture
def anna(visitor: Callable[..., Shopper]) -> Shopper:
    return visitor("Anna")


@pytest.fixture
def boris(visitor: Callable[..., Shopper]) -> Shopper:
    return visitor("Boris")


@pytest.fixture(scope="module")
def stage(command_nursery: Nursery) -> Iterator[Stage]:
    """Return the subscribers' example, served for a file of tests."""
    with on_stage(command_nursery) as made:
        yield made
