"""Promotions: made, ended, found; and what is on sale with them, for one thing or for a page."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec
import sqlalchemy as sa

from farebox.billing.pricing import store
from farebox.billing.pricing.model_prices import Of, Price, Priced, PriceUnknown
from farebox.billing.pricing.model_promotions import (
    OnSale,
    Promotion,
    PromotionRefused,
    PromotionUnknown,
)
from farebox.billing.pricing.model_quotes import QuoteLine
from farebox.billing.pricing.rules_prices import narrowest
from farebox.billing.pricing.rules_promotions import best, check_promotion, facts_of
from farebox.billing.pricing.service_prices import check_known, sold_once
from farebox.billing.pricing.service_quotes import line_of
from farebox.events.service import publish
from farebox.kernel.amounts import checked_amount
from farebox.platform.model import Actor, Page
from farebox.platform.rules import checked_limit, page_of
from farebox.platform.service_audit import record
from farebox.storage import Tx

_table: Final = store.promotion


def create_promotion(tx: Tx, actor: Actor, promotion: Promotion) -> Promotion:
    """Make a promotion.

    Refuses what `check_promotion` refuses, what billing does not know or sells no more
    (`priced_unknown`), and (`promotion_invalid`) one that has ended already.
    """
    check_promotion(promotion)
    if promotion.valid_until is not None and promotion.valid_until <= tx.now_us:
        raise PromotionRefused("it has ended already")
    check_known(tx, promotion.priced)
    made = msgspec.structs.replace(promotion, created_at=tx.now_us)
    tx.run(_table.insert(), store.promotion_row(made))
    _write_down(tx, actor, "created", made, None)
    return made


def end_promotion(tx: Tx, actor: Actor, promotion_id: str, at: int | None = None) -> Promotion:
    """End a promotion now, or at an instant that lies ahead; lines keep the price they have.

    One that has ended stays as it is. Refuses `promotion_unknown` and (`promotion_invalid`) an end
    that has passed.
    """
    row = tx.one(sa.select(_table).where(_table.c.id == promotion_id).with_for_update())
    if row is None:
        raise PromotionUnknown
    old = store.promotion_of(row)
    if old.valid_until is not None and old.valid_until <= tx.now_us:
        return old
    if at is not None and at <= tx.now_us:
        raise PromotionRefused("an end lies ahead")
    # One that has not begun ends where it would begin: it never holds.
    until = max(tx.now_us if at is None else at, old.valid_from)
    new = msgspec.structs.replace(old, valid_until=until)
    if new == old:
        return old
    here = _table.c.id == promotion_id
    tx.run(_table.update().where(here).values(valid_until=new.valid_until))
    _write_down(tx, actor, "ended", new, old)
    return new


def find_promotion(tx: Tx, promotion_id: str) -> Promotion:
    """Return a promotion; refuses `promotion_unknown`."""
    row = tx.one(sa.select(_table).where(_table.c.id == promotion_id))
    if row is None:
        raise PromotionUnknown
    return store.promotion_of(row)


def list_promotions(
    tx: Tx,
    *,
    of: Of | None = None,
    code: str | None = None,
    at: int | None = None,
    after: str | None = None,
    limit: int = 100,
) -> Page[Promotion]:
    """Return promotions, oldest first; with `at` those that hold then."""
    statement = sa.select(_table).order_by(_table.c.id)
    if of is not None:
        statement = statement.where(_table.c.kind == of)
    if code is not None:
        statement = statement.where(_table.c.code == code)
    if at is not None:
        statement = statement.where(*_holding(at))
    if after is not None:
        statement = statement.where(_table.c.id > after)
    rows = tx.run(statement.limit(checked_limit(limit) + 1))
    return page_of([store.promotion_of(row) for row in rows], limit, lambda one: one.id)


def holding(tx: Tx, of: Of, codes: Sequence[str]) -> Mapping[str, list[Promotion]]:
    """Return the promotions of things that hold now, by code: one statement for all of them."""
    here = (_table.c.kind == of, _table.c.code.in_(codes), *_holding(tx.now_us))
    found: dict[str, list[Promotion]] = {}
    for row in tx.run(sa.select(_table).where(*here)):
        found.setdefault(row.code, []).append(store.promotion_of(row))
    return found


class Shelf:
    """What things are sold on once, and for how much now, as it was when it was looked at."""

    def __init__(
        self, prices: Iterable[Price], promotions: Mapping[str, Sequence[Promotion]], now: int
    ) -> None:
        self._prices: dict[str, list[Price]] = {}
        for price in prices:
            self._prices.setdefault(price.code, []).append(price)
        self._promotions = promotions
        self._now = now

    def currencies(self, code: str) -> list[str]:
        """Return the currencies that something is priced in, the one of its oldest price first."""
        return list(dict.fromkeys(price.currency for price in self._prices.get(code, ())))

    def on_sale(self, wanted: Priced, currency: str, *, quantity: int = 1) -> OnSale:
        """Return the price that holds now, with its promotion; the narrowest, then the newest.

        Refuses `price_unknown` where there is none, `usage_not_priced` for what usage alone can
        price, and (`value_invalid`) an amount beyond 2^53 - 1.
        """
        fitting = [each for each in self._prices.get(wanted.code, ()) if each.currency == currency]
        price = narrowest(fitting, wanted)
        if price is None:
            raise PriceUnknown(
                f"there is no such price of the {wanted.of} {wanted.code} in {currency}"
            )
        return self.reduced(price, wanted, quantity=quantity)

    def reduced(self, price: Price, wanted: Priced, *, quantity: int = 1) -> OnSale:
        """Return a price with the promotion that holds now for what is wanted."""
        list_fee = checked_amount(line_of(price, name="1", quantity=quantity).amount, least=0)
        taken = best(
            self._promotions.get(wanted.code, ()), list_fee, priced=wanted,
            currency=price.currency, now=self._now,
        )  # fmt: skip
        fee = list_fee if taken is None else list_fee - taken.off
        return OnSale(price=price, list_fee=list_fee, fee=fee, promotion=taken)


def shelf_of(tx: Tx, of: Of, codes: Sequence[str]) -> Shelf:
    """Return what things are sold on: two statements, however many there are."""
    return Shelf(sold_once(tx, of, codes), holding(tx, of, codes), tx.now_us)


def reduced(tx: Tx, price: Price) -> OnSale:
    """Return a price as it is billed now, with the promotion of what it is for."""
    return Shelf((), holding(tx, price.of, [price.code]), tx.now_us).reduced(price, price.priced)


def reduced_line(tx: Tx, price: Price, line: QuoteLine, at: int) -> OnSale:
    """Return what a line of a price is billed for at an instant; usage has no promotions."""
    usage = price.of == "product" and price.recurring is not None
    held = [] if usage else list_promotions(tx, of=price.of, code=price.code, at=at).items
    taken = best(held, line.amount, priced=price.priced, currency=price.currency, now=at)
    fee = line.amount if taken is None else line.amount - taken.off
    return OnSale(price=price, list_fee=line.amount, fee=fee, promotion=taken)


def _holding(at: int) -> tuple[sa.ColumnElement[bool], ...]:
    until = _table.c.valid_until
    return (_table.c.valid_from <= at, sa.or_(until.is_(None), until > at))


def _write_down(tx: Tx, actor: Actor, what: str, new: Promotion, old: Promotion | None) -> None:
    before = None if old is None else facts_of(old)
    facts, subject = facts_of(new), f"promotion:{new.id}"
    record(tx, actor, f"promotion.{what}", subject, before=before, after=facts)
    publish(tx, type=f"promotion.{what}", subject=subject, data=facts)
