"""Letters as people get them: read back from a real mail server."""

from email.utils import parseaddr
from hashlib import sha256

import pytest

from farebox.notifications.channels.model import DocumentAway
from farebox.notifications.deliveries.service import begin
from tests.support.letters import (
    EVENING,
    HOUR_US,
    NEXT_EVENING,
    SENDER,
    event,
    plain,
    text_of,
)
from tests.support.services import run


def test_a_purchase_is_one_letter_with_both_times_in_the_customers_language(office, mail):
    anna = office.anna()
    office.bought(anna)
    office.work()
    [letter] = mail.taken
    assert letter["Subject"] == "Покупка: Маузер"
    assert letter["To"].addresses[0].addr_spec == "anna@example.org"
    assert letter["To"].addresses[0].display_name == "Анна"
    assert str(letter["From"]) == SENDER
    assert letter["Content-Language"] == "ru"
    text = text_of(letter)
    assert "с 20 ноября 2026, 20:00 (МСК) до 21 ноября 2026, 20:00 (МСК), срок: 24 часа" in text
    assert "Итого оплачено: 360,00 ₽" in text
    assert "Скидка: 90,00 ₽" in text
    assert "ord_1" in text
    html = plain(letter.get_body(("html",)).get_content())
    assert '<html lang="ru">' in html
    assert "Итого оплачено: 360,00 ₽" in html


def test_two_lines_are_one_letter(office, mail):
    office.bought(office.anna(), titles=("Маузер", "Чайка"))
    office.work()
    [letter] = mail.taken
    assert letter["Subject"] == "Покупка: Маузер, Чайка"
    assert text_of(letter).count("Смотреть можно") == 2


def test_a_letter_has_one_language_and_one_zone(office, mail):
    """Scenario 35: Boris reads English and lives in Vladivostok."""
    office.mauser()
    office.bought(office.boris())
    office.work()
    [letter] = mail.taken
    assert letter["Subject"] == "Your purchase: Маузер"
    text = text_of(letter)
    assert "from 21 November 2026, 03:00 (Asia/Vladivostok)" in text
    assert "until 22 November 2026, 03:00 (Asia/Vladivostok)" in text
    assert "Total paid: RUB 360.00" in text
    assert "МСК" not in text
    assert "₽" not in text


def test_the_times_are_those_that_access_gave_where_they_are_known(office, mail):
    anna = office.anna()
    office.rental(anna, itemId="Маузер", endsAt="2026-11-21T15:00:00Z")
    office.bought(anna)
    office.work()
    assert "до 21 ноября 2026, 18:00 (МСК)" in text_of(mail.taken[0])


def test_a_repeat_of_an_event_makes_no_second_letter(office, mail):
    anna = office.anna()
    told = office.bought(anna)
    office.work()
    office.hear(told)
    office.bought(anna)  # the same order, told by another event
    office.later(HOUR_US)
    assert len(mail.taken) == 1
    assert len(office.letters(anna)) == 1


def test_what_happened_before_the_service_began_is_told_to_nobody(office, mail, clock):
    anna = office.anna()
    run(office.database, begin)
    old = event("billing", "wallet.low", "w", {
        "customerId": anna, "currency": "RUB", "level": 10_000, "available": 5_000,
    }, clock.now_us() - HOUR_US)  # fmt: skip
    office.hear(old)
    office.work()
    assert mail.taken == []
    assert office.letters() == []
    office.bought(anna)
    office.work()
    assert len(mail.taken) == 1


def test_a_letter_that_comes_before_its_recipient_waits_for_them_a_moment(office, mail):
    office.bought("con_anna")
    office.work()
    assert mail.taken == []
    office.anna()
    office.later(5_000_000)
    [letter] = mail.taken
    assert letter["Subject"] == "Покупка: Маузер"


def test_a_devices_letter_goes_to_its_owner(office, mail):
    anna = office.anna()
    office.tell(
        "access", "consumer.updated", "con_tv",
        consumerId="con_tv", name="TV", owner=anna, metadata={},
    )  # fmt: skip
    office.bought("con_tv")
    office.work()
    assert [one["To"].addresses[0].addr_spec for one in mail.taken] == ["anna@example.org"]


