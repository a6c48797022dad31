"""Products: each with the asset that counts it."""

from functools import partial

import pytest

from farebox.access.catalog import service as catalog
from farebox.access.catalog.model import Product, ProductTaken, ProductUnknown
from farebox.events.model import Position
from farebox.events.service import events_after
from farebox.kernel.refusals import ValueRefused
from farebox.ledger.model import AssetDiffers
from farebox.ledger.service import Ledger
from farebox.platform import service_audit as audit
from farebox.storage import Database
from tests.support.services import ADA, at_once, run


def product(database: Database, code: str = "films", **named) -> Product:
    return run(database, catalog.create_product, ADA, code=code, **{"name": "Films", **named})


def test_a_product_has_an_asset_of_its_code_and_scale(database):
    made = product(database, "mobile.data", name="Mobile data", unit="GB", scale=9)
    assert run(database, catalog.read_product, "mobile.data") == made
    asset = run(database, Ledger().asset, "mobile.data")
    assert (asset.code, asset.scale) == ("mobile.data", 9)


def test_a_code_is_one_product(database):
    product(database)
    with pytest.raises(ProductTaken):
        product(database, scale=2)
    with pytest.raises(ProductUnknown):
        run(database, catalog.read_product, "filmz")


def test_a_code_whose_asset_has_another_scale_is_refused_and_leaves_nothing(database):
    run(database, Ledger().open_asset, "films", 2)
    with pytest.raises(AssetDiffers):
        product(database)
    assert run(database, catalog.find_product, "films") is None


def test_products_made_at_once_are_all_made_each_with_its_own_asset(database):
    answers = at_once(partial(product, database, f"film-{number}") for number in range(4))
    assert all(isinstance(answer, Product) for answer in answers), answers
    assert len({asset.number for asset in run(database, Ledger().assets)}) == 4


@pytest.mark.parametrize(
    "wrong",
    [
        {"code": ""},
        {"code": "a/b"},
        {"code": "ä"},
        {"code": "a\0"},
        {"code": "x" * 129},
        {"name": ""},
        {"unit": "a\0"},
        {"scale": 19},
        {"scale": -1},
    ],
)
def test_a_product_that_cannot_be_is_refused(database, wrong):
    with pytest.raises(ValueRefused):
        product(database, **wrong)


def test_a_product_is_changed_archived_told_and_audited(database):
    product(database)
    run(database, catalog.update_product, ADA, "films", name="Premieres", type="one_off")
    run(database, catalog.archive_product, ADA, "films")
    gone = run(database, catalog.archive_product, ADA, "films")
    assert (gone.name, gone.type, gone.unit, gone.state) == (
        "Premieres",
        "one_off",
        "use",
        "archived",
    )
    told = [event.type for event in run(database, events_after, Position()).events]
    assert told == ["product.created", "product.updated", "product.archived"]
    log = run(database, audit.list_audit, subject="films").items
    assert [entry.action for entry in reversed(log)] == told


def test_products_are_listed_in_pages_and_by_state(database):
    for code in ("a", "b", "c"):
        product(database, code)
    run(database, catalog.archive_product, ADA, "b")
    first = run(database, catalog.list_products, limit=2)
    rest = run(database, catalog.list_products, after=first.next, limit=2)
    assert [one.code for one in first.items + rest.items] == ["a", "b", "c"]
    active = run(database, catalog.list_products, state="active").items
    assert [one.code for one in active] == ["a", "c"]


def test_what_the_platform_needs_is_made_once(database):
    terms = {"code": "accman", "name": "Account", "unit": "credit"}
    made = run(database, catalog.ensure_product, **terms)
    assert run(database, catalog.ensure_product, **terms) == made
