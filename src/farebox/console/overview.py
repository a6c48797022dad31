"""The first page: what needs somebody, what money did, what has just happened."""

import asyncio
from typing import Any, Final

import msgspec
from litestar import Response, get

from farebox.console.asking import allowed
from farebox.console.session import opened
from farebox.kernel.clock import SECOND_US, show_time
from farebox.web.api import one_part
from farebox.web.errors import explained
from farebox.web.pages import AnyRequest, Page

_DAY_US: Final = 86_400 * SECOND_US
SPANS: Final = (1, 7, 30)
_MOST: Final = 50
_FIGURES: Final = (
    *("top_ups", "charges", "refunds", "net", "commission"),
    *("average_order", "orders", "wallets", "bonus"),
)


class Need(msgspec.Struct, frozen=True):
    """Something that waits for a person: what, how many, since when, and where to see it."""

    what: str
    count: int
    more: bool
    oldest: str | None
    rows: list[dict[str, Any]]


_QUEUES: Final[tuple[tuple[str, str, dict[str, str]], ...]] = (
    ("unknown_payments", "/v1/payments", {"attention": "true"}),
    ("stuck_refunds", "/v1/refunds", {"attention": "true"}),
    ("open_chargebacks", "/v1/chargebacks", {"state": "opened"}),
    ("payouts_to_confirm", "/v1/payouts", {"state": "requested"}),
    ("dead_letters", "/v1/dead-letters", {}),
    ("failed_letters", "/v1/deliveries", {"state": "failed"}),
)


@get("/console/")
@explained
async def show_overview(request: AnyRequest) -> Response[Any]:
    """Show what needs somebody first, then money, then the newest changes."""
    page = await opened(request)
    needs, money, events, clock, balance = await asyncio.gather(
        _needs(page), _money(page), _newest(page), _clock(page), _imbalance(page)
    )
    return page.show(
        "console/overview.html",
        needs=[need for need in needs if need is not None],
        money_figures=money,
        spans=SPANS,
        changes=events,
        clock=clock,
        imbalance=balance,
    )


async def _needs(page: Page) -> list[Need | None]:
    return await asyncio.gather(*(_need(page, *queue) for queue in _QUEUES))


async def _need(page: Page, what: str, path: str, asked: dict[str, str]) -> Need | None:
    found = await allowed(page, path, limit=_MOST, **asked)
    if not found or not found["items"]:
        return None
    rows = found["items"]
    times = [row.get("created_at") or row.get("failed_at") or row.get("at") for row in rows]
    known = sorted(time for time in times if time)
    return Need(what, len(rows), bool(found.get("next")), known[0] if known else None, rows)


async def _money(page: Page) -> list[dict[str, Any]]:
    """Return each currency's figures: of each span, and of the span of the same length before."""
    now = page.now_us
    asked = [(days, now - back * days * _DAY_US) for days in SPANS for back in (1, 2)]
    found = await asyncio.gather(
        *(
            allowed(
                page,
                "/v1/reports/sales",
                **{"from": show_time(since), "to": show_time(since + days * _DAY_US)},
            )
            for days, since in asked
        )
    )
    currencies = sorted({row["currency"] for each in found if each for row in each["rows"]})
    return [
        {
            "currency": currency,
            "spans": [
                {
                    "days": days,
                    "now": _row(found[2 * place], currency),
                    "before": _row(found[2 * place + 1], currency),
                }
                for place, days in enumerate(SPANS)
            ],
        }
        for currency in currencies
    ]


def _row(report: Any, currency: str) -> dict[str, Any]:  # noqa: ANN401 - JSON
    rows = [] if report is None else report["rows"]
    found: dict[str, Any] = next((row for row in rows if row["currency"] == currency), {})
    return found or dict.fromkeys(_FIGURES, 0)


async def _imbalance(page: Page) -> dict[str, Any] | None:
    """Return what the books come to in all, which is nothing, and what sellers are owed."""
    found = await allowed(page, "/v1/reports/balances")
    if found is None:
        return None
    totals: dict[str, dict[str, int]] = {}
    for row in found["rows"]:
        kept = totals.setdefault(row["currency"], {"sum": 0, "payable": 0})
        kept["sum"] += row["balance"]
        if row["account"].startswith("payable:"):
            kept["payable"] += row["balance"]
    return totals


async def _newest(page: Page) -> list[dict[str, Any]]:
    found = await allowed(page, "/v1/audit", limit=10)
    return [] if found is None else list(found["items"])


async def _clock(page: Page) -> Any:  # noqa: ANN401 - JSON
    """Return the test clock where there is one: a moved clock must not be missed."""
    return await allowed(page, "/v1/test-clock")


@get("/console/find")
@explained
async def find(request: AnyRequest) -> Response[Any]:
    """Find by any id or address: the only hit opens, several are listed."""
    page = await opened(request)
    text = request.query_params.get("q", "").strip()
    hits = await _hits(page, text) if text else []
    if len(hits) == 1:
        return page.go(hits[0]["at"])
    return page.show("console/find.html", q=text, hits=hits)


_BY_PREFIX: Final = {
    "ord_": ("order", "orders"),
    "con_": ("customer", "consumers"),
    "pay_": ("payment", "payments"),
}


def _at(kind: str, found: dict[str, Any]) -> str:
    """Return where something is shown: a payment with the order it is for, else its customer."""
    if kind == "payment":
        ordered = found["purpose"] == "order"
        kind, shown = ("order", "reference") if ordered else ("customer", "customer")
    else:
        shown = "id"
    return f"/console/{kind}s/{found[shown]}"


async def _hits(page: Page, text: str) -> list[dict[str, str]]:
    """Return what an id, an address or a word may mean."""
    known = _BY_PREFIX.get(text[:4])
    if known is not None:
        kind, path = known
        found = await allowed(page, f"/v1/{path}/{one_part(text)}")
        return [{"kind": kind, "name": text, "at": _at(kind, found)}] if found else []
    if "@" in text:
        found = await allowed(page, "/v1/customers", email=text) or {"items": []}
        return [
            {"kind": "customer", "name": each["name"], "at": f"/console/customers/{each['id']}"}
            for each in found["items"]
        ]
    found = await allowed(page, "/v1/items/search", q=text, limit=20) or {"items": []}
    return [
        {
            "kind": "item",
            "name": each["title"].get(page.language) or next(iter(each["title"].values())),
            "at": f"/store/premieres/{each['code']}",
        }
        for each in found["items"]
    ]


HANDLERS: Final = (show_overview, find)
