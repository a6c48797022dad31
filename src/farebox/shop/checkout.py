"""From the cart to the order: start and term, then the charge with all its figures."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from litestar import Response, get, post

from farebox.kernel.clock import parse_time, show_time
from farebox.shop import top_ups
from farebox.shop.buying import begin, complete, settled
from farebox.shop.carts import open_cart, seen_cart
from farebox.shop.forms import parse_moment, typed_moment
from farebox.shop.views import Json, own_page, shown
from farebox.web.api import Problem, one_part
from farebox.web.errors import explained
from farebox.web.forms import parse_amount, whole
from farebox.web.pages import AnyRequest, Page

_CART: Final = "/store/cart"
_WORDED: Final = frozenset(
    {"sold_out", "already_entitled", "purchase_pending", "period_refused", "item_not_on_sale"}
)


@get("/store/checkout")
@explained
async def show_checkout(request: AnyRequest) -> Response[Any]:
    """Ask from when and for how long each premiere is wanted."""
    page = await own_page(request)
    return _checkout(page, await open_cart(page), {}, {})


def _checkout(
    page: Page,
    cart: Json | None,
    faults: Mapping[str, str],
    given: Mapping[str, str],
    status: int = 200,
) -> Response[Any]:
    if cart is None or not cart["lines"]:
        return page.go(_CART)
    for line in cart["lines"]:
        starts_at = line["wish"]["starts_at"]
        kept = "" if starts_at is None else typed_moment(parse_time(starts_at), page.zone)
        line["typed"] = given.get(line["id"], kept)
        line["fault"] = faults.get(line["id"])
    earliest = typed_moment(page.now_us, page.zone)
    return shown(page, "store/checkout.html", status=status, cart=cart, earliest=earliest)


@post("/store/checkout", status_code=303)
@explained
async def choose_terms(request: AnyRequest) -> Response[Any]:
    """Keep start and term of each line; what did not change keeps its price."""
    page = await own_page(request)
    form = await request.form()
    cart = await open_cart(page)
    if cart is None:
        return page.go(_CART)
    faults: dict[str, str] = {}
    given: dict[str, str] = {}
    changed: list[dict[str, Any]] = []
    for line in cart["lines"]:
        if not line["wish"]["period_hours"]:
            continue
        given[line["id"]] = str(form.get(f"start-{line['id']}", ""))
        wish, fault = _wish_of(page, line, str(form.get(f"period-{line['id']}", "")), given)
        if fault is not None:
            faults[line["id"]] = fault
        elif wish is not None:
            changed.append(wish)
    if faults:
        return _checkout(page, cart, faults, given, status=422)
    for wish in changed:
        cart = await page.post(f"/v1/carts/{cart['id']}/lines", wish)
    return page.go(f"/store/confirm?cart={cart['id']}")


def _wish_of(
    page: Page, line: Json, period: str, given: Mapping[str, str]
) -> tuple[dict[str, Any] | None, str | None]:
    """Return a line's new terms (None where they are as before), or what is wrong with them."""
    old, typed = line["wish"], given[line["id"]]
    starts_at = None
    if typed:
        at_us = parse_moment(typed, page.zone)
        if at_us is None:
            return None, "no_moment"
        if at_us < page.now_us - 60_000_000:
            return None, "moment_passed"
        # The minute that has begun is now: what starts now has no start of its own.
        starts_at = show_time(at_us) if at_us > page.now_us else None
    hours = whole(period) if whole(period) > 0 else old["period_hours"]
    if (hours, _us(starts_at)) == (old["period_hours"], _us(old["starts_at"])):
        return None, None
    wish = {"kind": "item", "code": old["code"], "offer": old["offer"], "period_hours": hours}
    return wish if starts_at is None else {**wish, "starts_at": starts_at}, None


def _us(at: str | None) -> int | None:
    return None if at is None else parse_time(at)


@get("/store/confirm")
@explained
async def show_confirm(request: AnyRequest) -> Response[Any]:
    """Show what is about to be charged; or the form that fills the balance, if it is short."""
    page = await own_page(request)
    cart = request.query_params.get("cart")
    if cart is None:
        return page.go("/store/checkout")
    return await _confirm(page, cart)


async def _confirm(
    page: Page,
    cart_id: str,
    *,
    status: int = 200,
    instead_of: int | None = None,
    form: top_ups.TopUpForm | None = None,
) -> Response[Any]:
    cart = await page.get(f"/v1/carts/{one_part(cart_id)}")
    if cart["order"] is not None:
        return page.go(f"/store/orders/{cart['order']}/done")
    if not cart["lines"]:
        return page.go(_CART)
    cart = await seen_cart(page, cart)
    if cart["blocked"]:
        return page.go(_CART)
    wallet = await page.get(f"/v1/customers/{page.own.consumer}/wallets/{cart['currency']}")
    missing = cart["total"] - wallet["available"]
    if missing > 0 and form is None:
        form = await _top_up_form(page, cart, wallet)
    return shown(
        page,
        "store/confirm.html",
        status=status,
        cart=cart,
        wallet=wallet,
        form=form if missing > 0 else None,
        instead_of=instead_of,
    )


