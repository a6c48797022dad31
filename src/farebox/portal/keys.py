"""`/portal/keys`: the visitor's API keys, made, replaced, stopped; and where they are signed in."""

from datetime import UTC, datetime
from typing import Any, Final

from litestar import Response, get, post
from litestar.params import FromPath

from farebox.kernel.clock import parse_time
from farebox.platform.model import SESSION
from farebox.portal.forms import key_of, parse_last_day, text_of
from farebox.portal.views import all_of, own_page, products_of, shown
from farebox.web.api import Problem
from farebox.web.errors import explained
from farebox.web.forms import whole
from farebox.web.pages import AnyRequest, Page

HERE: Final = "/portal/keys"
OVERLAPS: Final = (0, 3_600, 86_400, 7 * 86_400)
_LONGEST_LABEL: Final = 100
Errors = dict[str, str]


def _is_session(one: dict[str, Any]) -> bool:
    return bool(one["label"].startswith(SESSION))


def _is_live(page: Page, one: dict[str, Any]) -> bool:
    ends = one["expires_at"]
    return one["revoked_at"] is None and (ends is None or parse_time(ends) > page.now_us)


async def _show(
    page: Page,
    errors: Errors | None = None,
    typed: dict[str, Any] | None = None,
    made: dict[str, Any] | None = None,
) -> Response[Any]:
    keys = await all_of(page, f"/v1/consumers/{page.own.consumer}/keys", limit=500)
    newest = list(reversed(keys))
    own = [one for one in newest if not _is_session(one)]
    return shown(
        page,
        "keys.html",
        errors=errors,
        live=[one for one in own if _is_live(page, one)],
        gone=[one for one in own if not _is_live(page, one)],
        sessions=[one for one in newest if _is_session(one) and _is_live(page, one)],
        products=await products_of(page),
        typed=typed or {},
        made=made,
        today=datetime.fromtimestamp(page.now_us / 1_000_000, UTC).date().isoformat(),
    )


@get(HERE)
@explained
async def show_keys(request: AnyRequest) -> Response[Any]:
    """List keys and signed-in devices."""
    return await _show(await own_page(request))


@post(HERE, status_code=200)
@explained
async def make_key(request: AnyRequest) -> Response[Any]:
    """Make a key and show it, once: the same form sent again shows the same key."""
    page = await own_page(request)
    form = await request.form()
    label, last = text_of(form, "label"), text_of(form, "expires")
    scopes = [str(one) for one in form.getall("scope", [])]
    typed = {"label": label, "expires": last, "scope": scopes}
    errors, body = {}, {"label": label, "scopes": scopes}
    if not label or len(label) > _LONGEST_LABEL:
        errors["label"] = page.words("Give the key a name of up to 100 characters.")
    elif label.startswith(SESSION):
        errors["label"] = page.words("Names that begin with “session:” are those of devices.")
    if last:
        end = parse_last_day(last, page.zone)
        if end is None or parse_time(end) <= page.now_us:
            errors["expires"] = page.words("Choose a day that is still to come.")
        else:
            body["expires_at"] = end
    if errors:
        return await _show(page, errors, typed)
    made = await page.post(f"/v1/consumers/{page.own.consumer}/keys", body, key=key_of(form))
    return await _show(page, made=made)


async def _own_key(page: Page, key: str) -> dict[str, Any]:
    found: dict[str, Any] = await page.get(f"/v1/keys/{key}")
    return found


@get(HERE + "/{key:str}/rotate")
@explained
async def ask_to_rotate(key: FromPath[str], request: AnyRequest) -> Response[Any]:
    """Ask how long the old key goes on beside the new one."""
    page = await own_page(request)
    return shown(page, "rotate.html", key=await _own_key(page, key))


@post(HERE + "/{key:str}/rotate", status_code=200)
@explained
async def rotate_key(key: FromPath[str], request: AnyRequest) -> Response[Any]:
    """Replace a key by a new one, which is shown once."""
    page = await own_page(request)
    form = await request.form()
    overlap = whole(text_of(form, "overlap"))
    seconds = overlap if overlap in OVERLAPS else 0
    try:
        made = await page.post(
            f"/v1/keys/{key}/rotate", {"overlap_seconds": seconds}, key=key_of(form)
        )
    except Problem as problem:
        if problem.code != "credential_revoked":
            raise
        return await _show(page, {"": page.words("This key does not work any more.")})
    return await _show(page, made=made)


@get(HERE + "/{key:str}/revoke")
@explained
async def ask_to_revoke(key: FromPath[str], request: AnyRequest) -> Response[Any]:
    """Ask whether a key is to stop."""
    page = await own_page(request)
    found = await _own_key(page, key)
    return shown(page, "revoke.html", key=found, session=_is_session(found))


@post(HERE + "/{key:str}/revoke", status_code=303)
@explained
async def revoke_key(key: FromPath[str], request: AnyRequest) -> Response[Any]:
    """Stop a key, or sign a device out, at once."""
    page = await own_page(request)
    gone = await page.delete(f"/v1/keys/{key}")
    return page.go(HERE, "device_out" if _is_session(gone) else "key_revoked")


HANDLERS = (show_keys, make_key, ask_to_rotate, rotate_key, ask_to_revoke, revoke_key)
