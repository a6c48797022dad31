"""Products: each with the asset that counts it."""

from functools import partial

import pytest
import sqlalchemy as sa

from farebox.access.catalog import service as catalog
from farebox.access.catalog import service_features as features
from farebox.access.catalog.model import (
    AddOnRefused,
    EntitlementKeyUnknown,
    Product,
    ProductArchived,
    ProductEntitlement,
    ProductIsAddOn,
    ProductTaken,
    ProductUnknown,
    VersionPassed,
)
from farebox.events.model import Position
from farebox.events.service import events_after
from farebox.kernel.refusals import ValueRefused
from farebox.ledger.model import AssetDiffers
from farebox.ledger.service import Ledger
from farebox.platform import service_audit as audit
from farebox.storage import Database, migrate
from farebox.storage import migrations as steps
from tests.support.engines import ACCESS
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


def test_assets_opened_at_once_are_each_opened_once(database):
    codes = ["RUB", "EUR", "USD"] * 3
    answers = at_once(partial(run, database, Ledger().open_asset, code) for code in codes)
    opened = [one for one in answers if not isinstance(one, Exception)]
    assert opened == answers
    found = {(one.code, one.number) for one in opened}
    assert len(found) == len({number for _, number in found}) == 3


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


# -- what a product brings and is sold with ------------------------------------------------------


def add_on(database: Database, code: str, *add_ons: str) -> Product:
    return product(database, code, type="add_on", add_ons=add_ons)


def codes(database: Database, **named) -> list[str]:
    return [one.code for one in run(database, catalog.list_products, **named).items]


def last_event(database: Database):
    return run(database, events_after, Position()).events[-1]


def test_a_product_brings_entitlements_and_add_ons_and_tells_all_of_it(database):
    run(database, features.create_feature, ADA, code="quiz", name="Quizzes")
    add_on(database, "popcorn")
    made = product(
        database,
        type="subscription",
        description="Films as one likes",
        billable=False,
        add_ons=("popcorn",),
        entitlements=(
            ProductEntitlement(key="quiz", limit=50, period="month", roles=("pupil",), days=30),
            ProductEntitlement(key="films"),
        ),
    )
    assert run(database, catalog.read_product, "films") == made
    told = last_event(database)
    assert (told.type, told.subject) == ("product.created", "product:films")
    assert told.data == {
        "product": "films",
        "name": "Films",
        "type": "subscription",
        "unit": "use",
        "scale": 0,
        "state": "active",
        "created_at": made.created_at,
        "description": "Films as one likes",
        "billable": False,
        "entitlements": [
            {"key": "quiz", "limit": 50, "period": "month", "roles": ["pupil"], "days": 30},
            {"key": "films", "limit": None, "period": None, "roles": [], "days": None},
        ],
        "add_ons": ["popcorn"],
        "version": 1,
    }


def test_a_product_without_a_code_gets_one(database):
    made = run(database, catalog.create_product, ADA, name="Films")
    other = run(database, catalog.create_product, ADA, name="Films")
    assert made.code != other.code
    assert run(database, catalog.read_product, made.code) == made


def test_what_a_product_names_is_there(database):
    product(database)
    with pytest.raises(EntitlementKeyUnknown):
        product(database, "club", entitlements=(ProductEntitlement(key="quiz"),))
    with pytest.raises(AddOnRefused):
        product(database, "club", add_ons=("films",))
    with pytest.raises(AddOnRefused):
        product(database, "club", add_ons=("popcorn",))
    assert codes(database) == ["films"]


def test_an_archived_add_on_stays_where_it_is_and_comes_to_nothing_new(database):
    add_on(database, "popcorn")
    product(database, add_ons=("popcorn",))
    run(database, catalog.archive_product, ADA, "popcorn")
    with pytest.raises(ProductArchived):
        product(database, "club", add_ons=("popcorn",))
    add_on(database, "cola")
    changed = run(database, catalog.update_product, ADA, "films", add_ons=("popcorn", "cola"))
    assert changed.add_ons == ("popcorn", "cola")


def test_an_add_on_of_others_stays_one(database):
    add_on(database, "popcorn")
    product(database, add_ons=("popcorn",))
    with pytest.raises(ProductIsAddOn):
        run(database, catalog.update_product, ADA, "popcorn", type="service")
    run(database, catalog.update_product, ADA, "films", add_ons=())
    changed = run(database, catalog.update_product, ADA, "popcorn", type="service")
    assert changed.type == "service"


def test_two_who_close_a_circle_of_add_ons_at_once_leave_it_open(database):
    add_on(database, "popcorn")
    add_on(database, "cola")

    def bear(code: str, other: str) -> Product:
        return run(database, catalog.update_product, ADA, code, add_ons=(other,))

    answers = at_once([partial(bear, "popcorn", "cola"), partial(bear, "cola", "popcorn")])
    assert sorted(type(answer).__name__ for answer in answers) == ["AddOnRefused", "Product"]


