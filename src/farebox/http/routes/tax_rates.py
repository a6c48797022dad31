"""Tax: rates of places over time, where the seller is, and numbers that are looked at."""

from decimal import Decimal
from typing import Annotated

from litestar import get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Meta

from farebox.billing.pricing import service_tax as service
from farebox.billing.pricing.model_money import Level, VatNumberRefused
from farebox.billing.pricing.model_taxes import (
    LONGEST_REGION,
    LONGEST_TAX_CODE,
    TaxRate,
    TaxSettings,
)
from farebox.contracts.decisions import LARGEST_QUANTITY
from farebox.http.deps import BILLING, Command, Desk
from farebox.http.routes.price_forms import Percent
from farebox.http.wire import (
    ONE_LINE,
    Body,
    Limit,
    Page,
    TextCursor,
    Time,
    TimeOutOfRange,
    View,
    read_end,
    read_time,
    show_time,
)
from farebox.storage import Tx

TAGS = ["Taxes"]
TaxCode = Annotated[str, Meta(max_length=LONGEST_TAX_CODE, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
Country = Annotated[str, Meta(pattern=r"^[A-Z]{2}$", description="ISO 3166")]
Region = Annotated[str, Meta(min_length=1, max_length=LONGEST_REGION, pattern=ONE_LINE)]
SettingsVersion = Annotated[
    int, Meta(ge=0, le=LARGEST_QUANTITY, description="The version that the change is made from")
]
CountryFilter = Annotated[
    str | None, QueryParameter(name="country", pattern=r"^[A-Z]{2}$", description="ISO 3166")
]
CodeFilter = Annotated[
    str | None,
    QueryParameter(
        name="code", max_length=LONGEST_TAX_CODE, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
    ),
]
At = Annotated[Time | None, QueryParameter(name="at", description="Only what holds then")]


class CreateTaxRate(Body, frozen=True):
    """One tax of a country or of a region of it, for everything or for one category.

    It holds from now on unless another time is said. The rates of a region are instead of its
    country's, those of a category instead of the general ones.
    """

    code: TaxCode
    percent: Percent
    country: Country
    region: Region | None = None
    category: Region | None = None
    valid_from: Time | None = None
    valid_until: Time | None = None


class EndTaxRate(Body, frozen=True):
    """Until when the rate holds; now, if nothing is said."""

    at: Time | None = None


class TaxRateView(View, frozen=True):
    """One tax. Its percentage never changes: another one is another rate from then on."""

    id: str
    code: str
    percent: str
    country: str
    region: str | None
    category: str | None
    valid_from: Time
    valid_until: Time | None
    created_at: Time


class ReplaceTaxSettings(Body, frozen=True):
    """Where the seller is, and whether tax is rounded by line, by rate or once."""

    country: Country | None = None
    level: Level = "line"
    expected_version: SettingsVersion | None = None


class TaxSettingsView(View, frozen=True):
    """Where the seller is, and where tax is rounded. Version 0 was never said."""

    country: str | None
    level: Level
    version: int


class VatNumberView(View, frozen=True):
    """Whether form and check digits of a VAT number are right; a registration is not looked up."""

    number: str
    valid: bool
    country: str | None
    checked_at: Time


def show_tax_rate(rate: TaxRate) -> TaxRateView:
    """Return a tax rate as the API shows it."""
    return TaxRateView(
        id=rate.id,
        code=rate.code,
        percent=f"{rate.percent:f}",
        country=rate.country,
        region=rate.region,
        category=rate.category,
        valid_from=show_time(rate.valid_from),
        valid_until=None if rate.valid_until is None else show_time(rate.valid_until),
        created_at=show_time(rate.created_at),
    )


def show_settings(settings: TaxSettings) -> TaxSettingsView:
    """Return the settings as the API shows them."""
    return TaxSettingsView(country=settings.country, level=settings.level, version=settings.version)


@post("/v1/tax-rates", operation_id="createTaxRate", tags=TAGS, opt=BILLING, sync_to_thread=True)
def create_tax_rate(
    data: JSONBody[CreateTaxRate], command: NamedDependency[Command]
) -> TaxRateView:
    """Let a tax hold in a place."""

    def work(tx: Tx) -> TaxRateView:
        begins = tx.now_us if data.valid_from is None else read_time(data.valid_from)
        ends = None if data.valid_until is None else read_time(data.valid_until)
        if ends is not None and ends <= begins:
            raise TimeOutOfRange("a tax holds from before it holds until")
        made = service.create_tax_rate(
            tx,
            command.actor,
            code=data.code,
            percent=Decimal(data.percent),
            country=data.country,
            region=data.region,
            category=data.category,
            valid_from=begins,
            valid_until=ends,
        )
        return show_tax_rate(made)

    return command.answer(TaxRateView, work)


@get("/v1/tax-rates", operation_id="listTaxRates", tags=TAGS, opt=BILLING, sync_to_thread=True)
def list_tax_rates(
    *,
    desk: NamedDependency[Desk],
    country: CountryFilter = None,
    code: CodeFilter = None,
    at: At = None,
    limit: Limit = 100,
    cursor: TextCursor = None,
) -> Page[TaxRateView]:
    """List tax rates, oldest first."""
    moment = None if at is None else read_time(at)
    page = desk.read(
        lambda tx: service.list_tax_rates(
            tx, country=country, code=code, at=moment, after=cursor, limit=limit
        )
    )
    return Page(items=[show_tax_rate(rate) for rate in page.items], next=page.next)


@get(
    "/v1/tax-rates/{tax_rate:str}",
    operation_id="readTaxRate",
    tags=TAGS,
    opt=BILLING,
    sync_to_thread=True,
)
def read_tax_rate(tax_rate: FromPath[str], desk: NamedDependency[Desk]) -> TaxRateView:
    """Read a tax rate."""
    return show_tax_rate(desk.read(lambda tx: service.find_tax_rate(tx, tax_rate)))


@post(
    "/v1/tax-rates/{tax_rate:str}/end",
    operation_id="endTaxRate",
    tags=TAGS,
    opt=BILLING,
    status_code=200,
    sync_to_thread=True,
)
def end_tax_rate(
    tax_rate: FromPath[str], data: JSONBody[EndTaxRate], command: NamedDependency[Command]
) -> TaxRateView:
    """Let a tax hold no longer, from now on or from a later time; an end is never moved later."""

    def work(tx: Tx) -> TaxRateView:
        at = read_end(data.at, now_us=tx.now_us)
        return show_tax_rate(service.end_tax_rate(tx, command.actor, tax_rate, at=at))

    return command.answer(TaxRateView, work)


@get(
    "/v1/tax-settings",
    operation_id="readTaxSettings",
    tags=TAGS,
    opt=BILLING,
    sync_to_thread=True,
)
def read_tax_settings(desk: NamedDependency[Desk]) -> TaxSettingsView:
    """Read where the seller is, and where tax is rounded."""
    return show_settings(desk.read(service.tax_settings))


@put(
    "/v1/tax-settings",
    operation_id="replaceTaxSettings",
    tags=TAGS,
    opt=BILLING,
    sync_to_thread=True,
)
def replace_tax_settings(
    data: JSONBody[ReplaceTaxSettings], command: NamedDependency[Command]
) -> TaxSettingsView:
    """Say where the seller is and where tax is rounded, for what is billed from now on."""

    def work(tx: Tx) -> TaxSettingsView:
        made = service.set_tax_settings(
            tx,
            command.actor,
            country=data.country,
            level=data.level,
            expected_version=data.expected_version,
        )
        return show_settings(made)

    return command.answer(TaxSettingsView, work)


@get(
    "/v1/vat-numbers/{number:str}",
    operation_id="checkVatNumber",
    tags=TAGS,
    opt=BILLING,
    sync_to_thread=True,
)
def check_vat_number(number: FromPath[str], desk: NamedDependency[Desk]) -> VatNumberView:
    """Look at a VAT number with its country's letters; its check digits only, offline."""

    def work(tx: Tx) -> VatNumberView:
        try:
            found = service.check_vat_number(tx, number)
        except VatNumberRefused:
            return VatNumberView(
                number=number, valid=False, country=None, checked_at=show_time(tx.now_us)
            )
        return VatNumberView(
            number=found.number,
            valid=True,
            country=found.country,
            checked_at=show_time(found.checked_at_us),
        )

    return desk.read(work)


HANDLERS = (
    create_tax_rate,
    list_tax_rates,
    read_tax_rate,
    end_tax_rate,
    read_tax_settings,
    replace_tax_settings,
    check_vat_number,
)
