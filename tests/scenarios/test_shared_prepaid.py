"""The shared pre-paid service: a family of three shares twenty films (source 000)."""

from functools import partial
from itertools import cycle, islice

import pytest

from farebox.access.buckets import service as buckets
from farebox.access.buckets.model import ServicePlan, Terms
from farebox.access.consumers import service as consumers
from farebox.access.consumers import service_groups as groups
from farebox.access.consumers.model import ConsumerUnknown, GroupHasBuckets, GroupUnknown
from farebox.access.decisions.model import (
    AccessKeyExpired,
    AccessKeyInvalid,
    AlreadyRedeemed,
    Authorisation,
    ConsumerSuspended,
    Denial,
    Redemption,
)
from farebox.access.decisions.rules import read_access_key
from farebox.access.decisions.service_access_keys import introspect
from farebox.access.flows.delete_group import delete_group
from farebox.access.flows.provision_plan import provision_plan
from farebox.access.flows.redeem import redeem
from farebox.kernel.clock import SECOND_US
from farebox.kernel.refusals import ValueRefused
from farebox.ledger.model import Applied, Capture
from farebox.ledger.service import Ledger, request
from farebox.platform import service_audit as audit
from farebox.platform.model import KeyReused, Once
from farebox.platform.service_signing import jwks, rotate_signing_key, signing_key
from farebox.platform.tokens import peek, sign_token
from tests.support.cinema import ISSUER, PROVIDER, Cinema
from tests.support.services import ADA, at_once, now, run

MINUTE = 60 * SECOND_US


@pytest.fixture
def cinema(database):
    return Cinema(database)


def redeemed(cinema, access_key, **named):
    return redeem(cinema.database, PROVIDER, access_key, issuer=ISSUER, **named)


def is_active(cinema, token):
    return run(cinema.database, introspect, token, issuer=ISSUER).active


# -- the bucket ----------------------------------------------------------------------------------


def test_twenty_films_are_shared_the_next_is_denied_and_a_top_up_lets_them_on(cinema):
    for place, member in enumerate(islice(cycle(cinema.members), 20)):
        assert cinema.watch(member).remaining == 19 - place
    for member in cinema.members:
        assert cinema.denied(member) == Denial(
            code="bucket_empty", consumer=member, product="films", remaining=0
        )
    cinema.top_up(5)
    assert cinema.watch(cinema.members[0]).remaining == 4


def test_thirty_who_ask_at_once_get_the_twenty_films_and_no_more(cinema):
    asks = [partial(cinema.ask, member) for member in cinema.members * 10]
    answers = at_once(asks)
    assert sum(isinstance(answer, Authorisation) for answer in answers) == 20
    assert sum(isinstance(answer, Denial) for answer in answers) == 10
    assert cinema.left() == 0


def test_a_usage_says_who_what_and_how_much_in_the_groups_history(cinema):
    ada = cinema.members[0]
    made = cinema.watch(ada, quantity=3, metadata='{"film":"Stalker"}')
    entry = run(cinema.database, buckets.history, cinema.bucket).items[0]
    assert (entry.operation, entry.kind, entry.by) == (made.operation, "use", -3)
    assert (entry.actor, entry.product, entry.metadata) == (ada, "films", '{"film":"Stalker"}')


def test_too_many_films_at_once_take_none(cinema):
    denial = cinema.denied(cinema.members[0], quantity=21)
    assert (denial.code, denial.remaining) == ("bucket_empty", 20)
    assert cinema.left() == 20


def test_a_repeat_under_the_same_key_gets_the_same_access_key_and_draws_once(cinema, clock):
    ada = cinema.members[0]
    first = cinema.watch(ada, key="k1")
    clock.move(MINUTE)
    assert cinema.watch(ada, key="k1") == first
    assert cinema.left() == 19
    with pytest.raises(KeyReused):
        cinema.ask(ada, key="k1", quantity=2)
    cinema.suspend(ada)
    assert cinema.watch(ada, key="k1") == first, "a known key is answered before any other rule"


