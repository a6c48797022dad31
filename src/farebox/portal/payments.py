"""`/portal/payments`: how the visitor pays, their balance, top-ups by hand and by themselves."""

from typing import Any, Final

from litestar import Response, get, post
from litestar.params import FromPath

from farebox.portal.forms import key_of, text_of
from farebox.portal.views import currency_of, methods_of, own_page, shown
from farebox.web.api import Problem, one_part
from farebox.web.errors import explained
from farebox.web.forms import parse_amount, typed_amount
from farebox.web.pages import AnyRequest, Page

HERE: Final = "/portal/payments"
SANDBOX: Final = "sandbox"
_OUTCOMES: Final = ("sandbox_ok", "sandbox_decline", "sandbox_action")
_LONGEST_LABEL: Final = 100
_PERIODS: Final = ("day", "week", "month")
Errors = dict[str, str]


@get(HERE)
@explained
async def show_payments(request: AnyRequest) -> Response[Any]:
    """Show the visitor's payment methods and balance."""
    page = await own_page(request)
    return await show(page, top_up=request.query_params.get("top-up"))


async def show(
    page: Page,
    errors: Errors | None = None,
    typed: dict[str, str] | None = None,
    *,
    top_up: str | None = None,
) -> Response[Any]:
    """Answer with the page; `typed` is what stood in the fields of a form that did not fit."""
    customer, currency = page.own.consumer, await currency_of(page)
    # The top-up first: when it ends between the two, the balance has it.
    asked = None if top_up is None else await page.find(f"/v1/top-ups/{one_part(top_up)}")
    wallet, automatic, lines = None, None, []
    if page.customer:
        wallet = await page.get(f"/v1/customers/{customer}/wallets/{currency}")
        automatic = await page.find(f"/v1/customers/{customer}/wallets/{currency}/automatic-top-up")
        path = f"/v1/customers/{customer}/wallets/{currency}/statement"
        lines = (await page.get(path, limit=8))["items"]
    gateways = await page.get("/v1/payment-gateways")
    return shown(
        page,
        "payments.html",
        errors=errors,
        currency=currency,
        methods=await methods_of(page),
        wallet=wallet,
        automatic=automatic,
        lines=lines,
        sandbox=any(one["name"] == SANDBOX for one in gateways["items"]),
        asked=asked,
        typed={**_typed(wallet, automatic, currency), **(typed or {})},
    )


def _typed(wallet: Any, automatic: Any, currency: str) -> dict[str, str]:  # noqa: ANN401 - JSON
    """Return what the fields show at first: what is set."""
    typed = {}
    if wallet is not None and wallet["low_level"] is not None:
        typed["low_level"] = typed_amount(wallet["low_level"], currency)
    if automatic is not None:
        for name in ("level", "amount", "most"):
            typed[f"automatic_{name}"] = typed_amount(automatic[name], currency)
        typed["automatic_unit"] = automatic["unit"]
    return typed


def _texts(form: Any) -> dict[str, str]:  # noqa: ANN401 - the framework's form
    return {name: text_of(form, name) for name in form if name not in {"key", "_csrf_token"}}


# -- methods ---------------------------------------------------------------------------------------


@post(HERE + "/methods", status_code=303)
@explained
async def add_method(request: AnyRequest) -> Response[Any]:
    """Keep a card of the sandbox, which charges nobody: no card's number is asked for."""
    page = await own_page(request)
    form = await request.form()
    label, key = text_of(form, "label"), key_of(form)
    outcome = text_of(form, "outcome")
    errors = {}
    if not label or len(label) > _LONGEST_LABEL:
        errors["label"] = page.words("Give the card a name of up to 100 characters.")
    if outcome not in _OUTCOMES:
        errors["outcome"] = page.words("Choose how the card behaves.")
    if errors or key is None:
        return await show(page, errors, _texts(form))
    method = {"gateway": SANDBOX, "token": f"{outcome}:{key}", "label": label}
    try:
        await page.post(f"/v1/customers/{page.own.consumer}/payment-methods", method, key=key)
    except Problem as problem:
        if problem.code != "card_number_refused":
            raise
        words = page.words("This looks like the number of a card. Never write one here.")
        return await show(page, {"label": words}, {"outcome": outcome})
    return page.go(HERE, "card_added")


@post(HERE + "/methods/{method:str}/standard", status_code=303)
@explained
async def make_standard(method: FromPath[str], request: AnyRequest) -> Response[Any]:
    """Take a method from now on where none is named."""
    page = await own_page(request)
    await page.post(f"/v1/payment-methods/{method}/standard")
    return page.go(HERE, "card_standard")


@post(HERE + "/methods/{method:str}/remove", status_code=303)
@explained
async def remove_method(method: FromPath[str], request: AnyRequest) -> Response[Any]:
    """Take nothing by a method any more."""
    page = await own_page(request)
    await page.delete(f"/v1/payment-methods/{method}")
    return page.go(HERE, "card_removed")


