"""The tables of letters, their deliveries and tries, and of notices."""

from functools import partial
from typing import Any

import msgspec
import sqlalchemy as sa

from farebox.notifications.deliveries.model import Attempt, Delivery, Letter, Notice
from farebox.notifications.letters.model import LetterKind, Terms
from farebox.notifications.letters.model_facts import FACTS, Facts
from farebox.storage import table

metadata = sa.MetaData()
_table = partial(table, metadata)
_INT, _TEXT = sa.BigInteger, sa.Text
since = _table("letters_since", id=_INT, at=_INT)
letter = _table(
    "letter", id=_TEXT, kind=_TEXT, recipient=_TEXT, once=_TEXT, event=_TEXT, facts=_TEXT,
    locale=_TEXT, zone=_TEXT, state=_TEXT, reason=_TEXT, due_at=_INT, claim=_TEXT, until_at=_INT,
    round=_INT, created_at=_INT, ended_at=_INT,
)  # fmt: skip
delivery = _table("delivery", letter=_TEXT, channel=_TEXT, state=_TEXT, tries=_INT, changed_at=_INT)
attempt = _table(
    "delivery_attempt", id=_TEXT, letter=_TEXT, channel=_TEXT, number=_INT, address=_TEXT,
    at=_INT, outcome=_TEXT, error=_TEXT,
)  # fmt: skip
notice = _table(
    "notice", id=_TEXT, letter=_TEXT, recipient=_TEXT, kind=_TEXT, locale=_TEXT, title=_TEXT,
    text=_TEXT, at=_INT, read_at=_INT,
)  # fmt: skip


def letter_of(row: sa.Row[Any]) -> Letter:
    """Return a row of `letter`."""
    facts = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's own name for a row as a mapping
    locale, zone = facts.pop("locale"), facts.pop("zone")
    facts["facts"] = facts_of(row.kind, facts["facts"])
    terms = None if zone is None else Terms(locale=locale, zone=zone)
    return Letter(**facts, terms=terms)


def facts_of(kind: LetterKind, text: str) -> Facts:
    """Return the facts that were kept with a letter."""
    return msgspec.json.decode(text, type=FACTS[kind])


def facts_row(facts: Facts) -> str:
    """Return facts as they are kept."""
    return msgspec.json.encode(facts).decode()


def delivery_of(row: sa.Row[Any]) -> Delivery:
    """Return a row of `delivery`."""
    return Delivery(**row._mapping)  # noqa: SLF001 - as above


def attempt_of(row: sa.Row[Any]) -> Attempt:
    """Return a row of `delivery_attempt`."""
    return Attempt(**row._mapping)  # noqa: SLF001 - as above


def notice_of(row: sa.Row[Any]) -> Notice:
    """Return a row of `notice`."""
    return Notice(**row._mapping)  # noqa: SLF001 - as above
