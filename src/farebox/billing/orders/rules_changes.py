"""What another period of a rental costs: the difference of two prices of when it was bought.

48 hours for 480.00 instead of 24 for 360.00 is 120.00 more. What a coupon took off the line it
takes off the other period too, in proportion; taxes are those of the line, in proportion.
"""

from collections.abc import Mapping

import msgspec

from farebox.billing.orders.model import OrderLine
from farebox.billing.orders.model_changes import PeriodNotPriced
from farebox.billing.orders.rules import share


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """What a change comes to: `gross = net + taxes`, all of one sign."""

    fee_before: int
    fee_after: int
    net: int
    taxes: dict[str, int]
    gross: int


def difference(line: OrderLine, *, from_hours: int, to_hours: int) -> Difference:
    """Return what a line costs more (below 0: less) with another period.

    Refuses (`period_not_priced`) a period that had no price when the line was bought.
    """
    before, after = _fee(line.book, from_hours), _fee(line.book, to_hours)
    more = _discounted(line, after) - _discounted(line, before)
    inclusive = line.tax > 0 and line.gross == line.fee - line.discount
    of = line.gross if inclusive else line.net
    taxes = {code: share(tax, more, of) for code, tax in line.taxes.items()}
    tax = sum(taxes.values())
    gross = more if inclusive else more + tax
    return Difference(fee_before=before, fee_after=after, net=gross - tax, taxes=taxes, gross=gross)


def _fee(book: Mapping[int, int], hours: int) -> int:
    if hours not in book:
        raise PeriodNotPriced(f"{hours} hours had no price when this was bought")
    return book[hours]


def _discounted(line: OrderLine, fee: int) -> int:
    return fee - share(line.discount, fee, line.fee)
