"""Items: whose they are, what they say, what is told of them."""

from typing import Any

import pytest

from farebox.access.marketplace import service as items
from farebox.access.marketplace.model import (
    CapacityInUse,
    Draft,
    ItemArchived,
    ItemChanged,
    ItemIncomplete,
    ItemTaken,
    ItemUnknown,
    Offer,
    OfferRefused,
    OwnerUnfit,
    Sight,
)
from farebox.access.marketplace.service_capacity import availability_of
from farebox.events.model import Position
from farebox.events.service import events_after
from farebox.kernel.refusals import ValueRefused
from farebox.platform import service_audit as audit
from tests.support.services import ADA, at_once, run
from tests.support.stall import ONLINE, TICKET, Stall


@pytest.fixture
def stall(database):
    return Stall(database)


def left(stall, code):
    found = run(stall.database, availability_of, stall.read(code))
    return {each.offer: each.left for each in found}


def test_an_item_is_made_changed_published_archived_told_and_audited(stall):
    made = stall.item("mauser", "Маузер", published=False)
    assert (made.state, made.version, made.owner) == ("draft", 1, stall.owner)
    assert stall.read("mauser") == made
    stall.change("mauser", title={"ru": "Маузер", "en": "Mauser"})
    run(stall.database, items.publish_item, ADA, "mauser")
    assert run(stall.database, items.publish_item, ADA, "mauser").version == 3
    gone = run(stall.database, items.archive_item, ADA, "mauser")
    assert (gone.state, gone.version) == ("archived", 4)
    told = run(stall.database, events_after, Position()).events
    of_item = [event for event in told if event.subject == "item:mauser"]
    assert [event.type for event in of_item] == [
        "item.created", "item.updated", "item.updated", "item.archived",
    ]  # fmt: skip
    copy = of_item[-1].data
    assert (copy["itemId"], copy["owner"], copy["state"]) == ("mauser", stall.owner, "archived")
    assert [(offer["code"], offer["periods"]) for offer in copy["offers"]] == [
        ("online", [12, 24, 48, 72])
    ]
    assert not any("price" in name.lower() or "amount" in name.lower() for name in copy)
    log = run(stall.database, audit.list_audit, subject="mauser").items
    assert [entry.action for entry in reversed(log)] == [event.type for event in of_item]


def test_what_is_another_owners_is_not_there(stall):
    stall.item("mauser", "Маузер")
    stranger = Sight(owner=stall.operator("Other", "owner"))
    for touch in (items.publish_item, items.withdraw_item, items.archive_item):
        with pytest.raises(ItemUnknown):
            run(stall.database, touch, ADA, "mauser", sight=stranger)
    with pytest.raises(ItemUnknown):
        run(stall.database, items.change_item, ADA, "mauser", {"kind": "x"}, sight=stranger)
    with pytest.raises(ItemUnknown):
        run(stall.database, items.read_item, "mauser", stranger)
    assert stall.codes(sight=stranger) == stall.codes("маузер", sight=stranger) == []
    assert stall.read("mauser").version == 2


def test_a_transferred_item_is_the_new_owners_alone(stall):
    stall.item("mauser", "Маузер")
    other = stall.operator("Other", "owner")
    moved = run(stall.database, items.transfer_item, ADA, "mauser", owner=other)
    assert moved.owner == other
    assert stall.codes("маузер", sight=Sight(owner=other)) == ["mauser"]
    assert stall.codes("маузер", sight=Sight(owner=stall.owner)) == []


@pytest.mark.parametrize("roles", [("viewer",), ("vendor", "support"), None])
def test_only_an_operator_with_the_role_owns_items(stall, roles):
    other = "opr_nobody" if roles is None else stall.operator("Other", *roles)
    stall.item("mauser", "Маузер")
    with pytest.raises(OwnerUnfit):
        run(stall.database, items.transfer_item, ADA, "mauser", owner=other)
    with pytest.raises(OwnerUnfit):
        stall.item("other", "Другой", owner=other)


def test_a_code_is_one_item_also_when_two_take_it_at_once(stall):
    answers = at_once([lambda: stall.item("mauser", "Маузер", published=False)] * 2)
    assert sorted(type(answer).__name__ for answer in answers) == ["Item", "ItemTaken"]
    with pytest.raises(ItemTaken):
        stall.item("mauser", "Маузер")


def test_an_archived_item_stays_as_it_is(stall):
    stall.item("mauser", "Маузер")
    run(stall.database, items.archive_item, ADA, "mauser")
    for touch in (items.publish_item, items.withdraw_item):
        with pytest.raises(ItemArchived):
            run(stall.database, touch, ADA, "mauser")
    with pytest.raises(ItemArchived):
        stall.change("mauser", kind="x")


