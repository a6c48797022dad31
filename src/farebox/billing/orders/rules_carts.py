"""Which price holds for a line of a cart, and whether a total is the one that was shown."""

import msgspec

from farebox.billing.orders.model import Bought, PriceChanged
from farebox.billing.orders.model_carts import CartLine, LineProblem


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """A line as it would be bought now; `bought` is None where it cannot be."""

    bought: Bought | None
    guaranteed: bool
    problems: tuple[LineProblem, ...] = ()


def is_guaranteed(line: CartLine, now: int) -> bool:
    """Tell whether a line's price is guaranteed: for exactly the time that was promised."""
    return now < line.guaranteed_until


def price_now(line: CartLine, current: Bought | None, now: int) -> Standing:
    """Return a line at the price that holds: while it is guaranteed, the lower of the two."""
    guaranteed = is_guaranteed(line, now)
    if current is None:
        return Standing(bought=None, guaranteed=guaranteed, problems=("not_for_sale",))
    if guaranteed:
        lower = current if current.fee < line.fee else at_guarantee(line, current)
        return Standing(bought=lower, guaranteed=True)
    changed: tuple[LineProblem, ...] = ("guarantee_over",)
    if current.fee != line.fee:
        changed = (*changed, "price_changed")
    return Standing(bought=current, guaranteed=False, problems=changed)


def at_guarantee(line: CartLine, current: Bought) -> Bought:
    """Return what is bought at the price that was guaranteed."""
    return msgspec.structs.replace(
        current,
        price=line.price,
        price_version=line.price_version,
        list_fee=line.list_fee,
        fee=line.fee,
        promotion=line.promotion,
        # What a longer rental costs later is the difference of prices of one and the same time.
        book=line.book or current.book,
    )


def check_shown(shown: int | None, total: int, *, guaranteed: bool) -> None:
    """Refuse (`price_changed`) a total that is not the one that was shown.

    A lower one is charged without asking again, while every line's price is guaranteed.
    """
    if shown is None or total == shown or (guaranteed and total < shown):
        return
    raise PriceChanged(f"the total is {total}, not {shown}", total=total, shown_total=shown)