def test_of_two_changes_of_one_version_the_second_is_refused(database):
    made = product(database)

    def rename(name: str) -> Product:
        return run(database, catalog.update_product, ADA, "films", name=name, expected_version=1)

    answers = at_once(partial(rename, name) for name in ("One", "Two"))
    assert made.version == 1
    (kept,) = [answer for answer in answers if isinstance(answer, Product)]
    (refused,) = [answer for answer in answers if isinstance(answer, VersionPassed)]
    assert kept.version == 2
    assert refused.facts == {"version": 2}
    assert run(database, catalog.read_product, "films") == kept


def test_a_change_of_nothing_is_none(database):
    made = product(database)
    assert run(database, catalog.update_product, ADA, "films", name="Films") == made
    assert last_event(database).type == "product.created"


def test_a_refused_change_changes_nothing(database):
    made = product(database)
    with pytest.raises(ValueRefused):
        run(database, catalog.update_product, ADA, "films", unit="")
    assert run(database, catalog.read_product, "films") == made


def test_products_are_listed_by_type_and_by_whether_they_are_billed(database):
    product(database, "a", type="api")
    product(database, "b", type="api", billable=False)
    product(database, "c")
    assert codes(database, type="api") == ["a", "b"]
    assert codes(database, billable=True) == ["a", "c"]
    assert codes(database, type="api", billable=False) == ["b"]


# -- search --------------------------------------------------------------------------------------

HITS = [
    ("елка", ["tree"]),
    ("ЁЛКА", ["tree"]),
    ("е\u0308лк", ["tree"]),
    ("new tree", ["tree"]),
    ("tree NEW", ["tree"]),
    ("film", ["films", "tree"]),
    ("ВЕЧЕР", ["films"]),
    ("strasse", ["films"]),
    ("100%", ["sale"]),
    ("%", ["sale"]),
    ("_", ["sale"]),
    ("/", ["sale"]),
    ("'", ["sale"]),
    ("\\", []),
    ("nothing", []),
]


@pytest.mark.parametrize(("query", "hits"), HITS)
def test_products_are_found_by_words_of_code_name_and_description(database, query, hits):
    product(database, "tree", name="Ёлка", description="A film for the New Year")
    product(database, "films", name="Вечер на Straße")
    product(database, "sale", name="100% off_all 'and/or'")
    assert codes(database, query=query) == hits


def test_what_is_found_is_paged_and_filtered(database):
    for number in range(5):
        product(database, f"f{number}", type="api" if number % 2 else "item")
    product(database, "other", name="Other")
    first = run(database, catalog.list_products, query="films", limit=3)
    rest = run(database, catalog.list_products, query="films", limit=3, after=first.next)
    assert [one.code for one in first.items + rest.items] == ["f0", "f1", "f2", "f3", "f4"]
    assert rest.next is None
    assert codes(database, query="films", type="api") == ["f1", "f3"]


def test_a_changed_product_is_found_by_what_it_is_called_now(database):
    product(database)
    run(database, catalog.update_product, ADA, "films", name="Премьеры")
    assert codes(database, query="премьер") == ["films"]
    assert codes(database, query="Films") == ["films"]  # its code
    run(database, catalog.update_product, ADA, "films", description="кино")
    assert codes(database, query="кино премьеры") == ["films"]


# -- products of before --------------------------------------------------------------------------

WORDS = {
    "service": "service",
    "API": "api",
    "one-off": "one_off",
    "Add-On": "add_on",
    "rental": "service",
    "Ёлка": "service",
}


def test_products_of_before_get_a_type_and_are_found(empty_url, open_database_at, monkeypatch):
    database = open_database_at(empty_url)
    all_steps = steps.steps_of
    old = [step for step in all_steps(ACCESS) if step.component != "access" or step.number == 1]
    with monkeypatch.context() as before:
        before.setattr(steps, "steps_of", lambda _: old)
        migrate(database, ACCESS)
    insert = sa.text(
        "INSERT INTO product (code, name, type, unit, scale, state, created_at)"
        " VALUES (:code, 'Ёлка', :type, 'use', 0, 'active', 1)"
    )
    with database.write() as tx:
        for number, word in enumerate(WORDS):
            tx.run(insert, {"code": f"p{number}", "type": word})
    migrate(database, ACCESS)
    run(database, catalog.fill_search)
    found = run(database, catalog.list_products, query="елка").items
    assert [one.type for one in found] == list(WORDS.values())
    assert {(one.billable, one.version, one.add_ons) for one in found} == {(True, 1, ())}


def test_the_database_itself_knows_the_types(database):
    product(database)
    for change in ("type = 'rental'", "billable = 2"):
        with pytest.raises(sa.exc.IntegrityError), database.write() as tx:
            tx.run(sa.text("UPDATE product SET " + change))  # noqa: S608 - from the line above
