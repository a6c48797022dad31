"""Rentals over time (source 004): watched, moved, extended, reminded of, refunded."""

from collections import Counter

import pytest

from farebox.access.entitlements.service import list_entitlements, revoke_entitlement
from farebox.access.flows.change_rental import ask_extension
from farebox.access.flows.remind_rentals import RentalReminders
from farebox.access.marketplace.model import Offer, PeriodRefused
from farebox.access.rentals import service as rentals
from farebox.access.rentals.model import RentalOver, RentalWindow
from farebox.kernel.clock import show_time
from tests.support.market import H, Market
from tests.support.services import ADA, at_once, run


@pytest.fixture
def market(database, clock):
    return Market(database, clock)


def test_a_premiere_is_rented_watched_reminded_of_and_over(market, clock):
    begin = clock.now_us() + 10 * H
    made = market.buy(starts_at=begin)
    one = market.rental(made)
    assert (one.state, one.ends_at) == ("scheduled", begin + 48 * H)
    assert market.rights() == []  # the right begins with the rental
    clock.set(begin)
    assert (market.rental(made).state, market.rights()) == ("available", [("mauser", "online")])
    run(market.database, rentals.play_rental, ADA, one.rental.id)
    clock.set(one.ends_at - 3 * H - 1)
    assert market.reminded() == []
    clock.move(1)
    assert market.reminded() == [show_time(one.ends_at)]
    clock.set(one.ends_at - 1)
    assert (market.rental(made).state, market.rental(made).expiring) == ("playing", True)
    clock.move(1)
    assert (market.rental(made).state, market.rights()) == ("expired", [])
    assert market.reminded() == [show_time(one.ends_at)]
    created = market.told("rental.created")
    assert [(data["startsAt"], data["endsAt"]) for data in created] == [
        (show_time(begin), show_time(one.ends_at))
    ]


def test_of_two_clocks_the_second_begins_with_the_first_play(market, clock):
    made = market.buy("two", period_hours=720)
    clock.move(100 * H)
    playing = run(
        market.database, rentals.play_rental, ADA, market.rental(made).rental.id, confirmed=True
    )
    assert playing.ends_at == clock.now_us() + 48 * H
    (owned,) = run(market.database, list_entitlements, [market.bob])
    assert owned.expires_at == playing.ends_at
    clock.set(playing.ends_at - 3 * H)
    assert market.reminded() == [show_time(playing.ends_at)]
    clock.move(3 * H)
    assert market.rights() == []


def test_a_start_that_passed_while_money_moved_is_when_it_was_paid(market, clock):
    made = market.start(offer="online", period_hours=12, starts_at=clock.now_us() + H)
    clock.move(5 * H)
    market.complete(made)
    assert market.rental(made).ends_at == clock.now_us() + 12 * H


def test_a_moved_rental_is_reminded_of_at_its_new_end_only(market, clock):
    made = market.buy(starts_at=clock.now_us() + 10 * H)
    one = market.rental(made).rental
    later = run(market.database, rentals.move_rental, ADA, one.id, one.starts_at + 24 * H)
    clock.set(later.ends_at - 24 * H - 3 * H)
    assert market.reminded() == []
    clock.set(later.ends_at - 3 * H)
    assert market.reminded() == [show_time(later.ends_at)]
    assert market.rights() == [("mauser", "online")]


def test_an_extension_is_asked_for_paid_done_once_and_reminded_of_anew(market, clock):
    made = market.buy()
    one = market.rental(made)
    clock.set(one.ends_at - 3 * H)
    assert len(market.reminded()) == 1
    asked = run(market.database, ask_extension, one.rental.id, 72, consumer=market.bob)
    assert (asked.data["fromPeriodHours"], asked.data["periodHours"]) == (48, 72)
    assert market.rental(made).ends_at == one.ends_at  # asking alone changes nothing
    paid = {"rentalId": one.rental.id, "change": "extend", "fromPeriodHours": 48}
    for number in range(2):
        event = market.billing.event("rental.change_paid", f"chg_{number}", periodHours=72, **paid)
        market.billing.hear(event)
    longer = market.rental(made)
    assert (longer.ends_at, longer.rental.extended) == (one.ends_at + 24 * H, 1)
    clock.set(longer.ends_at - 3 * H)
    assert market.reminded() == [show_time(one.ends_at), show_time(longer.ends_at)]
    assert market.told("rental.change_failed") == []


