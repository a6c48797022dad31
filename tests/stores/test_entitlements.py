"""Entitlements: granted, limited, changed, revoked, and what may be drawn by them."""

import pytest

from farebox.access.buckets.service import create_bucket, sources_of
from farebox.access.catalog.model import FeatureUnknown, ProductUnknown
from farebox.access.consumers.model import ConsumerUnknown, DeviceRefused, GroupUnknown
from farebox.access.consumers.service import create_consumer
from farebox.access.entitlements import service
from farebox.access.entitlements.model import EntitlementOver, EntitlementUnknown, LimitMissing
from farebox.access.entitlements.service_access import changes_at, entitled, open_sources
from farebox.access.entitlements.service_limits import consumption_of
from farebox.kernel.refusals import ValueRefused
from farebox.ledger.model import Applied, Source, Use
from farebox.ledger.service import Ledger, request
from farebox.platform.service_audit import list_audit
from tests.support.proof import faults
from tests.support.services import ADA, at_once, run
from tests.support.subscribers import Subscribers, when


@pytest.fixture
def story(database, clock):
    yield Subscribers(database, clock, "2027-01-31")
    assert faults(database) == []


def grant(story, **named):
    wanted = {
        "holder_kind": "consumer", "holder": story.ada, "key": "films", "kind": "product",
        "source_kind": "operator", "source": "ada", **named,
    }  # fmt: skip
    return run(story.database, service.grant_entitlement, ADA, **wanted)


def change(story, one, **named):
    return run(story.database, service.update_entitlement, ADA, one.id, **named)


def used(story, one):
    found = run(story.database, consumption_of, one)
    assert found is not None
    return found


def draw(story, one, amount):
    """Use what lies on an entitlement's own bucket."""
    use = request(Use(sources=(Source(one.bucket),), amount=amount))
    return isinstance(run(story.database, Ledger().apply, [use])[0][0], Applied)


def test_a_right_holds_from_its_start_until_its_end(story):
    grant(story, starts_at=when("2027-02-01"), expires_at=when("2027-03-01"))
    for at, rights in [
        ("2027-01-31", []),
        ("2027-02-01", ["films"]),
        ("2027-02-28T23:59:59.999999", ["films"]),
        ("2027-03-01", []),
    ]:
        story.at(at)
        assert story.rights() == rights, at


def test_a_limit_is_drawn_by_whoever_uses_the_product_while_the_right_holds(story):
    grant(story, limit=5, period="month", expires_at=when("2027-03-15"))
    assert story.use(5)
    assert not story.use(1)
    story.at("2027-02-28")
    assert story.use(3)
    story.at("2027-03-15")
    assert not story.use(1)


def test_a_right_to_a_product_without_a_limit_is_counted_and_never_used_up(story):
    made = grant(story)
    assert run(story.database, consumption_of, made) is None
    assert draw(story, made, 2**50)
    assert story.use(1)


def test_a_right_to_a_feature_without_a_limit_needs_no_bucket(story):
    assert grant(story, key="hd", kind="feature").bucket is None


@pytest.mark.parametrize("kind", ["feature", "item"])
def test_the_limit_of_a_feature_or_an_item_counts_too(story, kind):
    made = grant(story, key="hd", kind=kind, limit=2)
    assert draw(story, made, 2)
    assert not draw(story, made, 1)
    assert (used(story, made).used, used(story, made).resets_at) == (2, None)


def test_a_limit_of_nothing_gives_nothing(story):
    made = grant(story, limit=0)
    assert (used(story, made).remaining, story.use()) == (0, False)


def test_what_was_used_counts_against_a_new_limit(story):
    made = grant(story, limit=10, period="month")
    story.use(4)
    made = change(story, made, limit=6)
    assert (used(story, made).used, used(story, made).remaining) == (4, 2)
    made = change(story, made, limit=3)
    assert (used(story, made).used, used(story, made).remaining) == (3, 0)
    made = change(story, made, limit=20)
    assert used(story, made).remaining == 17
    story.at("2027-02-28")
    assert used(story, made).remaining == 20


def test_a_limit_may_be_taken_away_and_given(story):
    made = change(story, grant(story, limit=10), limit=None)
    assert story.use(11)
    made = change(story, made, limit=3)
    assert used(story, made).remaining == 3
    assert (story.use(4), story.use(3)) == (False, True)


def test_an_expired_right_comes_back_with_what_was_left_and_a_revoked_one_does_not(story):
    made = grant(story, limit=10, expires_at=when("2027-02-01"))
    story.use(4)
    story.at("2027-02-02")
    assert not story.use()
    made = change(story, made, expires_at=when("2027-03-01"))
    assert used(story, made).remaining == 6
    run(story.database, service.revoke_entitlement, ADA, made.id)
    assert (story.rights(), story.use()) == ([], False)
    with pytest.raises(EntitlementOver):
        change(story, made, expires_at=None)


def test_two_rights_of_one_key_stand_beside_each_other(story):
    grant(story, limit=3)
    grant(story, limit=2)
    assert story.use(5)
    assert not story.use()