def test_everything_stands_in_the_inbox_too(office):
    anna = office.anna()
    office.bought(anna)
    office.work()
    [notice] = office.notices(anna)
    assert notice.title == "Покупка: Маузер"
    assert "20 ноября 2026, 20:00 (МСК)" in notice.text
    assert notice.read_at is None


def test_the_later_word_about_a_language_counts_and_billings_address(office, mail):
    anna = office.anna()
    for locale, zone in (("ru", "Europe/Moscow"), ("en", "Asia/Vladivostok")):
        office.clock.move(1)
        office.tell(
            "billing", "customer.updated", anna,
            customerId=anna, name="Anna K.", email="anna@new.example", locale=locale, zone=zone,
        )  # fmt: skip
    office.bought(anna)
    office.work()
    [letter] = mail.taken
    assert letter["To"].addresses[0].addr_spec == "anna@new.example"
    assert "21 November 2026, 03:00 (Asia/Vladivostok)" in text_of(letter)


def test_a_customers_first_standard_language_is_nobodys_word(office, mail):
    anna = office.anna()
    office.tell(
        "billing", "customer.updated", anna,
        customerId=anna, name="Анна", email=None, locale="en", zone="UTC", version=1,
    )  # fmt: skip
    office.bought(anna)
    office.work()
    assert mail.taken[0]["Subject"] == "Покупка: Маузер"


@pytest.mark.parametrize("name", ['A, "b" <c@evil.example>', "Анна\u2028x", "x" * 200, ""])
def test_a_name_is_never_another_address(office, mail, name):
    office.person("con_x", name, email="x@example.org")
    office.bought("con_x")
    office.work()
    [letter] = mail.taken
    assert [one.addr_spec for one in letter["To"].addresses] == ["x@example.org"]


@pytest.mark.parametrize(
    "email", ["a@b\r\nBcc: c@evil.example", "a,b@example.org", "<a@b>", "no address", "", 7, None]
)
def test_what_is_no_address_is_not_written_to(office, mail, email):
    office.person("con_x", "X", email=email)
    office.bought("con_x")
    office.work()
    assert mail.taken == []
    [log] = office.letters("con_x")
    assert log.letter.state == "no_channel"
    assert len(office.notices("con_x")) == 1


def test_money_that_goes_back_is_told_with_its_sum(office, mail):
    anna = office.anna()
    lines = [{"lineId": "orl_1", "title": {"ru": "Чайка"}, "itemId": "seagull"}]
    office.tell(
        "billing", "refund.issued", "ord_1",
        orderId="ord_1", refundId="orf_1", consumerId=anna, kind="return", amount=18_000,
        currency="RUB", reason="own_wish", lines=lines,
    )  # fmt: skip
    office.work()
    [letter] = mail.taken
    assert letter["Subject"] == "Отмена и возврат: Чайка"
    assert "Возвращено: 180,00 ₽" in text_of(letter)


def test_what_a_bank_takes_back_is_told_and_what_follows_for_the_order_too(office, mail):
    anna = office.anna()
    lines = [{"lineId": "orl_1", "title": {"ru": "Чайка"}, "itemId": "seagull"}]
    said = {"orderId": "ord_1", "consumerId": anna, "currency": "RUB", "lines": lines}
    office.tell(
        "billing", "refund.issued", "ord_1",
        **said, refundId=None, kind="charged_back", amount=36_000, reason="charged_back",
    )  # fmt: skip
    office.tell(
        "billing", "allowance.issued", "ord_1",
        **said, refundId="orf_1", kind="allowance", amount=1_000, reason="our_fault",
    )  # fmt: skip
    office.work()
    told, after = sorted(mail.taken, key=lambda one: "отозвал" not in one["Subject"])
    assert told["Subject"] == "Банк отозвал платёж, покупка отменена: Чайка"
    assert "Отозвано: 360,00 ₽" in text_of(told)
    assert "Возвращено" not in text_of(told)
    assert after["Subject"] == "Возврат денег: Чайка"


