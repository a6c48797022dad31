"""Promotions on what is in carts, ordered, extended and subscribed to."""

from decimal import Decimal

import pytest
import sqlalchemy as sa

from farebox.billing.flows.buy import complete_cart
from farebox.billing.orders import service as orders
from farebox.billing.orders import service_carts as carts
from farebox.billing.orders.rules_changes import difference
from farebox.billing.orders.service import Terms
from farebox.billing.pricing import service_promotions as promotions
from farebox.billing.pricing.model_money import Coupon
from farebox.billing.pricing.model_prices import PricedUnknown
from farebox.billing.pricing.model_promotions import (
    Promotion,
    PromotionRefused,
    PromotionUnknown,
)
from farebox.billing.pricing.service_coupons import create_coupon
from farebox.kernel.ids import record_id
from tests.support.sales import ANNA, HOUR, MINUTE, Sales, credits_, online
from tests.support.services import ADA, now, run


@pytest.fixture
def sales(billing, clock):
    return Sales(billing, clock)


@pytest.fixture
def cart(sales):
    return run(sales.database, carts.open_cart, ANNA, "RUB")


def promote(sales, percent="25", **terms):
    wanted = {
        "id": record_id("prm"), "name": "Autumn", "of": "item", "code": "mauser",
        "percent": Decimal(percent), "valid_from": now(sales.database), "created_at": 0, **terms,
    }  # fmt: skip
    return run(sales.database, promotions.create_promotion, ADA, Promotion(**wanted))


def put(sales, cart, wish):
    return run(sales.database, carts.put_line, cart.id, wish)


def see(sales, cart):
    return run(sales.database, lambda tx: carts.see_cart(tx, carts.read_cart(tx, cart.id)))


def shown(sales, cart):
    [line] = see(sales, cart).lines
    return line.list_fee, line.fee, line.problems


def test_a_line_has_its_list_price_and_what_the_promotion_takes_off(sales, cart):
    made = promote(sales)
    put(sales, cart, online(24))
    [line] = see(sales, cart).lines
    assert (line.list_fee, line.fee, line.gross) == (36_000, 27_000, 27_000)
    assert (line.promotion.id, line.promotion.off, line.promotion.percent) == (made.id, 9_000, "25")
    put(sales, cart, online(24, "seagull"))
    assert see(sales, cart).total == 27_000 + 50_000


def test_a_promotion_may_be_for_one_period_and_for_credits_it_is_of_the_line(sales, cart):
    promote(sales, offer="online", period_hours=48)
    promote(sales, "10", of="product", code="films")
    put(sales, cart, online(24))
    put(sales, cart, credits_(3))
    lines = see(sales, cart).lines
    assert [(each.list_fee, each.fee) for each in lines] == [(36_000, 36_000), (750, 675)]
    put(sales, cart, online(48))
    assert see(sales, cart).lines[0].fee == 36_000


def test_what_was_guaranteed_is_the_price_less_the_promotion_also_when_that_ends(sales, cart):
    made = promote(sales)
    put(sales, cart, online(24))
    sales.clock.move(10 * MINUTE)
    run(sales.database, promotions.end_promotion, ADA, made.id)
    assert shown(sales, cart) == (36_000, 27_000, ())
    sales.clock.move(20 * MINUTE)
    assert shown(sales, cart) == (36_000, 36_000, ("guarantee_over", "price_changed"))


def test_a_promotion_that_begins_meanwhile_makes_a_guaranteed_line_cheaper(sales, cart):
    put(sales, cart, online(24))
    promote(sales)
    assert shown(sales, cart) == (36_000, 27_000, ())


def test_an_order_keeps_the_list_price_the_promotion_and_what_other_periods_cost(sales, cart):
    sales.fill(ANNA, 100_000)
    made = promote(sales)
    put(sales, cart, online(24))
    sales.clock.move(5 * MINUTE)
    # The price rises and the promotion ends: the line's own time counts for all that follows.
    sales.reprice(sales.prices[48], "900")
    run(sales.database, promotions.end_promotion, ADA, made.id)
    order = run(sales.database, complete_cart, cart.id, key="k", terms=Terms(shown_total=27_000))
    [line] = run(sales.database, orders.lines_of, order.id)
    assert (line.list_fee, line.fee, line.gross) == (36_000, 27_000, 27_000)
    assert line.promotion is not None
    assert (line.promotion.name, line.promotion.off) == ("Autumn", 9_000)
    assert line.book == {12: 18_000, 24: 27_000, 48: 36_000}
    assert difference(line, from_hours=24, to_hours=48).gross == 9_000


def test_coupons_come_after_promotions_on_what_they_have_left(sales, cart):
    promote(sales)
    run(sales.database, create_coupon, ADA, Coupon(code="TENTH", percent=Decimal(10)))
    put(sales, cart, online(24))
    run(sales.database, carts.set_coupons, cart.id, ["TENTH"])
    [line] = see(sales, cart).lines
    assert (line.list_fee, line.fee, line.discount, line.gross) == (36_000, 27_000, 2_700, 24_300)


def test_a_promotion_ends_once_and_one_that_lies_ahead_never_holds(sales, cart):
    made = promote(sales, valid_until=now(sales.database) + HOUR)
    ended = run(sales.database, promotions.end_promotion, ADA, made.id)
    assert ended.valid_until > made.valid_from - 1
    sales.clock.move(1)
    assert run(sales.database, promotions.end_promotion, ADA, made.id) == ended
    ahead = promote(sales, valid_from=now(sales.database) + HOUR)
    run(sales.database, promotions.end_promotion, ADA, ahead.id)
    sales.clock.move(2 * HOUR)
    put(sales, cart, online(24))
    assert shown(sales, cart) == (36_000, 36_000, ())
    later = promote(sales)
    with pytest.raises(PromotionRefused):
        run(sales.database, promotions.end_promotion, ADA, later.id, later.valid_from - 1)


def test_what_nobody_sells_or_is_over_already_is_not_promoted(sales):
    with pytest.raises(PricedUnknown):
        promote(sales, code="nothing")
    with pytest.raises(PricedUnknown):
        promote(sales, offer="nothing")
    with pytest.raises(PromotionRefused):
        promote(sales, valid_from=0, valid_until=1)
    with pytest.raises(PromotionUnknown):
        run(sales.database, promotions.end_promotion, ADA, "prm_none")


def test_a_page_of_things_is_priced_in_two_statements(sales):
    promote(sales)
    sent = []
    with sales.database.read() as tx:
        assert tx.now_us
        sa.event.listen(tx.connection, "before_cursor_execute", lambda *sql: sent.append(sql[2]))
        shelf = promotions.shelf_of(tx, "item", ["mauser", "seagull"])
    assert len(sent) == 2, sent
    assert (shelf.currencies("mauser"), shelf.currencies("nothing")) == (["RUB"], [])
