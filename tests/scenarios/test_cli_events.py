"""`farebox events`, and a served Farebox whose loops run: on both engines."""

import re
import signal

import httpx2
import pytest

from farebox.events.inbox import Inbox
from farebox.events.rules import PAUSES_US
from farebox.platform.service_audit import list_audit
from tests.events.post import BILLING, PAID, event, states
from tests.support.commands import line_of, stop, until
from tests.support.services import run


@pytest.fixture
def farebox(farebox_on_engine):
    return farebox_on_engine


@pytest.fixture
def letter(database_url, open_database_at, clock):
    """Return the id of a dead letter."""
    database = open_database_at(database_url)

    def handle(tx, told):
        raise ValueError("there is no such plan")

    inbox = Inbox(database, {(BILLING, PAID): handle})
    inbox.take([event("sub_1", 1), event("sub_1", 2)])
    for pause in (0, *PAUSES_US):
        clock.move(pause)
        inbox.step()
    return "dlt_0000000000000001"


def test_dead_letters_are_listed_looked_at_and_resent(
    farebox, letter, database_url, open_database_at
):
    [line] = farebox.done("events", "dead").splitlines()
    assert line.startswith(f"{letter}  {PAID}  sub_1")
    assert "1 waiting" in line
    assert "ValueError: there is no such plan" in farebox.done("events", "look", letter)
    why = "the plan was mended"
    assert letter in farebox.done("events", "resend", letter, "--reason", why)
    assert farebox.done("events", "dead") == ""
    database = open_database_at(database_url)
    assert states(database)["evt_sub_1_1"] == "waiting"
    [entry] = run(database, list_audit, subject=letter).items
    assert (entry.action, entry.actor, entry.reason) == ("dead_letter.resent", "command-line", why)


def test_a_dead_letter_is_discarded_once(farebox, letter, database_url, open_database_at):
    farebox.done("events", "discard", letter)
    assert states(open_database_at(database_url))["evt_sub_1_1"] == "discarded"
    assert farebox.refused("events", "discard", letter) == "There is no such dead letter."


def test_a_served_farebox_sends_its_log_and_a_sender_that_is_gone_is_forgotten(farebox):
    with farebox.started("serve", "--port", "0") as process:
        key = line_of(process, r"shown once\): (\S+)").group(1)
        url = line_of(process, r"listens on (\S+)").group(1)
        with httpx2.Client(
            base_url=url, headers={"Authorization": f"Bearer {key}"}, trust_env=False, timeout=20
        ) as client:
            until(lambda: is_up(client), process)
            client.post("/v1/consumers", json={"name": "Ada"}).raise_for_status()
            end = client.get("/v1/events", params={"limit": 1000}).json()["next"]
        until(lambda: f"sender webhooks  {end}  " in farebox.done("events", "positions"), process)
        assert stop(process, signal.SIGTERM)[0] == 0
    assert re.search(r"^forgot", farebox.done("events", "forget", "sender", "webhooks"))
    left = farebox.done("events", "positions").splitlines()
    assert [" ".join(line.split()[:2]) for line in left] == [
        "follower billing", "follower notifications",
    ]  # fmt: skip
    why = farebox.refused("events", "forget", "sender", "webhooks")
    assert why == "there is no sender webhooks"


def is_up(client):
    try:
        return client.get("/healthz").is_success
    except httpx2.TransportError:
        return False
