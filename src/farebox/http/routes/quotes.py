"""Quotes: what something would cost somebody, by the code that bills it. Nothing is changed."""

from decimal import Decimal
from typing import Annotated

from litestar import post
from litestar.di import NamedDependency
from litestar.params import JSONBody
from msgspec import Meta
from msgspec.structs import replace

from farebox.billing.customers.model import CustomerUnknown
from farebox.billing.customers.service import find_customer
from farebox.billing.customers.service_payer import payer_of
from farebox.billing.pricing.model_prices import PriceRefused
from farebox.billing.pricing.model_promotions import OnSale
from farebox.billing.pricing.model_quotes import QuoteLine
from farebox.billing.pricing.model_taxes import NOWHERE, Payer
from farebox.billing.pricing.rules_quotes import Quote
from farebox.billing.pricing.service_prices import find_price
from farebox.billing.pricing.service_promotions import reduced_line
from farebox.billing.pricing.service_quotes import line_of, total_of
from farebox.http.deps import BILLING, Desk
from farebox.http.routes.price_forms import CouponCode, Quantity, Version
from farebox.http.routes.promotions import PromotedView, show_promoted
from farebox.http.routes.tax_rates import Country, Region
from farebox.http.wire import Body, Id, Time, View, read_time
from farebox.kernel.refusals import ValueRefused
from farebox.storage import Tx

TAGS = ["Prices"]


class LineForm(Body, frozen=True):
    """So much on a price: its newest version, unless another one is named."""

    price: Id
    version: Version | None = None
    quantity: Quantity = "1"


class AskQuote(Body, frozen=True):
    """Lines of one currency, for a customer or for somebody in a place.

    A customer's own coupons count, those of `subscription` too; `coupons` are entered and not
    redeemed yet. `at` is when it would be billed: now, if nothing is said.
    """

    lines: Annotated[tuple[LineForm, ...], Meta(min_length=1, max_length=100)]
    customer: Id | None = None
    subscription: Id | None = None
    country: Country | None = None
    region: Region | None = None
    coupons: Annotated[tuple[CouponCode, ...], Meta(max_length=20)] = ()
    at: Time | None = None


class QuotedTax(View, frozen=True):
    """What a tax came to."""

    code: str
    percent: str
    tax: int


class QuotedLine(View, frozen=True):
    """A line: `list_amount` less its promotion is `amount`; less `discount`, net, tax, gross."""

    price: str
    version: int
    list_amount: int
    promotion: PromotedView | None
    amount: int
    discount: int
    net: int
    tax: int
    gross: int


class QuoteView(View, frozen=True):
    """What it comes to, in the currency's smallest unit.

    With `inclusive` the amounts contain their taxes. `treatment` says whether tax is charged and,
    where not, `note` why.
    """

    currency: str
    inclusive: bool
    lines: list[QuotedLine]
    coupons: dict[str, int]
    taxes: list[QuotedTax]
    treatment: str
    note: str | None
    amount: int
    discount: int
    net: int
    tax: int
    gross: int


def show_quote(found: Quote, asked: list[tuple[QuoteLine, OnSale]]) -> QuoteView:
    """Return a quote as the API shows it, each line with the price that it is of."""
    lines = zip(asked, found.discount.lines, found.tax.lines, strict=True)
    return QuoteView(
        currency=found.currency,
        inclusive=found.inclusive,
        lines=[
            QuotedLine(
                price=sold.price.id,
                version=sold.price.version,
                list_amount=sold.list_fee,
                promotion=show_promoted(sold.promotion),
                amount=line.amount,
                discount=off.amount,
                net=taxed.net,
                tax=taxed.tax,
                gross=taxed.gross,
            )
            for (line, sold), off, taxed in lines
        ],
        coupons=found.discount.by_code,
        taxes=[
            QuotedTax(code=each.code, percent=f"{each.percent:f}", tax=each.tax)
            for each in found.tax.breakdown
        ],
        treatment=found.treatment.kind,
        note=found.treatment.note,
        amount=found.fees,
        discount=found.discount.total,
        net=found.tax.net,
        tax=found.tax.tax,
        gross=found.tax.gross,
    )


def _payer(tx: Tx, asked: AskQuote) -> Payer:
    if asked.customer is None:
        return Payer(country=asked.country or NOWHERE, region=asked.region)
    customer = find_customer(tx, asked.customer)
    if customer is None:
        raise CustomerUnknown
    return payer_of(customer)


@post(
    "/v1/quotes",
    operation_id="quote",
    tags=TAGS,
    status_code=200,
    opt=BILLING,
    sync_to_thread=True,
)
def quote(data: JSONBody[AskQuote], desk: NamedDependency[Desk]) -> QuoteView:
    """Say what something would cost: lines with their promotions, coupons, then tax.

    An order or an invoice of the same lines at the same time comes to the same.
    """

    def work(tx: Tx) -> QuoteView:
        at = tx.now_us if data.at is None else read_time(data.at)
        asked = []
        for place, one in enumerate(data.lines):
            price = find_price(tx, one.price, one.version)
            try:
                line = line_of(price, name=str(place), quantity=Decimal(one.quantity))
            except ValueRefused as error:
                raise PriceRefused(error.detail) from error
            sold = reduced_line(tx, price, line, at)
            asked.append((replace(line, amount=sold.fee), sold))
        found = total_of(
            tx,
            [line for line, _ in asked],
            _payer(tx, data),
            at,
            subscription=data.subscription,
            coupons=data.coupons,
        )
        return show_quote(found, asked)

    return desk.read(work)


HANDLERS = (quote,)
