"""Letters are sent once, by any number of workers, and at least once whoever dies, and when.

A child takes what is due and dies by `kill -9` before its n-th statement, for every n: before the
claim, between the claim and the sending, between the sending and its note, in the middle of either.
The next one finds what is left when the claim has ended.
"""

import signal
import threading
from collections import Counter

import pytest

from farebox.notifications.deliveries.service_sending import CLAIM_US
from farebox.notifications.flows.send_letters import Letters
from tests.support.letters import HOUR_US, STANDARD, Office
from tests.support.nursery import Nursery
from tests.support.threads import wait_until_the_dead_let_go

LETTERS = 30


@pytest.fixture(scope="module")
def senders():
    made = Nursery("tests.support.letter_roles")
    yield made
    made.close()


def test_two_workers_on_one_database_send_each_letter_once(
    notifications_url, open_database_at, office, mail, clock
):
    """Two processes' worth of workers, each with threads of its own, at the same time."""
    for number in range(LETTERS):
        who = office.person(f"con_{number}", "X", email=f"x{number}@example.org")
        office.bought(who, f"ord_{number}")
    workers = [
        Letters(
            open_database_at(notifications_url, name="notifications"),
            {"mail": mail.gateway},
            standard=STANDARD,
        )
        for _ in range(2)
    ]
    start = threading.Barrier(2)

    def send(worker):
        start.wait(10)
        while worker.step():
            worker.settle()

    threads = [threading.Thread(target=send, args=(worker,)) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for worker in workers:
        worker.close()
    office.later(HOUR_US)
    got = Counter(str(one["To"].addresses[0].addr_spec) for one in mail.taken)
    assert got == Counter(f"x{number}@example.org" for number in range(LETTERS))
    assert {log.letter.state for log in office.letters()} == {"sent"}


def journey(senders, url, mail, now, at):
    child = senders.start("send_letters", url=url, port=mail.port, now=now, at=at)
    said = child.hear()
    return said, child.wait()


def test_whoever_dies_and_whenever_no_letter_is_lost_and_at_most_one_try_is_more(
    senders, notifications_url, office, mail, clock
):
    office.bought(office.anna(), "ord_0")
    said, status = journey(senders, notifications_url, mail, clock.now_us(), 0)
    assert status == 0
    assert len(mail.taken) == 1
    places = said["places"]
    assert places > 10
    twice = []
    for at in range(1, places + 1):
        mail.taken.clear()
        clock.move(CLAIM_US)
        order = f"ord_{at}"
        office.bought("con_anna", order)
        said, status = journey(senders, notifications_url, mail, clock.now_us(), at)
        assert (said, status) == (None, -signal.SIGKILL), at
        wait_until_the_dead_let_go(office.database)
        sent_before = len(mail.taken)
        clock.move(CLAIM_US)
        office.work()
        [log] = [each for each in office.letters() if each.letter.once == order]
        assert log.letter.state == "sent", at
        assert 1 <= len(log.attempts) <= 2, at
        assert len(mail.taken) == max(1, len(log.attempts) if sent_before else 1), at
        # The second of the two carries the first one's number.
        assert len({one["Message-ID"] for one in mail.taken}) == 1, at
        if len(mail.taken) == 2:
            twice.append(at)
            assert log.attempts[0].outcome is None
    # Only between the server's word and its note is a letter sent a second time.
    assert twice
    assert twice == list(range(twice[0], twice[-1] + 1))


def test_a_fault_between_claim_and_sending_costs_one_more_try(opened, mail, clock):
    class Dying:
        asked = 0

        def send(self, parcel):
            Dying.asked += 1
            raise SystemExit

    office: Office = opened({"mail": Dying()})
    office.bought(office.anna())
    office.work()
    assert (Dying.asked, mail.taken) == (1, [])
    [log] = office.letters()
    assert log.letter.state == "waiting"
    office.worker.close()
    office.worker = office.another({"mail": mail.gateway})
    office.later(CLAIM_US - 1)
    assert mail.taken == []
    office.later(1)
    assert len(mail.taken) == 1
    assert [each.outcome for each in office.letters()[0].attempts] == [None, "sent"]


def test_a_try_that_lasts_longer_than_its_claim_changes_no_outcome(opened, mail, clock):
    """The server takes the letter of a worker that is slow; another has claimed it meanwhile."""

    class Slow:
        def send(self, parcel):
            clock.move(CLAIM_US)
            other.step()
            other.settle()
            return mail.gateway.send(parcel)

    office: Office = opened({"mail": Slow()})
    office.bought(office.anna())
    other = office.another({"mail": mail.gateway})
    office.work()
    other.close()
    [log] = office.letters()
    assert log.letter.state == "sent"
    assert [each.outcome for each in log.attempts] == ["sent", "sent"]
    assert len({one["Message-ID"] for one in mail.taken}) == 1
