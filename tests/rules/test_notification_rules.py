"""Letters: which channel is next, when it is tried again, whose word about a language counts."""

import pytest

from farebox.kernel.clock import SECOND_US, parse_time
from farebox.notifications.deliveries.model import Delivery
from farebox.notifications.deliveries.rules import (
    LAST_TRIES,
    PAUSES_US,
    End,
    Send,
    Standing,
    Wait,
    after_failure,
    hint_of,
    next_step,
)
from farebox.notifications.preferences.model import (
    LetterNeeded,
    Preference,
    PreferenceRefused,
    Quiet,
)
from farebox.notifications.preferences.rules import channels_for, checked, is_off, quiet_until
from farebox.notifications.recipients.model import Card
from farebox.notifications.recipients.rules import (
    UNSAID,
    email_of,
    merged,
    phone_of,
    told_card,
    zone_named,
)

NOW = parse_time("2026-11-20T12:00:00Z")
HOUR_US = 3_600 * SECOND_US
SMS_FIRST = {"order": ("sms", "mail"), "ringing": frozenset({"sms"})}


def tried(channel, tries, state="waiting"):
    return Delivery(letter="l", channel=channel, state=state, tries=tries, changed_at=0)


def standing(*deliveries, usable=("sms", "mail"), **more):
    return Standing(
        usable=frozenset(usable),
        deliveries={each.channel: each for each in deliveries},
        **{**SMS_FIRST, **more},
    )


@pytest.mark.parametrize(
    ("known", "step"),
    [
        (standing(), Send("sms")),
        (standing(usable=["mail"]), Send("mail")),
        (standing(usable=[]), End("no_channel", "no_address_or_setting")),
        (standing(tried("sms", 2)), Send("sms")),
        (standing(tried("sms", 3)), Send("mail")),
        (standing(tried("sms", 1, "failed")), Send("mail")),
        (standing(tried("sms", 3, "failed"), tried("mail", 3)), Send("mail")),
        (standing(tried("sms", 3, "failed"), tried("mail", 9)), Send("mail")),
        (standing(tried("sms", 3, "failed"), tried("mail", 10)), End("failed", "not_taken")),
        (standing(off=True), End("switched_off", "by_choice")),
        (standing(void=True, off=True), End("withdrawn", "no_longer_true")),
        (standing(until_at=NOW), End("withdrawn", "too_late")),
        (standing(until_at=NOW + 1), Send("sms")),
        (standing(quiet_until=NOW + HOUR_US), Wait(NOW + HOUR_US)),
        (standing(quiet_until=NOW + HOUR_US, until_at=NOW + 2 * HOUR_US), Wait(NOW + HOUR_US)),
        (standing(quiet_until=NOW + HOUR_US, until_at=NOW + HOUR_US), Send("mail")),
        (standing(quiet_until=NOW + 9, until_at=NOW + 9, usable=["sms"]), Send("sms")),
        (standing(quiet_until=NOW + 9, order=("mail", "sms")), Send("mail")),
    ],
)
def test_what_is_done_with_a_letter_that_is_due(known, step):
    assert next_step(known, NOW) == step


@pytest.mark.parametrize(
    ("known", "channel", "for_good", "state", "pause"),
    [
        (standing(tried("sms", 1)), "sms", False, "waiting", PAUSES_US[0]),
        (standing(tried("sms", 2)), "sms", False, "waiting", PAUSES_US[1]),
        (standing(tried("sms", 3)), "sms", False, "failed", 0),
        (standing(tried("sms", 1)), "sms", True, "failed", 0),
        (standing(tried("sms", 3), usable=["sms"]), "sms", False, "waiting", PAUSES_US[2]),
        (standing(tried("sms", LAST_TRIES), usable=["sms"]), "sms", False, "failed", 0),
        (standing(tried("sms", 3, "failed"), tried("mail", 3)), "mail", False, "waiting", ...),
    ],
)
def test_what_a_failure_means(known, channel, for_good, state, pause):
    found, due_at = after_failure(known, channel, NOW, for_good=for_good)
    assert found == state
    assert due_at == NOW + (PAUSES_US[2] if pause is ... else pause)


def test_the_last_channel_goes_on_for_about_a_day():
    assert len(PAUSES_US) == LAST_TRIES - 1
    assert 20 * HOUR_US < sum(PAUSES_US) < 26 * HOUR_US


@pytest.mark.parametrize(
    ("address", "hint"), [("anna@example.org", "a…@example.org"), ("+79161234567", "…4567")]
)
def test_an_address_is_shown_in_part(address, hint):
    assert hint_of(address) == hint


@pytest.mark.parametrize(
    ("chosen", "order"),
    [
        ({}, ("mail", "sms")),
        ({"channel": "sms"}, ("sms", "mail")),
        ({"letters": {"purchase": "sms"}}, ("sms", "mail")),
        ({"channel": "sms", "letters": {"purchase": "mail"}}, ("mail", "sms")),
        ({"channel": "sms", "letters": {"reminder": "mail"}}, ("sms", "mail")),
    ],
)
def test_the_choice_for_a_kind_goes_before_the_choice_for_all(chosen, order):
    assert channels_for(Preference(recipient="r", **chosen), "purchase") == order


