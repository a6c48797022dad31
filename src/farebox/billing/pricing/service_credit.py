"""Quotes and credit notes, for the contexts that keep documents of them."""

from collections.abc import Sequence

from farebox.billing.pricing.model_money import Billed, Note, NoteItem
from farebox.billing.pricing.rules_credit import credit_note
from farebox.billing.pricing.rules_quotes import Quote as Quote  # noqa: PLC0414 - told to others


def note_of(
    billed: Billed, items: Sequence[NoteItem], earlier: Sequence[Note], refund: int
) -> Note:
    """Return the note that credits these items after those before it.

    Refuses `credit_exceeds_invoice` and `refund_exceeds_payment`.
    """
    return credit_note(billed, items, earlier, refund=refund)
