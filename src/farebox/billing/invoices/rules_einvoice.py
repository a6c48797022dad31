"""A document in the terms of EN 16931, the European norm of electronic invoices.

The norm names its terms BT-1, BT-2 ... and groups of them BG-1 ...; factur-x writes them as UBL or
CII. It knows one VAT rate for a line and two decimal places, so what has several taxes on a line,
or a currency of three places, cannot be said in it. Amounts are net: of prices that contain the
tax the net is told. A discount of a line is told in the line's net amount, by an allowance.

Where no tax is charged the category says why: `AE` reverse charge, `E` exempt, `Z` a rate of
nothing. A credit note (type 381) names the invoice that it is of, and its amounts are above 0.
"""

from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

import msgspec

from farebox.billing.invoices.model import (
    Buyer,
    CreditNote,
    EinvoiceUnfit,
    Invoice,
    IssuedLine,
    Place,
    Seller,
    TaxNote,
    TaxPart,
)
from farebox.billing.invoices.rules_texts import day_of

Terms = dict[str, Any]
_MOST_PLACES: Final = 2
_PRICE_PLACES: Final = 4
_INVOICE: Final = "380"
_CREDIT_NOTE: Final = "381"
_TRANSFER: Final = "58"  # SEPA credit transfer, UNTDID 4461
_OTHER_TRANSFER: Final = "30"
_ONE: Final = "C62"  # "one", UN/ECE Recommendation 20
_UNITS: Final = {"hour": "HUR", "day": "DAY", "month": "MON", "GB": "E34", "byte": "AD"}
_REVERSE: Final = "VATEX-EU-AE"
_LONGEST_UNION_NUMBER: Final = 14


def invoice_terms(invoice: Invoice, *, places: int) -> Terms:
    """Return an issued invoice in the norm's terms; refuses (`einvoice_unfit`) what it cannot say.

    It is told as it was issued, so nothing of it is paid yet.
    """
    seller, buyer = invoice.seller, invoice.buyer
    assert seller is not None
    assert buyer is not None
    assert invoice.issued_at is not None
    assert invoice.due_at is not None
    write = _Figures(places)
    treatment = invoice.treatment or TaxNote()
    lines = [
        _line(
            write,
            line,
            line.net if invoice.inclusive else line.sold.amount,
            line.net,
            taxes=line.taxes,
            treatment=treatment,
        )
        for line in invoice.lines
    ]
    terms = {
        **_head(_INVOICE, str(invoice.number), invoice.issued_at, invoice.currency),
        **_parties(seller, buyer),
        **_sums(write, invoice.net, invoice.tax, invoice.total),
        **_paying(seller, str(invoice.number)),
        "BT-9": day_of(invoice.due_at),
        "BT-72": _delivered(invoice),
        "BG-23": _breakdown(
            write, ((each.net, each.tax, each.taxes) for each in invoice.lines), treatment
        ),
        "BG-25": lines,
    }
    if seller.terms:
        terms["BG-1"] = [{"BT-22": seller.terms}]
    if invoice.order:
        terms["BT-14"] = invoice.order
    if invoice.period_start is not None and invoice.period_end is not None:
        terms["BT-73"] = day_of(invoice.period_start)
        terms["BT-74"] = day_of(invoice.period_end - 1)
    return terms


def note_terms(note: CreditNote, invoice: Invoice, *, places: int) -> Terms:
    """Return a credit note in the norm's terms; refuses (`einvoice_unfit`) what it cannot say."""
    assert invoice.issued_at is not None
    write = _Figures(places)
    treatment = invoice.treatment or TaxNote()
    of = {line.line: line for line in invoice.lines}
    lines = [
        _line(
            write,
            _whole(of[each.line]),
            each.net,
            each.net,
            taxes=each.taxes,
            treatment=treatment,
        )
        for each in note.lines
    ]
    return {
        **_head(_CREDIT_NOTE, note.number, note.issued_at, note.currency),
        **_parties(note.seller, note.buyer),
        **_sums(write, note.subtotal, note.tax, note.total),
        "BT-20": note.reason,
        "BT-72": day_of(note.issued_at),
        "BG-1": [{"BT-22": note.reason}],
        "BG-3": [{"BT-25": str(invoice.number), "BT-26": day_of(invoice.issued_at)}],
        "BG-23": _breakdown(
            write, ((each.net, each.tax, each.taxes) for each in note.lines), treatment
        ),
        "BG-25": lines,
    }


