"""What is due: claimed with a lease on its row, and recorded once the gateway has answered.

Between the two no transaction is open. A process that dies in between leaves a claim that ends;
whoever comes next looks what became of the call, instead of calling again.
"""

import secrets
from typing import Any, Final

import sqlalchemy as sa

from farebox.billing.books.model import About, Line
from farebox.billing.books.service import post
from farebox.billing.payments import store
from farebox.billing.payments.model import WALLET, Noun, Payment
from farebox.billing.payments.model_outcomes import (
    Ask,
    Charge,
    Declined,
    Lost,
    Outcome,
    Remittance,
    Return,
    Succeeded,
    Task,
    Unreached,
    Verb,
)
from farebox.billing.payments.rules import LEASE_US, Move, Stand, after, moved, verb_of
from farebox.billing.payments.service import changed, locked, read_payment
from farebox.billing.payments.service_methods import keep_saved
from farebox.storage import Tx

_NOUNS: Final[tuple[Noun, ...]] = ("payment", "refund", "payout")
LONGEST_DETAIL: Final = 200


def anything_due(tx: Tx) -> bool:
    """Tell whether there is something to claim; it changes nothing and waits for nobody."""
    return any(
        tx.one(sa.select(table.c.id).where(table.c.due_at <= tx.now_us).limit(1)) is not None
        for table in store.OF_NOUN.values()
    )


def claim_due(tx: Tx, most: int) -> tuple[Task, ...]:
    """Take up to so many due payments, refunds and payouts for ourselves, longest due first."""
    tasks: list[Task] = []
    for noun in _NOUNS:
        if (room := most - len(tasks)) > 0:
            tasks += _claim(tx, noun, room)
    return tuple(tasks)


def _claim(tx: Tx, noun: Noun, most: int) -> list[Task]:
    table = store.OF_NOUN[noun]
    due = sa.select(table).where(table.c.due_at <= tx.now_us).order_by(table.c.due_at, table.c.id)
    # Another worker may be claiming too: what it has locked is its own.
    rows = tx.run(due.limit(most).with_for_update(skip_locked=True)).all()
    return [_claimed(tx, noun, table, row) for row in rows]


def claim_one(tx: Tx, noun: Noun, id_: str) -> Task:
    """Take one for ourselves that nobody has asked for yet, to be done in this transaction."""
    table = store.OF_NOUN[noun]
    row = locked(tx, table, id_)
    assert row is not None
    assert not row.asked, "it may be done only where it certainly was not"
    return _claimed(tx, noun, table, row)


def _claimed(tx: Tx, noun: Noun, table: sa.Table, row: sa.Row[Any]) -> Task:
    claim = secrets.token_hex(8)
    abandoning = noun == "payment" and bool(row.abandoning)
    verb = verb_of(asked=bool(row.asked), abandoning=abandoning)
    values = {
        "claim": claim, "due_at": tx.now_us + LEASE_US, "asked": 1,
        "first_call_at": row.first_call_at or tx.now_us,
    }  # fmt: skip
    state = after(noun, row.state, "asked")
    if state is not None:
        values |= {"state": state, "changed_at": tx.now_us}
    tx.run(table.update().where(table.c.id == row.id).values(**values))
    return Task(
        noun=noun, id=row.id, gateway=row.gateway, verb=verb, claim=claim,
        ask=ask_of(tx, noun, row.id), asked_before=bool(row.asked),
    )  # fmt: skip