def test_repeats_at_once_draw_once(cinema):
    answers = at_once([partial(cinema.watch, cinema.members[0], key="k1")] * 6)
    assert all(isinstance(answer, Authorisation) for answer in answers)
    assert len({answer.access_key for answer in answers if isinstance(answer, Authorisation)}) == 1
    assert cinema.left() == 19


# -- who may draw --------------------------------------------------------------------------------


def test_a_stranger_is_denied_and_a_new_member_is_not(cinema):
    stranger = cinema.consumer("Dan")
    assert cinema.denied(stranger).code == "no_bucket"
    assert cinema.denied(stranger, group=cinema.group).code == "not_a_member"
    cinema.add(stranger)
    assert cinema.watch(stranger, group=cinema.group).group == cinema.group


def test_a_member_who_is_taken_out_is_denied_at_once(cinema):
    ada, bob, _ = cinema.members
    cinema.watch(ada)
    cinema.remove(ada)
    assert cinema.denied(ada).code == "no_bucket"
    assert cinema.watch(bob).remaining == 18


def test_a_members_cap_denies_the_member_alone(cinema):
    ada, bob, _ = cinema.members
    cinema.cap(ada, 2)
    assert [cinema.watch(ada).remaining for _ in range(2)] == [1, 0]
    denial = cinema.denied(ada)
    assert (denial.code, denial.remaining) == ("member_cap_reached", 0)
    assert cinema.watch(bob).remaining == 17
    cinema.cap(ada, 3)
    cinema.watch(ada)
    assert cinema.denied(ada).code == "member_cap_reached"


def test_a_member_at_the_cap_who_asks_many_times_at_once_gets_no_more(cinema):
    ada = cinema.members[0]
    cinema.cap(ada, 3)
    answers = at_once([partial(cinema.ask, ada)] * 9)
    assert sum(isinstance(answer, Authorisation) for answer in answers) == 3
    assert cinema.left() == 17


def test_a_suspended_member_is_denied_and_lets_the_others_be(cinema):
    ada, bob, _ = cinema.members
    cinema.suspend(ada)
    assert cinema.denied(ada).code == "consumer_suspended"
    cinema.watch(bob)
    run(cinema.database, consumers.activate_consumer, ADA, ada)
    assert cinema.watch(ada).remaining == 18


def test_a_device_draws_as_its_owner_and_falls_with_either(cinema):
    ada = cinema.members[0]
    television = cinema.consumer("Television", owner=ada)
    cinema.cap(ada, 2)
    assert cinema.watch(television).consumer == television
    assert cinema.watch(ada).remaining == 0
    assert cinema.denied(television).code == "member_cap_reached"
    cinema.cap(ada, 9)
    cinema.suspend(ada)
    assert cinema.denied(television).code == "consumer_suspended"
    run(cinema.database, consumers.activate_consumer, ADA, ada)
    cinema.watch(television)
    cinema.suspend(television)
    assert cinema.denied(television).code == "consumer_suspended"
    cinema.watch(ada)
    run(cinema.database, consumers.activate_consumer, ADA, television)
    cinema.remove(ada)
    assert cinema.denied(television).code == "no_bucket"


def test_a_members_own_films_come_first_then_the_groups_by_priority(cinema):
    ada, database = cinema.members[0], cinema.database
    club = run(database, groups.create_group, ADA, name="Club", priority=-1).id
    run(database, groups.add_member, ADA, group=club, consumer=ada)
    provision_plan(database, ADA, product="films", group=club, bucket_limit=1)
    grant = Terms(amount=1)
    own = run(
        database,
        buckets.create_bucket,
        ADA,
        product="films",
        holder_kind="consumer",
        holder=ada,
        grant=grant,
    ).id
    drawn = [cinema.watch(ada) for _ in range(3)]
    assert [made.group for made in drawn] == [None, club, cinema.group]
    assert drawn[0].bucket == own
    assert cinema.watch(ada, group=cinema.group).bucket == cinema.bucket


