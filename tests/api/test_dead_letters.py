"""Dead letters over the API: looked at, re-sent after the fix, or discarded; both are audited."""

import pytest

from farebox.events.inbox import Inbox
from farebox.events.rules import PAUSES_US
from tests.events.post import BILLING, PAID, done, event, make_done, take_all, write_down

REASON = {"reason": "the plan was mended"}


@pytest.fixture
def broken():
    return {"evt_sub_1_1"}


@pytest.fixture
def inbox(database, broken):
    make_done(database)

    def handle(tx, told):
        if told.id in broken:
            raise ValueError("there is no such plan")
        write_down(tx, told)

    return Inbox(database, {(BILLING, PAID): handle})


@pytest.fixture
def letter(inbox, admin, clock):
    """Return the id of a dead letter with two events of its subject behind it."""
    take_all(inbox, [event("sub_1", version) for version in (1, 2, 3)] + [event("sub_2", 1)])
    for pause in PAUSES_US:
        clock.move(pause)
        inbox.step()
    [found] = admin.get("/v1/dead-letters")["items"]
    return found["id"]


def apply_all(inbox):
    while inbox.step():
        pass


def test_a_dead_letter_tells_what_came_why_it_failed_and_what_waits(letter, admin, database):
    found = admin.get(f"/v1/dead-letters/{letter}")
    assert found["event"]["id"] == "evt_sub_1_1"
    assert found["error"] == "ValueError: there is no such plan"
    assert (found["tries"], found["waiting"]) == (3, 2)
    assert done(database) == ["evt_sub_2_1"]


def test_a_resent_letter_applies_after_the_fix_and_its_subject_follows_in_order(
    letter, admin, inbox, broken, database
):
    broken.clear()
    admin.post(f"/v1/dead-letters/{letter}/resend", params=REASON)
    apply_all(inbox)
    assert done(database, "sub_1") == ["evt_sub_1_1", "evt_sub_1_2", "evt_sub_1_3"]
    assert admin.get("/v1/dead-letters")["items"] == []
    [entry] = admin.get("/v1/audit", subject=letter)["items"]
    assert (entry["action"], entry["reason"]) == ("dead_letter.resent", REASON["reason"])


def test_a_letter_resent_too_early_has_three_more_tries_and_is_dead_again(
    letter, admin, inbox, clock
):
    admin.post(f"/v1/dead-letters/{letter}/resend")
    assert admin.get("/v1/dead-letters")["items"] == []
    for pause in (0, *PAUSES_US):
        clock.move(pause)
        inbox.step()
    assert [one["id"] for one in admin.get("/v1/dead-letters")["items"]] == [letter]


def test_a_discarded_letter_is_never_applied_and_its_subject_follows(
    letter, admin, inbox, broken, database
):
    broken.clear()
    admin.post(f"/v1/dead-letters/{letter}/discard", params=REASON)
    apply_all(inbox)
    assert done(database, "sub_1") == ["evt_sub_1_2", "evt_sub_1_3"]
    [entry] = admin.get("/v1/audit", subject=letter)["items"]
    assert entry["action"] == "dead_letter.discarded"
    assert inbox.take([event("sub_1", 1)]) == ()
    apply_all(inbox)
    assert len(done(database, "sub_1")) == 2


@pytest.mark.parametrize("what", ["resend", "discard"])
def test_a_letter_is_resolved_once_and_a_repeat_gets_the_first_answer(letter, admin, what):
    first = admin.post(f"/v1/dead-letters/{letter}/{what}", key="once")
    assert admin.post(f"/v1/dead-letters/{letter}/{what}", key="once") == first
    again = admin.call("POST", f"/v1/dead-letters/{letter}/{what}")
    assert (again.status_code, again.json()["code"]) == (404, "dead_letter_unknown")


@pytest.mark.parametrize(
    "name", ["dlt_0000000000000000", "dlt_00000000000000ff", "x", "..", "dlt_1"]
)
def test_what_is_no_dead_letter_is_not_found(admin, name):
    for method, path in (("GET", ""), ("POST", "/resend"), ("POST", "/discard")):
        assert admin.call(method, f"/v1/dead-letters/{name}{path}").status_code == 404


def test_dead_letters_are_listed_in_pages(inbox, admin, clock, broken):
    for number in range(3):
        broken.add(f"evt_sub_p{number}_1")
    inbox.take([event(f"sub_p{number}", 1) for number in range(3)])
    for pause in (0, *PAUSES_US):
        clock.move(pause)
        apply_all(inbox)
    first = admin.get("/v1/dead-letters", limit=2)
    rest = admin.get("/v1/dead-letters", limit=2, cursor=first["next"])
    found = [one["event"]["subject"] for one in first["items"] + rest["items"]]
    assert found == ["sub_p0", "sub_p1", "sub_p2"]
    assert rest["next"] is None


def test_support_may_resolve_letters_and_a_viewer_may_not_even_look(letter, caller):
    assert caller("support").post(f"/v1/dead-letters/{letter}/resend")["id"] == letter
    assert caller("viewer").call("GET", "/v1/dead-letters").status_code == 403
