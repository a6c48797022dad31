"""Somebody at the store's pages: what they click and type, and what they read."""

import re
from typing import Any, Final

from playwright.sync_api import BrowserContext, Locator, expect

from tests.browser.serving import PASSWORD

_SPACES: Final = re.compile(r"[\s\N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}]+")


def plain(text: str) -> str:
    """Return a text with every kind of space as one space."""
    return _SPACES.sub(" ", text).strip()


class Shopper:
    """One signed-in browser."""

    def __init__(self, context: BrowserContext, url: str) -> None:
        self.context = context
        self.url = url
        self.page = context.new_page()

    def tab(self) -> "Shopper":
        """Return another tab of the same browser."""
        return Shopper(self.context, self.url)

    def sign_in(self, name: str) -> "Shopper":
        self.open("/store/sign-in")
        self.page.fill("input[name=email]", f"{name.lower()}@example.org")
        self.page.fill("input[name=password]", PASSWORD)
        self.page.click("main form button")
        expect(self.page.locator(".menu summary")).to_have_text(name)
        return self

    def speak(self, language: str) -> None:
        """Choose the language of the pages, by its tag."""
        self.page.click(f".tongues button[value={language}]")
        expect(self.page.locator("html")).to_have_attribute("lang", language)

    def open(self, path: str) -> Any:
        return self.page.goto(self.url + path)

    def read(self, selector: str = "main") -> str:
        return plain(self.page.locator(selector).first.inner_text())

    def see(self, *texts: str) -> None:
        """Wait until a page shows these texts, in any spaces, and is there to its end."""
        for text in texts:
            words = re.escape(text).replace(r"\ ", r"\s+").replace("'", ".")
            main = self.page.locator("main")
            expect(main).to_contain_text(re.compile(words), use_inner_text=True)
        self.page.wait_for_load_state()

    def card(self, title: str) -> Locator:
        return self.page.locator(
            "li.premiere", has=self.page.get_by_role("link", name=title, exact=True)
        )

    def add(self, code: str, hours: int = 24) -> None:
        """Put a rental into the cart."""
        self.open(f"/store/premieres/{code}")
        self.page.check(f"input[value='online:{hours}']")
        self.page.click(".buy form button")
        self.page.wait_for_url("**/store/cart**")

    def go_on(self, start: str | None = None) -> None:
        """Go from the cart to the confirm page, with a start of the viewing if there is one."""
        self.open("/store/checkout")
        if start is not None:
            for field in self.page.locator("input.when").all():
                field.fill(start)
        self.page.click("main form .button")
        self.page.wait_for_url("**/store/confirm**")

    def confirm(self) -> str:
        """Confirm, wait until it is bought, and return the order's code."""
        self.page.click("form[action='/store/confirm'] button")
        return self.bought()

    def bought(self) -> str:
        expect(self.page.locator("code.order")).to_be_visible()
        return self.read("code.order")

    def buy(self, *codes: str, hours: int = 24, start: str | None = None) -> str:
        """Buy rentals; returns the order's code."""
        for code in codes:
            self.add(code, hours)
        self.go_on(start)
        return self.confirm()

    def balance(self) -> str:
        self.open("/store/account")
        return self.read(".figure")

    def rental(self, title: str) -> None:
        """Open one of my premieres by its title."""
        self.open("/store/premieres/mine")
        self.page.get_by_role("link", name=title, exact=True).click()
        self.page.wait_for_url("**/mine/rnt_**")
