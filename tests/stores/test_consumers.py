"""Consumers and groups: who they are, and that every change of them is seen."""

from functools import partial

import msgspec
import pytest

from farebox.access.consumers import service as consumers
from farebox.access.consumers import service_groups as groups
from farebox.access.consumers.model import (
    Consumer,
    ConsumerTaken,
    ConsumerUnknown,
    DeviceRefused,
    Group,
    GroupUnknown,
    MemberUnknown,
    OwnerRefused,
    TooManyGroups,
)
from farebox.events.model import Position
from farebox.events.service import events_after
from farebox.kernel.refusals import ValueRefused
from farebox.ledger.service import Ledger
from farebox.platform import service_audit as audit
from farebox.storage import Database
from tests.support.services import ADA, at_once, run

ISSUER = "https://id.example/realms/cinema"


def consumer(database: Database, name: str = "Bob", **named) -> Consumer:
    return run(database, consumers.create_consumer, ADA, name=name, **named)


def group(database: Database, name: str = "Family", **named) -> Group:
    return run(database, groups.create_group, ADA, name=name, **named)


def revision(database: Database, subject: str) -> int:
    return run(database, Ledger().revision, subject)


def told(database: Database) -> list[tuple[str, dict]]:
    feed = run(database, events_after, Position())
    return [(event.type, event.data) for event in feed.events]


def test_a_consumer_is_read_as_it_was_made(database):
    made = consumer(
        database,
        "Ада",
        issuer=ISSUER,
        subject="42",
        metadata={"city": "Кострома", "age": 36, "vip": True, "note": None},
    )
    assert run(database, consumers.read_consumer, made.id) == made
    assert run(database, consumers.consumer_of_identity, ISSUER, "42") == made
    assert run(database, consumers.consumer_of_identity, ISSUER, "43") is None
    assert made.state == "active"


def test_an_issuers_subject_is_one_consumer_also_when_it_is_made_twice_at_once(database):
    make = partial(consumer, database, issuer=ISSUER, subject="42")
    answers = at_once([make] * 6)
    assert sum(isinstance(answer, Consumer) for answer in answers) == 1
    assert sum(isinstance(answer, ConsumerTaken) for answer in answers) == 5
    consumer(database, issuer="https://other.example", subject="42")
    assert len(run(database, consumers.list_consumers).items) == 2


def test_consumers_without_an_issuer_are_many(database):
    assert consumer(database).id != consumer(database).id


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"name": "a\0b"},
        {"name": "a" * 257},
        {"name": "\ud800"},
        {"issuer": ISSUER},
        {"subject": "42"},
        {"issuer": "", "subject": "42"},
        {"metadata": {"": 1}},
        {"metadata": {"a": "b\0"}},
        {"metadata": {"a": 2**53}},
        {"metadata": {str(n): n for n in range(33)}},
    ],
)
def test_a_consumer_that_an_engine_could_not_hold_is_refused(database, wrong):
    with pytest.raises(ValueRefused):
        consumer(database, **wrong)
    assert run(database, consumers.list_consumers).items == ()
    assert told(database) == []


def test_a_device_has_an_owner_who_is_no_device(database):
    owner = consumer(database)
    device = consumer(database, "Television", owner=owner.id)
    assert device.owner == owner.id
    for bad in (device.id, "con_nobody"):
        with pytest.raises(OwnerRefused):
            consumer(database, "Remote control", owner=bad)
    assert run(database, consumers.list_consumers, owner=owner.id).items == (device,)


def test_a_suspension_is_told_audited_and_advances_the_revision_once(database):
    made = consumer(database)
    run(database, consumers.suspend_consumer, ADA, made.id)
    suspended = run(database, consumers.suspend_consumer, ADA, made.id)
    assert suspended.state == "suspended"
    assert revision(database, made.id) == 1
    assert [kind for kind, _ in told(database)] == [
        "consumer.updated",
        "consumer.updated",
        "access.suspended",
    ]
    assert told(database)[1][1]["state"] == "suspended"
    why = {"consumer": made.id, "consumerId": made.id, "reason": "asked for by phone"}
    assert told(database)[2][1] == why
    log = run(database, audit.list_audit, subject=made.id).items
    assert [entry.action for entry in log] == ["consumer.suspended", "consumer.created"]
    assert msgspec.json.decode(log[0].before or "")["state"] == "active"
    for _ in range(2):
        assert run(database, consumers.activate_consumer, ADA, made.id).state == "active"
    assert revision(database, made.id) == 2


def test_a_changed_name_is_told_and_known_to_the_next_decision(database):
    made = consumer(database, metadata={"a": 1})
    changed = run(database, consumers.update_consumer, ADA, made.id, name="Bert")
    assert (changed.name, changed.metadata) == ("Bert", {"a": 1})
    assert run(database, consumers.update_consumer, ADA, made.id, metadata={}).metadata == {}
    run(database, consumers.update_consumer, ADA, made.id, name="Bert")
    assert [data["name"] for _, data in told(database)] == ["Bob", "Bert", "Bert"]
    # Gateways hand the name on, so a remembered one is old; metadata is nobody's there.
    assert revision(database, made.id) == 1


