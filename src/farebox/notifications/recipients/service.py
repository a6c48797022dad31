"""Keeping what access and billing tell of people, and finding out whom a letter goes to."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from farebox.events.model import Event
from farebox.events.service_inbox import newer
from farebox.kernel.clock import parse_time
from farebox.notifications.recipients import rules, store
from farebox.notifications.recipients.model import Card, Origin, Recipient
from farebox.storage import Tx

COPY: Final = "cards"
_ALL_SAID: Final = {"locale": "", "zone": ""}


def keep_consumer(tx: Tx, event: Event) -> None:
    """Keep what access tells of a consumer: its metadata may name an address and a language."""
    metadata = event.data.get("metadata") or {}
    owner = event.data.get("owner")
    told = _card("consumer", str(event.data["consumerId"]), event.data.get("name"), metadata)
    _keep(tx, event, msgspec.structs.replace(told, owner=owner), _ALL_SAID)


def keep_customer(tx: Tx, event: Event) -> None:
    """Keep what billing tells of a customer; the address for invoices comes with each invoice."""
    told = _card("customer", str(event.data["customerId"]), event.data.get("name"), event.data)
    _keep(tx, event, told, rules.UNSAID)


def find_recipient(tx: Tx, recipient: str) -> Recipient | None:
    """Return somebody as letters reach them, or None of whom nobody has told. Of a device: None."""
    found = _cards(tx, recipient)
    return rules.merged(recipient, found) if found else None


def answering_for(tx: Tx, consumer: str) -> str:
    """Return to whom a consumer's letters go: a device's to its owner."""
    table = store.card
    here = (table.c.origin == "consumer", table.c.id == consumer)
    row = tx.one(sa.select(table.c.owner).where(*here))
    return consumer if row is None or row.owner is None else str(row.owner)


def _card(origin: Origin, id_: str, name: object, said: Mapping[str, Any]) -> Card:
    return Card(
        origin=origin,
        id=id_,
        name=name if isinstance(name, str) else "",
        email=rules.email_of(said.get("email")),
        phone=rules.phone_of(said.get("phone")),
        locale=rules.locale_of(said.get("locale")),
        zone=rules.zone_named(said.get("zone")),
    )


def _keep(tx: Tx, event: Event, told: Card, unsaid: Mapping[str, str]) -> None:
    if not newer(tx, event, copy=COPY):
        return
    known = [card for card in _cards(tx, told.id) if card.origin == told.origin]
    before = known[0] if known else Card(origin=told.origin, id=told.id)
    made = rules.told_card(before, told, parse_time(event.time), unsaid=unsaid)
    tx.upsert(store.card, msgspec.structs.asdict(made), key=("origin", "id"))


def _cards(tx: Tx, id_: str) -> list[Card]:
    rows = tx.run(sa.select(store.card).where(store.card.c.id == id_).order_by(store.card.c.origin))
    return [store.card_of(row) for row in rows]
