"""Payouts: what owners of the marketplace are owed, sent to them once two people have said so."""

from typing import Any, Final

import msgspec
import sqlalchemy as sa

from farebox.billing.books.model import CASH, PAYABLE, About, Line
from farebox.billing.books.service import balance_of, post
from farebox.billing.payments import store
from farebox.billing.payments.model import (
    GATEWAYS,
    WALLET,
    GatewayUnknown,
    Payout,
    PayoutExceeds,
    PayoutNotSo,
    PayoutState,
    PayoutUnknown,
    SecondPersonNeeded,
)
from farebox.billing.payments.model_outcomes import Outcome, Verb
from farebox.billing.payments.rules import after, moved
from farebox.billing.payments.rules_cards import checked_no_card
from farebox.billing.payments.service import locked
from farebox.billing.payments.service_work import columns_of, stand_of
from farebox.billing.pricing.service_currency import scale_of
from farebox.events.service import publish
from farebox.kernel.amounts import checked_amount
from farebox.kernel.ids import record_id
from farebox.platform.model import LONGEST_LABEL, Actor, Page
from farebox.platform.rules import checked_limit, checked_text, page_of
from farebox.platform.service_audit import record
from farebox.storage import Tx

_ENDED: Final = frozenset({"succeeded", "failed", "rejected"})
LONGEST_DESTINATION: Final = 255


def request_payout(
    tx: Tx, actor: Actor, *, owner: str, amount: int, currency: str, gateway: str, destination: str
) -> Payout:
    """Ask for a payout to an owner; another person has to approve it.

    `destination` is the gateway's own word for where: never a card's number
    (`card_number_refused`). Refuses more than the owner is owed and is not on its way already
    (`payout_exceeds_owed`), `currency_unknown`, `payment_gateway_unknown`.
    """
    checked_amount(amount)
    scale_of(currency)
    checked_text(owner, "an owner", longest=LONGEST_LABEL)
    checked_text(destination, "a destination", longest=LONGEST_DESTINATION)
    checked_no_card(destination)
    if gateway not in GATEWAYS or gateway == WALLET:
        raise GatewayUnknown(f"{gateway!r} is no gateway that pays out")
    left = owed(tx, owner, currency) - _under_way(tx, owner, currency)
    if amount > left:
        raise PayoutExceeds(f"at most {max(0, left)} can be paid out", left=max(0, left))
    made = Payout(
        id=record_id("pyo"), owner=owner, amount=amount, currency=currency, gateway=gateway,
        destination=destination, state="requested", requested_by=actor.id, approved_by=None,
        provider_reference=None, reason=None, created_at=tx.now_us, changed_at=tx.now_us,
        ended_at=None, attention=None,
    )  # fmt: skip
    tx.run(store.payout.insert(), {**msgspec.structs.asdict(made), **store.NEW})
    _add_under_way(tx, made, amount)
    record(tx, actor, "payout.requested", made.id, after=made)
    _tell(tx, made)
    return made


def approve_payout(tx: Tx, actor: Actor, payout: str) -> Payout:
    """Approve a payout that somebody else asked for; the worker sends it.

    Repeating changes nothing. Refuses the person who asked (`second_person_needed`), what was
    decided otherwise (`payout_state_refused`), and what the owner is owed no longer
    (`payout_exceeds_owed`).
    """
    before = _locked(tx, payout)
    if actor.kind != "operator" or actor.id == before.requested_by:
        raise SecondPersonNeeded
    if before.approved_by == actor.id and before.state != "rejected":
        return before
    if before.state != "requested":
        raise PayoutNotSo(f"the payout is {before.state}")
    if _under_way(tx, before.owner, before.currency) > owed(tx, before.owner, before.currency):
        raise PayoutExceeds
    values = {"state": "approved", "approved_by": actor.id, "due_at": tx.now_us}
    made = _changed(tx, payout, values)
    record(tx, actor, "payout.approved", payout, before=before, after=made)
    _tell(tx, made)
    return made


def reject_payout(tx: Tx, actor: Actor, payout: str) -> Payout:
    """Let a payout not be made; who asked for it may do so too. Repeating changes nothing.

    Refuses one that its gateway was asked for already (`payout_state_refused`).
    """
    before = _locked(tx, payout)
    if before.state == "rejected":
        return before
    to = after("payout", before.state, "canceled")
    if to is None:
        raise PayoutNotSo(f"the payout is {before.state}")
    made = _changed(tx, payout, {"state": to, "due_at": None, "ended_at": tx.now_us})
    _add_under_way(tx, made, -made.amount)
    record(tx, actor, "payout.rejected", payout, before=before, after=made)
    _tell(tx, made)
    return made