def test_a_line_that_was_returned_before_it_was_given_is_not_told_as_given(office, mail):
    anna = office.anna()
    line = {"gross": 36_000, "offer": "online", "periodHours": 24, "startsAt": EVENING}
    office.tell(
        "billing", "order.fulfilled", "ord_1",
        orderId="ord_1", consumerId=anna, currency="RUB", total=72_000, discount=0, reason=None,
        lines=[
            {**line, "lineId": "orl_1", "title": {"ru": "Чайка"}, "state": "granted"},
            {**line, "lineId": "orl_2", "title": {"ru": "Ёлки"}, "state": "returned"},
        ],
    )  # fmt: skip
    office.work()
    text = text_of(mail.taken[0])
    assert text.count("Смотреть можно") == 1
    assert "Эта позиция отменена." in text


def test_an_extension_is_one_letter_with_what_it_cost_whoever_tells_first(office, mail):
    """Scenario 27: 24 hours become 48 for 120 roubles."""
    anna, _ = office.anna(), office.mauser()
    paid = {
        "rentalId": "rnt_1", "orderId": "ord_1", "consumerId": anna, "change": "extend",
        "fromPeriodHours": 24, "periodHours": 48, "amount": 12_000, "currency": "RUB",
    }  # fmt: skip
    done = {
        "version": 2, "periodHours": 48, "endsAt": "2026-11-22T17:00:00Z", "change": "extended",
        "changedBy": "billing", "fromPeriodHours": 24,
    }  # fmt: skip
    office.rental(anna, "changed", **done)
    office.work()
    assert mail.taken == []
    office.tell("billing", "rental.change_paid", "rnt_1", **paid)
    office.work()
    [letter] = mail.taken
    assert letter["Subject"] == "Аренда продлена: Маузер"
    assert "до 22 ноября 2026, 20:00 (МСК), срок: 48 часов" in text_of(letter)
    assert "Списано: 120,00 ₽" in text_of(letter)

    office.tell("billing", "rental.change_paid", "rnt_1", **{**paid, "periodHours": 72})
    office.rental(anna, "changed", **{**done, "version": 3, "periodHours": 72})
    office.work()
    assert len(mail.taken) == 2


def test_what_a_change_cost_that_came_to_nothing_is_never_told_of_another(office, mail):
    """48 instead of 24 hours was paid and failed, because support had made it 72."""
    anna, _ = office.anna(), office.mauser()
    paid = {
        "rentalId": "rnt_1", "orderId": "ord_1", "consumerId": anna, "change": "extend",
        "fromPeriodHours": 24, "periodHours": 48, "amount": 12_000, "currency": "RUB",
    }  # fmt: skip
    office.tell("billing", "rental.change_paid", "rnt_1", **paid)
    office.rental(anna, "changed", version=3, periodHours=48, change="extended",
                  changedBy="billing", fromPeriodHours=72)  # fmt: skip
    office.work()
    assert mail.taken == []
    paid |= {"fromPeriodHours": 72, "amount": -9_000}
    office.tell("billing", "rental.change_paid", "rnt_1", **paid)
    office.work()
    [letter] = mail.taken
    assert letter["Subject"] == "Срок аренды сокращён: Маузер"
    assert "Возвращено: 90,00 ₽" in text_of(letter)


def test_an_operators_extension_and_a_move_need_no_word_of_billing(office, mail):
    anna, _ = office.anna(), office.mauser()
    office.rental(anna, "changed", version=2, change="extended", changedBy="operator",
                  fromPeriodHours=24, periodHours=48)  # fmt: skip
    office.rental(anna, "changed", version=3, change="moved", changedBy="consumer")
    office.rental(anna, "changed", version=3, change="played", changedBy="consumer")
    office.work()
    subjects = sorted(one["Subject"] for one in mail.taken)
    assert subjects == ["Аренда продлена: Маузер", "Начало аренды перенесено: Маузер"]


PDF = b"%PDF-1.7 the invoice"


class Files:
    """Billing's files: away so often, then there."""

    def __init__(self, content=PDF, away=0):
        self.content, self.away, self.asked = content, away, []

    def fetch(self, kind, document):
        self.asked.append((kind, document))
        if self.away:
            self.away -= 1
            raise DocumentAway("status 503")
        return self.content


