"""`/portal/invoices`: what was billed, as a list, as a page, as PDF; paying what is open."""

from typing import Any, Final

from anyio import move_on_after, sleep
from litestar import Response, get, post
from litestar.params import FromPath

from farebox.portal.forms import key_of, text_of
from farebox.portal.views import methods_of, own_page, shown
from farebox.web.api import Problem, one_part
from farebox.web.errors import explained
from farebox.web.pages import AnyRequest, Page

WALLET: Final = "wallet"
_OPEN: Final = frozenset({"issued", "past_due", "uncollectible"})
_PATIENCE_S: Final = 4.0
_TICK_S: Final = 0.1
_UNDER_WAY: Final = frozenset({"created", "processing", "unknown"})


@get("/portal/invoices")
@explained
async def show_invoices(request: AnyRequest) -> Response[Any]:
    """List the visitor's invoices and credit notes, newest first."""
    page = await own_page(request)
    cursor = request.query_params.get("cursor")
    found = await page.get("/v1/invoices", limit=30, cursor=cursor)
    notes = await page.get("/v1/credit-notes", limit=30)
    credit: dict[str, int] = {}
    if page.customer:
        said = await page.find(f"/v1/customers/{page.own.consumer}/credit")
        credit = {} if said is None else said["credit"]
    return shown(
        page,
        "invoices.html",
        invoices=found["items"],
        following=found["next"],
        notes=notes["items"],
        credit={name: amount for name, amount in credit.items() if amount},
    )


@get("/portal/invoices/{invoice:str}")
@explained
async def show_invoice(invoice: FromPath[str], request: AnyRequest) -> Response[Any]:
    """Show an invoice, and how it may be paid."""
    page = await own_page(request)
    return await _shown(page, invoice, request.query_params.get("payment"))


async def _shown(
    page: Page, invoice: str, payment: str | None, errors: dict[str, str] | None = None
) -> Response[Any]:
    # The payment first: when it ends between the two, the invoice knows.
    paid = None if payment is None else await page.find(f"/v1/payments/{one_part(payment)}")
    found = await page.get(f"/v1/invoices/{invoice}")
    path = f"/v1/customers/{page.own.consumer}/wallets/{found['currency']}"
    wallet = await page.find(path) if page.customer else None
    waits = paid is not None and paid["state"] in _UNDER_WAY and found["due"] > 0
    return shown(
        page,
        "invoice.html",
        errors=errors,
        invoice=found,
        payment=paid,
        waits=waits,
        payable=found["state"] in _OPEN and found["due"] > 0 and not waits,
        methods=await methods_of(page),
        balance=0 if wallet is None else wallet["available"],
        notes=(await page.get(f"/v1/invoices/{invoice}/credit-notes"))["items"],
    )


@post("/portal/invoices/{invoice:str}/pay", status_code=303)
@explained
async def pay_invoice(invoice: FromPath[str], request: AnyRequest) -> Response[Any]:
    """Pay all that is owed, once for each page that asked."""
    page = await own_page(request)
    form = await request.form()
    chosen = text_of(form, "method")
    if not chosen:
        words = page.words("Choose how to pay, or add a payment method first.")
        return await _shown(page, invoice, None, {"method": words})
    how = {"gateway": WALLET} if chosen == WALLET else {"method": chosen}
    try:
        made = await _pay(page, invoice, how, key_of(form))
    except Problem as problem:
        if problem.status == 401 or problem.code == "invoice_unknown":  # noqa: PLR2004 - signed out
            raise
        return await _shown(page, invoice, None, {"method": _why(page, problem)})
    return page.go(f"/portal/invoices/{invoice}?payment={made['payment']}", "paying")


async def _pay(page: Page, invoice: str, how: dict[str, str], key: str | None) -> Any:  # noqa: ANN401 - JSON
    """Pay; what waits for the customer in another way, a transfer say, is called off for it."""
    path = f"/v1/invoices/{invoice}/payments"
    try:
        return await page.post(path, how, key=key)
    except Problem as problem:
        if problem.code != "payment_under_way" or not await _called_off(page, invoice):
            raise
    return await page.post(path, how, key=key)


async def _called_off(page: Page, invoice: str) -> bool:
    """Call off a payment of an invoice that waits for its customer; tell whether it is gone."""
    waiting = (await page.get("/v1/payments", state="action_required", limit=100))["items"]
    mine = next((one["id"] for one in waiting if one["reference"] == invoice), None)
    if mine is None:
        return False
    await page.post(f"/v1/payments/{mine}/cancel")
    with move_on_after(_PATIENCE_S):
        while (await page.get(f"/v1/payments/{mine}"))["state"] != "failed":  # noqa: ASYNC110 - the API tells nobody
            await sleep(_TICK_S)
        return True
    return False


def _why(page: Page, problem: Problem) -> str:
    words = {
        "payment_under_way": page.words("A payment is under way already. Look again in a moment."),
        "invoice_paid_already": page.words("This invoice needs no payment any more."),
        "payment_method_unknown": page.words("This payment method is not there any more."),
    }
    otherwise = page.words("This cannot be paid in this way now. Nothing was charged.")
    return words.get(problem.code, otherwise)


@get("/portal/invoices/{invoice:str}/pdf")
@explained
async def show_invoice_pdf(invoice: FromPath[str], request: AnyRequest) -> Response[Any]:
    """Hand on an invoice as a file."""
    page = await own_page(request)
    return await page.file(f"/v1/invoices/{invoice}/pdf")


@get("/portal/credit-notes/{note:str}/pdf")
@explained
async def show_note_pdf(note: FromPath[str], request: AnyRequest) -> Response[Any]:
    """Hand on a credit note as a file."""
    page = await own_page(request)
    return await page.file(f"/v1/credit-notes/{note}/pdf")


HANDLERS = (show_invoices, show_invoice, pay_invoice, show_invoice_pdf, show_note_pdf)
