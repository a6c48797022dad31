"""Subscribers of a price go on with its newest version: now, or with their next period."""

import msgspec
import pytest

from farebox.billing.copies.service import find_plan
from farebox.billing.flows.move_subscribers import move_subscribers, preview_moves
from farebox.billing.pricing.model_prices import PriceArchived, PriceUnknown
from farebox.billing.pricing.service_prices import archive_price, change_price, prices_of
from farebox.billing.schedules.service import list_schedules
from farebox.platform.service_audit import list_audit
from tests.support.prices import flat, terms
from tests.support.renewals import Renewals
from tests.support.services import ADA, at_once, run


@pytest.fixture
def stage(billing, clock):
    made = Renewals(billing, clock, at="2027-03-01")
    made.card()
    return made


@pytest.fixture
def price(stage):
    [found] = run(stage.billing, prices_of, "plan", "basic")
    return found.id


def move(stage, price, at, **named):
    found = run(stage.billing, move_subscribers, ADA, price, at=at, **named)
    stage.work()
    return found


def outcomes(found):
    return [(each.subscription, each.reason) for each in found.items]


def test_who_bought_keeps_the_price_until_they_are_moved_with_their_next_period(stage, price):
    one = stage.subscribe("basic")
    stage.reprice("basic", "12")
    stage.live("2027-04-01")
    assert stage.bills(one)[-1] == ("2027-04-01", "2027-05-01", 1000, "paid")

    [moved] = move(stage, price, "period_end").items

    assert (moved.from_version, moved.fee_before, moved.fee_after) == (1, 1000, 1200)
    assert stage.schedule(one).price_version == 1
    stage.live("2027-05-01")
    assert stage.bills(one)[-1] == ("2027-05-01", "2027-06-01", 1200, "paid")
    assert stage.schedule(one).price_version == 2
    [told] = [each for each in stage.told(one) if each.type == "subscription.price_changed"]
    assert (told.data["feeBefore"], told.data["feeAfter"]) == (1000, 1200)
    assert told.data["effectiveAt"] == "2027-05-01T00:00:00.000000Z"


def test_moved_now_the_rest_of_the_period_is_billed_at_the_new_price(stage, price):
    one = stage.subscribe("basic")
    stage.reprice("basic", "20")
    stage.at("2027-03-16")
    shown = preview_moves(stage.billing, ADA, price, at="now")
    assert stage.bills(one) == [("2027-03-01", "2027-04-01", 1000, "paid")]

    [moved] = move(stage, price, "now").items

    # 16 of 31 days are left: 5.16 go back of 10.00, and 10.32 of 20.00 are due.
    assert moved.note is not None
    assert moved.invoice is not None
    assert (moved.note.total, moved.invoice.total, moved.invoice.due) == (516, 1032, 516)
    [seen] = shown.items
    assert seen.note is not None
    assert seen.invoice is not None
    assert (seen.note.total, seen.invoice.total, seen.invoice.due) == (516, 1032, 516)
    assert [each[2:] for each in stage.bills(one)] == [(1000, "paid"), (1032, "paid")]
    stage.live("2027-04-01")
    assert stage.bills(one)[-1] == ("2027-04-01", "2027-05-01", 2000, "paid")
    assert sum(stage.trial_balance().values()) == 0


def test_a_price_is_changed_again_and_what_was_planned_is_what_is_billed(stage, price):
    one = stage.subscribe("basic")
    stage.reprice("basic", "12")
    move(stage, price, "period_end")
    stage.reprice("basic", "15")
    stage.live("2027-04-01")
    assert stage.bills(one)[-1][2] == 1200
    assert outcomes(move(stage, price, "period_end")) == [(one, None)]
    stage.live("2027-05-01")
    assert stage.bills(one)[-1][2] == 1500


