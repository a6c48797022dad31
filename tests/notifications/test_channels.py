"""By which channel a letter goes, and what happens when one does not take it."""

import pytest

from farebox.notifications.deliveries.model import LetterUnderWay
from farebox.notifications.deliveries.service import resend
from farebox.notifications.flows.forget_letters import LetterRetention
from farebox.notifications.preferences.model import LetterNeeded, Quiet
from tests.support.letters import HOUR_US, MailServer, plain, text_of
from tests.support.services import ADA, run

SECOND_US = 1_000_000


def outcomes(office, who="con_anna"):
    """Return the tries of somebody's only letter, as support sees them."""
    [log] = office.letters(who)
    return [(each.channel, each.outcome) for each in log.attempts]


@pytest.fixture
def rented(office):
    """Return Anna, who has rented the premiere until the next evening, 20:00 in Moscow."""
    anna, _ = office.anna(), office.mauser()
    office.rental(anna)
    office.clock.move(29 * HOUR_US)  # 17:00 of the next day
    return anna


@pytest.fixture
def quiet_world(office, mail, sms, rented):
    return office, mail, sms, rented


def test_a_reminder_says_how_much_is_left_and_comes_once_per_version(office, mail, rented):
    """Scenario 32."""
    office.expiring(rented)
    office.work()
    [letter] = mail.taken
    assert letter["Subject"] == "«Маузер»: осталось 3 часа"
    assert "до 21 ноября 2026, 20:00 (МСК)" in text_of(letter)
    office.expiring(rented)
    office.work()
    assert len(mail.taken) == 1
    later = "2026-11-22T17:00:00.000000Z"
    office.rental(rented, "changed", version=2, endsAt=later, periodHours=48)
    office.later(24 * HOUR_US)
    office.expiring(rented, version=2, ends=later)
    office.work()
    assert len(mail.taken) == 2
    assert "до 22 ноября 2026, 20:00 (МСК)" in text_of(mail.taken[1])


@pytest.mark.parametrize(
    "facts", [{"revokedAt": "2026-11-21T13:00:00Z"}, {"version": 2}], ids=["canceled", "extended"]
)
def test_a_reminder_that_is_no_longer_true_is_not_sent(office, mail, rented, facts):
    office.expiring(rented)
    office.rental(rented, "revoked" if "revokedAt" in facts else "changed", **facts)
    office.work()
    assert mail.taken == []
    [log] = office.letters(rented)
    assert (log.letter.state, log.letter.reason) == ("withdrawn", "no_longer_true")
    assert office.notices(rented) == []


def test_a_reminder_that_waits_for_another_try_is_withdrawn_when_it_is_canceled(
    office, mail, rented
):
    mail.refusing = "451 try later"
    office.expiring(rented)
    office.work()
    mail.refusing = None
    office.rental(rented, "revoked", revokedAt="2026-11-21T14:00:10Z")
    office.later(30 * SECOND_US)
    assert mail.taken == []
    [log] = office.letters(rented)
    assert (log.letter.state, log.letter.reason) == ("withdrawn", "no_longer_true")


def test_a_reminder_that_is_sent_too_late_is_not_sent(office, mail, rented):
    office.expiring(rented)
    office.later(3 * HOUR_US)
    assert mail.taken == []
    assert office.letters(rented)[0].letter.state == "withdrawn"


def test_a_reminder_goes_by_the_channel_that_was_chosen_for_it(office, mail, sms, rented):
    """Scenario 34."""
    office.choose(rented, letters={"reminder": "sms"})
    office.expiring(rented)
    office.work()
    assert mail.taken == []
    [(phone, text)] = sms.taken
    assert phone == "+79161234567"
    assert plain(text) == "«Маузер»: осталось 3 часа, до 21.11.2026 20:00 (МСК)."


def test_after_three_failures_the_next_channel_takes_over(office, mail, sms, rented):
    """Scenario 34: the gateway fails 3 times, 1 letter, the log shows 3 + 1."""
    sms.failing = 3
    office.choose(rented, letters={"reminder": "sms"})
    office.expiring(rented)
    office.work()
    assert (sms.asked, mail.taken) == (1, [])
    office.later(30 * SECOND_US)
    assert (sms.asked, mail.taken) == (2, [])
    office.later(120 * SECOND_US)
    assert (sms.asked, len(mail.taken), sms.taken) == (3, 1, [])
    assert outcomes(office) == [("sms", "failed")] * 3 + [("mail", "sent")]
    assert text_of(mail.taken[0]).startswith(
        "Аренда «Маузер» скоро закончится: осталось 2 часа 58 минут."
    )
    office.later(24 * HOUR_US)
    assert (sms.asked, len(mail.taken)) == (3, 1)


def test_what_is_chosen_after_a_letter_was_queued_counts_for_it(office, mail, sms, rented):
    office.expiring(rented)
    office.choose(rented, channel="sms")
    office.work()
    assert mail.taken == []
    assert len(sms.taken) == 1


def test_a_letter_about_money_cannot_be_switched_off_but_its_channel_chosen(office, mail, sms):
    anna = office.anna()
    with pytest.raises(LetterNeeded):
        office.choose(anna, letters={"purchase": "off"})
    office.choose(anna, letters={"purchase": "sms"})
    office.bought(anna)
    office.work()
    assert mail.taken == []
    [(_, text)] = sms.taken
    assert "Оплачено 360,00 ₽" in plain(text)


