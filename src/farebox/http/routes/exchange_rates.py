"""Exchange rates by day: own ones, the European Central Bank's file, and what holds on a day."""

import contextlib
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Annotated, Final

from litestar import delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter, RawBody
from msgspec import Meta

from farebox.billing.pricing import service_rates as service
from farebox.billing.pricing.model_money import CurrencyUnknown, DayRate, RateUnknown
from farebox.http.deps import BILLING, AnyRequest, Command, Desk
from farebox.http.refusals import BodyMalformed, ContentTypeRefused
from farebox.http.routes.usage import with_body
from farebox.http.wire import Body, Limit, Page, View
from farebox.kernel.clock import show_time
from farebox.kernel.refusals import ValueRefused
from farebox.kernel.rounding import rounded_to
from farebox.storage import Tx

TAGS = ["Exchange rates"]
CSV: Final = "text/csv"
_PLACES: Final = 12
_CURRENCY: Final = r"^[A-Z]{3}$"
Rate = Annotated[
    str,
    Meta(
        pattern=r"^(0\.0{0,11}[1-9][0-9]{0,11}|[1-9][0-9]{0,11}(\.[0-9]{1,12})?)$",
        description="A decimal string above 0",
    ),
]
DayFilter = Annotated[date | None, QueryParameter(name="day", description="ISO 8601")]
BaseFilter = Annotated[str | None, QueryParameter(name="base", pattern=_CURRENCY)]
QuoteFilter = Annotated[str | None, QueryParameter(name="quote", pattern=_CURRENCY)]
RateCursor = Annotated[
    str | None,
    QueryParameter(
        name="cursor",
        max_length=40,
        pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}_[A-Z]{3}_[A-Z]{3}_[A-Za-z]{1,16}$",
        description="The last `next`",
    ),
]
SourceFilter = Annotated[
    str | None, QueryParameter(name="source", max_length=16, pattern=r"^[A-Za-z]+$")
]


class SetRate(Body, frozen=True):
    """One unit of the first currency is `rate` of the second."""

    rate: Rate


class RateView(View, frozen=True):
    """One unit of `base` is `rate` of `quote` from `day` on. `source` is `own` or `ECB`."""

    base: str
    quote: str
    day: date
    rate: str
    source: str


class FoundRateView(View, frozen=True):
    """How much of `quote` one of `base` is on a day, at 12 decimal places, and by which rates.

    Amounts are converted by the exact rate.
    """

    base: str
    quote: str
    day: date
    rate: str
    used: list[RateView]


class ImportView(View, frozen=True):
    """What a file brought: its days, and how many rates were new, corrected, and as they were."""

    days: int
    added: int
    changed: int
    same: int


def show_rate(rate: DayRate) -> RateView:
    """Return a rate as the API shows it."""
    return RateView(
        base=rate.base,
        quote=rate.quote,
        day=rate.day,
        rate=f"{rate.rate:f}",
        source=rate.source,
    )


@contextlib.contextmanager
def _between_currencies() -> Iterator[None]:
    """Say of a path that names no two currencies that there is no rate between them."""
    try:
        yield
    except (CurrencyUnknown, ValueRefused) as error:
        raise RateUnknown(error.detail) from error


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise RateUnknown(f"{text} is no day") from error


@get(
    "/v1/exchange-rates",
    operation_id="listExchangeRates",
    tags=TAGS,
    opt=BILLING,
    sync_to_thread=True,
)
def list_rates(
    *,
    desk: NamedDependency[Desk],
    base: BaseFilter = None,
    quote: QuoteFilter = None,
    day: DayFilter = None,
    source: SourceFilter = None,
    limit: Limit = 100,
    cursor: RateCursor = None,
) -> Page[RateView]:
    """List rates, the newest days first."""
    page = desk.read(
        lambda tx: service.list_rates(
            tx, base=base, quote=quote, day=day, source=source, after=cursor, limit=limit
        )
    )
    return Page(items=[show_rate(rate) for rate in page.items], next=page.next)


@get(
    "/v1/exchange-rates/{base:str}/{quote:str}",
    operation_id="readExchangeRate",
    tags=TAGS,
    opt={**BILLING, "problems": (409,)},
    sync_to_thread=True,
)
def read_rate(
    base: FromPath[str], quote: FromPath[str], desk: NamedDependency[Desk], day: DayFilter = None
) -> FoundRateView:
    """Read what one of a currency is in another, on a day or today.

    An own rate goes before the bank's, a rate of the pair before its reverse, and either before the
    way through the euro. No rate is older than 7 days.
    """

    def work(tx: Tx) -> FoundRateView:
        on = day or date.fromisoformat(show_time(tx.now_us)[:10])
        with _between_currencies():
            rate, used = service.rate_between(tx, base, quote, on)
        return FoundRateView(
            base=base,
            quote=quote,
            day=on,
            rate=f"{rounded_to(_PLACES, rate):f}",
            used=[show_rate(each) for each in used],
        )

    return desk.read(work)


@put(
    "/v1/exchange-rates/{base:str}/{quote:str}/{day:str}",
    operation_id="setExchangeRate",
    tags=TAGS,
    opt=BILLING,
    sync_to_thread=True,
)
def set_rate(
    base: FromPath[str],
    quote: FromPath[str],
    day: FromPath[str],
    data: JSONBody[SetRate],
    command: NamedDependency[Command],
) -> RateView:
    """Set an own rate of a day, which goes before the bank's; what was converted stays."""
    on, rate = _day(day), Decimal(data.rate)

    def work(tx: Tx) -> RateView:
        with _between_currencies():
            made = service.set_rate(tx, command.actor, base=base, quote=quote, day=on, rate=rate)
        return show_rate(made)

    return command.answer(RateView, work)


@delete(
    "/v1/exchange-rates/{base:str}/{quote:str}/{day:str}",
    operation_id="removeExchangeRate",
    tags=TAGS,
    opt=BILLING,
    status_code=204,
    sync_to_thread=True,
)
def remove_rate(
    base: FromPath[str],
    quote: FromPath[str],
    day: FromPath[str],
    command: NamedDependency[Command],
) -> None:
    """Forget an own rate of a day."""
    on = _day(day)
    command.write(lambda tx: service.remove_rate(tx, command.actor, base=base, quote=quote, day=on))


@post(
    "/v1/exchange-rates/ecb",
    operation_id="importExchangeRates",
    tags=TAGS,
    status_code=200,
    sync_to_thread=True,
    opt={**BILLING, "reads": {CSV: None}},
)
def import_rates(
    body: RawBody, request: AnyRequest, command: NamedDependency[Command]
) -> ImportView:
    """Take in the European Central Bank's file, unpacked, whole or not at all.

    `eurofxref.csv` of one day or `eurofxref-hist-90d.csv`; for all that there ever was there is
    `farebox rates`. The same file again changes nothing.
    """
    media_type, _ = request.content_type
    if media_type.lower() != CSV:
        raise ContentTypeRefused(f"send {CSV}")
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BodyMalformed("the file is not UTF-8") from error
    command = with_body(command, body)
    file = service.read_ecb_file(text)

    def work(tx: Tx) -> ImportView:
        done = service.import_ecb(tx, command.actor, file)
        return ImportView(days=done.days, added=done.added, changed=done.changed, same=done.same)

    return command.answer(ImportView, work)


HANDLERS = (list_rates, read_rate, set_rate, remove_rate, import_rates)
