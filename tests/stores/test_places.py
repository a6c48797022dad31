"""Places in carts: never more than there are, theirs for a while, kept while money moves."""

import threading
from functools import partial

import pytest

from farebox.access.consumers import service as consumers
from farebox.access.consumers.model import DeviceRefused
from farebox.access.marketplace import service_places as places
from farebox.access.marketplace.model import (
    Offer,
    Place,
    PlaceEnded,
    PlacePinned,
    PlaceUnknown,
    RenewalsExceeded,
    SoldOut,
)
from farebox.access.marketplace.rules import MINUTE_US, offer_of, place_state
from farebox.access.marketplace.service_capacity import availability_of
from tests.support.services import ADA, PATIENCE_S, at_once, now, run
from tests.support.stall import ONLINE, TICKET, Stall
from tests.support.threads import Worker, wait_until_it_waits

QUARTER = 15 * MINUTE_US


@pytest.fixture
def stall(database, clock):
    found = Stall(database)
    found.item("play", "Пьеса", offers=(TICKET, ONLINE))
    clock.move(MINUTE_US)
    return found


def left(stall):
    return run(stall.database, availability_of, stall.read("play"))[0].left


def pin(stall, place):
    return run(stall.database, places.pin_place, place)


def sell(stall, consumer, place_id):
    item = stall.read("play")
    offer = offer_of(item, "hall")
    return run(stall.database, places.sell_place, consumer, item, offer, place_id)


def test_twenty_buyers_at_once_get_five_places(stall):
    buyers = [stall.buyer(str(number)) for number in range(20)]
    answers = at_once(partial(stall.hold, buyer, "play") for buyer in buyers)
    assert sum(isinstance(answer, Place) for answer in answers) == 5
    assert sum(isinstance(answer, SoldOut) for answer in answers) == 15
    assert left(stall) == 0


def test_a_buyer_who_asks_ten_times_at_once_holds_one(stall):
    buyer = stall.buyer()
    answers = at_once([lambda: stall.hold(buyer, "play")] * 10)
    assert all(isinstance(answer, Place) for answer in answers)
    assert answers == [answers[0]] * 10
    assert left(stall) == 4


def test_a_place_is_held_for_a_quarter_of_an_hour_and_then_anybodys(stall, clock):
    place = stall.hold(stall.buyer(), "play")
    assert place.expires_at == clock.now_us() + QUARTER
    clock.move(QUARTER - 1)
    assert left(stall) == 4
    clock.move(1)
    assert left(stall) == 5
    assert place_state(place, now(stall.database)) == "expired"


def test_asking_again_does_not_begin_the_time_anew(stall, clock):
    buyer = stall.buyer()
    place = stall.hold(buyer, "play")
    clock.move(QUARTER - 1)
    assert stall.hold(buyer, "play") == place
    clock.move(1)
    again = stall.hold(buyer, "play")
    assert again.id != place.id
    assert again.expires_at >= clock.now_us() + QUARTER
    assert run(stall.database, places.read_place, place.id).ended_by == "expired"


def test_a_place_that_is_renewed_while_it_is_asked_for_again_is_kept(stall, clock):
    buyer = stall.buyer()
    place = stall.hold(buyer, "play")
    clock.move(QUARTER)
    renewed, may_end = threading.Event(), threading.Event()

    def renew(tx):
        places.renew_place(tx, place.id, consumer=buyer)
        renewed.set()
        assert may_end.wait(PATIENCE_S)

    renewing = Worker(stall.database.run, renew)
    renewing.start()
    assert renewed.wait(PATIENCE_S)
    asking = Worker(stall.hold, buyer, "play")
    asking.start()
    wait_until_it_waits(stall.database, asking)
    may_end.set()
    renewing.result()
    held = asking.result()
    assert (held.id, held.renewals, place_state(held, now(stall.database))) == (place.id, 1, "held")
    assert left(stall) == 4