def invoice(office, who, *, language="en", digest=None):
    office.tell(
        "billing", "invoice.ready", "inv_1",
        invoiceId="inv_1", documentId="inv_1", documentNumber="INV-7", customerId=who,
        currency="EUR", total=11_900, documentTotal=11_900, due=11_900, dueAt=NEXT_EVENING,
        language=language, email="books@anna.example",
        files=[{"form": "pdf", "sha256": digest or sha256(PDF).hexdigest()}],
    )  # fmt: skip


def test_an_invoice_carries_its_pdf_in_its_own_language_to_its_own_address(opened, mail):
    files = Files(away=1)
    office = opened({"mail": mail.gateway}, documents=files)
    invoice(office, office.anna())
    office.work()
    assert mail.taken == []
    office.later(30_000_000)
    [letter] = mail.taken
    assert letter["Subject"] == "Invoice INV-7 for €119.00"
    assert letter["To"].addresses[0].addr_spec == "books@anna.example"
    [file] = letter.iter_attachments()
    assert file.get_filename() == "INV-7.pdf"
    assert file.get_content_type() == "application/pdf"
    assert file.get_content() == PDF
    assert files.asked == [("invoice", "inv_1")] * 2


def test_a_file_that_is_not_the_one_announced_is_not_sent(opened, mail):
    office = opened({"mail": mail.gateway}, documents=Files(b"%PDF another"))
    invoice(office, office.anna())
    office.work()
    assert mail.taken == []
    [log] = office.letters()
    assert "not what was announced" in log.attempts[0].error


def test_without_a_way_to_billing_an_invoice_is_told_without_its_file(office, mail):
    invoice(office, office.anna(), language="ru")
    office.work()
    [letter] = mail.taken
    assert parseaddr(str(letter["To"]))[1] == "books@anna.example"
    assert list(letter.iter_attachments()) == []


TOP_UP = {"amount": 16_000, "topUpId": "tup_1", "automatic": False}
RENEWAL = {"orderId": "inv_1", "subscriptionId": "sub_1", "amount": 9_900}
MONEY_LETTERS = [
    ("wallet.low", {"level": 10_000, "available": 4_000}, "На счёте осталось 40,00 ₽"),
    ("wallet.filled", TOP_UP, "Счёт пополнен на 160,00 ₽"),
    (
        "wallet.top_up_failed",
        {**TOP_UP, "reason": "card_declined"},
        "Пополнить счёт на 160,00 ₽ не удалось",
    ),
    (
        "wallet.automatic_top_up_stopped",
        {"reason": "no_method"},
        "Автопополнение остановлено",
    ),
    (
        "payment.failed",
        {"orderId": "ord_1", "total": 36_000, "reason": "card_declined", "lines": []},
        "Платёж не прошёл: 360,00 ₽",
    ),
    (
        "payment.failed",
        {**RENEWAL, "reason": "wallet_short", "nextAttemptAt": EVENING},
        "Платёж не прошёл: 99,00 ₽",
    ),
]


@pytest.mark.parametrize(("type_", "data", "subject"), MONEY_LETTERS)
def test_what_happens_to_money_is_told(office, mail, type_, data, subject):
    anna = office.anna()
    office.tell("billing", type_, f"{anna}:RUB", customerId=anna, currency="RUB", **data)
    office.work()
    assert [plain(one["Subject"]) for one in mail.taken] == [subject]


def test_a_quota_is_told_once_at_each_threshold(office, mail):
    anna = office.anna()
    office.tell("access", "product.created", "product:films", product="films", name="Фильмы",
                unit="film", scale=0)  # fmt: skip
    told = {
        "consumerId": anna, "productCode": "films", "subscriptionId": "sub_1", "limit": 10,
        "used": 8, "remaining": 2, "periodFrom": EVENING, "resetsAt": NEXT_EVENING,
    }  # fmt: skip
    for _ in range(2):
        office.tell("access", "quota.threshold", f"{anna}:films", percent=80, **told)
        office.tell("access", "quota.exceeded", f"{anna}:films", percent=100, **told)
    office.work()
    subjects = sorted(one["Subject"] for one in mail.taken)
    assert subjects == ["Использовано 80 % лимита: Фильмы", "Лимит исчерпан: Фильмы"]