def test_what_nobody_knows_is_refused_or_denied(cinema):
    ada = cinema.members[0]
    assert cinema.denied(ada, product="filmz").code == "product_unknown"
    with pytest.raises(ConsumerUnknown):
        cinema.ask("con_nobody")
    for wrong in ({"quantity": 0}, {"quantity": 2**53}, {"ttl_seconds": 0}, {"ttl_seconds": 10**9}):
        with pytest.raises(ValueRefused):
            cinema.ask(ada, **wrong)
    assert cinema.left() == 20


# -- the plan ------------------------------------------------------------------------------------


def test_a_plan_provisioned_twice_under_one_key_is_one_plan(cinema):
    key = Once(caller="opr_vendor", key="k1", payload=b"plan")
    terms = {"product": "films", "group": cinema.group, "bucket_limit": 7, "once": key}
    first, again = (provision_plan(cinema.database, ADA, **terms) for _ in range(2))
    assert isinstance(first, ServicePlan)
    assert again == first
    assert len(run(cinema.database, buckets.list_buckets, holder=cinema.group).items) == 2


def test_a_plan_expires_exactly_when_it_says(cinema, clock):
    ada, database = cinema.members[0], cinema.database
    cinema.watch(ada, quantity=20)
    end = now(database) + 60 * MINUTE
    provision_plan(
        database, ADA, product="films", group=cinema.group, bucket_limit=2, expires_at=end
    )
    cinema.watch(ada)
    clock.move(61 * MINUTE)
    assert cinema.denied(ada).code == "bucket_empty"


def test_a_group_is_deleted_once_its_films_are_gone(cinema):
    with pytest.raises(GroupHasBuckets):
        delete_group(cinema.database, ADA, cinema.group)
    ada = cinema.members[0]
    cinema.watch(ada, quantity=20)
    delete_group(cinema.database, ADA, cinema.group)
    assert cinema.denied(ada).code == "no_bucket"
    with pytest.raises(GroupUnknown):
        delete_group(cinema.database, ADA, cinema.group)


# -- the access key ------------------------------------------------------------------------------


def test_the_provider_reads_an_access_key_with_the_published_keys_alone(cinema):
    ada = cinema.members[0]
    made = cinema.watch(ada, quantity=2, ttl_seconds=60)
    published = run(cinema.database, jwks)["keys"]
    found = read_access_key(made.access_key, published, issuer=ISSUER, now=now(cinema.database))
    assert (found.consumer, found.product, found.group) == (ada, "films", cinema.group)
    assert (found.quantity, found.operation, found.hold) == (2, made.operation, None)
    assert found.expires_at == made.expires_at == made.issued_at + MINUTE


def test_an_access_key_is_redeemed_once(cinema):
    made = cinema.watch(cinema.members[0])
    assert is_active(cinema, made.access_key)
    done = redeemed(cinema, made.access_key)
    assert (done.key.operation, done.redeemed_by) == (made.operation, "opr_cinema")
    with pytest.raises(AlreadyRedeemed):
        redeemed(cinema, made.access_key)
    assert not is_active(cinema, made.access_key)
    assert cinema.left() == 19, "what was authorised is drawn once, redeemed or not"


def test_two_who_redeem_one_access_key_at_once_do_not_both_succeed(cinema):
    made = cinema.watch(cinema.members[0])
    answers = at_once([partial(redeemed, cinema, made.access_key)] * 8)
    assert sum(isinstance(answer, Redemption) for answer in answers) == 1
    assert sum(isinstance(answer, AlreadyRedeemed) for answer in answers) == 7


def test_a_provider_who_lost_the_answer_asks_again_under_the_same_key(cinema):
    made = cinema.watch(cinema.members[0])
    key = Once(caller="opr_cinema", key="k1", payload=made.access_key.encode())
    first = redeemed(cinema, made.access_key, once=key)
    assert redeemed(cinema, made.access_key, once=key) == first
    with pytest.raises(AlreadyRedeemed):
        redeemed(cinema, made.access_key)


