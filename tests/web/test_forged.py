"""What no page offers: forged fields, odd addresses. The answer is a clear page, never a fault."""

import pytest

from farebox.shop.forms import parse_day, parse_moment
from farebox.web.api import one_part
from farebox.web.pages import CSRF_COOKIE, local_address
from tests.api.conftest import operator_key
from tests.web.conftest import PASSWORD

HUGE = "9" * 5_000
NUL = "%00"


def choose_english(browser, **sent):
    """Send the form of languages with the token that the browser was given, and what else."""
    browser.open("/store/")
    fields = {"_csrf_token": browser.client.cookies[CSRF_COOKIE], "language": "en"}
    return browser.client.post("/store/language", data=fields, **sent)


@pytest.fixture
def signed_in(browser, ada):
    browser.sign_in("ada@example.org", PASSWORD)
    return browser


@pytest.mark.parametrize(
    "address",
    [
        f"/store/orders/{NUL}",
        "/store/orders/a%0Ab",
        "/store/orders/a%3Fb",
        "/store/orders/%2E%2E",
        "/store/confirm?cart=../orders",
        f"/store/confirm?cart={NUL}",
        "/store/confirm?cart=",
        f"/store/premieres/{NUL}",
        f"/store/premieres/{NUL}/poster.svg",
        f"/store/premieres/mine/{NUL}",
        f"/store/watch/{NUL}",
        f"/store/watch/r/film/{HUGE}/x.webm",
        f"/store/top-ups/{NUL}",
        f"/portal/invoices/{NUL}",
        f"/portal/keys/{NUL}/revoke",
        f"/portal/subscriptions/{NUL}",
    ],
)
def test_an_address_of_nothing_is_a_page_that_says_so(signed_in, address):
    answer = signed_in.open(address)
    assert answer.status_code in {404, 405, 422}, answer.status_code
    assert "<h1>" in answer.text


@pytest.mark.parametrize("given", ["../products/accman", NUL, "", "..", "a%3Fb"])
def test_a_part_of_an_address_leads_to_no_other_path_of_the_api(signed_in, given):
    assert signed_in.open(f"/portal/payments?top-up={given}").status_code == 200


@pytest.mark.parametrize("hours", ["²", HUGE, "-1", "x", ""])
def test_a_term_that_is_no_number_leads_back(signed_in, hours):
    answer = signed_in.open(f"/store/premieres/mine/rnt_1/extend?hours={hours}")
    assert answer.headers["location"] == "/store/premieres/mine/rnt_1"


@pytest.mark.parametrize("count", ["²", HUGE, "", "-1"])
def test_a_period_that_is_no_number_leads_back_to_the_plans(signed_in, count):
    answer = signed_in.send(
        "/portal/subscribe", form_of="/store/", plan="pro", period=f"month-{count}"
    )
    assert answer.headers["location"] == "/portal/plans"


@pytest.mark.parametrize("overlap", ["²", HUGE, "-1", ""])
def test_an_overlap_that_is_no_number_is_none(signed_in, overlap):
    answer = signed_in.send("/portal/keys/key_1/rotate", form_of="/store/", overlap=overlap)
    assert answer.status_code == 404


@pytest.mark.parametrize("key", ["ключ", "a\0b", "a\r\nx: y", "é" * 300])
def test_a_forged_key_of_a_form_makes_a_key_once_or_is_refused(signed_in, key):
    sent = {"form_of": "/store/", "label": "mine", "key": key}
    answers = [signed_in.send("/portal/keys", **sent) for _ in range(2)]
    assert {each.status_code for each in answers} <= {200, 422}
    assert signed_in.open("/portal/keys").text.count("<strong>mine</strong>") <= 1


@pytest.mark.parametrize("cart", ["\0", "", "..", "../orders/ord_1/cancel?"])
def test_a_forged_cart_buys_nothing(signed_in, cart):
    answer = signed_in.send(
        "/store/confirm", form_of="/store/", cart=cart, shown_total="1", key="k"
    )
    assert answer.status_code in {404, 405, 422}
    assert "<h1>" in answer.text


def test_an_address_with_a_nul_signs_nobody_in(browser, ada):
    answer = browser.sign_in("a\0b@example.org", PASSWORD)
    assert answer.status_code == 403
    assert 'role="alert"' in answer.text


