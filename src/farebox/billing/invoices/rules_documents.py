"""What a document shows, as plain texts in their order: the template only lays them out."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from farebox.billing.invoices.model import (
    Bank,
    Buyer,
    CreditNote,
    Invoice,
    IssuedLine,
    Place,
    Seller,
    TaxPart,
)
from farebox.billing.invoices.rules_texts import (
    WORDS,
    Words,
    day_of,
    show_day,
    show_money,
    show_number,
)

Shown = dict[str, Any]


class _Writer:
    """How one document writes words, days and amounts."""

    def __init__(self, language: str, currency: str, places: int) -> None:
        self.language = language
        self.words = WORDS[language]
        self.currency = currency
        self.places = places

    def money(self, amount: int) -> str:
        return show_money(amount, self.places, self.currency, self.language)

    def day(self, at: int) -> str:
        return show_day(at, self.language)

    def span(self, start: int, end: int) -> str:
        """Write a period by its first and last day: its end belongs to it no more."""
        return f"{self.day(start)} – {self.day(max(start, end - 1))}"

    def pairs(self, *pairs: tuple[str, str | None]) -> list[list[str]]:
        return [[self.words[word], text] for word, text in pairs if text]


def shown_invoice(invoice: Invoice, language: str, *, places: int) -> Shown:
    """Return what the document of an issued invoice shows.

    It says what was owed at issue and never changes: payments are shown by the invoice's page.
    """
    assert invoice.seller is not None
    assert invoice.buyer is not None
    assert invoice.issued_at is not None
    assert invoice.due_at is not None
    write = _Writer(language, invoice.currency, places)
    period = None
    if invoice.period_start is not None and invoice.period_end is not None:
        period = write.span(invoice.period_start, invoice.period_end)
    parts = _by_rate((line.net, line.taxes) for line in invoice.lines)
    return {
        **_head(write, "invoice", str(invoice.number), invoice.issued_at, invoice.seller),
        "facts": write.pairs(
            ("number", invoice.number),
            ("issued", write.day(invoice.issued_at)),
            ("due", write.day(invoice.due_at)),
            ("period", period),
            ("order", invoice.order),
            ("subscription", invoice.subscription),
        ),
        "parties": _parties(write, invoice.seller, invoice.buyer),
        "columns": [write.words[word] for word in _COLUMNS],
        "lines": [_line(write, line) for line in invoice.lines],
        "sums": _sums(write, invoice, parts),
        "total": [write.words["to_pay"], write.money(invoice.total)],
        "notes": _notes(write, invoice),
        "payment": _payment(write, invoice.seller.bank, str(invoice.number)),
    }


def shown_note(note: CreditNote, invoice: Invoice, language: str, *, places: int) -> Shown:
    """Return what the document of a credit note shows."""
    write = _Writer(language, note.currency, places)
    of = {line.line: line for line in invoice.lines}
    parts = _by_rate((line.net, line.taxes) for line in note.lines)
    worth = [(line, line.net + line.tax if invoice.inclusive else line.net) for line in note.lines]
    assert invoice.issued_at is not None
    return {
        **_head(write, "credit_note", note.number, note.issued_at, note.seller),
        "facts": write.pairs(
            ("number", note.number),
            ("issued", write.day(note.issued_at)),
            ("of_invoice", f"{invoice.number}, {write.day(invoice.issued_at)}"),
            ("reason", note.reason),
        ),
        "parties": _parties(write, note.seller, note.buyer),
        "columns": [write.words[word] for word in _COLUMNS],
        "lines": [
            {
                "description": of[line.line].sold.description,
                "under": [],
                "cells": ["", "", _rates(line.taxes, language), write.money(amount)],
            }
            for line, amount in worth
        ],
        "sums": [
            [write.words["net"], write.money(note.subtotal)],
            *_tax_rows(write, parts),
            [write.words["total"], write.money(note.total)],
            *write.pairs(
                ("not_owed", write.money(note.canceled) if note.canceled else None),
                ("refund", write.money(note.refund) if note.refund else None),
                ("credit", write.money(note.credit) if note.credit else None),
            ),
        ],
        "total": None,
        "notes": [],
        "payment": None,
    }


_COLUMNS = ("description", "quantity", "unit_price", "rate", "amount")


def _head(write: _Writer, kind: str, number: str, at: int, seller: Seller) -> Shown:
    day = day_of(at)
    words = write.words
    return {
        **head_of(words, seller),
        "lang": write.language,
        "kind": words[kind],
        "title": f"{words[kind]} {number}",
        "date": [day.year, day.month, day.day],
    }


def head_of(words: Words, seller: Seller) -> Shown:
    """Return what every page says of the seller."""
    foot = [seller.name]
    foot += [f"{words['tax_number']}: {seller.tax_number}"] if seller.tax_number else []
    foot += [f"{words['registration']}: {seller.registration}"] if seller.registration else []
    return {
        "brand": seller.name,
        "contact": [each for each in (seller.email, seller.phone) if each],
        "foot": " · ".join(foot),
        "page": words["page"],
    }


def _parties(write: _Writer, seller: Seller, buyer: Buyer) -> list[Shown]:
    return [
        {
            "role": write.words["seller"],
            "name": seller.name,
            "lines": [
                *place_lines(seller.place),
                *_named(write, "tax_number", seller.tax_number),
                *_named(write, "registration", seller.registration),
            ],
        },
        {
            "role": write.words["buyer"],
            "name": buyer.name,
            "lines": [
                *place_lines(buyer.place),
                *_named(write, "tax_number", buyer.tax_number),
                *([buyer.email] if buyer.email else []),
            ],
        },
    ]


def place_lines(place: Place) -> list[str]:
    """Return an address as a document writes it."""
    town = " ".join(each for each in (place.postal_code, place.city) if each)
    last = ", ".join(each for each in (town, place.region, place.country) if each)
    return [*place.lines, *([last] if last else [])]


def _named(write: _Writer, word: str, text: str | None) -> list[str]:
    return [f"{write.words[word]}: {text}"] if text else []


def _line(write: _Writer, line: IssuedLine) -> Shown:
    sold = line.sold
    under = []
    if sold.period_start is not None and sold.period_end is not None:
        under.append(write.span(sold.period_start, sold.period_end))
    if line.discount:
        codes = ", ".join(line.discounts)
        label = f"{write.words['discount']} {codes}".strip()
        under.append(f"{label}: {write.money(-line.discount)}")
    quantity = show_number(Decimal(sold.quantity), write.language)
    price = (
        ""
        if sold.unit_price is None
        else show_number(_price(write, sold.unit_price), write.language)
    )
    return {
        "description": sold.description,
        "under": under,
        "cells": [
            f"{quantity} {sold.unit or ''}".strip(),
            price,
            _rates(line.taxes, write.language),
            write.money(sold.amount),
        ],
    }


def _price(write: _Writer, text: str) -> Decimal:
    """Return a unit price with at least the places of its currency."""
    price = Decimal(text)
    exponent = price.as_tuple().exponent
    assert isinstance(exponent, int)
    return price if -exponent >= write.places else price.quantize(Decimal(1).scaleb(-write.places))


def _rates(taxes: Sequence[TaxPart], language: str) -> str:
    shown = (show_number(Decimal(part.percent).normalize() + 0, language) for part in taxes)
    return " + ".join(f"{each} %" for each in shown) or "–"


def _by_rate(
    lines: Iterable[tuple[int, Sequence[TaxPart]]],
) -> dict[tuple[str, str], tuple[int, int]]:
    """Return by code and percentage what was taxed, and the tax."""
    sums: dict[tuple[str, str], tuple[int, int]] = {}
    for net, taxes in lines:
        for part in taxes:
            base, tax = sums.get((part.code, part.percent), (0, 0))
            sums[part.code, part.percent] = (base + net, tax + part.amount)
    return dict(sorted(sums.items()))


def _sums(
    write: _Writer, invoice: Invoice, parts: dict[tuple[str, str], tuple[int, int]]
) -> list[list[str]]:
    words, rows = write.words, []
    if invoice.discount:
        rows.append([words["subtotal"], write.money(invoice.fees)])
        rows.append([words["discount"], write.money(-invoice.discount)])
    rows.append([words["net"], write.money(invoice.net)])
    return [*rows, *_tax_rows(write, parts), [words["total"], write.money(invoice.total)]]


def _tax_rows(write: _Writer, parts: dict[tuple[str, str], tuple[int, int]]) -> list[list[str]]:
    rows = []
    for (code, percent), (base, tax) in parts.items():
        shown = show_number(Decimal(percent).normalize() + 0, write.language)
        label = write.words["tax_on"].format(
            code=code.upper(), percent=shown, base=write.money(base)
        )
        rows.append([label, write.money(tax)])
    return rows or [[write.words["tax_none"], write.money(0)]]


def _notes(write: _Writer, invoice: Invoice) -> list[str]:
    treatment, seller = invoice.treatment, invoice.seller
    notes = [write.words["inclusive"]] if invoice.inclusive and invoice.tax else []
    if treatment is not None and treatment.note:
        # The law's own words, and the reader's beside them.
        own = write.words["reverse_charge"] if treatment.kind == "reverse_charge" else ""
        notes += [each for each in (own, treatment.note) if each]
    if seller is not None and seller.terms:
        notes.append(seller.terms)
    return notes


def _payment(write: _Writer, bank: Bank | None, reference: str) -> Shown | None:
    if bank is None:
        return None
    return {
        "title": write.words["how_to_pay"],
        "rows": write.pairs(
            ("account", bank.account),
            ("bank", bank.name),
            ("code", bank.code),
            ("correspondent", bank.correspondent),
            ("reference", reference),
        ),
    }
