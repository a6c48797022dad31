"""Who does what (source 002): the page says it, links to it, and access has nothing of the rest."""

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
import sqlalchemy as sa

from farebox.http.openapi import handlers_of
from farebox.http.routes import OF_ACCESS
from tests.api.conftest import app_over_nothing

REPOSITORY: Final = Path(__file__).resolve().parents[2]
PAGE: Final = REPOSITORY / "docs" / "responsibilities.md"
ACCESS: Final = REPOSITORY / "src" / "farebox" / "access"

PRICING: Final = (
    "price prices priced pricing tariff tariffs cost costs fee fees money currency currencies "
    "discount discounts coupon coupons promotion promotions cents"
)
# What access is not responsible for, and the words that it would need for it.
NOT_RESPONSIBLE: Final = {
    "Product Pricing": PRICING,
    "Plan Pricing": PRICING,
    "Invoice Generation": "invoice invoices invoiced tax taxes vat dunning",
    "Payment Processing": (
        "payment payments paid payable card cards pan cvc cvv iban charge charges charged wallet "
        "wallets refund refunds refunded chargeback chargebacks checkout gateway psp stripe"
    ),
    "Orders (Purchases)": "order orders ordered cart carts basket baskets",
    "Marketplace Pricing": PRICING,
    "Marketplace Revenue": (
        "revenue revenues earnings payout payouts commission commissions sales turnover mrr arr "
        "churn royalty royalties"
    ),
}
# What has such a word and is none of it: references, and how access answers to billing's word.
ALLOWED: Final = {
    "item_purchase.order_id": "a reference to billing's order",
    "rental.order_id": "a reference to billing's order",
    "field order": "a reference to billing's order",
    "field on_payment_failed": "what access does when billing says so",
    "value pending_payment": "a state of access: billing has not said yet that it is paid",
    "value refunded": "a state of access: billing said so, and the right is gone",
    "value payment.successful": "what another billing system says",
    "value payment.failed": "what another billing system says",
    "value payment.action_required": "what another billing system says",
}


def words(name: str) -> set[str]:
    """Return the words of a name, however they are joined."""
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return set(re.findall(r"[a-z]+", apart.lower()))


def named(feature: str, names: set[str]) -> set[str]:
    """Return which of some names speak of a feature, and are not allowed to."""
    wanted = set(NOT_RESPONSIBLE[feature].split())
    return {name for name in names - set(ALLOWED) if words(name.partition(" ")[2] or name) & wanted}


@pytest.fixture(scope="module")
def app():
    """Return the API of access, as it is served alone."""
    return app_over_nothing(OF_ACCESS)


@pytest.fixture(scope="module")
def description(app) -> Any:
    return msgspec.json.decode(app.description)


def names_in(node: Any) -> Iterator[str]:
    """Return every name that a part of the description gives to something."""
    if isinstance(node, list):
        for each in node:
            yield from names_in(each)
    if not isinstance(node, dict):
        return
    for key, value in node.items():
        if key == "properties":
            yield from (f"field {name}" for name in value)
        if key == "enum":
            yield from (f"value {name}" for name in value if isinstance(name, str))
        if key == "operationId":
            yield f"operation {value}"
        if key == "parameters":
            yield from (f"parameter {one['name']}" for one in value if "name" in one)
        if key == "schemas":
            yield from (f"type {name}" for name in value)
        yield from names_in(value)


def described(app: Any, description: Any) -> set[str]:
    """Return the names of everything that the API shows, hidden second paths included."""
    paths = {f"route {path}" for path, _ in handlers_of(app)}
    return paths | set(names_in(description))


def stored(database) -> set[str]:
    """Return every table and column of the database, as `table` and `table.column`."""
    with database.read() as tx:
        inspector = sa.inspect(tx.connection)
        tables = inspector.get_table_names()
        columns = {
            f"{table}.{column['name']}"
            for table in tables
            for column in inspector.get_columns(table)
        }
    return set(tables) | columns


# -- what access is not responsible for ------------------------------------------------------------


@pytest.mark.parametrize("feature", NOT_RESPONSIBLE)
def test_the_api_of_access_has_no_such_thing(app, description, feature):
    assert named(feature, described(app, description)) == set()


@pytest.mark.parametrize("feature", NOT_RESPONSIBLE)
def test_the_database_of_access_has_no_such_thing(database, feature):
    assert named(feature, stored(database)) == set()


def test_what_is_allowed_is_there_and_would_be_seen_otherwise(app, description, database):
    there = described(app, description) | stored(database)
    assert set(ALLOWED) <= there
    every = {word for one in NOT_RESPONSIBLE.values() for word in one.split()}
    assert [name for name in ALLOWED if not words(name.partition(" ")[2] or name) & every] == []


@pytest.mark.parametrize(
    ("feature", "name"),
    [
        ("Product Pricing", "field unitPrice"),
        ("Plan Pricing", "plan_version.monthly_price"),
        ("Invoice Generation", "route /v1/invoices/{invoice}"),
        ("Payment Processing", "type CardView"),
        ("Orders (Purchases)", "operation createOrder"),
        ("Marketplace Pricing", "parameter currency"),
        ("Marketplace Revenue", "item.revenue_cents"),
    ],
)
def test_one_that_came_in_would_be_seen(feature, name):
    assert named(feature, {name, "type Discarded", "bucket_record.amount"}) == {name}


