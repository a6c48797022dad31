"""One-off purchases of products through our own billing: given once, taken back, or refunded."""

import pytest

from farebox.access.catalog.model import ProductEntitlement
from farebox.access.catalog.service import create_product
from farebox.access.entitlements.model import EventRefused
from tests.support.proof import faults
from tests.support.services import ADA, run
from tests.support.subscribers import Subscribers


@pytest.fixture
def story(database, clock):
    made = Subscribers(database, clock, "2027-01-15")
    brings = (ProductEntitlement(key="films", limit=3), ProductEntitlement(key="hd", days=30))
    more = {"type": "add_on", "entitlements": (ProductEntitlement(key="films", limit=2),)}
    run(database, create_product, ADA, code="more", name="More", **more)
    terms = {"type": "one_off", "entitlements": brings, "add_ons": ("more",)}
    run(database, create_product, ADA, code="pass", name="Pass", **terms)
    yield made
    assert faults(database) == []


def order(story, type_="order.completed", **data):
    said = {"orderId": "ord_1", "consumerId": story.ada, **data}
    event = story.event(type_, "ord_1", data=said)
    story.deliver(event)
    return event


def test_an_order_brings_its_product_with_add_ons_once(story):
    event = order(story, productId="pass", addonProductIds=["more"])
    story.deliver(event)
    assert story.rights() == ["films", "films", "hd"]
    assert story.use(5)
    assert not story.use()
    story.at("2027-02-14")
    assert story.rights() == ["films", "films"]


def test_several_lines_are_several_products(story):
    order(story, lines=[{"productId": "pass"}, {"productId": "books"}, {"itemId": "premiere"}])
    assert story.rights() == ["books", "films", "hd"]


def test_a_refund_takes_it_back_with_its_add_ons(story):
    order(story, productId="pass", addonProductIds=["more"])
    order(story, orderId="ord_2", productId="books")
    order(story, "refund.issued", productId="pass")
    assert (story.rights(), story.use()) == (["books"], False)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ({"lines": [{"productId": "pass"}, {"productId": "nothing"}]}, "product_unknown"),
        ({"productId": "pass", "addonProductIds": ["nothing"]}, "product_unknown"),
        ({"productId": "pass", "consumerId": "con_nobody"}, "consumer_unknown"),
    ],
)
def test_what_cannot_be_given_is_given_back_whole(story, data, reason):
    order(story, **data)
    [told] = story.told("order.fulfilment_failed")
    assert (told["orderId"], told["reason"], story.rights()) == ("ord_1", reason, [])


def test_an_order_of_something_else_is_left_to_others(story):
    order(story)
    assert (story.rights(), story.told("order.fulfilment_failed")) == ([], [])


@pytest.mark.parametrize("data", [{"productId": 7}, {"productId": "pass", "consumerId": None}])
def test_an_order_that_lacks_what_it_needs_is_refused(story, data):
    with pytest.raises(EventRefused):
        order(story, **data)
