"""Keys and devices in a real browser: shown once, replaced, revoked."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.portal_stage import Newcomer, Stage, Visit, visiting

KEYS = "/portal/keys"


@pytest.fixture
def somebody(stage: Stage) -> Newcomer:
    return stage.newcomer()


@pytest.fixture
def ada(stage: Stage, chromium: Browser, somebody: Newcomer) -> Iterator[Visit]:
    with visiting(stage, chromium, somebody.email) as visit:
        yield visit


def made(visit: Visit, name: str, **fields: str) -> str:
    """Make a key with the page's form; return it."""
    page = visit.open(KEYS)
    page.get_by_label("Name").fill(name)
    if "scope" in fields:
        page.get_by_label(fields["scope"]).check()
    if "expires" in fields:
        page.get_by_label("Works until the end of").fill(fields["expires"])
    visit.press("Make the key")
    shown = page.get_by_label("The key")
    expect(shown).to_be_focused()
    return shown.input_value()


def own(visit: Visit, somebody: Newcomer) -> str:
    return f"/v1/consumers/{somebody.id}"


def test_a_key_is_shown_once_and_works(ada, stage, somebody):
    key = made(ada, "Web server", scope="Geocoding", expires="2999-12-31")
    assert stage.status(own(ada, somebody), key) == 200
    assert ada.violations() == []
    page = ada.open(KEYS)
    assert key not in page.content()
    ada.sees(f"Web server.*…{key[-4:]}.*good for: geocode")
    kept = stage.ask(f"/v1/consumers/{somebody.id}/keys")["items"]
    newest = next(one for one in kept if one["label"] == "Web server")
    # The end of the day in Moscow.
    assert newest["expires_at"] == "2999-12-31T21:00:00Z"
    assert newest["scopes"] == ["geocode"]


def test_a_key_is_made_without_any_script_and_can_be_copied(stage, chromium, somebody):
    with visiting(stage, chromium, somebody.email, java_script_enabled=False) as visit:
        page = visit.open(KEYS)
        page.get_by_label("Name").fill("Plain")
        visit.press("Make the key")
        shown = page.get_by_label("The key")
        assert shown.get_attribute("readonly") is not None
        assert stage.status(own(visit, somebody), shown.input_value()) == 200


def test_a_key_is_made_once_however_often_the_form_is_sent(ada, stage, somebody):
    ada.open(KEYS)
    assert ada.send(KEYS, times=3, label="Once") == [200, 200, 200]
    kept = stage.ask(f"/v1/consumers/{somebody.id}/keys")["items"]
    assert len([one for one in kept if one["label"] == "Once"]) == 1


def test_a_replaced_key_goes_on_for_the_overlap(ada, stage, somebody):
    old = made(ada, "Web server")
    ada.open(KEYS)
    ada.press("Replace Web server")
    ada.sees("Replace the key Web server")
    assert ada.violations() == []
    ada.press("Make the new key")
    new = ada.page.get_by_label("The key").input_value()
    assert {stage.status(own(ada, somebody), key) for key in (old, new)} == {200}
    assert old != new


def test_a_key_replaced_at_once_stops(ada, stage, somebody):
    old = made(ada, "Web server")
    ada.open(KEYS)
    ada.press("Replace Web server")
    ada.page.get_by_label("no longer").check()
    ada.press("Make the new key")
    new = ada.page.get_by_label("The key").input_value()
    assert stage.status(own(ada, somebody), old) == 401
    assert stage.status(own(ada, somebody), new) == 200


def test_a_revoked_key_stops_after_a_step_that_asks(ada, stage, somebody):
    key = made(ada, "Lost laptop")
    ada.open(KEYS)
    ada.press("Revoke Lost laptop")
    assert stage.status(own(ada, somebody), key) == 200
    ada.press("Revoke the key")
    ada.sees("The key is revoked")
    assert stage.status(own(ada, somebody), key) == 401
    ada.sees("Keys that work no more")


@pytest.mark.parametrize(
    ("field", "typed", "words"),
    [
        ("Name", "session: mine", "are those of devices"),
        ("Works until the end of", "2001-01-01", "still to come"),
    ],
)
def test_what_does_not_fit_is_said_beside_its_field(ada, field, typed, words):
    page = ada.open(KEYS)
    page.get_by_label("Name").fill("A name")
    page.locator("input[type=date]").evaluate("one => one.removeAttribute('min')")
    page.get_by_label(field).fill(typed)
    ada.press("Make the key")
    expect(page.locator("#summary")).to_be_focused()
    expect(page.locator(".why")).to_contain_text(words)
    assert page.get_by_label(field).input_value() == typed
    assert ada.violations() == []


def test_devices_stand_apart_and_are_signed_out(ada, stage, chromium, somebody):
    with visiting(stage, chromium, somebody.email) as other:
        page = ada.open(KEYS)
        devices = page.locator("section", has=page.get_by_role("heading", name="Where you are"))
        expect(devices.locator("li")).to_have_count(2)
        expect(devices.locator("li", has=page.locator(".tag"))).to_have_count(1)
        expect(page.locator("#own + ul li")).to_have_count(1)
        away = devices.locator("li").filter(has_not=page.locator(".tag"))
        away.get_by_role("link").click()
        page.wait_for_url("**/revoke")
        ada.press("Sign this device out")
        ada.sees("The device is signed out")
        other.page.goto(stage.url + KEYS)
        other.page.wait_for_url("**/store/sign-in**")
        ada.open(KEYS)


def test_a_strangers_key_is_not_there(ada, stage):
    kira = stage.furnished.people["Kira"].id
    keys = stage.ask(f"/v1/consumers/{kira}/keys")["items"]
    ada.open(KEYS)
    token = ada.page.locator("[name=_csrf_token]").first.get_attribute("value") or ""
    for one in keys[:2]:
        for what in ("rotate", "revoke"):
            assert ada.status(f"{KEYS}/{one['id']}/{what}") == 404
            url = f"{stage.url}{KEYS}/{one['id']}/{what}"
            form = {"_csrf_token": token, "key": "k", "overlap": "0"}
            assert ada.context.request.post(url, form=form, max_redirects=0).status == 404
    assert all(
        one["revoked_at"] is None for one in stage.ask(f"/v1/consumers/{kira}/keys")["items"]
    )
