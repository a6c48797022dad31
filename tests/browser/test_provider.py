"""Signing in to the pages at a real OpenID Connect provider, as a browser does it."""

import json
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from farebox.web.sessions import COOKIE
from tests.browser.serving import serving
from tests.support.identity import mock_provider


@pytest.fixture
def provider():
    with mock_provider() as url:
        yield url


@pytest.fixture
def home(command_nursery, tmp_path, provider):
    """Serve an empty Farebox at the real time, in which the provider's tokens live."""
    issuers = [{"issuer": provider, "audience": "farebox-pages", "create_consumers": True}]
    with serving(
        command_nursery, tmp_path / "data", back_us=0,
        FAREBOX_ISSUERS=json.dumps(issuers), FAREBOX_SIGN_IN_ISSUER=provider,
        FAREBOX_SIGN_IN_CLIENT="farebox-pages", FAREBOX_SIGN_IN_NAME="Example ID",
        FAREBOX_SIGN_IN_SECRET="the provider wants one",
    ) as made:  # fmt: skip
        yield made


@pytest.fixture
def browser(home):
    with httpx2.Client(base_url=home, trust_env=False, timeout=20) as client:
        yield client


def begin(browser, after="/store/account"):
    """Click on the provider's button; returns the provider's address."""
    answer = browser.get("/store/sign-in/provider", params={"next": after})
    assert answer.status_code == 303
    return answer.headers["location"]


def agree(address, subject="bob@example.org"):
    """Say at the provider who one is; returns where it sends the browser back to."""
    answer = httpx2.post(address, data={"sub": subject}, trust_env=False, timeout=20)
    return answer.headers["location"]


def back(browser, address):
    there = urlsplit(address)
    return browser.get(f"{there.path}?{there.query}")


def test_somebody_signs_in_at_the_provider_and_comes_back_where_they_were(browser, provider):
    assert "Example ID" in browser.get("/store/sign-in").text
    address = begin(browser)
    asked = parse_qs(urlsplit(address).query)
    assert address.startswith(provider)
    assert asked["code_challenge_method"] == ["S256"]
    assert {"state", "nonce", "code_challenge"} <= set(asked)
    answer = back(browser, agree(address))
    assert (answer.status_code, answer.headers["location"]) == (303, "/store/account")
    assert COOKIE in browser.cookies
    assert browser.get("/store/settings").status_code == 200


def test_another_browser_cannot_use_the_answer(browser, home):
    address = agree(begin(browser))
    with httpx2.Client(base_url=home, trust_env=False, timeout=20) as stranger:
        answer = back(stranger, address)
        assert answer.headers["location"] == "/store/sign-in?said=provider_failed"
        assert COOKIE not in stranger.cookies


def test_an_answer_counts_once(browser):
    address = agree(begin(browser))
    back(browser, address)
    browser.post("/store/sign-out")
    browser.cookies.clear()
    assert back(browser, address).headers["location"] == "/store/sign-in?said=provider_failed"


def test_an_answer_with_another_state_signs_nobody_in(browser):
    address = agree(begin(browser))
    state = parse_qs(urlsplit(address).query)["state"][0]
    answer = back(browser, address.replace(state, "another"))
    assert answer.headers["location"] == "/store/sign-in?said=provider_failed"
    assert COOKIE not in browser.cookies
