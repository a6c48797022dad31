"""Settings: language, time zone, which letters come by which way, signed-in devices."""

import zoneinfo
from typing import Any, Final

from litestar import Response, get, post
from litestar.params import FromPath

from farebox.platform.formats import LANGUAGES
from farebox.platform.model import SESSION
from farebox.shop.views import Json, all_of, own_page, shown
from farebox.web.api import Problem
from farebox.web.errors import explained
from farebox.web.pages import LANGUAGE_COOKIE, AnyRequest, Page

SETTINGS: Final = "/store/settings"
_AWAY: Final = frozenset({404, 409, 503})
_REFUSED: Final = frozenset({400, 409, 422})
_WAYS: Final = frozenset({"mail", "sms", "off"})
_KEPT: Final = ("locale", "zone")
_YEAR_S: Final = 365 * 86_400
_REGIONS: Final = frozenset(
    {"Africa", "America", "Antarctica", "Asia", "Atlantic", "Australia", "Europe", "Indian"}
    | {"Pacific"}
)


def zones() -> list[str]:
    """Return the time zones that people live in, by their names in the IANA database."""
    known = zoneinfo.available_timezones()
    return ["UTC", *sorted(one for one in known if one.partition("/")[0] in _REGIONS)]


@get(SETTINGS)
@explained
async def show_settings(request: AnyRequest) -> Response[Any]:
    """Show what the visitor has chosen, and where they are signed in."""
    page = await own_page(request)
    return await _settings(page)


async def _settings(page: Page, *, status: int = 200, fault: str | None = None) -> Response[Any]:
    return shown(
        page,
        "store/settings.html",
        status=status,
        zones=zones(),
        devices=await _devices(page),
        letters=await _letters(page),
        fault=fault,
    )


async def _letters(page: Page) -> Json | None:
    """Return the kinds of letters and the ways chosen for them; None where nobody sends any."""
    kinds = await _asked(page, "/v1/letter-templates")
    chosen = await _asked(page, f"/v1/notification-preferences/{page.own.consumer}")
    if kinds is None or chosen is None:
        return None
    return {"kinds": kinds["items"], "chosen": chosen}


async def _asked(page: Page, path: str) -> Json | None:
    try:
        found: Json = await page.get(path)
    except Problem as problem:
        # Letters may be sent elsewhere, or this customer not be known there yet.
        if problem.status in _AWAY:
            return None
        raise
    return found


async def _devices(page: Page) -> list[Json]:
    """Return the sessions that still stand, this one first."""
    found = await all_of(page, f"/v1/consumers/{page.own.consumer}/keys")
    mine = [
        {**one, "browser": one["label"].removeprefix(SESSION)}
        for one in found
        if one["label"].startswith(SESSION) and one["revoked_at"] is None
    ]
    mine.reverse()
    return sorted(mine, key=lambda one: one["id"] != page.own.key_id)


@post(SETTINGS, status_code=303)
@explained
async def keep_settings(request: AnyRequest) -> Response[Any]:
    """Keep language and time zone."""
    page = await own_page(request)
    form = await request.form()
    language, zone = str(form.get("language")), str(form.get("zone"))
    if language not in LANGUAGES or zone not in zoneinfo.available_timezones():
        return await _settings(page, status=422, fault="zone")
    body = {"locale": language, "zone": zone}
    await page.patch(f"/v1/customers/{page.own.consumer}", body)
    answer = page.go(SETTINGS, "saved")
    answer.set_cookie(
        LANGUAGE_COOKIE,
        language,
        path="/",
        max_age=_YEAR_S,
        secure=page.site.secure,
        samesite="lax",
    )
    return answer


@post(SETTINGS + "/letters", status_code=303)
@explained
async def keep_letters(request: AnyRequest) -> Response[Any]:
    """Keep by which way each kind of letter comes; what the API refuses is said on the page."""
    page = await own_page(request)
    form = await request.form()
    found = await _letters(page)
    if found is None:
        return page.go(SETTINGS)
    kept = {name: found["chosen"][name] for name in _KEPT}
    letters = {
        one["kind"]: str(form.get(one["kind"]))
        for one in found["kinds"]
        if form.get(one["kind"]) in _WAYS
    }
    quiet = {name: str(form.get(f"quiet_{name}", ""))[:5] for name in ("start", "end")}
    body = {
        **kept,
        "letters": letters,
        "channel": form.get("channel") if form.get("channel") in {"mail", "sms"} else None,
        "quiet_hours": quiet if all(quiet.values()) else None,
        "phone": str(form.get("phone", "")).strip() or None,
    }
    try:
        await page.put(f"/v1/notification-preferences/{page.own.consumer}", body)
    except Problem as problem:
        if problem.status not in _REFUSED:
            raise
        fault = "phone" if "phone" in problem.detail else "letters"
        return await _settings(page, status=422, fault=fault)
    return page.go(SETTINGS, "saved")


@post(SETTINGS + "/devices/{key:str}/sign-out", status_code=303)
@explained
async def sign_device_out(request: AnyRequest, key: FromPath[str]) -> Response[Any]:
    """End one of the visitor's own sessions, on whichever device it is."""
    page = await own_page(request)
    if any(one["id"] == key for one in await _devices(page)):
        await page.site.sessions.end_key(page.own, key)
    return page.go(SETTINGS, "device_signed_out")


HANDLERS: Final = (show_settings, keep_settings, keep_letters, sign_device_out)
