"""Who sells, how documents are numbered, which periods are closed."""

from typing import Annotated, Literal

from litestar import get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import Meta, field

from farebox.billing.invoices import service_settings as settings
from farebox.billing.invoices.model import Bank, Place, Seller, Series
from farebox.http.deps import BILLING, Command, Desk
from farebox.http.routes.invoice_forms import Language
from farebox.http.wire import ONE_LINE, Body, Name, Time, View, read_time, show_time
from farebox.storage import Tx

TAGS = ["Invoices"]
Detail = Annotated[str, Meta(min_length=1, max_length=256, pattern=ONE_LINE)]
Country = Annotated[str, Meta(pattern=r"^[A-Z]{2}$", description="ISO 3166")]
Terms = Annotated[str, Meta(min_length=1, max_length=1_024, pattern=ONE_LINE)]
Prefix = Annotated[str, Meta(pattern=r"^[A-ZА-ЯЁ0-9][A-ZА-ЯЁ0-9-]{0,15}$")]


class BankForm(Body, frozen=True):
    """Where to pay to."""

    account: Detail
    name: Detail | None = None
    code: Detail | None = None
    correspondent: Detail | None = None


class SellerForm(Body, frozen=True):
    """Who sells, as documents say it from now on."""

    name: Name
    country: Country
    lines: Annotated[list[Detail], Meta(max_length=4)] = field(default_factory=list)
    city: Detail | None = None
    postal_code: Detail | None = None
    region: Detail | None = None
    tax_number: Detail | None = None
    registration: Detail | None = None
    email: Detail | None = None
    phone: Detail | None = None
    bank: BankForm | None = None
    terms: Terms | None = None
    language: Language = "en"


class BankView(View, frozen=True):
    """Where to pay to."""

    account: str
    name: str | None
    code: str | None
    correspondent: str | None


class SellerView(View, frozen=True):
    """Who sells."""

    name: str
    country: str | None
    lines: list[str]
    city: str | None
    postal_code: str | None
    region: str | None
    tax_number: str | None
    registration: str | None
    email: str | None
    phone: str | None
    bank: BankView | None
    terms: str | None
    language: str


class SeriesForm(Body, frozen=True):
    """How documents are numbered: `INV-2026-000001` is prefix, year (if `yearly`), sequence."""

    prefix: Prefix
    kind: Literal["invoice", "credit_note"] = "invoice"
    yearly: bool = True
    digits: Annotated[int, Meta(ge=1, le=12)] = 6


class SeriesView(View, frozen=True):
    """A series of documents."""

    series: str
    kind: Literal["invoice", "credit_note"]
    prefix: str
    yearly: bool
    digits: int


class AllSeries(View, frozen=True):
    """Every series of documents."""

    items: list[SeriesView]


class ClosePeriod(Body, frozen=True):
    """Until when, not included, nothing is dated any more."""

    until: Time


class ClosedView(View, frozen=True):
    """Until when periods are closed; null where none is."""

    closed_until: Time | None


def show_seller(seller: Seller) -> SellerView:
    """Return who sells as the API shows it."""
    place, bank = seller.place, seller.bank
    return SellerView(
        name=seller.name,
        country=place.country,
        lines=list(place.lines),
        city=place.city,
        postal_code=place.postal_code,
        region=place.region,
        tax_number=seller.tax_number,
        registration=seller.registration,
        email=seller.email,
        phone=seller.phone,
        bank=None
        if bank is None
        else BankView(
            account=bank.account,
            name=bank.name,
            code=bank.code,
            correspondent=bank.correspondent,
        ),
        terms=seller.terms,
        language=seller.language,
    )


def _seller_of(form: SellerForm) -> Seller:
    bank = form.bank
    return Seller(
        name=form.name,
        place=Place(
            lines=tuple(form.lines),
            city=form.city,
            postal_code=form.postal_code,
            region=form.region,
            country=form.country,
        ),
        tax_number=form.tax_number,
        registration=form.registration,
        email=form.email,
        phone=form.phone,
        bank=None
        if bank is None
        else Bank(
            account=bank.account,
            name=bank.name,
            code=bank.code,
            correspondent=bank.correspondent,
        ),
        terms=form.terms,
        language=form.language,
    )


def show_series(series: Series) -> SeriesView:
    """Return a series as the API shows it."""
    return SeriesView(
        series=series.series,
        kind=series.kind,
        prefix=series.prefix,
        yearly=series.yearly,
        digits=series.digits,
    )


@get(
    "/v1/seller", operation_id="readSeller", opt={**BILLING, "problems": (409,)}, tags=TAGS,
    sync_to_thread=True,
)  # fmt: skip
def read_seller(desk: NamedDependency[Desk]) -> SellerView:
    """Read who sells, as documents that are issued now say it."""
    return desk.read(lambda tx: show_seller(settings.read_seller(tx)))


@put("/v1/seller", operation_id="setSeller", opt=BILLING, tags=TAGS, sync_to_thread=True)
def set_seller(data: JSONBody[SellerForm], command: NamedDependency[Command]) -> SellerView:
    """Say who sells from now on; issued documents keep what they say."""
    made = _seller_of(data)
    return command.answer(
        SellerView, lambda tx: show_seller(settings.set_seller(tx, command.actor, made))
    )


@get(
    "/v1/document-series", operation_id="listDocumentSeries", opt=BILLING, tags=TAGS,
    sync_to_thread=True,
)  # fmt: skip
def list_series(desk: NamedDependency[Desk]) -> AllSeries:
    """List the series by which invoices and credit notes are numbered."""
    return AllSeries(items=[show_series(each) for each in desk.read(settings.list_series)])


@put(
    "/v1/document-series/{series:str}", operation_id="setDocumentSeries", opt=BILLING, tags=TAGS,
    sync_to_thread=True,
)  # fmt: skip
def set_series(
    series: FromPath[str], data: JSONBody[SeriesForm], command: NamedDependency[Command]
) -> SeriesView:
    """Make a series, or change one that has numbered nothing yet."""
    made = Series(
        series=series, kind=data.kind, prefix=data.prefix, yearly=data.yearly, digits=data.digits
    )
    return command.answer(
        SeriesView, lambda tx: show_series(settings.set_series(tx, command.actor, made))
    )


def _closed(tx: Tx) -> ClosedView:
    until = settings.closed_until(tx)
    return ClosedView(closed_until=show_time(until) if until else None)


@get(
    "/v1/closed-period",
    operation_id="readClosedPeriod",
    opt=BILLING,
    tags=TAGS,
    sync_to_thread=True,
)
def read_closed(desk: NamedDependency[Desk]) -> ClosedView:
    """Read until when periods are closed."""
    return desk.read(_closed)


@post(
    "/v1/closed-period", operation_id="closePeriod", opt=BILLING, tags=TAGS, status_code=200,
    sync_to_thread=True,
)  # fmt: skip
def close(data: JSONBody[ClosePeriod], command: NamedDependency[Command]) -> ClosedView:
    """Close everything before an instant, for ever."""
    until = read_time(data.until)

    def work(tx: Tx) -> ClosedView:
        settings.close_period(tx, command.actor, until)
        return _closed(tx)

    return command.answer(ClosedView, work)


HANDLERS = (read_seller, set_seller, list_series, set_series, read_closed, close)