def test_an_extension_that_was_paid_too_late_or_twice_comes_back(market, clock):
    made = market.buy()
    one = market.rental(made)
    paid = {"rentalId": one.rental.id, "change": "extend", "fromPeriodHours": 24}
    event = market.billing.event("rental.change_paid", "chg_1", periodHours=72, **paid)
    market.billing.hear(event)
    clock.set(one.ends_at)
    late = {**paid, "fromPeriodHours": 48, "periodHours": 72}
    market.billing.hear(market.billing.event("rental.change_paid", "chg_2", **late))
    missing = {**late, "rentalId": "rnt_0"}
    market.billing.hear(market.billing.event("rental.change_paid", "chg_3", **missing))
    assert [data["reason"] for data in market.told("rental.change_failed")] == [
        "rental_changed", "rental_over", "rental_unknown",
    ]  # fmt: skip
    assert market.rental(made).ends_at == one.ends_at


def test_nobody_pays_for_a_longer_period_when_the_second_clock_ends_no_later(market, clock):
    """Two days after the first play it is over, whatever time there was to begin with it."""
    one = market.rental(market.buy("two", period_hours=720)).rental
    assert run(market.database, ask_extension, one.id, 744).data["periodHours"] == 744
    ends_at = run(market.database, rentals.play_rental, ADA, one.id, confirmed=True).ends_at
    with pytest.raises(RentalWindow):
        run(market.database, ask_extension, one.id, 744)
    paid = {"rentalId": one.id, "change": "extend", "fromPeriodHours": 720, "periodHours": 744}
    market.billing.hear(market.billing.event("rental.change_paid", "chg_1", **paid))
    assert [data["reason"] for data in market.told("rental.change_failed")] == ["rental_window"]
    assert run(market.database, rentals.read_rental, one.id).ends_at == ends_at


def test_nobody_is_reminded_of_a_right_that_support_took_back(market, clock):
    made = market.buy()
    one = market.rental(made)
    run(market.database, revoke_entitlement, ADA, one.rental.entitlement)
    clock.set(one.ends_at - 3 * H)
    assert market.reminded() == []


def test_a_period_that_is_not_offered_cannot_be_asked_for(market):
    one = market.rental(market.buy()).rental
    for period in (13, 48):
        with pytest.raises(PeriodRefused):
            run(market.database, ask_extension, one.id, period)


def test_a_refunded_rental_is_over_at_once_and_nobody_is_reminded(market, clock):
    market.change("mauser", offers=(Offer(
        code="online", kind="online_rental", periods=(48,), capacity=1
    ),))  # fmt: skip
    made = market.buy(starts_at=clock.now_us() + 5 * H)
    assert market.left("online") == 0
    market.refund(made)
    one = market.rental(made)
    assert (one.state, market.left("online")) == ("revoked", 1)
    assert market.rights() == []
    clock.set(one.ends_at - H)
    assert market.reminded() == []
    with pytest.raises(RentalOver):
        run(market.database, rentals.play_rental, ADA, one.rental.id)


def test_a_rental_that_has_begun_gives_its_place_to_nobody(market, clock):
    rented = Offer(code="online", kind="online_rental", periods=(48,), capacity=1)
    market.change("mauser", offers=(rented,))
    made = market.buy()
    clock.move(H)
    market.refund(made)
    assert (market.left("online"), market.rights()) == (0, [])


def test_a_hard_stop_ends_a_rental_with_the_window(market, clock):
    stop = clock.now_us() + 30 * H
    rented = Offer(code="online", kind="online_rental", periods=(48,), hard_stop=True)
    market.change("mauser", offers=(rented,), available_until=stop)
    assert market.rental(market.buy()).ends_at == stop


def test_a_reminder_is_told_once_by_many_workers_at_once(market, clock):
    buyers = [market.buyer(str(number)) for number in range(6)]
    for number, buyer in enumerate(buyers):
        made = market.start(buyer, "online", period_hours=48)
        market.complete(made, f"ord_{number}")
    clock.move(46 * H)
    steps = at_once([RentalReminders(market.database).step] * 4)
    assert not [step for step in steps if isinstance(step, Exception)]
    market.reminded()
    told = Counter(data["consumerId"] for data in market.told("entitlement.expiring"))
    assert told == dict.fromkeys(buyers, 1)


def test_a_reminder_that_comes_too_late_is_not_told(market, clock):
    market.buy()
    clock.move(48 * H)
    assert market.reminded() == []


def test_a_worker_that_dies_in_the_middle_has_told_nothing_yet(market, clock, monkeypatch):
    market.buy()
    clock.move(46 * H)
    reminders = RentalReminders(market.database)
    with monkeypatch.context() as patch:
        patch.setattr("farebox.access.rentals.service_reminders.show_time", _die)
        with pytest.raises(RuntimeError):
            reminders.step()
    assert market.told("entitlement.expiring") == []
    assert len(market.reminded()) == 1


def _die(_):
    raise RuntimeError("the power went")
