"""Letters as they are served: real processes, a real mail server, and `kill -9`."""

import pytest

from tests.support.commands import Farebox, until
from tests.support.letters import MailServer, plain
from tests.support.served import ADMIN, Service

LOW = "На счёте осталось 1,00 ₽"


@pytest.fixture
def mail():
    made = MailServer()
    yield made
    made.close()


@pytest.fixture
def farebox(command_nursery, tmp_path, mail):
    """Return the command with a mail server."""
    settings = {
        "FAREBOX_ADMIN_KEY": ADMIN,
        "FAREBOX_PORT": "0",
        "FAREBOX_SMTP_HOST": "127.0.0.1",
        "FAREBOX_SMTP_PORT": str(mail.port),
        "FAREBOX_SMTP_SECURITY": "none",
        "FAREBOX_SMTP_FROM": "Шанс-видео <letters@shop.example>",
    }
    return Farebox(command_nursery, tmp_path, **settings)


def make_anna(access):
    metadata = {"email": "anna@example.org", "locale": "ru", "zone": "Europe/Moscow"}
    return access.post("/v1/consumers", {"name": "Анна", "metadata": metadata})["id"]


def run_low(billing, who, process):
    """Let a wallet come to its low level; a wallet that is low already is filled before."""
    wallet = f"/v1/customers/{who}/wallets/RUB"
    fill = {"amount": 10_000, "reason": "cash"}
    until(lambda: billing.answer("POST", f"{wallet}/fills", fill).is_success, process)
    billing.put(f"{wallet}/low-level", {"level": 1_000})
    left = billing.get(wallet)["available"] - 100
    billing.post(f"{wallet}/adjustments", {"amount": -left, "part": "paid", "reason": "taken"})


def subjects(mail):
    return [plain(one["Subject"]) for one in mail.to("anna@example.org")]


def test_one_family_of_processes_tells_by_mail_and_in_the_inbox(farebox, mail):
    with farebox.started("serve") as process:
        served = Service(process)
        assert served.get("/readyz")["checks"]["database notifications"] == "ok"
        anna = make_anna(served)
        key = served.post(f"/v1/consumers/{anna}/keys", {})["key"]
        run_low(served, anna, process)
        until(lambda: subjects(mail) == [LOW], process)
        [notice] = served.get("/v1/notices", key=key)["items"]
        assert plain(notice["title"]) == LOW
        until(lambda: served.get("/v1/deliveries")["items"][0]["state"] == "sent", process)
        served.end()
    assert farebox.done("verify").endswith(" 0 faults\n")
    assert farebox.done("migrate") == "the schema is up to date\n"


def test_notifications_is_killed_and_has_missed_and_doubled_nothing_when_it_is_back(farebox, mail):
    with (
        farebox.started("serve", "--only", "access") as first,
        farebox.started("serve", "--only", "billing") as second,
    ):
        access, billing = Service(first), Service(second)
        with farebox.started("serve", "--only", "notifications") as third:
            letters = Service(third)
            anna = make_anna(access)
            run_low(billing, anna, second)
            until(lambda: subjects(mail) == [LOW], third)
            until(lambda: letters.get("/v1/deliveries")["items"][0]["state"] == "sent", third)
            letters.kill()
        # The others go on, and what they tell meanwhile waits for it.
        run_low(billing, anna, second)
        assert subjects(mail) == [LOW]
        with farebox.started("serve", "--only", "notifications") as third:
            letters = Service(third)
            until(lambda: subjects(mail) == [LOW] * 2, third)

            def states():
                return [one["state"] for one in letters.get("/v1/deliveries")["items"]]

            until(lambda: states() == ["sent", "sent"], third)
            assert letters.get("/v1/dead-letters")["items"] == []
            letters.end()
        assert subjects(mail) == [LOW] * 2
        access.end()
        billing.end()


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"FAREBOX_SMTP_FROM": "nobody"}, "smtp_from must be an address"),
        ({"FAREBOX_SMS_URL": "carrier-pigeon://coop/{phone}"}, "no service that Apprise knows"),
        ({"FAREBOX_SMS_URL": "json://host/without"}, "{phone} in it"),
        ({"FAREBOX_DEFAULT_ZONE": "Mars/Olympus"}, "default_zone"),
    ],
)
def test_a_channel_that_cannot_be_used_stops_the_start_with_one_line(farebox, settings, why):
    said = farebox.refused("serve", **settings)
    assert why in said
    assert "\n" not in said