def test_money_is_told_whatever_stands_in_the_row():
    made = Preference(recipient="r", letters={"purchase": "off", "reminder": "off"})
    assert not is_off(made, "purchase")
    assert is_off(made, "reminder")
    with pytest.raises(LetterNeeded):
        checked(made)


@pytest.mark.parametrize(
    "chosen",
    [
        {"quiet": Quiet(start=0, end=0)},
        {"quiet": Quiet(start=-1, end=5)},
        {"quiet": Quiet(start=0, end=1440)},
        {"phone": "+7916/../evil"},
        {"phone": "89161234567"},
    ],
)
def test_what_cannot_be_chosen_is_refused(chosen):
    with pytest.raises(PreferenceRefused):
        checked(Preference(recipient="r", **chosen))


@pytest.mark.parametrize(
    ("now", "zone", "start", "end", "until"),
    [
        ("2026-11-20T20:00:00Z", "Europe/Moscow", 22, 8, "2026-11-21T05:00:00Z"),
        ("2026-11-21T04:59:59Z", "Europe/Moscow", 22, 8, "2026-11-21T05:00:00Z"),
        ("2026-11-21T05:00:00Z", "Europe/Moscow", 22, 8, None),
        ("2026-11-20T18:59:59Z", "Europe/Moscow", 22, 8, None),
        ("2026-11-20T19:00:00Z", "Europe/Moscow", 22, 8, "2026-11-21T05:00:00Z"),
        ("2026-11-20T12:30:00Z", "UTC", 12, 13, "2026-11-20T13:00:00Z"),
        # The clocks go back in this night: it is quiet for an hour more.
        ("2026-10-24T21:00:00Z", "Europe/Berlin", 22, 8, "2026-10-25T07:00:00Z"),
        ("2026-03-28T22:00:00Z", "Europe/Berlin", 22, 8, "2026-03-29T06:00:00Z"),
    ],
)
def test_quiet_hours_are_of_the_recipients_wall_clock(now, zone, start, end, until):
    found = quiet_until(Quiet(start=start * 60, end=end * 60), zone, parse_time(now))
    assert found == (None if until is None else parse_time(until))


@pytest.mark.parametrize(
    ("before", "told", "locale", "at"),
    [
        (None, "en", None, 0),  # what everybody begins with
        (None, "ru", "ru", 9),
        ("ru", "ru", "ru", 5),
        ("ru", "en", "en", 9),  # now it was said
        ("ru", None, None, 9),
    ],
)
def test_a_standard_language_is_a_word_only_after_another(before, told, locale, at):
    card = Card(origin="customer", id="c", locale=before, locale_at=5 if before else 0)
    made = told_card(card, Card(origin="customer", id="c", locale=told), 9, unsaid=UNSAID)
    assert (made.locale, made.locale_at) == (locale, at)


def test_the_later_word_counts_and_billings_address_goes_first():
    ours = Card(
        origin="consumer", id="c", name="Ann", email="a@x.org", phone="+15555550100", locale="ru",
        locale_at=7, zone="Europe/Moscow", zone_at=7,
    )  # fmt: skip
    theirs = Card(
        origin="customer", id="c", name="Anna", email="a@y.org", locale="en", locale_at=5,
        zone="UTC", zone_at=9,
    )  # fmt: skip
    found = merged("c", [ours, theirs])
    assert (found.name, found.email, found.phone) == ("Anna", "a@y.org", "+15555550100")
    assert (found.locale, found.zone) == ("ru", "UTC")


@pytest.mark.parametrize(
    ("text", "email"),
    [
        ("anna@example.org", "anna@example.org"),
        ("a.b+c@пример.рф", "a.b+c@xn--e1afmkfd.xn--p1ai"),
        ("анна@example.org", None),
        ("a@b@c.org", None),
        ("a b@c.org", None),
        ("a@", None),
        ("@c.org", None),
        ("a\n@c.org", None),
        ("a@c.org\n", None),
        ("x" * 65 + "@c.org", None),
        (f"a@{'x' * 300}.org", None),
        (7, None),
    ],
)
def test_an_address_for_letters_is_one_or_none(text, email):
    assert email_of(text) == email


@pytest.mark.parametrize(
    ("text", "phone"),
    [
        ("+7 (916) 123-45-67", "+79161234567"),
        ("+79161234567", "+79161234567"),
        ("89161234567", None),
        ("+7916123456789012", None),
        ("+7916x234567", None),
        (None, None),
    ],
)
def test_a_phone_number_is_one_or_none(text, phone):
    assert phone_of(text) == phone


def test_a_zone_is_one_or_none():
    assert zone_named("Europe/Moscow") == "Europe/Moscow"
    assert zone_named("Mars/Olympus") is None
    assert zone_named(None) is None