def test_an_offer_says_how_long_its_places_are_held(stall, clock):
    stall.change("play", offers=(Offer(code="hall", kind="theatre_ticket", hold_minutes=30),))
    assert stall.hold(stall.buyer(), "play").expires_at == clock.now_us() + 2 * QUARTER


def test_a_place_is_renewed_ten_times(stall, clock):
    buyer = stall.buyer()
    place = stall.hold(buyer, "play")
    for _ in range(10):
        clock.move(QUARTER - 1)
        place = run(stall.database, places.renew_place, place.id, consumer=buyer)
        assert place.expires_at == clock.now_us() + QUARTER
    assert left(stall) == 4
    with pytest.raises(RenewalsExceeded):
        run(stall.database, places.renew_place, place.id)


def test_a_lapsed_place_is_renewed_only_while_there_is_one(stall, clock):
    place = stall.hold(stall.buyer(), "play")
    clock.move(QUARTER)
    assert run(stall.database, places.renew_place, place.id).renewals == 1
    assert left(stall) == 4
    clock.move(QUARTER)
    for number in range(5):
        stall.hold(stall.buyer(str(number)), "play")
    with pytest.raises(SoldOut):
        run(stall.database, places.renew_place, place.id)


def test_a_released_place_is_anybodys_at_once(stall):
    place = stall.hold(stall.buyer(), "play")
    for _ in range(2):
        ended = run(stall.database, places.release_place, place.id)
        assert (ended.ended_by, left(stall)) == ("released", 5)
    with pytest.raises(PlaceEnded):
        run(stall.database, places.renew_place, place.id)
    with pytest.raises(PlaceEnded):
        pin(stall, run(stall.database, places.read_place, place.id))


def test_a_pinned_place_stays_whatever_time_passes(stall, clock):
    place = pin(stall, stall.hold(stall.buyer(), "play"))
    clock.move(1_000 * QUARTER)
    assert left(stall) == 4
    for touch in (places.release_place, places.renew_place):
        with pytest.raises(PlacePinned):
            run(stall.database, touch, place.id)
    for _ in range(2):
        run(stall.database, places.unpin_place, place.id)
    assert left(stall) == 5


def test_a_place_is_sold_once_and_returned_once(stall):
    buyer = stall.buyer()
    place = pin(stall, stall.hold(buyer, "play"))
    sold = sell(stall, buyer, place.id)
    assert (sold.id, sold.ended_by, left(stall)) == (place.id, "sold", 4)
    for _ in range(2):
        assert run(stall.database, places.return_place, place.id).ended_by == "returned"
        assert left(stall) == 5


def test_a_lapsed_place_is_sold_anew_while_there_is_one(stall, clock):
    buyer = stall.buyer()
    place = stall.hold(buyer, "play")
    clock.move(QUARTER)
    sold = sell(stall, buyer, place.id)
    assert (sold.id != place.id, left(stall)) == (True, 4)
    other = stall.hold(stall.buyer("late"), "play")
    clock.move(QUARTER)
    for number in range(4):
        stall.hold(stall.buyer(str(number)), "play")
    assert sell(stall, other.consumer, other.id) is None
    run(stall.database, places.return_place, sold.id)
    assert left(stall) == 1


def test_what_does_not_run_out_is_held_and_sold_all_the_same(stall):
    buyer = stall.buyer()
    place = stall.hold(buyer, "play", "online")
    assert place.hold is None
    assert run(stall.database, places.list_places, buyer).items == (place,)
    assert run(stall.database, places.release_place, place.id).ended_by == "released"
    assert run(stall.database, places.list_places, buyer).items == ()


def test_a_strangers_place_is_not_there(stall):
    place = stall.hold(stall.buyer(), "play")
    for touch in (places.read_place, places.renew_place, places.release_place):
        with pytest.raises(PlaceUnknown):
            run(stall.database, touch, place.id, consumer=stall.buyer("Eve"))


def test_a_device_holds_nothing(stall):
    owner = stall.buyer()
    device = run(stall.database, consumers.create_consumer, ADA, name="TV", owner=owner)
    with pytest.raises(DeviceRefused):
        stall.hold(device.id, "play")