def test_an_expired_access_key_is_worth_nothing(cinema, clock):
    made = cinema.watch(cinema.members[0], ttl_seconds=60)
    published = run(cinema.database, jwks)["keys"]
    last = made.expires_at - 1
    read_access_key(made.access_key, published, issuer=ISSUER, now=last)
    clock.move(2 * MINUTE)
    with pytest.raises(AccessKeyExpired):
        redeemed(cinema, made.access_key)
    assert not is_active(cinema, made.access_key)
    with pytest.raises(AccessKeyExpired):
        read_access_key(made.access_key, published, issuer=ISSUER, now=made.expires_at)


def test_a_forged_access_key_is_worth_nothing(cinema):
    made = cinema.watch(cinema.members[0])
    other = cinema.watch(cinema.members[1], quantity=2)
    head, _, tail = made.access_key.split(".")
    swapped = ".".join((head, other.access_key.split(".")[1], tail))
    for forged in (swapped, made.access_key[:-4] + "AAAA", "", "a.b.c", "eyJ.eyJ.x", "cinema-7"):
        with pytest.raises(AccessKeyInvalid):
            redeemed(cinema, forged)
        assert not is_active(cinema, forged)
    with pytest.raises(AccessKeyInvalid):
        redeem(cinema.database, PROVIDER, made.access_key, issuer="https://elsewhere.example")


def test_another_kind_of_token_of_ours_is_no_access_key(cinema):
    made = cinema.watch(cinema.members[0])
    _, claims = peek(made.access_key)
    signing = run(cinema.database, signing_key)
    token = sign_token(claims, kind="JWT", kid=signing.kid, private=signing.private)
    with pytest.raises(AccessKeyInvalid):
        redeemed(cinema, token)


def test_an_access_key_of_a_consumer_who_was_suspended_is_worth_nothing(cinema):
    ada = cinema.members[0]
    made = cinema.watch(ada)
    cinema.suspend(ada)
    assert not is_active(cinema, made.access_key)
    with pytest.raises(ConsumerSuspended):
        redeemed(cinema, made.access_key)


def test_an_access_key_survives_the_rotation_of_the_signing_key(cinema):
    made = cinema.watch(cinema.members[0])
    run(cinema.database, rotate_signing_key, ADA)
    after = cinema.watch(cinema.members[0])
    assert redeemed(cinema, made.access_key).key.operation == made.operation
    assert redeemed(cinema, after.access_key).key.operation == after.operation


def test_a_reserved_usage_is_captured_in_parts_by_the_provider(cinema):
    made = cinema.watch(cinema.members[0], quantity=10, mode="reserve")
    assert made.hold is not None
    assert cinema.left() == 10
    found = redeemed(cinema, made.access_key)
    assert found.key.hold == made.hold
    command = Capture(hold=made.hold, amount=4, hold_on=6)
    outcome = run(cinema.database, Ledger().apply, [request(command)])[0][0]
    assert isinstance(outcome, Applied)
    assert outcome.hold is not None
    assert (outcome.amount, cinema.left()) == (4, 10)
    rest = Capture(hold=outcome.hold, amount=1)
    run(cinema.database, Ledger().apply, [request(rest)])
    assert cinema.left() == 15


def test_introspection_tells_what_is_needed_and_of_operators_nothing(cinema):
    ada = cinema.members[0]
    made = cinema.watch(ada)
    found = run(cinema.database, introspect, made.access_key, issuer=ISSUER)
    assert (found.sub, found.aud, found.group) == (ada, "films", cinema.group)
    assert (found.token_type, found.quantity) == ("access_key", 1)
    key = run(cinema.database, consumers.create_key, ADA, ada)
    found = run(cinema.database, introspect, key.key, issuer=ISSUER)
    assert (found.active, found.sub, found.client_id) == (True, ada, key.credential.id)
    cinema.suspend(ada)
    assert not is_active(cinema, key.key)


def test_every_change_by_the_vendor_is_in_the_audit_log(cinema):
    actions = {entry.action for entry in run(cinema.database, audit.list_audit).items}
    assert actions == {
        "product.created",
        "group.created",
        "group.member_added",
        "consumer.created",
        "bucket.created",
        "bucket.granted",
        "service_plan.provisioned",
    }
