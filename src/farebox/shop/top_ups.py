"""Filling the balance: the same form on the confirm page, on an order, and in the account."""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

import anyio
import msgspec
from litestar import Response, get
from litestar.params import FromPath

from farebox.shop.views import Json, own_page, shown
from farebox.web.api import Problem
from farebox.web.errors import explained
from farebox.web.forms import parse_amount, typed_amount
from farebox.web.pages import AnyRequest, Page, local_address

BY_GATEWAY: Final = "gateway:"
MANUAL: Final = "manual"
WALLET: Final = "wallet"
PRESETS: Final = (500_00, 1_000_00, 2_000_00, 5_000_00)
_TICK_S: Final = 0.1
_PATIENCE_S: Final = 3.0
_WORDED: Final = frozenset({"payment_method_unknown", "payment_gateway_unknown"})


class TopUpForm(msgspec.Struct, kw_only=True):
    """What the form shows: the amount as it was typed, what is wrong with it, who else may pay."""

    action: str
    typed: str
    wallet: Json
    methods: list[Json]
    gateways: list[str]
    missing: int | None = None
    error: str | None = None
    declined: str | None = None
    at_once: bool | None = None
    presets: tuple[int, ...] = ()
    method: str = ""


async def form_for(
    page: Page,
    currency: str,
    *,
    action: str,
    missing: int | None = None,
    at_once: bool | None = None,
    wallet: Json | None = None,
    presets: tuple[int, ...] = (),
) -> TopUpForm:
    """Return the form; what is missing is filled in, and never less than the least."""
    customer = f"/v1/customers/{page.own.consumer}"
    wallet = wallet or await page.get(f"{customer}/wallets/{currency}")
    methods = await page.get(f"{customer}/payment-methods")
    typed = ""
    if missing is not None:
        typed = typed_amount(max(missing, wallet["least_top_up"]), currency)
    usable = [one for one in methods["items"] if one["state"] == "active"]
    gateways = await page.get("/v1/payment-gateways")
    ways = [one["name"] for one in gateways["items"] if one["name"] not in {WALLET, MANUAL}]
    return TopUpForm(
        action=action,
        typed=typed,
        wallet=wallet,
        methods=usable,
        gateways=[*ways, MANUAL],
        missing=missing,
        at_once=at_once,
        presets=presets,
    )


def fault_of(amount: int | None, wallet: Json) -> str | None:
    """Return what is wrong with a typed amount, as a name that the template words."""
    if amount is None:
        return "no_amount"
    if amount < wallet["least_top_up"]:
        return "too_little"
    return "too_much" if amount > wallet["most_top_up"] else None


async def ask(page: Page, shown_form: TopUpForm, given: Mapping[str, Any]) -> Json | None:
    """Ask for the typed amount and wait a moment; None where the form now says what is wrong."""
    wallet = shown_form.wallet
    currency = wallet["currency"]
    shown_form.typed = str(given.get("amount", ""))[:20]
    shown_form.method = str(given.get("method", ""))
    amount = parse_amount(shown_form.typed, currency)
    shown_form.error = fault_of(amount, wallet)
    if shown_form.error is not None:
        return None
    path = f"/v1/customers/{page.own.consumer}/wallets/{currency}/top-ups"
    body: dict[str, Any] = {"amount": amount}
    gateway = shown_form.method.removeprefix(BY_GATEWAY)
    if gateway != shown_form.method:
        body["gateway"] = gateway
    elif shown_form.method:
        body["method"] = shown_form.method
    try:
        made = await page.post(path, body, key=str(given.get("key", "")) or None)
    except Problem as problem:
        if problem.code in _WORDED:
            shown_form.declined = problem.code
            return None
        if problem.code == "top_up_amount_refused":
            shown_form.error = "no_amount"
            return None
        raise
    found = await _settled(page, made["id"])
    if found["state"] == "failed":
        shown_form.declined = str(found["failure"] or "failed")
        return None
    return found


async def _settled(page: Page, top_up: str) -> Json:
    found: Json = await page.get(f"/v1/top-ups/{top_up}")
    with anyio.move_on_after(_PATIENCE_S):
        while found["state"] == "open" and not found["action_url"]:
            await anyio.sleep(_TICK_S)
            found = await page.get(f"/v1/top-ups/{top_up}")
    return found


def go_on(page: Page, top_up: Json, after: str) -> Response[Any]:
    """Lead on after a top-up was asked for: back, to the gateway's page, or to one that waits."""
    if top_up["state"] == "filled":
        return page.go(after, "topped_up")
    if top_up["action_url"]:
        return page.go(top_up["action_url"])
    return page.go(f"/store/top-ups/{top_up['id']}?next={quote(after)}")


@get("/store/top-ups/{top_up:str}")
@explained
async def show_top_up(request: AnyRequest, top_up: FromPath[str]) -> Response[Any]:
    """Wait for a top-up whose payment is under way, and lead back when it has ended."""
    page = await own_page(request)
    found = await page.get(f"/v1/top-ups/{top_up}")
    after = local_address(request.query_params.get("next"), "/store/account")
    if found["state"] == "filled":
        return page.go(after, "topped_up")
    return shown(page, "store/top_up.html", top_up=found, after=after)


HANDLERS: Final = (show_top_up,)
