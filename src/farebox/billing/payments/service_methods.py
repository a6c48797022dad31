"""Payment methods: a gateway's token for a way in which a customer pays, and what people call it.

No number of a card comes in here: what looks like one is refused wherever it stands.
"""

import re
from typing import Final

import msgspec
import sqlalchemy as sa

from farebox.billing.payments import store
from farebox.billing.payments.model import (
    GATEWAYS,
    MANUAL,
    WALLET,
    CardNumberRefused,
    GatewayUnknown,
    Method,
    MethodKind,
    MethodTaken,
    MethodUnknown,
)
from farebox.billing.payments.model_outcomes import SavedMethod
from farebox.billing.payments.rules_cards import LEAST, checked_no_card
from farebox.kernel.ids import record_id
from farebox.kernel.refusals import TryAgain, ValueRefused
from farebox.platform.model import LONGEST_LABEL, Actor, Page
from farebox.platform.rules import checked_limit, checked_text, page_of
from farebox.platform.service_audit import record
from farebox.storage import Tx

_TOKEN: Final = re.compile(r"[A-Za-z0-9._:\-]{4,255}")
_EXPIRES: Final = re.compile(r"20[0-9]{2}-(0[1-9]|1[0-2])")
LONGEST_SHOWN: Final = 4


def add_method(
    tx: Tx,
    actor: Actor,
    *,
    customer: str,
    gateway: str,
    token: str,
    account: str | None = None,
    kind: MethodKind = "card",
    label: str = "",
    expires: str | None = None,
    standard: bool = False,
) -> Method:
    """Keep a gateway's token for a customer; the first one is their standard.

    Refuses what looks like the number of a card, in whichever field (`card_number_refused`), a
    gateway without tokens (`payment_gateway_unknown`), a token that is kept already
    (`payment_method_taken`), and `value_invalid` for what is no token.
    """
    if gateway not in GATEWAYS or gateway in {WALLET, MANUAL}:
        raise GatewayUnknown(f"{gateway!r} is no gateway that gives tokens")
    saved = SavedMethod(token=token, account=account, kind=kind, label=label, expires=expires)
    _check(saved)
    made = _keep(tx, customer, gateway, saved, standard=standard)
    record(tx, actor, "payment_method.added", made.id, after=_shown(made))
    return made


def keep_saved(tx: Tx, customer: str, gateway: str, saved: SavedMethod) -> None:
    """Keep what the gateway says that the customer let it keep; known tokens change nothing."""
    try:
        _check(saved)
    except (CardNumberRefused, ValueRefused):
        # The payment stands, whatever the gateway calls its method.
        return
    if _of_token(tx, gateway, saved.token) is None:
        _keep(tx, customer, gateway, saved, standard=False)


def _check(saved: SavedMethod) -> None:
    for text in (saved.token, saved.account or "", saved.label):
        checked_no_card(text)
    # No gateway's tokens are digits alone, and a number with a wrong digit is still a number.
    if saved.token.isdigit() and len(saved.token) >= LEAST:
        raise CardNumberRefused
    for word in (saved.token, saved.account):
        if word is not None and not _TOKEN.fullmatch(word):
            raise ValueRefused("a token is 4 to 255 letters, digits and . _ : - in ASCII")
    checked_text(saved.label, "a label", longest=LONGEST_LABEL, least=0)
    if saved.expires is not None and not _EXPIRES.fullmatch(saved.expires):
        raise ValueRefused("an end is a month, as in 2028-04")


def _keep(tx: Tx, customer: str, gateway: str, saved: SavedMethod, *, standard: bool) -> Method:
    if _of_token(tx, gateway, saved.token) is not None:
        raise MethodTaken
    first = _standard(tx, customer) is None
    if standard and not first:
        _let_go(tx, customer)
    made = Method(
        id=record_id("pmt"), customer=customer, gateway=gateway, token=saved.token,
        account=saved.account, kind=saved.kind, label=saved.label, expires=saved.expires,
        standard=standard or first, state="active", created_at=tx.now_us,
    )  # fmt: skip
    row = {**msgspec.structs.asdict(made), "standard": int(made.standard)}
    try:
        tx.run(store.method.insert(), row)
    except sa.exc.IntegrityError as error:
        # Somebody else kept one meanwhile: look at what is there now.
        raise TryAgain from error
    return made


def find_method(tx: Tx, method: str) -> Method | None:
    """Return a method, removed ones too, or None."""
    row = tx.one(sa.select(store.method).where(store.method.c.id == method))
    return None if row is None else store.method_of(row)


def read_method(tx: Tx, method: str) -> Method:
    """Return a method; refuses an unknown one (`payment_method_unknown`)."""
    found = find_method(tx, method)
    if found is None:
        raise MethodUnknown
    return found


def methods_of(
    tx: Tx, customer: str, *, after: str | None = None, limit: int = 100
) -> Page[Method]:
    """Return the methods that a customer has, oldest first."""
    table = store.method
    ours = sa.select(table).where(table.c.customer == customer, table.c.state == "active")
    if after is not None:
        ours = ours.where(table.c.id > after)
    rows = tx.run(ours.order_by(table.c.id).limit(checked_limit(limit) + 1)).all()
    return page_of([store.method_of(row) for row in rows], limit, lambda one: one.id)


def make_standard(tx: Tx, actor: Actor, method: str) -> Method:
    """Let a method be the one that is taken when none is named. Repeating changes nothing."""
    before = _active(tx, method)
    if before.standard:
        return before
    _let_go(tx, before.customer)
    try:
        tx.run(store.method.update().where(store.method.c.id == method).values(standard=1))
    except sa.exc.IntegrityError as error:
        # Somebody else has made another one the standard meanwhile.
        raise TryAgain from error
    record(tx, actor, "payment_method.made_standard", method)
    return read_method(tx, method)


def remove_method(tx: Tx, actor: Actor, method: str) -> Method:
    """Take nothing by a method any more. What is under way goes on. Repeating changes nothing."""
    before = read_method(tx, method)
    if before.state == "removed":
        return before
    here = store.method.c.id == method
    tx.run(store.method.update().where(here).values(state="removed", standard=0))
    record(tx, actor, "payment_method.removed", method, before=_shown(before))
    return read_method(tx, method)


def _active(tx: Tx, method: str) -> Method:
    row = tx.one(sa.select(store.method).where(store.method.c.id == method).with_for_update())
    if row is None or row.state != "active":
        raise MethodUnknown
    return store.method_of(row)


def _of_token(tx: Tx, gateway: str, token: str) -> sa.Row[tuple[str]] | None:
    table = store.method
    here = sa.and_(table.c.gateway == gateway, table.c.token == token, table.c.state == "active")
    return tx.one(sa.select(table.c.id).where(here))


def _standard(tx: Tx, customer: str) -> sa.Row[tuple[str]] | None:
    table = store.method
    here = sa.and_(table.c.customer == customer, table.c.standard == 1, table.c.state == "active")
    return tx.one(sa.select(table.c.id).where(here).with_for_update())


def _let_go(tx: Tx, customer: str) -> None:
    here = store.method.c.customer == customer
    tx.run(store.method.update().where(here).values(standard=0))


def _shown(method: Method) -> dict[str, object]:
    """Return what the audit log keeps of a method: not the token, by which money is taken."""
    return {"customer": method.customer, "gateway": method.gateway, "label": method.label}
