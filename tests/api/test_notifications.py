"""Letters over the API: one's choices and inbox, the log for support, whose they are."""

import pytest

from farebox.http.routes import OF_NOTIFICATIONS
from tests.api.conftest import app_over_nothing
from tests.support.letters import MailServer, Office

pytestmark = pytest.mark.usefixtures("notifications")


@pytest.fixture
def mail():
    made = MailServer()
    yield made
    made.close()


@pytest.fixture
def office(notifications, clock, mail):
    made = Office(notifications, clock, {"mail": mail.gateway})
    yield made
    made.close()


@pytest.fixture
def anna(consumer, office):
    """Return Anna's id and her calls; notifications has heard of her."""
    who, own = consumer("Anna")
    office.person(who, "Анна", email="anna@example.org", locale="ru", zone="Europe/Moscow")
    return who, own


@pytest.fixture
def stranger_of(consumer, office):
    """Return the calls of Boris, whom notifications knows too."""
    who, own = consumer("Boris")
    office.person(who, "Boris", email="boris@example.org")
    return own


def refused(answer):
    return answer.status_code, answer.json()["code"]


def test_somebody_chooses_how_they_are_told(anna):
    who, own = anna
    path = f"/v1/notification-preferences/{who}"
    assert own.get(path)["channel"] is None
    chosen = {
        "channel": "sms",
        "letters": {"reminder": "off", "purchase": "mail"},
        "quiet_hours": {"start": "22:00", "end": "08:30"},
        "locale": "en",
        "zone": "Asia/Vladivostok",
        "phone": "+79161234567",
    }
    made = own.put(path, chosen)
    assert {name: made[name] for name in chosen} == chosen
    assert own.get(path) == made
    assert own.put(path, {})["letters"] == {}


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"letters": {"purchase": "off"}}, 409, "letter_needed"),
        ({"letters": {"refund": "off"}}, 409, "letter_needed"),
        ({"letters": {"poem": "mail"}}, 422, "fields_invalid"),
        ({"channel": "pigeon"}, 422, "fields_invalid"),
        ({"quiet_hours": {"start": "24:00", "end": "08:00"}}, 422, "fields_invalid"),
        ({"quiet_hours": {"start": "08:00", "end": "08:00"}}, 422, "preference_invalid"),
        ({"zone": "Mars/Olympus"}, 422, "value_invalid"),
        ({"zone": "../../etc/passwd"}, 422, "fields_invalid"),
        ({"phone": "json://evil.example"}, 422, "fields_invalid"),
        ({"locale": "de"}, 422, "fields_invalid"),
        ({"email": "else@example.org"}, 422, "fields_invalid"),
    ],
)
def test_what_cannot_be_chosen_is_refused_and_changes_nothing(anna, body, status, code):
    who, own = anna
    path = f"/v1/notification-preferences/{who}"
    before = own.put(path, {"channel": "sms"})
    assert refused(own.call("PUT", path, json=body)) == (status, code)
    assert own.get(path) == before


def test_what_is_anothers_is_not_there(anna, stranger_of, office):
    """Scenario 45."""
    who, own = anna
    office.bought(who)
    office.work()
    [notice] = own.get("/v1/notices")["items"]
    path = f"/v1/notification-preferences/{who}"
    assert refused(stranger_of.call("GET", path)) == (404, "recipient_unknown")
    assert refused(stranger_of.call("PUT", path, json={})) == (404, "recipient_unknown")
    assert stranger_of.get("/v1/notices", consumer=who)["items"] == []
    read = f"/v1/notices/{notice['id']}/read"
    assert refused(stranger_of.call("POST", read)) == (404, "notice_unknown")
    assert refused(stranger_of.call("GET", "/v1/deliveries")) == (403, "role_missing")
    assert own.get("/v1/notices", unread=True)["items"] == [notice]


def test_somebody_unknown_is_not_there(admin):
    path = "/v1/notification-preferences/con_nobody"
    assert refused(admin.call("GET", path)) == (404, "recipient_unknown")
    assert refused(admin.call("PUT", path, json={})) == (404, "recipient_unknown")
    assert admin.get("/v1/notices")["items"] == []
    assert refused(admin.call("GET", "/v1/deliveries/ltr_none")) == (404, "letter_unknown")


