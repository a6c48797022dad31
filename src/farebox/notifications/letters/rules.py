"""The words that templates ask for: titles, reasons, names of kinds."""

from collections.abc import Mapping
from typing import Final

from farebox.notifications.letters.model import LetterKind
from farebox.notifications.letters.model_facts import Title

_ANY: Final = ""
LABELS: Final[Mapping[LetterKind, Mapping[str, str]]] = {
    "account_opened": {"ru": "Открытие счёта", "en": "Account opened"},
    "purchase": {"ru": "Покупка", "en": "Purchase"},
    "reminder": {"ru": "Окончание аренды", "en": "Rental ends soon"},
    "rental_changed": {"ru": "Изменение аренды", "en": "Rental changed"},
    "change_failed": {"ru": "Аренда не изменена", "en": "Rental not changed"},
    "refund": {"ru": "Возврат", "en": "Refund"},
    "invoice": {"ru": "Счёт на оплату", "en": "Invoice"},
    "credit_note": {"ru": "Кредит-нота", "en": "Credit note"},
    "payment_failed": {"ru": "Платёж не прошёл", "en": "Payment failed"},
    "quota_near": {"ru": "Лимит подходит к концу", "en": "Quota nearly used"},
    "quota_used_up": {"ru": "Лимит исчерпан", "en": "Quota used up"},
    "balance_low": {"ru": "Мало средств на счёте", "en": "Low balance"},
    "top_up_filled": {"ru": "Пополнение счёта", "en": "Top-up"},
    "top_up_failed": {"ru": "Пополнение не прошло", "en": "Top-up failed"},
    "top_up_stopped": {"ru": "Автопополнение остановлено", "en": "Automatic top-up stopped"},
}
"""What the kinds are called where somebody chooses their channels."""
_REASONS: Final[Mapping[str, Mapping[str, str]]] = {
    "wallet_short": {"ru": "на счёте не хватает средств", "en": "the balance is too small"},
    "card_declined": {"ru": "банк отклонил карту", "en": "the bank declined the card"},
    "stolen_card": {"ru": "банк отклонил карту", "en": "the bank declined the card"},
    "insufficient_funds": {"ru": "на карте не хватает средств", "en": "the card has not enough"},
    "expired_card": {"ru": "истёк срок действия карты", "en": "the card has expired"},
    "expired": {"ru": "время на оплату вышло", "en": "the time to pay was over"},
    "overdue": {"ru": "оплата не поступила в срок", "en": "it was not paid in time"},
    "given_up": {"ru": "оплата не поступила в срок", "en": "it was not paid in time"},
    "canceled": {"ru": "платёж отменён", "en": "the payment was canceled"},
    "no_method": {"ru": "нет способа оплаты", "en": "there is no payment method"},
    "method_missing": {"ru": "нет способа оплаты", "en": "there is no payment method"},
    "payment_method_unknown": {"ru": "способ оплаты удалён", "en": "the payment method is gone"},
    "gateway_unreachable": {
        "ru": "платёжный сервис не ответил",
        "en": "the payment service did not answer",
    },
    "rental_over": {"ru": "аренда уже закончилась", "en": "the rental is over"},
    "rental_window": {
        "ru": "премьера столько не показывается",
        "en": "the premiere is not shown that long",
    },
    "period_not_priced": {"ru": "такого срока нет", "en": "there is no such period"},
}
_UNKNOWN_REASON: Final[Mapping[str, str]] = {
    "ru": "платёжный сервис ответил отказом",
    "en": "the payment service refused it",
}


def title_in(title: Title, language: str) -> str:
    """Return what a thing is called in a language, else in any."""
    return title.get(language) or title.get(_ANY) or next(iter(title.values()), "")


def reason_in(reason: str, language: str) -> str:
    """Return a code's meaning as half a sentence; codes that we do not know are a refusal."""
    return _REASONS.get(reason, _UNKNOWN_REASON)[language]
