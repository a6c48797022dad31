"""Coupons: made, limited, redeemed by customers, and what is left of them.

A coupon's row is locked while it is redeemed, so that the last use is one customer's. A redemption
is used once for each bill, however often that bill is made.
"""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
import sqlalchemy as sa

from farebox.billing.pricing import store
from farebox.billing.pricing.model_coupons import (
    LONGEST_ID,
    CouponArchived,
    CouponLimits,
    CouponRecord,
    CouponState,
    CouponTaken,
    CouponUnknown,
    Redeemed,
)
from farebox.billing.pricing.model_money import (
    Coupon,
    CouponNotValidNow,
    CouponUsedUp,
    Line,
    Redemption,
)
from farebox.billing.pricing.model_prices import VersionPassed
from farebox.billing.pricing.rules_coupons import check_new, facts_of, limited
from farebox.billing.pricing.rules_discounts import check_coupon, check_redeemable, still_applies
from farebox.kernel.ids import record_id
from farebox.platform.model import Actor, Page
from farebox.platform.rules import checked_limit, checked_text, page_of
from farebox.platform.service_audit import record
from farebox.storage import Tx

_coupon, _held, _use = store.coupon, store.coupon_redemption, store.coupon_use
_REDEEMED: Final = (
    sa.select(
        _coupon,
        _held.c.id,
        _held.c.customer,
        _held.c.subscription,
        _held.c.claim,
        _held.c.at,
        sa.select(sa.func.count())
        .where(_use.c.redemption == _held.c.id)
        .scalar_subquery()
        .label("periods_used"),
    )
    .join(_coupon, _coupon.c.code == _held.c.coupon)
    .order_by(_held.c.id)
)


def create_coupon(tx: Tx, actor: Actor, coupon: Coupon) -> CouponRecord:
    """Make a coupon; refuses `coupon_invalid`, `coupon_taken`, `currency_unknown`."""
    check_new(coupon)
    made = CouponRecord(coupon=coupon, uses=0, state="active", version=1, created_at=tx.now_us)
    if not tx.insert_once(_coupon, store.coupon_row(made), key=("code",)):
        raise CouponTaken
    _write_down(tx, actor, "created", made, None)
    return made


def limit_coupon(
    tx: Tx,
    actor: Actor,
    code: str,
    limits: CouponLimits,
    *,
    expected_version: int | None = None,
) -> CouponRecord:
    """Change when and how often a coupon may be redeemed; who holds it keeps it as it is.

    Refuses `coupon_unknown`, `coupon_archived`, `coupon_invalid` (also fewer uses than there were)
    and another newest version than the expected one (`version_passed`).
    """
    old = _locked(tx, code)
    if old.state == "archived":
        raise CouponArchived
    if expected_version not in {None, old.version}:
        raise VersionPassed("the coupon was changed meanwhile", version=old.version)
    new = limited(old, limits)
    check_coupon(new.coupon)
    if new.coupon == old.coupon:
        return old
    _keep(tx, new)
    _write_down(tx, actor, "updated", new, old)
    return new


def archive_coupon(tx: Tx, actor: Actor, code: str) -> CouponRecord:
    """Let nobody redeem a coupon any more; who holds it keeps it. Repeating changes nothing."""
    old = _locked(tx, code)
    if old.state == "archived":
        return old
    new = msgspec.structs.replace(old, state="archived", version=old.version + 1)
    _keep(tx, new)
    _write_down(tx, actor, "archived", new, old)
    return new


def find_coupon(tx: Tx, code: str) -> CouponRecord:
    """Return a coupon; refuses `coupon_unknown`."""
    row = tx.one(sa.select(_coupon).where(_coupon.c.code == code))
    if row is None:
        raise CouponUnknown
    return store.coupon_of(row)


def list_coupons(
    tx: Tx, *, state: CouponState | None = None, after: str | None = None, limit: int = 100
) -> Page[CouponRecord]:
    """Return coupons in the order of their codes."""
    statement = sa.select(_coupon).order_by(_coupon.c.code)
    if state is not None:
        statement = statement.where(_coupon.c.state == state)
    if after is not None:
        statement = statement.where(_coupon.c.code > after)
    rows = tx.run(statement.limit(checked_limit(limit) + 1))
    return page_of([store.coupon_of(row) for row in rows], limit, lambda each: each.coupon.code)


def redeem(
    tx: Tx,
    code: str,
    customer: str,
    *,
    lines: Iterable[Line],
    currency: str,
    claim: str,
    subscription: str | None = None,
) -> Redeemed:
    """Give a customer a coupon: for one subscription, or for whatever they are billed.

    `claim` names what it is redeemed for (an order, a subscription); the same again returns the
    first redemption, whatever has become of the coupon. Refuses `coupon_unknown`,
    `coupon_not_valid_now`, `coupon_used_up`, `coupon_not_for_this`.
    """
    for text in (customer, claim):
        checked_text(text, "whose a coupon is, and for what,", longest=LONGEST_ID)
    here = sa.and_(_held.c.customer == customer, _held.c.coupon == code, _held.c.claim == claim)
    found = _locked(tx, code)
    if (row := tx.one(_REDEEMED.where(here))) is not None:
        return store.redeemed_of(row)
    _check(tx, found, customer, lines, currency=currency, at=tx.now_us)
    row_of_it = {
        "id": record_id("rdm"),
        "coupon": code,
        "customer": customer,
        "subscription": subscription,
        "claim": claim,
        "at": tx.now_us,
    }
    tx.run(_held.insert(), row_of_it)
    tx.run(_coupon.update().where(_coupon.c.code == code).values(uses=found.uses + 1))
    made = tx.one(_REDEEMED.where(here))
    assert made is not None
    return store.redeemed_of(made)