# -- the balance -----------------------------------------------------------------------------------


def _amounts(
    page: Page,
    form: Any,  # noqa: ANN401 - the framework's form
    currency: str,
    names: tuple[str, ...],
) -> tuple[dict[str, int], Errors]:
    """Return the amounts of fields, and words about those that are none."""
    found = {name: parse_amount(text_of(form, name), currency) for name in names}
    words = page.words("Write an amount, such as 500 or 159,50.")
    errors = {name: words for name, amount in found.items() if amount is None}
    return {name: amount for name, amount in found.items() if amount is not None}, errors


@post(HERE + "/top-up", status_code=303)
@explained
async def top_up(request: AnyRequest) -> Response[Any]:
    """Ask for money to fill the balance, once for each page that asked."""
    page = await own_page(request)
    form = await request.form()
    currency = await currency_of(page)
    amounts, errors = _amounts(page, form, currency, ("sum",))
    if not text_of(form, "top_up_method"):
        errors["top_up_method"] = page.words("Choose how to pay, or add a payment method first.")
    if errors:
        return await show(page, errors, _texts(form))
    body = {"amount": amounts["sum"], "method": text_of(form, "top_up_method")}
    path = f"/v1/customers/{page.own.consumer}/wallets/{currency}/top-ups"
    try:
        made = await page.post(path, body, key=key_of(form))
    except Problem as problem:
        words = await _why_not(page, problem, currency)
        return await show(page, {"sum": words}, _texts(form))
    return page.go(f"{HERE}?top-up={made['id']}", "paying")


async def _why_not(page: Page, problem: Problem, currency: str) -> str:
    """Say why a top-up may not be; raises what is no fault of the amount's."""
    if problem.code not in {"top_up_amount_refused", "fields_invalid"}:
        raise problem
    limit = await page.get(f"/v1/top-up-limits/{currency}")
    return page.words(
        "The amount is from %(least)s to %(most)s.",
        least=page.money(limit["least"], currency),
        most=page.money(limit["most"], currency),
    )


@post(HERE + "/automatic", status_code=303)
@explained
async def set_automatic(request: AnyRequest) -> Response[Any]:
    """Let the balance be filled by itself, within a limit; or no longer."""
    page = await own_page(request)
    form = await request.form()
    currency = await currency_of(page)
    path = f"/v1/customers/{page.own.consumer}/wallets/{currency}/automatic-top-up"
    if text_of(form, "off"):
        if await page.find(path) is not None:
            await page.delete(path)
        return page.go(HERE, "automatic_off")
    names = ("automatic_level", "automatic_amount", "automatic_most")
    amounts, errors = _amounts(page, form, currency, names)
    unit = text_of(form, "automatic_unit")
    if unit not in _PERIODS:
        errors["automatic_unit"] = page.words("Choose a period.")
    if not errors and amounts["automatic_most"] < amounts["automatic_amount"]:
        errors["automatic_most"] = page.words("The limit is at least the amount of one top-up.")
    if errors:
        return await show(page, errors, _texts(form))
    terms = {name.removeprefix("automatic_"): amount for name, amount in amounts.items()}
    try:
        await page.put(path, {**terms, "unit": unit})
    except Problem as problem:
        if problem.code not in {"top_up_terms_refused", "top_up_amount_refused", "fields_invalid"}:
            raise
        words = page.words("These amounts do not go together, or are outside the limits.")
        return await show(page, {"automatic_amount": words}, _texts(form))
    return page.go(HERE, "automatic_set")


@post(HERE + "/low-level", status_code=303)
@explained
async def set_low_level(request: AnyRequest) -> Response[Any]:
    """Say at what balance the visitor is told; an empty field says never."""
    page = await own_page(request)
    form = await request.form()
    currency = await currency_of(page)
    path = f"/v1/customers/{page.own.consumer}/wallets/{currency}"
    if not text_of(form, "low_level"):
        wallet = await page.find(path)
        if wallet is not None and wallet["low_level"] is not None:
            await page.delete(f"{path}/low-level")
        return page.go(HERE, "level_off")
    amounts, errors = _amounts(page, form, currency, ("low_level",))
    if errors:
        return await show(page, errors, _texts(form))
    await page.put(f"{path}/low-level", {"level": amounts["low_level"]})
    return page.go(HERE, "level_set")


@get(HERE + "/statement.csv")
@explained
async def show_statement(request: AnyRequest) -> Response[Any]:
    """Hand on the statement of the balance as a table."""
    page = await own_page(request)
    path = f"/v1/customers/{page.own.consumer}/wallets/{await currency_of(page)}"
    return await page.file(f"{path}/statement.csv")


HANDLERS = (
    show_payments,
    add_method,
    make_standard,
    remove_method,
    top_up,
    set_automatic,
    set_low_level,
    show_statement,
)