def ask_of(tx: Tx, noun: Noun, id_: str) -> Ask:
    """Return something as its gateway is to see it."""
    table = store.OF_NOUN[noun]
    row = tx.one(sa.select(table).where(table.c.id == id_))
    assert row is not None
    common = {
        "id": row.id, "amount": row.amount, "currency": row.currency, "now": tx.now_us,
        "provider_reference": row.provider_reference,
        "first_call_at": row.first_call_at or tx.now_us,
    }  # fmt: skip
    if noun == "refund":
        charge = read_payment(tx, row.payment).provider_reference
        return Return(**common, payment=row.payment, charge=charge or row.payment)
    if noun == "payout":
        return Remittance(**common, owner=row.owner, destination=row.destination)
    method = None
    if row.method is not None:
        method = tx.one(sa.select(store.method).where(store.method.c.id == row.method))
    return Charge(
        **common, customer=row.customer, purpose=row.purpose, reference=row.reference,
        token=None if method is None else method.token,
        account=None if method is None else method.account,
    )  # fmt: skip


def note_call(tx: Tx, task: Task, outcome: Outcome) -> None:
    """Write down what a call met; nothing is decided by it."""
    row = {
        "subject": task.id, "verb": task.verb, "at": tx.now_us,
        "outcome": outcome.__struct_config__.tag, "detail": _detail(outcome),
    }  # fmt: skip
    tx.run(store.call.insert(), row)


def _detail(outcome: Outcome) -> str | None:
    if isinstance(outcome, Lost | Unreached):
        return outcome.reason[:LONGEST_DETAIL]
    return outcome.code[:LONGEST_DETAIL] if isinstance(outcome, Declined) else outcome.reference


def stand_of(noun: Noun, row: sa.Row[Any], claim: str | None) -> Stand:
    """Return how something stands for an outcome under a claim.

    No claim is a word that we did not ask for: it waits for the call that is under way, unless it
    is definite.
    """
    return Stand(
        noun=noun, state=row.state, asked=bool(row.asked), ours=row.claim == claim,
        unreached=row.unreached, looks=row.looks, amount=row.amount, currency=row.currency,
        abandoning=noun == "payment" and bool(row.abandoning),
    )  # fmt: skip


def columns_of(move: Move, *, now: int) -> dict[str, Any]:
    """Return what a move changes in a row of any noun."""
    values: dict[str, Any] = {
        "state": move.state, "due_at": move.due_at, "asked": int(move.asked), "claim": None,
        "unreached": move.unreached, "looks": move.looks, "attention": move.attention,
        "reason": move.reason,
    }  # fmt: skip
    if move.reference is not None:
        values["provider_reference"] = move.reference
    if move.due_at is None and move.attention is None and move.state in {"succeeded", "failed"}:
        values["ended_at"] = now
    return values


def note_payment(
    tx: Tx,
    payment: str,
    verb: Verb,
    outcome: Outcome,
    *,
    claim: str | None,
) -> Payment | None:
    """Record an outcome of a payment; returns it where its state is a new one, else None.

    A success is entered in the books once, by its key: the amount is in suspense then, from where
    whoever settles the payment takes it.
    """
    row = locked(tx, store.payment, payment)
    assert row is not None
    move = moved(stand_of("payment", row, claim), verb, outcome, now=tx.now_us)
    if move is None:
        return None
    values = columns_of(move, now=tx.now_us)
    values |= {"final": int(move.final), "abandoning": int(move.abandoning)}
    if move.action_url is not None:
        values["action_url"] = move.action_url
    made = changed(tx, payment, values)
    if isinstance(outcome, Succeeded) and made.state == "succeeded":
        _enter(tx, made, outcome)
        if outcome.saved is not None:
            keep_saved(tx, made.customer, made.gateway, outcome.saved)
    return made if made.state != row.state else None


def _enter(tx: Tx, paid: Payment, outcome: Succeeded) -> None:
    if paid.gateway == WALLET:
        return  # The wallet itself has put it into suspense, by the ledger's own command.
    cash = f"cash:{paid.gateway}"
    about = About(kind="payment", customer=paid.customer, payment=paid.id)
    lines = [Line(cash, "suspense", paid.amount)]
    if outcome.fee > 0:
        lines.append(Line(f"fees:{paid.gateway}", cash, outcome.fee))
    post(tx, paid.currency, lines, about, key=f"{paid.id}:paid")