def test_a_published_item_has_an_offer(stall):
    with pytest.raises(ItemIncomplete):
        stall.item("bare", "Пусто", offers=())
    stall.item("mauser", "Маузер")
    with pytest.raises(ItemIncomplete):
        stall.change("mauser", offers=())


def test_of_two_changes_of_one_version_the_second_is_refused(stall):
    made = stall.item("mauser", "Маузер")

    def change(kind):
        changes = {"kind": kind}
        return run(stall.database, items.change_item, ADA, "mauser", changes, version=made.version)

    answers = at_once([lambda: change("a"), lambda: change("b")])
    assert sorted(type(answer).__name__ for answer in answers) == ["Item", "ItemChanged"]
    with pytest.raises(ItemChanged):
        change("c")


def test_capacities_are_raised_lowered_and_never_below_what_is_held(stall):
    whole = Offer(code="any", kind="purchase")
    stall.item("play", "Пьеса", offers=(TICKET, whole, ONLINE), capacity=8)
    assert left(stall, "play") == {"hall": 5, "any": 8, "online": 8}
    stall.hold(stall.buyer(), "play")
    assert left(stall, "play") == {"hall": 4, "any": 7, "online": 7}
    stall.change("play", capacity=3)
    assert left(stall, "play") == {"hall": 2, "any": 2, "online": 2}
    with pytest.raises(CapacityInUse):
        stall.change("play", capacity=0)
    assert stall.change("play", capacity=1).capacity == 1
    stall.change("play", capacity=None)
    assert left(stall, "play") == {"hall": 4, "any": None, "online": None}


BAD_OFFERS = {
    "no periods": Offer(code="a", kind="online_rental"),
    "periods of a ticket": Offer(code="a", kind="theatre_ticket", periods=(1,)),
    "a period of nothing": Offer(code="a", kind="online_rental", periods=(0,)),
    "a period of years": Offer(code="a", kind="online_rental", periods=(9_000,)),
    "a period twice": Offer(code="a", kind="online_rental", periods=(1, 1)),
    "two clocks, one told": Offer(code="a", kind="online_rental", periods=(1,), clocks=2),
    "one clock, two told": Offer(
        code="a", kind="online_rental", periods=(1,), finish_within_hours=1
    ),
    "a rental with a showing": Offer(code="a", kind="online_rental", periods=(1,), starts_at=1),
    "a rental in a zone": Offer(code="a", kind="online_rental", periods=(1,), zone="Europe/Moscow"),
    "a zone without a showing": Offer(code="a", kind="theatre_ticket", zone="Europe/Moscow"),
    "an unknown zone": Offer(code="a", kind="theatre_ticket", starts_at=1, zone="Moon/Base"),
    "a code with a slash": Offer(code="a/b", kind="purchase"),
    "held for no time": Offer(code="a", kind="purchase", hold_minutes=0),
    "less than no places": Offer(code="a", kind="purchase", capacity=-1),
}
BAD_DRAFTS: dict[str, dict[str, Any]] = {
    "no title": {"title": {}},
    "an empty title": {"title": {"ru": ""}},
    "a title of two lines": {"title": {"ru": "a\nb"}},
    "no language": {"title": {"Russian!": "a"}},
    "a long title": {"title": {"ru": "x" * 257}},
    "a long description": {"description": {"ru": "x" * 10_001}},
    "a NUL": {"description": {"ru": "a\0b"}},
    "an attribute without a name": {"attributes": {"": 1}},
    "an attribute of a strange name": {"attributes": {"a b": 1}},
    "very many attributes": {"attributes": {f"a{n}": n for n in range(65)}},
    "very many values": {"attributes": {"a": list(range(101))}},
    "a number too large": {"attributes": {"a": 2**53}},
    "a window that ends first": {"available_from": 5, "available_until": 5},
    "a window before 1970": {"available_from": -1},
    "a negative capacity": {"capacity": -1},
    "an offer twice": {"offers": (ONLINE, ONLINE)},
    "too many offers": {"offers": tuple(
        Offer(code=f"a{n}", kind="purchase") for n in range(21)
    )},
    **{name: {"offers": (offer,)} for name, offer in BAD_OFFERS.items()},
}  # fmt: skip


def test_what_an_item_cannot_be_is_refused_and_changes_nothing(stall):
    stall.item("mauser", "Маузер")
    before = stall.read("mauser")
    accepted = []
    for name, changes in BAD_DRAFTS.items():
        try:
            stall.change("mauser", **changes)
        except (ValueRefused, OfferRefused):
            assert stall.read("mauser") == before
        else:
            accepted.append(name)
    assert accepted == []


def test_a_draft_needs_no_offer(stall):
    draft = Draft(kind="premiere", title={"ru": "Скоро"})
    made = run(stall.database, items.create_item, ADA, code="s", owner=stall.owner, draft=draft)
    assert made.offers == ()