@pytest.mark.parametrize("text", ["/\t/evil.example", "/\n/evil.example", "/\r\\evil", "/\0/"])
def test_an_address_that_browsers_read_as_a_strangers_is_none_of_ours(browser, ada, text):
    assert local_address(text) == "/store/"
    assert browser.sign_in("ada@example.org", PASSWORD, after=text).headers["location"] == "/store/"


def test_a_file_in_place_of_an_address_is_no_address(browser):
    answer = choose_english(browser, files={"next": ("a.txt", b"/portal/")})
    assert (answer.status_code, answer.headers["location"]) == (303, "/store/")


# The framework leaves a file that was sent with a refused form to the collector.
@pytest.mark.filterwarnings("ignore:Unclosed file:ResourceWarning")
@pytest.mark.parametrize("field", [{"data": "ключ" * 40}, {"files": b"x" * 200}, {"data": ""}])
def test_a_forged_form_token_is_refused(browser, field):
    browser.open("/store/")
    fields = {kind: {"_csrf_token": value} for kind, value in field.items()}
    answer = browser.client.post("/store/language", **fields)
    assert answer.status_code == 403
    assert "<h1>" in answer.text


def test_a_forged_form_cookie_is_refused(browser):
    forged = f"{CSRF_COOKIE}=".encode() + b"\xe9" * 128
    answer = choose_english(browser, headers={"cookie": forged})
    assert answer.status_code == 403


def test_files_that_caches_share_carry_nobodys_cookie(browser, site):
    answer = browser.open(site.files.address("pages.css"))
    assert "public" in answer.headers["cache-control"]
    assert "set-cookie" not in answer.headers
    assert CSRF_COOKIE in browser.open("/store/").headers["set-cookie"]


@pytest.mark.parametrize("path", ["/store/nowhere", "/web/none.css", f"/store/premieres/{NUL}"])
def test_errors_forbid_scripts_and_stay_out_of_caches_too(browser, path):
    headers = browser.open(path).headers
    assert "script-src 'self'" in headers["content-security-policy"]
    assert headers["cache-control"] == "private, no-store"
    assert headers["x-content-type-options"] == "nosniff"


def test_the_language_can_be_chosen_on_an_unknown_page(browser):
    browser.open("/store/")
    answer = browser.send(
        "/store/language", form_of="/store/nowhere", language="en", next="/store/"
    )
    assert answer.status_code == 303


@pytest.mark.parametrize("text", ["ord_%00", "con_%00", "pay_a%3Fb", "ord_/../x", "con_.."])
def test_the_console_finds_nothing_for_what_is_no_id(browser, database, text):
    browser.send("/console/sign-in", key=operator_key(database, "admin"))
    answer = browser.open(f"/console/find?q={text}")
    assert answer.status_code == 200


@pytest.mark.parametrize("currency", ["\0", "../x", "", "XX"])
def test_the_console_fills_nothing_in_what_is_no_currency(browser, database, ada, currency):
    browser.send("/console/sign-in", key=operator_key(database, "admin"))
    home = f"/console/customers/{ada}"
    fields = {"amount": "1", "currency": currency, "part": "paid", "reason": "desk", "key": "k"}
    answer = browser.send(f"{home}/fill", form_of="/console/", **fields)
    assert answer.headers["location"] == f"{home}?said=amount_wrong"


# -- the readers of typed fields -------------------------------------------------------------------


@pytest.mark.parametrize("text", ["0001-01-01T00:00", "9999-12-31T23:59", "9000-01-01T00:00", "x"])
def test_a_moment_that_cannot_be_reckoned_with_is_none(text):
    assert parse_moment(text, "America/New_York") is None


@pytest.mark.parametrize("text", ["0001-01-01", "9999-12-31", "", "x", "2026-02-30"])
def test_a_day_that_cannot_be_reckoned_with_is_none(text):
    assert parse_day(text, "America/New_York", later=1) is None


def test_a_day_on_which_clocks_change_has_its_own_length():
    begins = parse_day("2026-03-08", "America/New_York")
    ends = parse_day("2026-03-08", "America/New_York", later=1)
    assert (begins, ends) == (1_772_946_000_000_000, 1_773_028_800_000_000), "23 hours"


@pytest.mark.parametrize(
    ("typed", "part"),
    [("ord_1", "ord_1"), ("a/b", "a%2Fb"), ("..", "-"), ("", "-"), (".", "-"), ("a?b", "a%3Fb")],
)
def test_one_part_of_a_path_stays_one(typed, part):
    assert one_part(typed) == part