def test_repeating_moves_nobody_twice(stage, price):
    one = stage.subscribe("basic")
    stage.reprice("basic", "12")
    assert outcomes(move(stage, price, "period_end")) == [(one, None)]
    assert outcomes(move(stage, price, "period_end")) == [(one, "planned_already")]
    stage.live("2027-04-01")
    assert outcomes(move(stage, price, "period_end")) == []
    assert len(stage.bills(one)) == 2


def test_two_who_move_at_once_bill_once(stage, price):
    one = stage.subscribe("basic")
    stage.reprice("basic", "20")
    stage.at("2027-03-16")

    def moved():
        found = run(stage.billing, move_subscribers, ADA, price, at="now")
        return len([each for each in found.items if each.reason is None])

    assert sorted(at_once([moved, moved]), key=str) == [0, 1]
    stage.work()
    assert [each[2:] for each in stage.bills(one)] == [(1000, "paid"), (1032, "paid")]


def test_subscribers_are_moved_page_by_page(stage, price):
    ones = sorted(stage.subscribe("basic") for _ in range(3))
    stage.reprice("basic", "12")
    first = move(stage, price, "period_end", limit=2)
    assert (outcomes(first), first.next) == ([(ones[0], None), (ones[1], None)], ones[1])
    rest = move(stage, price, "period_end", limit=2, after=first.next)
    assert (outcomes(rest), rest.next) == ([(ones[2], None)], None)


def test_what_stands_in_the_way_is_said_and_nothing_changes(stage, price):
    paused, leaving, late = (stage.subscribe("basic") for _ in range(3))
    stage.wish(paused, "pause")
    stage.wish(leaving, "cancel", "period_end")
    stage.reprice("basic", "12")
    stage.card("sandbox_decline")
    stage.live("2027-04-01")
    before = [run(stage.billing, list_schedules).items, stage.bills(late)]

    assert outcomes(move(stage, price, "now")) == [(paused, "state"), (late, "state")]

    assert [run(stage.billing, list_schedules).items, stage.bills(late)] == before
    # A payment that is late is of the period before: the next one may be on the new price.
    assert dict(outcomes(move(stage, price, "period_end"))) == {paused: "state", late: None}


def test_who_goes_to_another_plan_is_left_to_it(stage, price):
    one = stage.subscribe("basic")
    stage.wish(one, "plan", "period_end", plan="pro")
    stage.reprice("basic", "12")
    assert outcomes(move(stage, price, "period_end")) == [(one, "plan_planned")]
    stage.live("2027-04-01")
    assert stage.bills(one)[-1][2] == 2000


def test_who_pays_in_advance_is_not_moved_to_arrears_in_mid_period(stage, price):
    one = stage.subscribe("basic")
    later = terms(flat("12"), every=("month", 1), timing="arrears")
    run(stage.billing, change_price, ADA, price, later)
    stage.at("2027-03-16")
    assert outcomes(move(stage, price, "now")) == [(one, "timing_differs")]


def test_a_customer_does_not_take_back_a_price_that_is_planned(stage, price):
    known = run(stage.billing, find_plan, "basic")
    assert known is not None
    one = stage.subscribe("basic", planVersion=known.version)
    stage.reprice("basic", "12")
    move(stage, price, "period_end")
    stage.wish(one, "plan", plan="basic")
    stage.live("2027-04-01")
    assert stage.bills(one)[-1][2] == 1200


def test_a_price_that_is_sold_no_more_takes_nobody(stage, price):
    stage.subscribe("basic")
    run(stage.billing, archive_price, ADA, price)
    with pytest.raises(PriceArchived):
        move(stage, price, "now")
    with pytest.raises(PriceUnknown):
        move(stage, "prc_nobodys", "now")


def test_a_move_is_audited_with_whom_it_moved(stage, price):
    one = stage.subscribe("basic")
    stage.reprice("basic", "12")
    move(stage, price, "period_end")
    entry = next(
        each
        for each in run(stage.billing, list_audit).items
        if each.action == "price.subscribers_moved"
    )
    assert msgspec.json.decode(entry.after or "") == {
        "version": 2, "at": "period_end", "subscriptions": [one],
    }  # fmt: skip
