"""Wallets: filled, paying, given back to. Each wallet is a bucket of the ledger in its currency.

Bonus and paid money are grants of two classes, so bonus is used up first (soonest end first), and
what is given back returns to the grants that it came from: bonus as bonus, paid money as such. A
wallet and its entry in the books change in one request of the ledger, under one key.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from farebox.billing.books import service as books
from farebox.billing.books.model import SUSPENSE, About, Line
from farebox.billing.customers.service import read_customer
from farebox.billing.pricing.service_currency import scale_of
from farebox.billing.wallets import store
from farebox.billing.wallets.model import (
    Balance,
    BonusEnd,
    Filled,
    GiveBackExceeds,
    Paid,
    Part,
    PaymentOfWalletUnknown,
    Returned,
    Short,
    Wallet,
    WalletStopped,
)
from farebox.billing.wallets.rules import checked_end, checked_lines
from farebox.billing.wallets.service_notices import note_balance
from farebox.kernel import ids
from farebox.kernel.amounts import checked_amount
from farebox.kernel.refusals import Refusal, ValueRefused
from farebox.ledger import reading
from farebox.ledger.model import (
    FOREVER,
    INCLUDED,
    PURCHASED,
    Applied,
    Command,
    Denied,
    Grant,
    Look,
    Outcome,
    Recall,
    Refused,
    Reverse,
    Source,
    Use,
    Void,
)
from farebox.ledger.service import Ledger, request
from farebox.platform.model import KeyReused
from farebox.storage import Tx

CLASSES: Final[dict[Part, int]] = {"bonus": INCLUDED, "paid": PURCHASED}
_CALLER: Final = "wallets"
_ledger: Final = Ledger()
_encode: Final = msgspec.json.Encoder().encode


def find_wallet(tx: Tx, customer: str, currency: str) -> Wallet | None:
    """Return a customer's wallet in a currency, or None where there has been none."""
    table = store.wallet
    here = (table.c.customer == customer, table.c.currency == currency)
    row = tx.one(sa.select(table).where(*here))
    return None if row is None else store.wallet_of(row)


def wallets_of(tx: Tx, customer: str) -> list[Wallet]:
    """Return a customer's wallets, by currency."""
    statement = sa.select(store.wallet).where(store.wallet.c.customer == customer)
    return [store.wallet_of(row) for row in tx.run(statement.order_by(store.wallet.c.currency))]


def open_wallet(tx: Tx, customer: str, currency: str) -> Wallet:
    """Return a customer's wallet, made at first; refuses `customer_unknown`, `currency_unknown`."""
    found = find_wallet(tx, customer, currency)
    if found is not None:
        return found
    read_customer(tx, customer)
    money = books.open_currency(tx, currency)
    made = Wallet(customer=customer, currency=currency, bucket=ids.mint(), created_at=tx.now_us)
    if tx.insert_once(store.wallet, store.row_of(made), key=("customer", "currency")):
        _ledger.open_bucket(tx, money, bucket_id=made.bucket)
        return made
    found = find_wallet(tx, customer, currency)
    assert found is not None, "whoever was first has committed"
    return found


def lock_wallet(tx: Tx, wallet: Wallet) -> Outcome:
    """Let nobody else move a wallet until this transaction ends; returns how it stands."""
    [[seen]] = _ledger.apply(tx, [request(Look(sources=(Source(wallet.bucket),), amount=0))])
    return seen


def balance_of(tx: Tx, customer: str, currency: str) -> Balance:
    """Return what is in a customer's wallet now; nothing where there is no wallet.

    Refuses `currency_unknown`.
    """
    found = find_wallet(tx, customer, currency)
    if found is None:
        scale_of(currency)
        return Balance()
    return _balance_in(reading.bucket_view(_ledger, tx, found.bucket))


