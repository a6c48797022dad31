"""The words, dates and amounts of documents, in each language that they are written in."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Final

from farebox.kernel.clock import SECOND_US

Words = dict[str, str]
_GLUE: Final = "\N{NO-BREAK SPACE}"
_MINUS: Final = "\N{MINUS SIGN}"
_MONTHS: Final = {
    "en": (
        "January", "February", "March", "April", "May", "June", "July", "August", "September",
        "October", "November", "December",
    ),
    "ru": (
        "января", "февраля", "марта", "апреля", "мая", "июня", "июля", "августа", "сентября",
        "октября", "ноября", "декабря",
    ),
}  # fmt: skip
_SYMBOLS: Final = {"RUB": "₽", "EUR": "€", "USD": "$", "GBP": "£"}
WORDS: Final[dict[str, Words]] = {
    "en": {
        "invoice": "Invoice",
        "credit_note": "Credit note",
        "number": "Number",
        "issued": "Date of issue",
        "due": "Due by",
        "period": "Period of service",
        "of_invoice": "For invoice",
        "reason": "Reason",
        "order": "Order",
        "subscription": "Subscription",
        "seller": "From",
        "buyer": "Billed to",
        "tax_number": "Tax number",
        "registration": "Registration",
        "description": "Description",
        "quantity": "Quantity",
        "unit_price": "Unit price",
        "rate": "Tax",
        "amount": "Amount",
        "discount": "Discount",
        "subtotal": "Subtotal",
        "net": "Total without tax",
        "tax_on": "{code} {percent} % on {base}",
        "tax_none": "No tax",
        "total": "Total",
        "paid": "Paid",
        "canceled": "Canceled by credit notes",
        "to_pay": "Amount due",
        "inclusive": "Prices include tax.",
        "how_to_pay": "Payment",
        "account": "Account",
        "bank": "Bank",
        "code": "BIC",
        "correspondent": "Correspondent account",
        "reference": "Reference",
        "refund": "Paid back",
        "credit": "Kept as credit",
        "not_owed": "No longer owed",
        "page": "Page {page} of {pages}",
        "reverse_charge": "",
    },
    "ru": {
        "invoice": "Счёт",
        "credit_note": "Кредит-нота",
        "number": "Номер",
        "issued": "Дата выставления",
        "due": "Оплатить до",
        "period": "Период обслуживания",
        "of_invoice": "К счёту",
        "reason": "Основание",
        "order": "Заказ",
        "subscription": "Подписка",
        "seller": "Поставщик",
        "buyer": "Покупатель",
        "tax_number": "ИНН / налоговый номер",
        "registration": "ОГРН / регистрационный номер",
        "description": "Наименование",
        "quantity": "Количество",
        "unit_price": "Цена",
        "rate": "Налог",
        "amount": "Сумма",
        "discount": "Скидка",
        "subtotal": "Итого до скидок",
        "net": "Сумма без налога",
        "tax_on": "{code} {percent} % с суммы {base}",
        "tax_none": "Без налога",
        "total": "Всего",
        "paid": "Оплачено",
        "canceled": "Снято кредит-нотами",
        "to_pay": "К оплате",
        "inclusive": "Налог включён в цены.",
        "how_to_pay": "Оплата",
        "account": "Расчётный счёт",
        "bank": "Банк",
        "code": "БИК",
        "correspondent": "Корр. счёт",
        "reference": "Назначение платежа",
        "refund": "Возвращено",
        "credit": "Зачтено в счёт будущих оплат",
        "not_owed": "Снято с долга",
        "page": "Стр. {page} из {pages}",
        "reverse_charge": "Налог уплачивает получатель (обратное начисление).",
    },
}


def day_of(at: int) -> date:
    """Return the day of an instant, in UTC, as documents date it."""
    return datetime.fromtimestamp(at // SECOND_US, UTC).date()


def show_day(at: int, language: str) -> str:
    """Write a day: `21 November 2026`, `21 ноября 2026 г.`."""
    day = day_of(at)
    end = f"{_GLUE}г." if language == "ru" else ""
    month = _MONTHS[language][day.month - 1]
    return f"{day.day}{_GLUE}{month} {day.year}{end}"


def show_money(amount: int, places: int, currency: str, language: str) -> str:
    """Write an amount with its currency: `€1,234.50`, `1 234,50 ₽`, `CHF 1,234.50`."""
    text = show_number(Decimal(abs(amount)).scaleb(-places), language)
    sign = _MINUS if amount < 0 else ""
    symbol = _SYMBOLS.get(currency)
    if language == "ru":
        return f"{sign}{text}{_GLUE}{symbol or currency}"
    return f"{sign}{symbol}{text}" if symbol else f"{sign}{currency}{_GLUE}{text}"


def show_number(number: Decimal, language: str) -> str:
    """Write a decimal with its places, thousands apart: `1,234.50`, `1 234,50`."""
    text = f"{number:,f}".replace("-", _MINUS)
    if language == "ru":
        return text.replace(",", _GLUE).replace(".", ",")
    return text
