"""Credit notes: the remainder rule, and that nobody gets back more than was paid."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farebox.billing.pricing.model_money import (
    Billed,
    BilledLine,
    Coupon,
    Line,
    Note,
    NoteItem,
    NoteRefused,
    Rate,
    Redemption,
    RefundRefused,
)
from farebox.billing.pricing.rules_credit import credit_note
from farebox.billing.pricing.rules_totals import totals


def invoice(amounts, percents, *, off=0, paid=None, level="total", inclusive=False, places=5):
    """Return an invoice of lines at their rates, with a coupon over all of them."""
    each = [Line(id=str(place), amount=amount) for place, amount in enumerate(amounts)]
    rates = {
        str(place): (Rate(f"{percent} %", Decimal(percent)),)
        for place, percent in enumerate(percents)
    }
    coupons = [Redemption(coupon=Coupon(code="a", amount=off, currency="EUR"))] if off else []
    found = totals(each, coupons, own_rates=rates, level=level, inclusive=inclusive, places=places)
    return Billed(
        lines=tuple(
            BilledLine(id=line.id, amount=line.amount, discount=taken.exactly,
                       rates=rates[line.id])
            for line, taken in zip(each, found.discount.lines, strict=True)
        ),
        tax=found.tax.tax,
        total=found.tax.gross,
        paid=found.tax.gross if paid is None else paid,
        inclusive=inclusive,
    )  # fmt: skip


def credit(billed, items, earlier=(), **options):
    wanted = [NoteItem(line=str(line), amount=amount) for line, amount in items]
    return credit_note(billed, wanted, list(earlier), **options)


def shown(note):
    return note.subtotal, note.tax, note.total


@pytest.mark.parametrize(
    ("amount", "percent", "item", "wanted"),
    [
        (20000, "25", 19333, (19333, 4833, 24166)),
        (16000, "25", 15467, (15467, 3867, 19334)),
        (3750, "20", 3571, (3571, 714, 4285)),
        (2999, "23.33", 2571, (2571, 600, 3171)),
        (5000, "20", 536, (536, 107, 643)),
    ],
)
def test_a_note_credits_a_part_and_its_tax(amount, percent, item, wanted):
    assert shown(credit(invoice([amount], [percent]), [(0, item)])) == wanted


def test_the_note_that_exhausts_an_invoice_absorbs_earlier_rounding():
    billed = invoice([6833, 6833], ["20", "20"])
    first = credit(billed, [(0, 6833)])
    second = credit(billed, [(1, 6833)], [first])
    assert (billed.total, first.total, second.total) == (16399, 8200, 8199)
    assert (first.tax_exactly, second.tax_exactly) == (Fraction("1366.6"), Fraction("1366.2"))


def test_the_share_of_a_coupon_is_taken_back():
    billed = Billed(
        lines=(
            BilledLine(id="0", amount=17900, rates=(Rate("a", Decimal(10)),)),
            BilledLine(id="1", amount=39900, discount=25000, rates=(Rate("b", Decimal(20)),)),
        ),
        tax=4770,
        total=37570,
        paid=37570,
    )
    note = credit(billed, [(1, 26260)])
    assert (note.adjustment, *shown(note)) == (16454, 9806, 1961, 11767)


def test_subtotal_and_tax_do_not_exceed_their_exact_sum():
    # 497.5 and 49.75 are 547.25: 498 + 50 would be one too many.
    billed = Billed(
        lines=(BilledLine(id="0", amount=2000, discount=1005, rates=(Rate("a", Decimal(10)),)),),
        tax=100,
        total=1095,
        paid=1095,
    )
    assert shown(credit(billed, [(0, 1000)])) in {(498, 49, 547), (497, 50, 547)}


def test_prices_that_contain_tax_are_credited_with_it():
    billed = invoice([1200, 600], ["20", "20"], inclusive=True)
    first = credit(billed, [(0, 1200)])
    assert shown(first) == (1000, 200, 1200)
    assert shown(credit(billed, [(1, 600)], [first])) == (500, 100, 600)


@pytest.mark.parametrize("items", [[(0, 101)], [(0, 0)], [(0, -5)], [(9, 1)], [(0, 60), (0, 60)]])
def test_a_note_credits_only_what_is_left_of_its_lines(items):
    with pytest.raises(NoteRefused):
        credit(invoice([100], ["20"]), items)


def test_what_was_credited_before_counts():
    billed = invoice([100], ["20"])
    first = credit(billed, [(0, 60)])
    assert credit(billed, [(0, 40)], [first]).total == 48
    with pytest.raises(NoteRefused):
        credit(billed, [(0, 41)], [first])


def test_a_line_below_zero_lowers_what_can_be_credited():
    billed = Billed(
        lines=(BilledLine(id="0", amount=100), BilledLine(id="1", amount=-40)),
        tax=0, total=60, paid=60,
    )  # fmt: skip
    assert credit(billed, [(0, 60)]).total == 60
    with pytest.raises(NoteRefused):
        credit(billed, [(0, 61)])


@pytest.mark.parametrize(
    ("paid", "refund", "wanted"),
    [
        # What is still owed is canceled first; then what is asked for is paid back.
        (120, 0, (0, 0, 60)), (120, 60, (0, 60, 0)), (120, 25, (0, 25, 35)),
        (0, 0, (60, 0, 0)), (80, 20, (40, 20, 0)), (80, 5, (40, 5, 15)),
        (120, 61, None), (0, 1, None), (80, 21, None), (120, -1, None),
    ],
)  # fmt: skip
def test_a_note_cancels_a_debt_then_refunds_then_credits(paid, refund, wanted):
    billed = invoice([100], ["20"], paid=paid)
    if wanted is None:
        with pytest.raises(RefundRefused):
            credit(billed, [(0, 50)], refund=refund)
        return
    note = credit(billed, [(0, 50)], refund=refund)
    assert (note.canceled, note.refund, note.credit) == wanted


@given(facts=st.data())
def test_all_notes_of_an_invoice_are_the_invoice_and_never_more_than_was_paid(facts):
    amounts = facts.draw(st.lists(st.integers(1, 40), min_size=1, max_size=3))
    percents = [facts.draw(st.decimals(0, 40, places=2)) for _ in amounts]
    billed = invoice(
        amounts,
        percents,
        off=facts.draw(st.integers(0, 90)),
        level=facts.draw(st.sampled_from(["line", "rate", "total"])),
        inclusive=facts.draw(st.booleans()),
        places=facts.draw(st.sampled_from([0, 5])),
    )
    paid = facts.draw(st.integers(0, billed.total))
    billed = Billed(
        lines=billed.lines, tax=billed.tax, total=billed.total, paid=paid,
        inclusive=billed.inclusive,
    )  # fmt: skip
    left = dict(enumerate(amounts))
    notes: list[Note] = []
    while any(left.values()):
        line = facts.draw(st.sampled_from([each for each in left if left[each]]))
        # Not unit by unit: a long row of notes proves no more than a short one.
        amount = facts.draw(st.integers(-(-left[line] // 3), left[line]))
        left[line] -= amount
        note = credit(billed, [(line, amount)], notes)
        back = facts.draw(st.integers(0, note.credit))
        notes.append(credit(billed, [(line, amount)], notes, refund=back))
    assert sum(note.total for note in notes) == billed.total
    assert sum(note.tax for note in notes) == billed.tax
    assert sum(note.refund + note.credit for note in notes) == paid
    for note in notes:
        assert note.subtotal + note.tax == note.total == note.canceled + note.refund + note.credit
        assert min(note.tax, note.total, note.adjustment) >= 0
        # With tax inside a price of next to nothing, a unit of tax may be more than the price.
        assert note.subtotal >= (-1 if billed.inclusive else 0)
