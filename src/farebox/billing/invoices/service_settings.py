"""Who sells, how documents are numbered, and which periods are closed. Each change is audited."""

import sqlalchemy as sa

from farebox.billing.invoices import store
from farebox.billing.invoices.model import (
    CREDIT_NOTES,
    INVOICES,
    PeriodClosed,
    Seller,
    SellerMissing,
    Series,
    SeriesTaken,
    SeriesUnknown,
)
from farebox.billing.invoices.rules_settings import (
    checked_seller,
    checked_series,
    may_meet,
    number_of,
    year_of,
)
from farebox.billing.pricing.service_tax import set_tax_settings, tax_settings
from farebox.kernel.refusals import TryAgain, ValueRefused
from farebox.platform.model import Actor
from farebox.platform.service_audit import record
from farebox.storage import Tx

_OURS: dict[str, Series] = {
    INVOICES: Series(series=INVOICES, kind="invoice", prefix="INV"),
    CREDIT_NOTES: Series(series=CREDIT_NOTES, kind="credit_note", prefix="CRN"),
}


def find_seller(tx: Tx) -> Seller | None:
    """Return who sells, as an operator said it last, or None."""
    newest = sa.select(store.seller.c.details).order_by(store.seller.c.version.desc()).limit(1)
    row = tx.one(newest)
    return None if row is None else store.seller_of(row.details)


def read_seller(tx: Tx) -> Seller:
    """Return who sells; refuses (`seller_missing`) while nobody has said it."""
    found = find_seller(tx)
    if found is None:
        raise SellerMissing
    return found


def set_seller(tx: Tx, actor: Actor, seller: Seller) -> Seller:
    """Say who sells from now on; documents that are issued keep what they say.

    Where nobody has said yet in which country taxes are counted, it is the seller's. Refuses
    (`value_invalid`) a name, country, number or text that no document can show.
    """
    checked_seller(seller)
    before = find_seller(tx)
    if before == seller:
        return seller
    last = tx.one(sa.select(sa.func.max(store.seller.c.version).label("version")))
    version = ((last.version if last else None) or 0) + 1
    row = {"version": version, "details": store.text_of(seller), "at": tx.now_us}
    if not tx.insert_once(store.seller, row, key=("version",)):
        raise TryAgain
    record(tx, actor, "seller.changed", "seller", before=before, after=seller)
    taxes = tax_settings(tx)
    if taxes.country is None:
        set_tax_settings(tx, actor, country=seller.place.country, level=taxes.level)
    return seller


def list_series(tx: Tx) -> list[Series]:
    """Return every series of documents."""
    rows = tx.run(sa.select(store.series).order_by(store.series.c.series)).all()
    known = {row.series: store.series_of(row) for row in rows}
    return sorted({**_OURS, **known}.values(), key=lambda each: each.series)


def find_series(tx: Tx, code: str) -> Series:
    """Return a series; the two of ours are made at first need. Refuses `series_unknown`."""
    row = tx.one(sa.select(store.series).where(store.series.c.series == code))
    if row is not None:
        return store.series_of(row)
    if code not in _OURS:
        raise SeriesUnknown
    _insert(tx, _OURS[code])
    return find_series(tx, code)


def set_series(tx: Tx, actor: Actor, series: Series) -> Series:
    """Make a series, or say anew how one is numbered that has no document yet.

    Refuses (`series_taken`) a prefix whose numbers another series may give as well and a series in
    use, and `value_invalid`.
    """
    checked_series(series)
    for code in _OURS:
        find_series(tx, code)
    # Ours are always there: whoever else sets a series waits at them.
    every = tx.run(sa.select(store.series).order_by(store.series.c.series).with_for_update())
    known = {each.series: each for each in map(store.series_of, every)}
    before = known.pop(series.series, None)
    if before == series:
        return series
    if any(may_meet(series.prefix, each.prefix) for each in known.values()):
        raise SeriesTaken
    if before is None:
        _insert(tx, series)
    else:
        used = sa.select(store.counter.c.last).where(store.counter.c.series == series.series)
        if tx.one(used) is not None:
            raise SeriesTaken("documents of this series are numbered already")
        changed = {"kind": series.kind, "prefix": series.prefix, "yearly": int(series.yearly)}
        here = store.series.c.series == series.series
        tx.run(store.series.update().where(here).values(**changed, digits=series.digits))
    record(tx, actor, "series.changed", f"series:{series.series}", before=before, after=series)
    return series


def _insert(tx: Tx, series: Series) -> None:
    row = {
        "series": series.series,
        "kind": series.kind,
        "prefix": series.prefix,
        "yearly": int(series.yearly),
        "digits": series.digits,
        "created_at": tx.now_us,
    }
    if not tx.insert_unless_taken(store.series, row):
        # Somebody has made it, or another of this prefix, meanwhile: look again.
        raise TryAgain


def next_number(tx: Tx, series: Series, at: int) -> tuple[int, int, str]:
    """Return year, sequence and number of the next document of a series.

    The counter stays locked until this transaction ends, so whoever issues next waits, and a
    number whose transaction fails is given again: there is never a gap.
    """
    year = year_of(series, at)
    table = store.counter
    first = {"series": series.series, "year": year, "last": 1, "at": at}
    raised = tx.insert_of(table).on_conflict_do_update(
        index_elements=["series", "year"], set_={"last": table.c.last + 1, "at": at}
    )
    sequence = int(tx.run(raised.returning(table.c.last), first).scalar_one())
    return year, sequence, number_of(series, year, sequence)


def issuing(tx: Tx, series: str) -> tuple[Series, Seller]:
    """Return by which series and by whom something is issued now, in one statement.

    Refuses `seller_missing`, `series_unknown`, and (`period_closed`) a time that is closed.
    """
    known = store.series.c.series == series
    newest = sa.select(store.seller.c.details).order_by(store.seller.c.version.desc()).limit(1)
    until = sa.select(sa.func.max(store.closed_period.c.until))
    facts = sa.select(
        store.series,
        newest.scalar_subquery().label("seller"),
        until.scalar_subquery().label("until"),
    )
    row = tx.one(facts.where(known))
    if row is None:
        find_series(tx, series)
        return issuing(tx, series)
    if tx.now_us < (row.until or 0):
        raise PeriodClosed
    if row.seller is None:
        raise SellerMissing
    return store.series_of(row), store.seller_of(row.seller)


def closed_until(tx: Tx) -> int:
    """Return until when periods are closed, in microseconds; 0 where none is."""
    row = tx.one(sa.select(sa.func.max(store.closed_period.c.until).label("until")))
    return 0 if row is None else int(row.until or 0)


def close_period(tx: Tx, actor: Actor, until: int) -> int:
    """Close everything before an instant for ever: no document is dated or voided there any more.

    Refuses (`value_invalid`) the future, (`period_closed`) what is closed already.
    """
    if until > tx.now_us:
        raise ValueRefused("only what has passed is closed")
    before = closed_until(tx)
    if until <= before:
        raise PeriodClosed("it is closed already")
    row = {"until": until, "closed_at": tx.now_us}
    if not tx.insert_once(store.closed_period, row, key=("until",)):
        raise PeriodClosed("it is closed already")
    record(tx, actor, "period.closed", "closed_period", before=before or None, after=until)
    return until


def check_open(tx: Tx, at: int) -> None:
    """Refuse (`period_closed`) an instant of a closed period."""
    if at < closed_until(tx):
        raise PeriodClosed
