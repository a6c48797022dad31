"""What the receipt of an order shows: what was bought, paid, given back, and what is left of it.

A receipt is no invoice: it has no number of its own and tells how the order stands when it is
asked for. Amounts and times are written in the reader's language, times in the customer's zone.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from farebox.billing.invoices.model import Seller
from farebox.billing.invoices.rules_documents import Shown, head_of, place_lines
from farebox.billing.invoices.rules_texts import WORDS, day_of
from farebox.billing.orders.model import HOUR_US, Charge, Order, OrderLine
from farebox.billing.orders.model_changes import RentalChange
from farebox.billing.orders.model_refunds import Refund
from farebox.platform import formats

RECEIPT_WORDS: Final[dict[str, dict[str, str]]] = {
    "en": {
        "receipt": "Receipt",
        "order": "Order",
        "paid_at": "Paid ({zone})",
        "as_of": "As of ({zone})",
        "paid_by": "Paid by",
        "wallet": "account balance",
        "gateway": "card or transfer",
        "list_price": "Price",
        "off": "Discount",
        "to_pay": "To pay",
        "subtotal": "Before discounts",
        "discounts": "Discounts",
        "tax": "Tax {code}, in the total",
        "total": "Total of the order",
        "longer": "Longer rentals",
        "charged": "Paid in all",
        "refunded": "Paid back",
        "net": "Paid, less what was paid back",
        "watch": "Watch from {start} until {end}",
        "from_payment": "{hours} from the payment on",
        "showing": "Begins {start}",
        "extended": "Extended from {before} to {after}: {amount}",
        "back": "Paid back {at}: {amount}",
        "coupon": "Coupon: {amount}",
        "quantity": "Quantity: {quantity}",
    },
    "ru": {
        "receipt": "Квитанция",
        "order": "Заказ",
        "paid_at": "Оплачен ({zone})",
        "as_of": "По состоянию на ({zone})",
        "paid_by": "Способ оплаты",
        "wallet": "лицевой счёт",
        "gateway": "карта или перевод",
        "list_price": "Цена",
        "off": "Скидка",
        "to_pay": "К оплате",
        "subtotal": "Итого до скидок",
        "discounts": "Скидки",
        "tax": "Налог {code} в том числе",
        "total": "Итого по заказу",
        "longer": "Продление аренды",
        "charged": "Всего оплачено",
        "refunded": "Возвращено",
        "net": "Оплачено за вычетом возвратов",
        "watch": "Просмотр с {start} до {end}",
        "from_payment": "{hours} с момента оплаты",
        "showing": "Начало {start}",
        "extended": "Продлено с {before} до {after}: {amount}",
        "back": "Возвращено {at}: {amount}",
        "coupon": "Купон: {amount}",
        "quantity": "Количество: {quantity}",
    },
}


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """The facts of an order, as its receipt needs them; `lines` are its lines with their offers."""

    order: Order
    lines: tuple[OrderLine, ...]
    charges: tuple[Charge, ...]
    refunds: tuple[Refund, ...]
    changes: tuple[RentalChange, ...]
    buyer: str
    seller: Seller
    zone: str
    now: int


class _Writer:
    def __init__(self, receipt: Receipt, language: str) -> None:
        self.language = language
        self.words = RECEIPT_WORDS[language]
        self._currency = receipt.order.currency
        self._zone = receipt.zone

    def money(self, amount: int) -> str:
        return formats.money(amount, self._currency, self.language)

    def when(self, at: int) -> str:
        return formats.when(at, self._zone, self.language)

    def short(self, at: int) -> str:
        return formats.short(at, self._zone, self.language)

    @property
    def zone(self) -> str:
        return formats.zone_name(self._zone, self.language)

    def hours(self, count: int) -> str:
        return formats.hours(count, self.language)

    def said(self, word: str, **facts: str) -> str:
        return self.words[word].format(**facts)


def shown_receipt(receipt: Receipt, language: str) -> Shown:
    """Return what the receipt of a paid order shows."""
    write, order = _Writer(receipt, language), receipt.order
    words = write.words
    paid_at = min((each.at for each in receipt.charges), default=order.created_at)
    year, month, day = (part for part in day_of(receipt.now).timetuple()[:3])
    head = head_of(WORDS[language], receipt.seller)
    return {
        **head,
        "lang": language,
        "kind": words["receipt"],
        "title": f"{words['receipt']} {order.id}",
        "under": f"{words['order']} {order.id}",
        "date": [year, month, day],
        "facts": [
            [words["paid_by"], words[order.pay_by]],
            [write.said("paid_at", zone=write.zone), write.short(paid_at)],
            [write.said("as_of", zone=write.zone), write.short(receipt.now)],
        ],
        "parties": _parties(language, receipt),
        "columns": [
            WORDS[language]["description"], words["list_price"], words["off"], words["to_pay"],
        ],
        "lines": [_line(write, receipt, line) for line in receipt.lines],
        "sums": _sums(write, receipt),
        "total": [words["net"], write.money(order.net)],
        "notes": [],
        "payment": None,
    }  # fmt: skip


def _parties(language: str, receipt: Receipt) -> list[Shown]:
    words, seller = WORDS[language], receipt.seller
    return [
        {"role": words["seller"], "name": seller.name, "lines": place_lines(seller.place)},
        {"role": words["buyer"], "name": receipt.buyer, "lines": []},
    ]


def _line(write: _Writer, receipt: Receipt, line: OrderLine) -> Shown:
    return {
        "description": _title(line.title, write.language),
        "under": [*_times(write, line), *_happened(write, receipt, line)],
        "cells": [
            write.money(line.list_fee),
            write.money(-less) if (less := line.list_fee - line.fee + line.discount) else "",
            write.money(line.gross),
        ],
    }


def _title(title: Mapping[str, str], language: str) -> str:
    return title.get(language) or title.get("en") or next(iter(title.values()), "")


def _times(write: _Writer, line: OrderLine) -> list[str]:
    if line.wish.quantity > 1:
        return [write.said("quantity", quantity=str(line.wish.quantity))]
    if line.period_hours is not None and line.starts_at is not None:
        end = line.starts_at + line.period_hours * HOUR_US
        watch = write.said("watch", start=write.when(line.starts_at), end=write.when(end))
        return [f"{write.hours(line.period_hours)}. {watch}"]
    if line.period_hours is not None:
        return [write.said("from_payment", hours=write.hours(line.period_hours))]
    return (
        [] if line.starts_at is None else [write.said("showing", start=write.when(line.starts_at))]
    )


def _happened(write: _Writer, receipt: Receipt, line: OrderLine) -> list[str]:
    """Return the promotion and coupons of a line, its longer periods, and what went back of it."""
    told = []
    if line.promotion is not None:
        percent = "" if line.promotion.percent is None else f" -{line.promotion.percent} %"
        told.append(f"{line.promotion.name}{percent}: {write.money(-line.promotion.off)}")
    if line.discount:
        told.append(write.said("coupon", amount=write.money(-line.discount)))
    told += [
        write.said(
            "extended",
            before=write.hours(each.from_hours),
            after=write.hours(each.to_hours),
            amount=write.money(each.amount),
        )
        for each in receipt.changes
        if each.line == line.id and each.amount > 0 and each.state in {"paid", "done"}
    ]
    for refund in receipt.refunds:
        amount = sum(part.gross for part in refund.parts if part.line == line.id)
        if amount:
            told.append(write.said("back", at=write.when(refund.at), amount=write.money(amount)))
    return told


def _sums(write: _Writer, receipt: Receipt) -> list[list[str]]:
    order, words = receipt.order, write.words
    listed = sum(line.list_fee for line in receipt.lines)
    less = order.discount + listed - order.fees
    rows = []
    if less:
        rows += [[words["subtotal"], write.money(listed)], [words["discounts"], write.money(-less)]]
    for code, tax in _taxes(receipt.lines).items():
        rows.append([write.said("tax", code=code.upper()), write.money(tax)])
    rows.append([words["total"], write.money(order.total)])
    if order.charged != order.total:
        rows.append([words["longer"], write.money(order.charged - order.total)])
    rows.append([words["charged"], write.money(order.charged)])
    if order.refunded:
        rows.append([words["refunded"], write.money(-order.refunded)])
    return rows


def _taxes(lines: Sequence[OrderLine]) -> dict[str, int]:
    found: dict[str, int] = {}
    for line in lines:
        for code, tax in line.taxes.items():
            found[code] = found.get(code, 0) + tax
    return found