def note_payout(
    tx: Tx, payout: str, verb: Verb, outcome: Outcome, *, claim: str | None
) -> Payout | None:
    """Record an outcome of a payout; returns it where its state is a new one, else None."""
    row = locked(tx, store.payout, payout)
    assert row is not None
    move = moved(stand_of("payout", row, claim), verb, outcome, now=tx.now_us)
    if move is None:
        return None
    made = _changed(tx, payout, columns_of(move, now=tx.now_us))
    if made.state == row.state:
        if made.attention != row.attention:
            _tell(tx, made)
        return None
    if made.state in _ENDED:
        _add_under_way(tx, made, -made.amount)
    if made.state == "succeeded":
        line = Line(f"{PAYABLE}:{made.owner}", f"{CASH}:{made.gateway}", made.amount)
        about = About(kind="payout", owner=made.owner)
        post(tx, made.currency, [line], about, key=f"{made.id}:paid")
    _tell(tx, made)
    return made


def look_at_payout(tx: Tx, payout: str) -> Payout:
    """Let the gateway be asked now what came of a payout that is not decided."""
    before = _locked(tx, payout)
    if before.state not in {"processing", "unknown"}:
        raise PayoutNotSo(f"the payout is {before.state}")
    return _changed(tx, payout, {"due_at": tx.now_us, "looks": 0, "attention": None})


def owed(tx: Tx, owner: str, currency: str) -> int:
    """Return what the books owe an owner, payouts under way included."""
    return balance_of(tx, currency, f"{PAYABLE}:{owner}")


def read_payout(tx: Tx, payout: str) -> Payout:
    """Return a payout; refuses an unknown one (`payout_unknown`)."""
    row = tx.one(sa.select(store.payout).where(store.payout.c.id == payout))
    if row is None:
        raise PayoutUnknown
    return store.payout_of(row)


def list_payouts(
    tx: Tx,
    *,
    owner: str | None = None,
    state: PayoutState | None = None,
    before: str | None = None,
    limit: int = 100,
) -> Page[Payout]:
    """Return payouts newest first."""
    table = store.payout
    statement = sa.select(table).order_by(table.c.id.desc())
    if owner is not None:
        statement = statement.where(table.c.owner == owner)
    if state is not None:
        statement = statement.where(table.c.state == state)
    if before is not None:
        statement = statement.where(table.c.id < before)
    rows = tx.run(statement.limit(checked_limit(limit) + 1)).all()
    return page_of([store.payout_of(row) for row in rows], limit, lambda one: one.id)


def _locked(tx: Tx, payout: str) -> Payout:
    row = locked(tx, store.payout, payout)
    if row is None:
        raise PayoutUnknown
    return store.payout_of(row)


def _changed(tx: Tx, payout: str, values: dict[str, Any]) -> Payout:
    here = store.payout.c.id == payout
    tx.run(store.payout.update().where(here).values(**values, changed_at=tx.now_us))
    return read_payout(tx, payout)


def _under_way(tx: Tx, owner: str, currency: str) -> int:
    """Return what is on its way to an owner; nobody else changes it until this transaction ends."""
    table = store.payout_account
    row = {"owner": owner, "currency": currency, "under_way": 0}
    tx.insert_once(table, row, key=("owner", "currency"))
    here = sa.and_(table.c.owner == owner, table.c.currency == currency)
    found = tx.one(sa.select(table.c.under_way).where(here).with_for_update())
    assert found is not None
    return int(found.under_way)


def _add_under_way(tx: Tx, payout: Payout, by: int) -> None:
    table = store.payout_account
    here = sa.and_(table.c.owner == payout.owner, table.c.currency == payout.currency)
    tx.run(table.update().where(here).values(under_way=table.c.under_way + by))


def _tell(tx: Tx, one: Payout) -> None:
    said = {
        "payoutId": one.id, "owner": one.owner, "amount": one.amount, "currency": one.currency,
        "state": one.state, "reason": one.reason, "attention": one.attention,
    }  # fmt: skip
    publish(tx, type="payout.updated", subject=one.id, data=said)