def redeemable(
    tx: Tx,
    codes: Sequence[str],
    customer: str | None,
    *,
    lines: Sequence[Line],
    currency: str,
    at: int,
) -> list[Redemption]:
    """Return coupons as they would apply if they were redeemed at an instant; changes nothing.

    Refuses what `redeem` refuses. `customer` None is somebody who has redeemed nothing yet.
    """
    made = []
    for code in dict.fromkeys(codes):
        found = find_coupon(tx, code)
        _check(tx, found, customer, lines, currency=currency, at=at)
        made.append(Redemption(coupon=found.coupon, redeemed_at_us=at))
    return made


def discounts_for(tx: Tx, customer: str, subscription: str | None = None) -> list[Redeemed]:
    """Return what a customer holds and has not used up, for a bill of a subscription or without.

    Of a coupon that is held for the subscription and in general, the former.
    """
    of_it: sa.ColumnElement[bool] = _held.c.subscription.is_(None)
    if subscription is not None:
        of_it = sa.or_(of_it, _held.c.subscription == subscription)
    rows = tx.run(_REDEEMED.where(_held.c.customer == customer, of_it))
    held: dict[str, Redeemed] = {}
    for each in filter(still_applies, map(store.redeemed_of, rows)):
        first = held.setdefault(each.coupon.code, each)
        if first.subscription is None and each.subscription is not None:
            held[each.coupon.code] = each
    return list(held.values())


def use_discounts(tx: Tx, redemptions: Iterable[Redeemed], *, bill: str) -> None:
    """Count a bill (an order's, an invoice's id) against redemptions: each once, also if repeated.

    Refuses (`coupon_used_up`) a redemption that another bill has used up meanwhile.
    """
    for each in sorted(redemptions, key=lambda each: each.id):
        _use_one(tx, each, bill)


def free_discounts(tx: Tx, *, bill: str) -> None:
    """Count a bill no more: it came to nothing. Repeating changes nothing."""
    tx.run(_use.delete().where(_use.c.bill == bill))


def redemptions_of(tx: Tx, customer: str) -> list[Redeemed]:
    """Return all that a customer has redeemed, oldest first, used up or not."""
    rows = tx.run(_REDEEMED.where(_held.c.customer == customer))
    return [store.redeemed_of(row) for row in rows]


def list_redemptions(
    tx: Tx, code: str, *, after: str | None = None, limit: int = 100
) -> Page[Redeemed]:
    """Return who has redeemed a coupon, oldest first; refuses `coupon_unknown`."""
    find_coupon(tx, code)
    statement = _REDEEMED.where(_held.c.coupon == code)
    if after is not None:
        statement = statement.where(_held.c.id > after)
    rows = tx.run(statement.limit(checked_limit(limit) + 1))
    return page_of([store.redeemed_of(row) for row in rows], limit, lambda each: each.id)


def _use_one(tx: Tx, redeemed: Redeemed, bill: str) -> None:
    checked_text(bill, "a bill", longest=LONGEST_ID)
    # Bills at once wait for each other here, so that none counts the same period.
    here = _held.c.id == redeemed.id
    tx.run(sa.select(_held.c.id).where(here).with_for_update())
    row = {"redemption": redeemed.id, "bill": bill, "at": tx.now_us}
    if not tx.insert_once(_use, row, key=("redemption", "bill")):
        return
    most = redeemed.coupon.periods
    used = sa.select(sa.func.count()).where(_use.c.redemption == redeemed.id)
    if most is not None and int(tx.run(used).scalar_one()) > most:
        raise CouponUsedUp("another bill has used the coupon up")


def _check(
    tx: Tx,
    found: CouponRecord,
    customer: str | None,
    lines: Iterable[Line],
    *,
    currency: str,
    at: int,
) -> None:
    if found.state == "archived":
        raise CouponNotValidNow
    mine = sa.select(sa.func.count()).where(
        _held.c.coupon == found.coupon.code, _held.c.customer == customer
    )
    each = 0 if customer is None else int(tx.run(mine).scalar_one())
    check_redeemable(
        found.coupon, lines, currency=currency, now=at, uses=found.uses, uses_each=each
    )


def _locked(tx: Tx, code: str) -> CouponRecord:
    """Return a coupon whose row nobody else changes until the commit."""
    row = tx.one(sa.select(_coupon).where(_coupon.c.code == code).with_for_update())
    if row is None:
        raise CouponUnknown
    return store.coupon_of(row)


def _keep(tx: Tx, new: CouponRecord) -> None:
    tx.run(
        _coupon.update().where(_coupon.c.code == new.coupon.code).values(**store.coupon_row(new))
    )


def _write_down(
    tx: Tx, actor: Actor, what: str, new: CouponRecord, old: CouponRecord | None
) -> None:
    facts, subject = facts_of(new), f"coupon:{new.coupon.code}"
    before = None if old is None else facts_of(old)
    record(tx, actor, f"coupon.{what}", subject, before=before, after=facts)