def fill(
    tx: Tx,
    customer: str,
    currency: str,
    amount: int,
    *,
    source_account: str,
    class_: int = PURCHASED,
    about: About,
    key: str,
    expires_at: int | None = None,
) -> Filled:
    """Put money into a customer's wallet, out of an account of the books; once under its key.

    `class_` is PURCHASED for paid money and INCLUDED for bonus, which alone may end. Refuses
    `customer_unknown`, `currency_unknown`, `chart_unknown`, `value_invalid` for an amount or an end
    that cannot be, and `idempotency_key_reused`.
    """
    checked_amount(amount)
    wallet = open_wallet(tx, customer, currency)
    command = Grant(
        bucket=wallet.bucket,
        amount=amount,
        class_=class_,
        source=books.account_of(tx, currency, source_account),
        expires_at=checked_end(class_, expires_at),
        reason=_meta(about),
    )
    what = ("fill", customer, currency, amount, source_account, class_, expires_at, about)
    [made] = _change(tx, wallet, [command], key, what)
    return Filled(
        operation=made.operation, amount=made.amount, available=made.available, at=made.at
    )


def pay(
    tx: Tx,
    customer: str,
    currency: str,
    amount: int,
    *,
    to: Sequence[Line] = (),
    about: About,
    key: str,
) -> Paid | Short:
    """Let a customer's wallet pay, all or nothing, and pass it on by the entry `to`.

    The money goes to suspense, and the entry takes all of it from there (`wallet_lines_refused`);
    without lines it stays there for a later entry. Done once under the key; what was short is not
    remembered, so the same key may pay after the wallet was filled. Refuses `wallet_stopped` too.
    """
    checked_amount(amount)
    checked_lines(to, amount)
    wallet = open_wallet(tx, customer, currency)
    what = ("pay", customer, currency, amount, list(to), about)

    def commands(available: int) -> list[Command]:
        if available < amount:
            return []
        use = Use(
            sources=(Source(wallet.bucket),),
            amount=amount,
            sink=books.account_of(tx, currency, SUSPENSE),
            actor=customer,
            meta=_meta(about),
        )
        return [use, books.posting(tx, currency, to, about)] if to else [use]

    return _draw(tx, wallet, amount, key, what=what, commands=commands)


def take(
    tx: Tx,
    customer: str,
    currency: str,
    amount: int,
    *,
    part: Part,
    to_account: str,
    about: About,
    key: str,
) -> Paid | Short:
    """Take paid money alone, or bonus alone, out of a wallet; as `pay` in all else.

    What is paid out to a card is paid money; what an operator corrects is either. It is not given
    back: whoever took it fills again.
    """
    checked_amount(amount)
    wallet = open_wallet(tx, customer, currency)
    what = ("take", customer, currency, amount, part, to_account, about)

    def commands(_: int) -> list[Command]:
        sink = books.account_of(tx, currency, to_account)
        left, found = amount, []
        for grant in reading.bucket_view(_ledger, tx, wallet.bucket).grants:
            taken = min(left, grant.available) if grant.class_ == CLASSES[part] else 0
            if taken > 0:
                left -= taken
                found.append(Void(grant=grant.id, amount=taken, reason=_meta(about), sink=sink))
        return [] if left else list(found)

    return _draw(tx, wallet, amount, key, what=what, commands=commands, part=part)


def give_back(
    tx: Tx, operation: int, amount: int, *, out_of: Sequence[Line] = (), about: About, key: str
) -> Returned:
    """Give a wallet back, of what it paid by an operation, an amount; once under its key.

    What was drawn last returns first, so paid money before bonus; bonus that has ended meanwhile
    lapses at once. The money comes out of suspense, into which the entry `out_of` puts all of it
    (`wallet_lines_refused`); without lines it lies there already. Refuses
    `wallet_payment_unknown`, and `give_back_exceeds` for more than was paid and not returned yet.
    """
    checked_amount(amount)
    checked_lines(out_of, amount, into=True)
    wallet = _wallet_that_paid(tx, operation)
    commands: list[Command] = [Reverse(operation=operation, amount=amount, reason=_meta(about))]
    if out_of:
        commands.append(books.posting(tx, wallet.currency, out_of, about))
    what = ("give_back", operation, amount, list(out_of), about)
    made = _change(tx, wallet, commands, key, what)[0]
    bonus = _bonus_in(tx, made.drawn)
    ends = reading.grant_terms(tx, [grant for _, grant, _ in made.drawn])
    return Returned(
        operation=made.operation,
        paid=amount - bonus,
        bonus=bonus,
        lapsed=sum(each for _, grant, each in made.drawn if ends[grant][1] <= made.at),
        available=made.available,
        at=made.at,
    )


