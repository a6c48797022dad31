"""Signing in and out at the pages, and what a stranger's request cannot do."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from farebox.access.consumers.model import SignInRefused
from farebox.access.consumers.service_accounts import hash_password, set_account
from farebox.platform.model import SYSTEM
from farebox.web import sign_in
from farebox.web.pages import CSRF_COOKIE, local_address
from farebox.web.sessions import COOKIE, browser_of
from tests.api.conftest import operator_key
from tests.support.services import run
from tests.web.conftest import PASSWORD

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


def test_the_right_password_begins_a_session_and_leads_back(browser, ada):
    answer = browser.sign_in("ada@example.org", PASSWORD, after="/portal/")
    assert (answer.status_code, answer.headers["location"]) == (303, "/portal/")
    cookie = next(one for one in answer.headers.get_list("set-cookie") if one.startswith(COOKIE))
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Ada" in browser.open("/store/").text


def test_a_wrong_password_is_told_in_words_and_begins_nothing(browser, ada):
    answer = browser.sign_in("ada@example.org", "wrong horse")
    assert answer.status_code == 403
    assert 'role="alert"' in answer.text
    assert 'value="ada@example.org"' in answer.text, "what was typed is not asked again"
    assert COOKIE not in browser.client.cookies


def test_tries_wait_for_one_another_and_not_everybody_for_them(browser, monkeypatch):
    browser.open("/store/sign-in")
    form = {"_csrf_token": browser.client.cookies[CSRF_COOKIE], "email": "ada@example.org"}
    busy, most, lock = threading.Semaphore(0), [0, 0], threading.Lock()
    waits = threading.Event()

    def hash_slowly(*_):
        with lock:
            most[0] += 1
            most[1] = max(most)
        busy.release()
        assert waits.wait(30)
        with lock:
            most[0] -= 1
        raise SignInRefused

    monkeypatch.setattr(sign_in, "sign_in", hash_slowly)
    with ThreadPoolExecutor(8) as crowd:
        tries = [crowd.submit(browser.client.post, "/store/sign-in", data=form) for _ in range(8)]
        for _ in range(sign_in.TRIES_AT_ONCE):
            assert busy.acquire(timeout=30)
        assert browser.open("/store/").status_code == 200, "the store is open meanwhile"
        waits.set()
        assert {each.result().status_code for each in tries} == {403}
    assert most[1] == sign_in.TRIES_AT_ONCE


def test_signing_out_ends_the_session_for_whoever_has_copied_the_cookie(browser, ada):
    browser.sign_in("ada@example.org", PASSWORD)
    copied = browser.client.cookies[COOKIE]
    browser.send("/store/sign-out", form_of="/store/")
    assert "Ada" not in browser.open("/store/").text
    browser.client.cookies.set(COOKIE, copied)
    assert "Ada" not in browser.open("/store/").text


def test_signing_in_again_ends_the_session_before(browser, ada):
    browser.sign_in("ada@example.org", PASSWORD)
    first = browser.client.cookies[COOKIE]
    browser.send("/store/sign-in", form_of="/store/", email="ada@example.org",
                 password=PASSWORD, next="/store/")  # fmt: skip
    browser.client.cookies.set(COOKIE, first)
    assert "Ada" not in browser.open("/store/").text


def test_a_new_password_signs_every_browser_out(browser, ada, database):
    browser.sign_in("ada@example.org", PASSWORD)
    assert "Ada" in browser.open("/store/").text
    new = {"email": "ada@example.org", "password": hash_password("another horse")}
    run(database, set_account, SYSTEM, consumer=ada, **new)
    assert "Ada" not in browser.open("/store/").text
    assert browser.sign_in("ada@example.org", PASSWORD).status_code == 403
    browser.sign_in("ada@example.org", "another horse")
    assert "Ada" in browser.open("/store/").text


def test_a_page_of_ones_own_asks_who_one_is_and_comes_back(browser):
    answer = browser.open("/portal/")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/store/sign-in?next=%2Fportal"


def test_an_operators_key_is_no_session(browser, database):
    browser.client.cookies.set(COOKIE, operator_key(database, "admin"))
    assert browser.open("/portal/").status_code == 303


def test_a_form_from_elsewhere_is_refused_and_changes_nothing(browser, ada):
    browser.open("/store/sign-in")
    answer = browser.client.post(
        "/store/sign-in", data={"email": "ada@example.org", "password": PASSWORD}
    )
    assert answer.status_code == 403
    assert COOKIE not in browser.client.cookies
    assert "form_expired" in answer.text


@pytest.mark.parametrize(
    "address",
    ["https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:alert(1)", ""],
)
def test_nobody_is_led_to_a_strangers_address(browser, ada, address):
    assert (
        browser.sign_in("ada@example.org", PASSWORD, after=address).headers["location"] == "/store/"
    )
    assert local_address(address) == "/store/"


def test_pages_forbid_scripts_frames_and_sniffing(browser):
    headers = browser.open("/store/").headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "private, no-store"


def test_files_keep_for_ever_and_their_list_is_closed(browser, site):
    answer = browser.open(site.files.address("pages.css"))
    assert answer.status_code == 200
    assert "immutable" in answer.headers["cache-control"]
    assert browser.open("/web/pages.css").status_code == 404
    assert browser.open("/web/../pages.py").status_code == 404


def test_an_unknown_page_says_so_in_the_visitors_language(browser):
    russian = browser.open("/store/nowhere", **{"accept-language": "ru"})
    english = browser.open("/store/nowhere", **{"accept-language": "en-GB,ru;q=0.5"})
    assert (russian.status_code, english.status_code) == (404, 404)
    assert 'lang="ru"' in russian.text
    assert "There is nothing here" in english.text


def test_a_chosen_language_stays(browser):
    browser.send("/store/language", form_of="/store/", language="en", next="/store/")
    assert 'lang="en"' in browser.open("/store/", **{"accept-language": "ru"}).text


def test_the_api_is_still_where_it_was(browser):
    assert browser.open("/healthz").json() == {"alive": True}
    assert browser.open("/v1/products").status_code == 401


@pytest.mark.parametrize(
    ("agent", "said"),
    [
        (FIREFOX, "Firefox, Linux"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0) Version/18.0 Safari/604.1", "Safari, iPhone"),
        ("Mozilla/5.0 (Windows NT 10.0) Chrome/140.0 Safari/537.36 Edg/140.0", "Edge, Windows"),
        ("curl/8.9", "another program"),
        ("", "another program"),
    ],
)
def test_a_session_is_known_by_its_browser(agent, said):
    assert browser_of(agent) == said