def test_another_letter_that_is_switched_off_stands_in_the_inbox_alone(office, mail, rented):
    office.choose(rented, letters={"reminder": "off"})
    office.expiring(rented)
    office.work()
    assert mail.taken == []
    assert office.letters(rented)[0].letter.state == "switched_off"
    assert len(office.notices(rented)) == 1


def test_nothing_set_up_is_noted_and_the_inbox_has_its_copy(opened):
    office = opened({})
    anna = office.anna()
    office.bought(anna)
    office.work()
    assert office.worker.step() == 0
    [log] = office.letters(anna)
    assert (log.letter.state, log.attempts) == ("no_channel", ())
    assert len(office.notices(anna)) == 1


def test_vera_has_a_phone_alone(office, mail, sms):
    vera = office.person("con_vera", "Вера", phone="+7 (916) 765-43-21", locale="ru")
    office.bought(vera)
    office.work()
    assert mail.taken == []
    assert [phone for phone, _ in sms.taken] == ["+79167654321"]


def test_an_address_that_is_refused_for_good_is_tried_once(office, mail, sms):
    mail.refusing = "550 no such user"
    office.bought(office.anna())
    office.work()
    assert outcomes(office) == [("mail", "failed"), ("sms", "sent")]
    [log] = office.letters()
    assert log.attempts[0].error == "550 no such user"
    assert log.attempts[0].address == "a…@example.org"


def test_the_last_channel_goes_on_for_a_day_and_then_the_letter_has_failed(opened, mail):
    office = opened({"mail": mail.gateway})
    mail.refusing = "451 try later"
    office.bought(office.anna())
    office.work()
    tries = [1]
    for _ in range(30):
        office.later(HOUR_US)
        tries.append(len(outcomes(office)))
    assert tries[-1] == 10
    [log] = office.letters()
    assert (log.letter.state, log.letter.reason) == ("failed", "not_taken")
    mail.refusing = None
    run(office.database, resend, ADA, log.letter.id)
    office.work()
    assert len(mail.taken) == 1
    assert office.letters()[0].letter.state == "sent"


def test_a_mail_server_that_is_away_delays_a_letter_and_loses_none(opened, mail):
    away = MailServer()
    gateway = away.gateway
    away.close()
    office = opened({"mail": gateway})
    office.bought(office.anna())
    office.work()
    assert "ConnectionRefusedError" in office.letters()[0].attempts[0].error
    office.worker.close()
    office.worker = office.another({"mail": mail.gateway})
    office.later(30 * SECOND_US)
    assert len(mail.taken) == 1


@pytest.mark.parametrize(
    ("start", "end", "by_sms", "by_mail"),
    [(22, 8, [1, 1], [0, 0]), (16, 18, [0, 1], [0, 0]), (16, 9, [0, 0], [1, 1])],
    ids=["at once", "at 18:00", "by mail"],
)
def test_quiet_hours_hold_back_what_rings(quiet_world, start, end, by_sms, by_mail):
    """It is 17:00 in Moscow; the rental ends at 20:00, and a reminder after it is of no use."""
    office, mail, sms, anna = quiet_world
    office.choose(anna, channel="sms", quiet=Quiet(start=start * 60, end=end * 60))
    office.expiring(anna)
    seen = []
    for _ in range(2):
        office.work()
        seen.append((len(sms.taken), len(mail.taken)))
        office.clock.move(HOUR_US)
    assert seen == list(zip(by_sms, by_mail, strict=True))


@pytest.mark.parametrize(
    ("chosen", "by_sms", "by_mail"),
    [({"channel": "sms"}, 1, 0), ({"channel": "mail", "quiet": Quiet(start=960, end=1080)}, 0, 1)],
    ids=["quiet no more", "by mail"],
)
def test_what_is_chosen_in_quiet_hours_counts_for_letters_that_wait_for_their_end(
    quiet_world, chosen, by_sms, by_mail
):
    office, mail, sms, anna = quiet_world
    office.choose(anna, channel="sms", quiet=Quiet(start=960, end=1080))
    office.expiring(anna)
    office.work()
    assert (sms.taken, mail.taken) == ([], [])
    office.choose(anna, **chosen)
    office.work()
    assert (len(sms.taken), len(mail.taken)) == (by_sms, by_mail)


def test_support_sends_a_letter_again_in_its_own_language_and_zone(office, mail):
    """Scenario 35: the operator reads Russian, Boris English."""
    boris = office.boris()
    office.bought(boris)
    office.work()
    [log] = office.letters(boris)
    office.person(boris, "Boris", email="boris@new.example", locale="ru", zone="Europe/Moscow")
    run(office.database, resend, ADA, log.letter.id)
    with pytest.raises(LetterUnderWay):
        run(office.database, resend, ADA, log.letter.id)
    office.work()
    first, again = mail.taken
    assert again["To"].addresses[0].addr_spec == "boris@new.example"
    assert (again["Subject"], text_of(again)) == (first["Subject"], text_of(first))
    assert again["Message-ID"] != first["Message-ID"]
    assert len(office.notices(boris)) == 1


def test_letters_are_forgotten_so_many_days_after_they_have_ended(office, clock):
    anna = office.anna()
    office.bought(anna)
    office.work()
    office.bought(anna, "ord_2")  # still on its way
    retention = LetterRetention(office.database, days=30)
    clock.move(30 * 24 * HOUR_US)
    assert retention.step() == 0
    clock.move(1)
    assert retention.step() == 1
    [log] = office.letters()
    assert log.letter.once == "ord_2"
    assert office.notices(anna) == []