def _balance_in(view: reading.BucketView) -> Balance:
    """Return what is in a wallet, by the grants on its bucket."""
    paid = sum(grant.available for grant in view.grants if grant.class_ == PURCHASED)
    ends: dict[int, int] = {}
    for grant in view.grants:
        if grant.class_ == INCLUDED and grant.available and grant.expires_at < FOREVER:
            ends[grant.expires_at] = ends.get(grant.expires_at, 0) + grant.available
    return Balance(
        paid=paid,
        bonus=view.available - paid,
        held=view.held,
        available=view.available,
        bonus_ends=tuple(BonusEnd(amount=ends[at], ends_at=at) for at in sorted(ends)),
    )


def _draw(
    tx: Tx,
    wallet: Wallet,
    amount: int,
    key: str,
    *,
    what: Any,  # noqa: ANN401 - what the request is, in any of our words
    commands: Callable[[int], list[Command]],
    part: Part | None = None,
) -> Paid | Short:
    """Take an amount out of a wallet by commands which are made while its bucket is locked."""
    # Locked first: whoever else uses the key has then finished, and is found below.
    seen = lock_wallet(tx, wallet)
    payload = _encode(what)
    [known] = _ledger.apply(tx, [request(Recall(), caller=_CALLER, key=key, payload=payload)])
    if isinstance(known[0], Refused) and known[0].code == "key_unknown":
        room = _applied(seen).available
        made = commands(room)
        if not made:
            has = balance_of(tx, wallet.customer, wallet.currency)
            room = has.available if part is None else has.paid if part == "paid" else has.bonus
            return Short(available=room, missing=amount - room)
        done = _change(tx, wallet, made, key, what)
    else:
        done = [_applied(one) for one in known]
    drawn = [each for one in done for each in one.drawn]
    bonus = _bonus_in(tx, drawn)
    return Paid(
        operation=done[0].operation,
        paid=amount - bonus,
        bonus=bonus,
        available=_last(done).available,
        at=done[0].at,
    )


def _change(
    tx: Tx,
    wallet: Wallet,
    commands: Sequence[Command],
    key: str,
    what: Any,  # noqa: ANN401 - what the request is, in any of our words
) -> list[Applied]:
    """Run linked commands once under a key, and tell whoever waits for a low balance."""
    asked = request(*commands, caller=_CALLER, key=key, payload=_encode(what))
    [outcomes] = _ledger.apply(tx, [asked])
    failed = [one for one in outcomes if not isinstance(one, Applied)]
    for one in failed:
        if one.code != "linked_failed":
            raise _refusal_of(one)
    done = [_applied(one) for one in outcomes]
    if done[0].operation == asked.operations[0]:
        note_balance(tx, wallet, _last(done).available)
    return done


def _last(done: Sequence[Applied]) -> Applied:
    """Return the last of what moved the wallet; its entry in the books moved none."""
    return [one for one in done if one.drawn][-1]


def _bonus_in(tx: Tx, drawn: Sequence[tuple[int, int, int]]) -> int:
    terms = reading.grant_terms(tx, [grant for _, grant, _ in drawn])
    return sum(each for _, grant, each in drawn if terms[grant][0] == INCLUDED)


def _wallet_that_paid(tx: Tx, operation: int) -> Wallet:
    bucket = reading.bucket_of_operation(tx, operation)
    row = tx.one(sa.select(store.wallet).where(store.wallet.c.bucket == bucket))
    if row is None:
        raise PaymentOfWalletUnknown
    return store.wallet_of(row)


def _applied(outcome: Outcome) -> Applied:
    if isinstance(outcome, Applied):
        return outcome
    raise _refusal_of(outcome)


def _refusal_of(outcome: Denied | Refused) -> Refusal:
    """Return the exception of what the ledger does not do."""
    match outcome.code:
        case "idempotency_key_reused":
            return KeyReused()
        case "operation_unknown":
            return PaymentOfWalletUnknown()
        case "nothing_to_reverse":
            return GiveBackExceeds(left=0)
        case "reversal_exceeds":
            assert isinstance(outcome, Denied)
            return GiveBackExceeds(left=outcome.available)
        case "bucket_frozen" | "bucket_fault":
            return WalletStopped()
        case _:
            assert isinstance(outcome, Refused), outcome
            return ValueRefused(outcome.detail or outcome.code.replace("_", " "))


def _meta(about: About) -> str:
    """Return what the journal keeps beside the rows of a wallet; reports read it."""
    return _encode(about).decode()
