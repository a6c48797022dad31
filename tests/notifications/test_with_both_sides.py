"""Access and billing as they are, and notifications hearing both by their logs.

The letters of the premiere store's scenarios, with nothing played but the clock.
"""

import pytest

from farebox.access.consumers.service import update_consumer
from farebox.access.flows.change_rental import ask_extension
from farebox.access.flows.remind_rentals import RentalReminders
from farebox.access.flows.snapshots import PROVIDERS
from farebox.billing.books.model import About
from farebox.billing.flows.snapshots import PROVIDERS as OF_BILLING
from farebox.billing.orders.model import Wish
from farebox.billing.wallets.service import pay
from farebox.events.reader import Reader
from farebox.events.transports.in_process import DatabaseLog
from farebox.kernel.clock import parse_time
from tests.support.letters import plain, text_of
from tests.support.services import ADA, run
from tests.support.two_sides import SEAGULL, cinema

EVENING = parse_time("2026-11-20T20:00:00+03:00")
HOUR_US = 3_600_000_000
AHEAD = Wish(kind="item", code="mauser", offer="online", period_hours=24, starts_at=EVENING)


class Store:
    """Both sides with somebody who has money, and what they are told."""

    def __init__(self, sides, office):
        self.sides, self.office, self.anna = sides, office, sides.market.bob
        self.reminders = RentalReminders(sides.access)
        logs = ((sides.access, "access"), (sides.billing, "billing"))
        self.readers = [
            Reader(DatabaseLog(each, name=name, reader="notifications"), office.inbox)
            for each, name in logs
        ]
        metadata = {"email": "anna@example.org", "locale": "ru", "zone": "Europe/Moscow"}
        run(sides.access, update_consumer, ADA, self.anna, name="Анна", metadata=metadata)
        sides.settle()
        sides.fill(100_000)

    def go_on(self):
        """Let all three do what there is, and return what was sent."""
        self.sides.settle()
        while self.reminders.step():
            pass
        while sum(reader.step() for reader in self.readers) + self.office.inbox.step():
            pass
        self.office.work()

    def at(self, moment):
        """Let the time come, and what is due be done."""
        self.sides.clock.set(parse_time(moment))
        self.go_on()


@pytest.fixture
def store(database, billing, clock, office):
    return Store(cinema(database, billing, clock), office)


def subjects(mail):
    return [plain(one["Subject"]) for one in mail.taken]


def test_the_happy_path_is_one_letter_with_both_times(store, mail):
    """Scenarios 3 and 12."""
    order, _ = store.sides.bought(wish=AHEAD)
    store.go_on()
    store.go_on()
    assert subjects(mail) == ["Покупка: Маузер"]
    text = text_of(mail.taken[0])
    assert "с 20 ноября 2026, 20:00 (МСК) до 21 ноября 2026, 20:00 (МСК)" in text
    assert "Итого оплачено: 360,00 ₽" in text
    assert order.id in text


def test_two_lines_are_one_order_and_one_letter(store, mail):
    """Scenario 4."""
    store.sides.complete(store.sides.cart(AHEAD, SEAGULL))
    store.go_on()
    assert subjects(mail) == ["Покупка: Маузер, Чайка"]
    assert "Итого оплачено: 860,00 ₽" in text_of(mail.taken[0])


def test_a_reminder_comes_once_at_its_time_and_once_more_after_an_extension(store, mail):
    """Scenarios 27 and 32."""
    _, line = store.sides.bought(wish=AHEAD)
    store.go_on()
    mail.taken.clear()
    for minute in range(55, 60):
        store.at(f"2026-11-21T16:{minute}:00+03:00")
    assert subjects(mail) == []
    store.at("2026-11-21T17:00:00+03:00")
    store.at("2026-11-21T17:00:01+03:00")
    assert subjects(mail) == ["«Маузер»: осталось 3 часа"]

    run(store.sides.access, ask_extension, line.rental, 48)
    run(store.sides.access, ask_extension, line.rental, 48)
    store.go_on()
    assert subjects(mail)[1:] == ["Аренда продлена: Маузер"]
    text = text_of(mail.taken[1])
    assert "до 22 ноября 2026, 20:00 (МСК), срок: 48 часов" in text
    assert "Списано: 120,00 ₽" in text
    store.at("2026-11-22T17:00:00+03:00")
    store.at("2026-11-22T19:00:00+03:00")
    assert subjects(mail)[2:] == ["«Маузер»: осталось 3 часа"]


def test_nothing_reminds_of_what_was_canceled_and_the_refund_is_one_letter(store, mail):
    """Scenarios 22 and 32."""
    order, _ = store.sides.bought(wish=AHEAD)
    store.go_on()
    mail.taken.clear()
    store.at("2026-11-20T19:59:00+03:00")
    store.sides.give_back(order.id)
    store.go_on()
    assert subjects(mail) == ["Отмена и возврат: Маузер"]
    assert "Возвращено: 360,00 ₽" in text_of(mail.taken[0])
    store.at("2026-11-21T17:00:00+03:00")
    assert len(mail.taken) == 1


def test_a_shorter_rental_is_one_letter_with_what_came_back(store, mail):
    _, line = store.sides.bought(wish=AHEAD)
    store.go_on()
    mail.taken.clear()
    run(store.sides.access, ask_extension, line.rental, 12)
    store.go_on()
    assert subjects(mail) == ["Срок аренды сокращён: Маузер"]
    assert "Возвращено: 120,00 ₽" in text_of(mail.taken[0])


def test_an_extension_that_cannot_be_paid_is_told(store, mail):
    _, line = store.sides.bought(wish=AHEAD)
    store.sides.complete(store.sides.cart(SEAGULL), key="key_2")
    store.go_on()
    mail.taken.clear()
    assert store.sides.balance == 14_000
    run(
        store.sides.billing, pay, store.anna, "RUB", 10_000,
        about=About(kind="payment", customer=store.anna), key="spent",
    )  # fmt: skip
    run(store.sides.access, ask_extension, line.rental, 48)
    store.go_on()
    assert subjects(mail) == ["Аренду изменить не удалось: Маузер"]
    assert "Не хватает 80,00 ₽" in text_of(mail.taken[0])


def test_a_restored_database_knows_people_and_titles_and_tells_nothing_again(store, mail, office):
    store.sides.bought(wish=AHEAD)
    store.sides.settle()
    for each, name, providers in (
        (store.sides.access, "access", PROVIDERS),
        (store.sides.billing, "billing", OF_BILLING),
    ):
        log = DatabaseLog(each, name=name, reader="notifications", providers=providers)
        Reader(log, office.inbox).restore()
    store.go_on()
    assert mail.taken == []
    office.tell("billing", "wallet.low", "w", customerId=store.anna, currency="RUB", level=1,
                available=1)  # fmt: skip
    office.work()
    assert subjects(mail) == ["На счёте осталось 0,01 ₽"]