class _Figures:
    """How amounts of one currency are written."""

    def __init__(self, places: int) -> None:
        if places > _MOST_PLACES:
            raise EinvoiceUnfit("the norm has two decimal places")
        self._places = places

    def amount(self, amount: int) -> str:
        return f"{Decimal(amount).scaleb(-self._places):.{self._places}f}"

    def exact_price(self, gross: int, quantity: Decimal) -> str | None:
        """Write the price of one, or None where four places do not say it exactly."""
        if quantity <= 0:
            return None
        price = Fraction(gross, 10**self._places) / Fraction(quantity)
        scaled = price * 10**_PRICE_PLACES
        if scaled.denominator != 1:
            return None
        return f"{Decimal(scaled.numerator).scaleb(-_PRICE_PLACES):.{_PRICE_PLACES}f}"


def _head(kind: str, number: str, at: int, currency: str) -> Terms:
    return {"BT-1": number, "BT-2": day_of(at), "BT-3": kind, "BT-5": currency}


def _delivered(invoice: Invoice) -> date:
    """Return when it was delivered: the end of what it is for, the day of issue at the latest."""
    assert invoice.issued_at is not None
    ends = [each.sold.period_end - 1 for each in invoice.lines if each.sold.period_end]
    return day_of(min([invoice.issued_at, *ends]))


def _parties(seller: Seller, buyer: Buyer) -> Terms:
    if seller.place.country is None or buyer.place.country is None:
        raise EinvoiceUnfit("seller and buyer have a country in an electronic invoice")
    sold: Terms = {"name": seller.name, **_place(seller.place)}
    if seller.tax_number:
        sold[_number_kind(seller.tax_number)] = seller.tax_number
    if seller.registration:
        sold["legal_identifier"] = seller.registration
    contact = {"phone": seller.phone, "email": seller.email}
    if any(contact.values()):
        sold["contacts"] = [{"name": seller.name, **{k: v for k, v in contact.items() if v}}]
    if seller.email:
        sold |= {"einvoicing_addr": seller.email, "einvoicing_addr_schemeid": "EM"}
    bought: Terms = {"name": buyer.name, **_place(buyer.place)}
    if buyer.tax_number and _number_kind(buyer.tax_number) == "vat_identifier":
        bought["vat_identifier"] = buyer.tax_number
    if buyer.email:
        bought |= {"einvoicing_addr": buyer.email, "einvoicing_addr_schemeid": "EM"}
    return {"BG-4": sold, "BG-7": bought}


def _number_kind(number: str) -> str:
    """Return which term a tax number is: one with its country's letters is a VAT identifier."""
    letters = number[:2]
    fits = letters.isascii() and letters.isalpha() and letters.isupper()
    return "vat_identifier" if fits and len(number) <= _LONGEST_UNION_NUMBER else "tax_identifier"


def _place(place: Place) -> Terms:
    names = ("addr_l1", "addr_l2", "addr_l3")
    told: Terms = dict(zip(names, [*place.lines[:2], ", ".join(place.lines[2:])], strict=False))
    told |= {"city": place.city, "postcode": place.postal_code, "country_code": place.country}
    told["country_subdivision"] = place.region
    return {name: text for name, text in told.items() if text}


def _sums(write: _Figures, net: int, tax: int, total: int) -> Terms:
    return {
        "BT-106": write.amount(net),
        "BT-109": write.amount(net),
        "BT-110": write.amount(tax),
        "BT-112": write.amount(total),
        "BT-115": write.amount(total),
    }