async def _top_up_form(page: Page, cart: Json, wallet: Json) -> top_ups.TopUpForm:
    return await top_ups.form_for(
        page,
        cart["currency"],
        action="/store/confirm/top-up",
        missing=cart["total"] - wallet["available"],
        at_once=False,
        wallet=wallet,
    )


@post("/store/confirm", status_code=303)
@explained
async def confirm(request: AnyRequest) -> Response[Any]:
    """Buy what was shown for the total that was shown, once under the key of the page."""
    page = await own_page(request)
    form = await request.form()
    cart, total = str(form.get("cart", "")), whole(form.get("shown_total"))
    try:
        order = await complete(page, cart, key=str(form.get("key", "")), shown_total=total)
    except Problem as problem:
        return await _not_bought(page, cart, total, problem)
    return await _bought(page, order)


async def _bought(page: Page, order: Json) -> Response[Any]:
    trouble = await begin(page, order)
    if trouble is not None:
        return page.go(_CART, trouble if trouble in _WORDED else "not_bought")
    await settled(page, order["id"])
    return page.go(f"/store/orders/{order['id']}/done")


async def _not_bought(page: Page, cart: str, total: int, problem: Problem) -> Response[Any]:
    if problem.code == "price_changed":
        return await _confirm(page, cart, status=409, instead_of=total)
    if problem.code == "wallet_short":
        return await _confirm(page, cart, status=402)
    if problem.code in {"not_for_sale", "cart_empty"}:
        return page.go(_CART)
    raise problem


@post("/store/confirm/top-up", status_code=303)
@explained
async def top_up(request: AnyRequest) -> Response[Any]:
    """Fill the balance with what is missing, and come back to the same page."""
    page = await own_page(request)
    given = await request.form()
    cart = await page.get(f"/v1/carts/{one_part(given.get('cart', ''))}")
    back = f"/store/confirm?cart={cart['id']}"
    if cart["order"] is not None:
        return page.go(back)
    wallet = await page.get(f"/v1/customers/{page.own.consumer}/wallets/{cart['currency']}")
    form = await _top_up_form(page, cart, wallet)
    form.at_once = given.get("at_once") == "yes"
    amount = parse_amount(str(given.get("amount", "")), cart["currency"])
    if form.at_once and top_ups.fault_of(amount, wallet) is None:
        return await _at_once(page, cart, form, given)
    await _keep(page, cart)
    made = await top_ups.ask(page, form, given)
    if made is None:
        return await _confirm(page, cart["id"], status=422, form=form)
    return top_ups.go_on(page, made, back)


async def _at_once(
    page: Page,
    cart: Json,
    form: top_ups.TopUpForm,
    given: Mapping[str, Any],
) -> Response[Any]:
    """Let an order wait for its money: it is paid by itself when the balance is filled."""
    key, total = f"{given.get('key', '')}-order", whole(given.get("shown_total"))
    try:
        order = await complete(page, cart["id"], key=key, shown_total=total, buy_at_once=True)
    except Problem as problem:
        return await _not_bought(page, cart["id"], total, problem)
    trouble = await begin(page, order)
    if trouble is not None:
        return page.go(_CART, trouble if trouble in _WORDED else "not_bought")
    made = await top_ups.ask(page, form, given)
    if made is None:
        # The money does not come: the cart is open again, as it was.
        await page.post(f"/v1/orders/{order['id']}/cancel")
        return await _confirm(page, cart["id"], status=422, form=form)
    if made["state"] == "filled":
        await settled(page, order["id"], filled=True)
    return top_ups.go_on(page, made, f"/store/orders/{order['id']}/done?at_once=yes")


async def _keep(page: Page, cart: Json) -> None:
    """Begin the time of places and prices anew while somebody pays; the lower price stays."""
    seen = await seen_cart(page, cart)
    for line in seen["lines"]:
        # What was renewed ten times stays until its time is over.
        with suppress(Problem):
            if line["place"] is not None and line["place"]["state"] == "held":
                await page.post(f"/v1/places/{line['place']['id']}/renew")
            if "guarantee_over" not in line["problems"]:
                await page.post(f"/v1/carts/{cart['id']}/lines/{line['id']}/renew")


HANDLERS: Final = (show_checkout, choose_terms, show_confirm, confirm, top_up)