def test_an_unknown_consumer_is_refused_everywhere(database):
    for work in (
        consumers.suspend_consumer,
        consumers.activate_consumer,
        consumers.update_consumer,
        consumers.create_key,
    ):
        with pytest.raises(ConsumerUnknown):
            run(database, work, ADA, "con_nobody")


def test_consumers_are_listed_in_pages_and_by_state(database):
    made = [consumer(database).id for _ in range(5)]
    run(database, consumers.suspend_consumer, ADA, made[1])
    first = run(database, consumers.list_consumers, limit=3)
    rest = run(database, consumers.list_consumers, after=first.next, limit=3)
    assert [one.id for one in first.items + rest.items] == sorted(made)
    assert rest.next is None
    assert len(run(database, consumers.list_consumers, state="suspended").items) == 1
    for limit in (0, 1001):
        with pytest.raises(ValueRefused):
            run(database, consumers.list_consumers, limit=limit)


def test_a_consumers_key_is_theirs(database):
    made = consumer(database)
    key = run(database, consumers.create_key, ADA, made.id, label="phone")
    brought = run(database, consumers.import_key, ADA, made.id, key="cinema-7")
    assert key.credential.subject == brought.subject == made.id


# -- groups --------------------------------------------------------------------------------------


def test_the_groups_of_a_consumer_come_in_the_order_in_which_they_are_drawn(database):
    bob = consumer(database).id
    late = group(database, "Club", priority=5)
    first = group(database, "Family", priority=-1)
    middle = group(database, "Work")
    group(database, "Strangers")
    for one in (late, middle, first):
        run(database, groups.add_member, ADA, group=one.id, consumer=bob)
    found = run(database, groups.groups_of, bob)
    assert [one.name for one in found] == ["Family", "Work", "Club"]
    assert run(database, groups.groups_of, "con_nobody") == ()


def test_a_changed_membership_advances_the_members_and_the_groups_revision(database):
    bob, family = consumer(database).id, group(database).id
    for _ in range(2):
        run(database, groups.add_member, ADA, group=family, consumer=bob)
    assert (revision(database, bob), revision(database, family)) == (1, 1)
    assert run(database, groups.is_member, group=family, consumer=bob)
    run(database, groups.remove_member, ADA, group=family, consumer=bob)
    assert (revision(database, bob), revision(database, family)) == (2, 2)
    assert not run(database, groups.is_member, group=family, consumer=bob)
    with pytest.raises(MemberUnknown):
        run(database, groups.remove_member, ADA, group=family, consumer=bob)
    log = run(database, audit.list_audit, subject=family).items
    assert [entry.action for entry in log] == [
        "group.member_removed",
        "group.member_added",
        "group.created",
    ]


def test_a_device_is_in_no_group_because_it_draws_as_its_owner(database):
    bob, family = consumer(database), group(database).id
    television = consumer(database, "Television", owner=bob.id)
    with pytest.raises(DeviceRefused):
        run(database, groups.add_member, ADA, group=family, consumer=television.id)


def test_a_deleted_group_has_no_members_any_more(database):
    bob, family = consumer(database).id, group(database).id
    run(database, groups.add_member, ADA, group=family, consumer=bob)
    before = revision(database, family)
    run(database, groups.delete_group, ADA, family)
    assert run(database, groups.groups_of, bob) == ()
    assert revision(database, family) == before + 1
    for work in (groups.read_group, groups.list_members):
        with pytest.raises(GroupUnknown):
            run(database, work, family)


def test_a_group_is_changed_and_listed(database):
    made = [group(database, name) for name in ("A", "B", "C")]
    changed = run(database, groups.update_group, ADA, made[0].id, name="Z", priority=7)
    assert (changed.name, changed.priority) == ("Z", 7)
    assert revision(database, made[0].id) == 1
    run(database, groups.update_group, ADA, made[0].id, name="Z")
    assert revision(database, made[0].id) == 1
    first = run(database, groups.list_groups, limit=2)
    rest = run(database, groups.list_groups, after=first.next, limit=2)
    assert [one.id for one in first.items + rest.items] == sorted(one.id for one in made)
    assert {one.name for one in first.items + rest.items} == {"Z", "B", "C"}
    for priority in (2**31, 1.5, True):
        with pytest.raises(ValueRefused):
            run(database, groups.update_group, ADA, made[0].id, priority=priority)


def test_members_are_listed_in_pages(database):
    family = group(database).id
    made = [consumer(database).id for _ in range(3)]
    for one in made:
        run(database, groups.add_member, ADA, group=family, consumer=one)
    first = run(database, groups.list_members, family, limit=2)
    rest = run(database, groups.list_members, family, after=first.next, limit=2)
    assert [member.consumer for member in first.items + rest.items] == sorted(made)


def test_unknown_ones_are_refused(database):
    bob, family = consumer(database).id, group(database).id
    with pytest.raises(ConsumerUnknown):
        run(database, groups.add_member, ADA, group=family, consumer="con_nobody")
    with pytest.raises(GroupUnknown):
        run(database, groups.add_member, ADA, group="grp_nothing", consumer=bob)


def test_a_consumer_is_in_a_hundred_groups_at_most(database):
    bob = consumer(database).id

    def fill(tx):
        for number in range(101):
            made = groups.create_group(tx, ADA, name=str(number))
            groups.add_member(tx, ADA, group=made.id, consumer=bob)

    with pytest.raises(TooManyGroups):
        database.run(fill)