def imports_of(source: str) -> set[str]:
    """Return the modules that a source imports, or names for a later import."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.add(node.value)
    return found


def of_billing(source: str) -> set[str]:
    return {name for name in imports_of(source) if re.match(r"farebox\.billing\b", name)}


def test_access_never_imports_billing():
    found = {path.name: of_billing(path.read_text("utf-8")) for path in ACCESS.rglob("*.py")}
    assert len(found) > 50
    assert {name for name, imported in found.items() if imported} == set()


@pytest.mark.parametrize(
    "source",
    [
        "import farebox.billing",
        "from farebox import billing",
        "from farebox.billing.pricing import price_of",
        "def later():\n    import farebox.billing.orders as orders",
        "import_module('farebox.billing.wallets')",
    ],
)
def test_an_import_of_billing_would_be_seen(source):
    assert of_billing(source)
    assert not of_billing('BILLING = "/farebox/billing"\nfrom farebox.access import catalog')


# -- the page --------------------------------------------------------------------------------------

# Source 002's matrix, in its order.
FEATURES: Final = (
    "Product Catalog", "Product Pricing", "Plans (Tiers)", "Plan Pricing", "Subscription State",
    "Subscription Creation", "Usage Recording", "Usage Aggregation", "Quota Management",
    "Quota Exceeded", "Invoice Generation", "Payment Processing", "Payment Status",
    "Marketplace Items", "Marketplace Pricing", "Marketplace Purchase", "Marketplace Revenue",
    "Orders (Purchases)", "Entitlements",
)  # fmt: skip
_LINK: Final = re.compile(r"\[`([^`]+)`\]\(([^)]+)\)")
COLUMNS: Final = 6


class Row(msgspec.Struct, frozen=True):
    """A line of the matrix."""

    feature: str
    access: str
    billing: str
    marketplace: str
    routes: str
    tests: str


def rows() -> list[Row]:
    """Return the lines of the page's matrix."""
    lines = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [Row(*each) for each in cells if len(each) == COLUMNS and each[0] in FEATURES]


def links(text: str) -> list[tuple[str, Path]]:
    """Return the links of a text whose words are code: the words, and the file behind each."""
    return [(said, (PAGE.parent / target).resolve()) for said, target in _LINK.findall(text)]


def test_the_page_has_every_line_of_the_matrix_with_all_its_columns():
    assert tuple(row.feature for row in rows()) == FEATURES
    assert [row.feature for row in rows() if "" in msgspec.structs.astuple(row)] == []


def test_access_is_said_to_be_not_responsible_for_what_it_has_nothing_of():
    assert {row.feature for row in rows() if row.access == "no"} == set(NOT_RESPONSIBLE)
    for row in rows():
        if row.access == "no":
            shown = {said.partition("[")[0] for said, _ in links(row.tests)}
            assert shown > {
                "test_the_api_of_access_has_no_such_thing",
                "test_the_database_of_access_has_no_such_thing",
            }, row.feature


def test_every_line_has_a_route_and_a_test():
    assert [row.feature for row in rows() if not (links(row.routes) and links(row.tests))] == []


def test_what_is_billings_alone_is_served_by_billing_and_not_by_access(app):
    here = {_shown(path) for path, _ in handlers_of(app)}
    for row in rows():
        if row.access == "no":
            assert not {_route(said)[1] for said, _ in links(row.routes)} & here, row.feature


def file_of(handler: Any) -> Path:
    """Return the file of the function that serves a route; Litestar wraps those in threads."""
    return Path(inspect.getfile(getattr(handler.fn, "func", handler.fn))).resolve()


def _shown(path: str) -> str:
    return re.sub(r":\w+\}", "}", path)


def test_every_route_of_the_page_is_served_by_the_file_that_it_links_to():
    served = {
        (str(method), _shown(path)): file_of(handler)
        for path, handler in handlers_of(app_over_nothing())
        for method in handler.http_methods
    }
    said = [link for row in rows() for link in links(row.routes)]
    assert len(said) > 20
    wrong = [(route, file.name) for route, file in said if served.get(_route(route)) != file]
    assert wrong == []


def _route(said: str) -> tuple[str, str]:
    method, _, path = said.partition(" ")
    return method, path


def test_every_test_of_the_page_is_in_the_file_that_it_links_to():
    said = [link for link in links(PAGE.read_text("utf-8")) if link[0].startswith("test_")]
    assert len(said) > 20
    wrong = [
        (test, file.name)
        for test, file in said
        if not file.is_file() or f"def {test.partition('[')[0]}(" not in file.read_text("utf-8")
    ]
    assert wrong == []
    for test, _ in said:
        assert test.partition("[")[2].rstrip("]") in {"", *NOT_RESPONSIBLE}, test


def test_every_other_link_of_the_page_leads_somewhere():
    targets = re.findall(r"\]\(([^)#]+)", PAGE.read_text("utf-8"))
    assert [target for target in targets if not (PAGE.parent / target).exists()] == []