def test_notices_are_counted_read_and_paged(anna, office):
    who, own = anna
    for number in range(3):
        office.bought(who, f"ord_{number}")
        office.work()
    assert own.get("/v1/notices/unread") == {"unread": 3}
    page = own.get("/v1/notices", limit=2)
    assert len(page["items"]) == 2
    rest = own.get("/v1/notices", limit=2, cursor=page["next"])
    assert (len(rest["items"]), rest["next"]) == (1, None)
    first = page["items"][0]
    assert (first["title"], first["kind"], first["locale"]) == ("Покупка: Маузер", "purchase", "ru")
    read = own.post(f"/v1/notices/{first['id']}/read")
    assert own.post(f"/v1/notices/{first['id']}/read")["read_at"] == read["read_at"]
    assert own.get("/v1/notices/unread") == {"unread": 2}
    assert own.post("/v1/notices/read") == {"unread": 0}


def test_support_sees_what_became_of_a_letter_and_sends_it_again(anna, caller, office, mail, admin):
    """Scenario 35."""
    who, _ = anna
    support = caller("support")
    mail.refusing = "550 no such user"
    office.bought(who)
    office.work()
    [letter] = support.get("/v1/deliveries", consumer=who)["items"]
    assert (letter["state"], letter["kind"]) == ("failed", "purchase")
    assert letter["channels"] == [{"channel": "mail", "state": "failed", "tries": 1}]
    [attempt] = letter["attempts"]
    assert (attempt["outcome"], attempt["error"]) == ("failed", "550 no such user")
    assert attempt["address"] == "a…@example.org"
    assert support.get("/v1/deliveries", state="sent")["items"] == []
    assert support.get("/v1/deliveries", kind="reminder")["items"] == []
    path = f"/v1/deliveries/{letter['id']}"
    assert support.get(f"{path}/preview")["subject"] == "Покупка: Маузер"
    assert "Оплачено" in support.get(f"{path}/preview", channel="sms")["text"]

    mail.refusing = None
    again = support.post(f"{path}/resend?reason=asked+by+phone")
    assert (again["state"], again["round"]) == ("waiting", 1)
    assert refused(support.call("POST", f"{path}/resend")) == (409, "letter_under_way")
    office.work()
    assert len(mail.taken) == 1
    assert support.get(path)["state"] == "sent"


def test_sending_again_is_in_the_audit_log_of_notifications(anna, caller, office, notifications):
    who, _ = anna
    office.bought(who)
    office.work()
    support = caller("support")
    [letter] = support.get("/v1/deliveries")["items"]
    support.post(f"/v1/deliveries/{letter['id']}/resend?reason=asked+by+phone")
    with notifications.read() as tx:
        row = tx.connection.exec_driver_sql("SELECT action, subject, reason FROM audit").one()
    assert tuple(row) == ("letter.resent", letter["id"], "asked by phone")


def test_a_repeat_under_one_key_sends_once(anna, caller, office, mail):
    who, _ = anna
    office.bought(who)
    office.work()
    support = caller("support")
    [letter] = support.get("/v1/deliveries")["items"]
    path = f"/v1/deliveries/{letter['id']}/resend"
    first = support.post(path, key="once")
    office.work()
    assert support.post(path, key="once") == first
    office.work()
    assert len(mail.taken) == 2


def test_the_kinds_of_letters_are_listed_with_their_names(anna):
    _, own = anna
    kinds = {each["kind"]: each for each in own.get("/v1/letter-templates")["items"]}
    assert kinds["reminder"]["label"]["ru"] == "Окончание аренды"
    assert (kinds["reminder"]["needed"], kinds["purchase"]["needed"]) == (False, True)


def test_readiness_names_the_database_of_letters(client):
    checks = client.get("/readyz").json()["checks"]
    assert checks["database notifications"] == "ok"


def test_notifications_alone_has_its_own_routes_and_no_others():
    app = app_over_nothing(OF_NOTIFICATIONS)
    paths = {route.path for route in app.routes}
    assert "/v1/notices" in paths
    assert "/v1/dead-letters" in paths
    assert "/v1/consumers" not in paths