def _paying(seller: Seller, reference: str) -> Terms:
    bank = seller.bank
    if bank is None:
        return {"BT-81": "1", "BT-83": reference}
    iban = bank.account[:2].isalpha()
    told = {
        "BT-81": _TRANSFER if iban else _OTHER_TRANSFER,
        "BT-83": reference,
        "BT-84": bank.account,
        "BT-85": seller.name,
    }
    if bank.code:
        told["BT-86"] = bank.code
    return told


def _line(
    write: _Figures,
    line: IssuedLine,
    amount: int,
    net: int,
    *,
    taxes: Sequence[TaxPart],
    treatment: TaxNote,
) -> Terms:
    """Return a line. Its price is of one piece where that is exact, else of the whole of it."""
    sold = line.sold
    quantity = Decimal(sold.quantity)
    category, percent = _category(taxes, treatment)
    gross = max(amount, net)
    told: Terms = {
        "BT-126": str(line.line),
        "BT-153": sold.description,
        "BT-131": write.amount(net),
        "BT-151": category,
        "BT-152": percent,
        **_priced(write, gross, quantity, sold.unit),
    }
    if gross != net:
        told["BG-27"] = [
            {
                "amount": write.amount(gross - net),
                "base_amount": write.amount(gross),
                "reason": ", ".join(line.discounts) or "Discount",
                "reason_code": "95",
            }
        ]
    if sold.period_start is not None and sold.period_end is not None:
        told["BT-134"] = day_of(sold.period_start)
        told["BT-135"] = day_of(sold.period_end - 1)
    return told


def _whole(line: IssuedLine) -> IssuedLine:
    """Return a line as one piece: what a note credits of it has no quantity of its own."""
    sold = msgspec.structs.replace(line.sold, quantity="1", unit=None)
    return msgspec.structs.replace(line, sold=sold)


def _priced(write: _Figures, gross: int, quantity: Decimal, unit: str | None) -> Terms:
    """Return quantity and net price, whose product is the line's amount before its allowance.

    A price is never below 0: what is given back has a quantity below 0 instead.
    """
    price = write.exact_price(abs(gross), quantity)
    if price is None:
        quantity, price, unit = Decimal(1), write.amount(abs(gross)), None
    sign = -1 if gross < 0 else 1
    return {
        "BT-129": f"{(quantity * sign).normalize():f}",
        "BT-130": _UNITS.get(unit or "", _ONE),
        "BT-146": price,
    }


def _category(taxes: Sequence[TaxPart], treatment: TaxNote) -> tuple[str, str]:
    """Return a line's VAT category (UNTDID 5305) and rate."""
    if treatment.kind == "reverse_charge":
        return "AE", "0.00"
    if treatment.kind == "exempt":
        return "E", "0.00"
    if len(taxes) != 1:
        raise EinvoiceUnfit("a line has one tax rate in an electronic invoice, if only of 0 %")
    percent = Decimal(taxes[0].percent)
    return ("S" if percent else "Z"), f"{percent:.2f}"


def _breakdown(
    write: _Figures, lines: Iterable[tuple[int, int, Sequence[TaxPart]]], treatment: TaxNote
) -> list[Terms]:
    sums: dict[tuple[str, str], tuple[int, int]] = {}
    for net, tax, taxes in lines:
        key = _category(taxes, treatment)
        base, whole = sums.get(key, (0, 0))
        sums[key] = (base + net, whole + tax)
    return [
        {
            "BT-116": write.amount(base),
            "BT-117": write.amount(tax),
            "BT-118": category,
            "BT-119": percent,
            **_because(category, treatment),
        }
        for (category, percent), (base, tax) in sorted(sums.items())
    ]


def _because(category: str, treatment: TaxNote) -> Terms:
    if category == "AE":
        return {"BT-120": treatment.note or "Reverse charge", "BT-121": _REVERSE}
    return {"BT-120": treatment.note or "Exempt"} if category == "E" else {}