def test_all_members_have_what_their_group_has(story):
    bob = story.consumer("Bob")
    family = story.family(story.ada, bob)
    grant(story, holder_kind="group", holder=family, limit=3)
    assert story.use(2)
    assert story.use(1, consumer=bob)
    assert not story.use()
    assert story.rights(bob) == ["films"]


def test_roles_leave_out_what_is_for_others(story):
    grant(story, roles=("teacher", "teacher", "head"))
    grant(story, key="books")

    def rights(role):
        found = run(story.database, service.list_entitlements, [story.ada], role=role)
        return [each.key for each in found]

    assert rights("teacher") == ["films", "books"]
    assert rights("pupil") == ["books"]
    assert rights(None) == ["films", "books"]
    assert run(story.database, entitled, [story.ada], "films", role="head")
    assert not run(story.database, entitled, [story.ada], "films", role="pupil")


def test_an_answer_says_when_it_ends_by_itself(story):
    assert run(story.database, changes_at, [story.ada]) is None
    grant(story, starts_at=when("2027-02-05"), expires_at=when("2027-03-01"))
    assert run(story.database, changes_at, [story.ada]) == when("2027-02-05")
    story.at("2027-02-05")
    assert run(story.database, changes_at, [story.ada]) == when("2027-03-01")
    story.at("2027-03-01")
    assert run(story.database, changes_at, [story.ada]) is None


def test_an_answer_says_when_a_subscription_ends_it(story):
    story.plan("pro")
    mine = story.active("pro")
    story.billing("subscription.canceled", mine, effectiveAt="2027-02-15T00:00:00Z")
    assert run(story.database, changes_at, [story.ada]) == when("2027-02-15")


def test_every_change_is_told_audited_and_makes_remembered_states_old(story):
    seen = [story.revision()]
    made = grant(story, limit=3)
    seen.append(story.revision())
    change(story, made, limit=4)
    seen.append(story.revision())
    run(story.database, service.revoke_entitlement, ADA, made.id)
    seen.append(story.revision())
    assert seen == sorted(set(seen))
    told = story.told("entitlement.created", "entitlement.updated", "entitlement.revoked")
    assert [(each["entitlementId"], each["limit"], each["state"]) for each in told] == [
        (made.id, 3, "active"),
        (made.id, 4, "active"),
        (made.id, 4, "revoked"),
    ]
    log = run(story.database, list_audit, subject=made.id).items
    assert [entry.action for entry in reversed(log)] == [
        "entitlement.created",
        "entitlement.updated",
        "entitlement.revoked",
    ]


def test_the_same_change_and_revocation_again_are_silent(story):
    made = grant(story, limit=3)
    answers = at_once([
        lambda: run(story.database, service.revoke_entitlement, ADA, made.id)
    ] * 4)  # fmt: skip
    assert [each for each in answers if isinstance(each, Exception)] == []
    assert len(story.told("entitlement.revoked")) == 1
    again = grant(story)
    assert change(story, again, roles=()) == again
    assert story.told("entitlement.updated") == []


def test_a_source_takes_back_all_that_it_brought(story):
    for key in ("films", "books"):
        grant(story, key=key, source_kind="purchase", source="ord_1")
    grant(story, source_kind="purchase", source="ord_2")
    gone = run(story.database, service.revoke_source, ADA, "purchase", "ord_1")
    assert sorted(each.key for each in gone) == ["books", "films"]
    assert story.rights() == ["films"]
    assert run(story.database, service.revoke_source, ADA, "purchase", "ord_1") == ()


@pytest.mark.parametrize(
    ("wrong", "refusal"),
    [
        ({"holder": "con_nobody"}, ConsumerUnknown),
        ({"holder_kind": "group", "holder": "grp_none"}, GroupUnknown),
        ({"key": "nothing"}, ProductUnknown),
        ({"kind": "feature"}, FeatureUnknown),
        ({"limit": -1}, ValueRefused),
        ({"period": "month"}, LimitMissing),
        ({"expires_at": when("2027-01-31")}, ValueRefused),
        ({"roles": ("a\0",)}, ValueRefused),
        ({"source": ""}, ValueRefused),
    ],
)
def test_a_right_that_cannot_be_is_refused(story, wrong, refusal):
    with pytest.raises(refusal):
        grant(story, **wrong)
    assert story.told("entitlement.created") == []


def test_a_device_has_its_owners_rights_and_none_of_its_own(story):
    device = run(story.database, create_consumer, ADA, name="TV", owner=story.ada).id
    with pytest.raises(DeviceRefused):
        grant(story, holder=device)


def test_what_is_not_there_is_refused(story):
    with pytest.raises(EntitlementUnknown):
        run(story.database, service.read_entitlement, "ent_none")
    with pytest.raises(EntitlementUnknown):
        run(story.database, service.revoke_entitlement, ADA, "ent_none")


def test_what_was_opened_by_itself_is_always_open(story):
    with story.database.write() as tx:
        made = create_bucket(tx, ADA, product="films", holder_kind="consumer", holder=story.ada)
        sources = sources_of(tx, consumer=story.ada, holders=[story.ada])
        assert open_sources(tx, sources, [story.ada]) == sources
        assert [each.bucket for each in sources] == [made.id]
