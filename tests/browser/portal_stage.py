"""A real `farebox serve` with the test clock and the subscribers' example, and people at its pages.

A test makes its own newcomer for whatever it changes, so that tests stay apart.
"""

import re
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from importlib import resources
from pathlib import Path
from typing import Any, Final

import msgspec
from playwright.sync_api import Browser, BrowserContext, Page, expect

from farebox.demo.example import client
from farebox.demo.subscribers import CURRENCY, PASSWORD, Subscribers, furnish
from tests.support.commands import Farebox, Process, answers, line_of, until
from tests.support.nursery import Nursery

ADMIN_KEY: Final = "the-admin-of-the-pages-0123456789-abcdef"
AXE: Final = resources.files("axe_playwright_python") / "axe.min.js"
WIDE: Final = 1280
NARROW: Final = 360
_BY_AXE: Final = """async () => (await axe.run(document, {
    runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
})).violations.map(one => `${one.id}: ${one.nodes.map(node => node.html).join(" | ")}`)"""


class Newcomer(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who was made for one test."""

    id: str
    email: str
    key: str


class Stage:
    """Where Farebox is, what was furnished, and the API as the admin and as others see it."""

    def __init__(self, process: Process, url: str, admin: Any, furnished: Subscribers) -> None:
        self._process = process
        self.url = url
        self.admin = admin
        self.furnished = furnished

    def of(self, name: str) -> str:
        """Return the id of one of the people of the example."""
        return self.furnished.people[name].id

    def post(self, path: str, body: object, method: str = "POST") -> Any:
        """Do something as the admin."""
        said = self._asked(path, body, method)
        assert said.is_success, said.text
        return said.json()

    def _asked(self, path: str, body: object, method: str) -> Any:
        headers = {"Idempotency-Key": secrets.token_hex(8)}
        return self.admin.request(method, path, json=body, headers=headers)

    def ask(self, path: str, key: str | None = None, **query: str) -> Any:
        """Ask as the admin, or as whoever a key is of; the answer's JSON."""
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        said = self.admin.get(path, params=query, headers=headers)
        assert said.is_success, said.text
        return said.json()

    def status(self, path: str, key: str) -> int:
        """Return what a question with a key is answered with."""
        headers = {"Authorization": f"Bearer {key}"}
        return int(self.admin.get(path, headers=headers).status_code)

    def newcomer(
        self, *, card: str | None = "sandbox_ok", language: str = "en", balance: int = 0
    ) -> Newcomer:
        """Make somebody who may sign in: with a card of the sandbox, and money if wished."""
        name = f"n{secrets.token_hex(4)}"
        email = f"{name}@example.org"
        made = self.post("/v1/consumers", {"name": name})["id"]
        key = self.post(f"/v1/consumers/{made}/keys", {"label": "Test"})["key"]
        account = {"email": email, "password": PASSWORD}
        self.post(f"/v1/consumers/{made}/account", account, "PUT")
        path = f"/v1/customers/{made}"
        said = {"currency": CURRENCY, "locale": language, "zone": "Europe/Moscow"}
        # Billing hears of a new consumer a moment after access has answered.
        until(lambda: self._asked(path, said, "PATCH").is_success, self._process)
        if card is not None:
            method = {"gateway": "sandbox", "token": f"{card}:{name}", "label": "My card"}
            self.post(f"{path}/payment-methods", method)
        if balance:
            fill = {"amount": balance, "reason": "A test"}
            self.post(f"{path}/wallets/{CURRENCY}/fills", fill)
        return Newcomer(id=made, email=email, key=key)


@contextmanager
def on_stage(nursery: Nursery) -> Iterator[Stage]:
    """Serve from a folder of its own for as long as a block lasts."""
    with tempfile.TemporaryDirectory() as folder:
        farebox = Farebox(
            nursery,
            Path(folder),
            FAREBOX_DATA=folder,
            FAREBOX_PORT="0",
            FAREBOX_ADMIN_KEY=ADMIN_KEY,
            FAREBOX_SANDBOX_SECRET="s" * 32,
            FAREBOX_TEST_CLOCK="true",
            FAREBOX_LOG_LEVEL="error",
        )
        with farebox.started("serve") as process:
            url = line_of(process, r"listens on (\S+)")[1]
            until(lambda: answers(f"{url}/readyz"), process)
            headers = {"Authorization": f"Bearer {ADMIN_KEY}"}
            with client(headers=headers, base_url=url) as admin:
                _to_the_middle_of_a_month(admin)
                yield Stage(process, url, admin, furnish(admin))


def _to_the_middle_of_a_month(admin: Any) -> None:
    """Move the clock to a time at which most of a month's usage lies behind."""
    now = datetime.fromisoformat(admin.get("/v1/test-clock").json()["now"])
    noon = (now.replace(day=1) + timedelta(days=45)).replace(day=21, hour=12, minute=0)
    said = admin.post("/v1/test-clock", json={"to": noon.isoformat()})
    assert said.is_success, said.text


class Visit:
    """One browser of one person, signed in at the portal."""

    def __init__(self, stage: Stage, context: BrowserContext, email: str) -> None:
        self.stage = stage
        self.context = context
        self.page = context.new_page()
        self.page.goto(f"{stage.url}/store/sign-in?next=/portal/")
        self.page.fill("[name=email]", email)
        self.page.fill("[name=password]", PASSWORD)
        self.page.click("main form button")
        self.page.wait_for_url("**/portal/**")

    def open(self, address: str) -> Page:
        """Go to a page; it must be there."""
        said = self.page.goto(self.stage.url + address)
        assert said is not None
        assert said.status == 200, (address, said.status)
        return self.page

    def status(self, address: str) -> int:
        """Return what a page is answered with."""
        return self.context.request.get(self.stage.url + address).status

    def send(self, address: str, times: int = 1, **fields: str) -> list[int]:
        """Send the form of the present page that goes to an address, so many times at once."""
        form = self.page.locator(f'form[action="{address}"]').first
        token = form.locator("[name=_csrf_token]").get_attribute("value")
        key = form.locator("[name=key]").first.get_attribute("value")
        data: dict[str, str | float | bool] = {
            "_csrf_token": token or "",
            "key": key or "",
            **fields,
        }
        url = self.stage.url + address
        return [
            self.context.request.post(url, form=data, max_redirects=0).status for _ in range(times)
        ]

    def press(self, name: str) -> None:
        """Press a button or follow a link by what it says."""
        pattern = re.compile(name)
        button = self.page.get_by_role("button", name=pattern)
        link = self.page.get_by_role("link", name=pattern)
        # The page may still be on its way: which of the two it is shows only there, and a page
        # that loads itself anew may hide it again.
        either = button.or_(link)
        either.first.wait_for()
        (button if button.count() else either).first.click()

    def speak(self, language: str) -> None:
        """Choose the language of the pages, by its own name."""
        button = self.page.get_by_role("button", name=language)
        button.click()
        expect(button).to_have_attribute("aria-current", "true")

    def sees(self, text: str) -> None:
        """Wait until the page says something, to its end; pages that wait load themselves anew."""
        pattern = re.compile(text.replace(" ", r"\s+"), re.DOTALL)
        expect(self.page.locator("main")).to_contain_text(pattern)
        self.page.wait_for_load_state()

    def violations(self) -> list[str]:
        """Return what axe-core finds on the present page."""
        self.page.wait_for_load_state()
        # The pages let no script in but their own; axe is ours to bring in for a test.
        self.page.evaluate(AXE.read_text())
        found: list[str] = self.page.evaluate(_BY_AXE)
        return found

    def too_wide(self) -> int:
        """Return by how many pixels the page is wider than the window."""
        wide: int = self.page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        return wide


@contextmanager
def visiting(
    stage: Stage, browser: Browser, email: str, *, width: int = WIDE, **options: Any
) -> Iterator[Visit]:
    """Sign somebody in, in a browser of their own, for as long as a block lasts."""
    context = browser.new_context(
        viewport={"width": width, "height": 800}, **{"locale": "en-GB", **options}
    )
    context.set_default_timeout(20_000)
    try:
        yield Visit(stage, context, email)
    finally:
        context.close()
