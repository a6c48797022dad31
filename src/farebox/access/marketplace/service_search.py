"""Finding items: the index of their words, ranked search, filtered lists.

The index is written with the item, in the item's own transaction, and holds published items only.
A query becomes groups of stored words, one group for each of its words: the same word, words of
the same stem and, for a last word that may go on, words that begin like it. An item is a hit when
it has a word of every group; its score is the sum of the best weight in each. The rarest group is
read first, so a search costs about what its most telling word does.

    "маузер" is in the title of 4, among the actors of 2      -> 4 before 2
    "нов премьер"  both are beginnings or stems               -> items that have both
"""

import re
from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa

from farebox.access.marketplace import store
from farebox.access.marketplace.model import (
    LONGEST_PAGE,
    MOST_FILTERS,
    Found,
    Item,
    Sight,
    Wanted,
)
from farebox.access.marketplace.rules import values_of
from farebox.access.marketplace.service_words import (
    SAME_BEGINNING,
    SAME_STEM,
    SAME_WORD,
    ends_open,
    filter_value,
    folded,
    nearest,
    query_words,
    ranges_near,
    weights_of,
    word_of,
)
from farebox.kernel import ids
from farebox.kernel.refusals import ValueRefused
from farebox.ledger.model import CursorUnknown
from farebox.storage import Tx

MOST_FORMS: Final = 64
"""So many stored words one word of a query may stand for; the shortest are taken."""
MOST_RANKED: Final = 2_000
"""So many items are ranked: those with the best weights for the rarest word of the query."""
_MOST_NEAR: Final = 500
_GUESSES: Final = 5
_NUMBER: Final = re.compile("[0-9]{1,19}")
_LAST_BYTE: Final = b"\xff"  # no UTF-8 has it, so it lies behind every continuation
Group = dict[int, int]


def index_item(tx: Tx, item: Item) -> None:
    """Make an item found by what it says now, or not at all if it is not published."""
    for table in (store.term, store.attribute):
        tx.run(table.delete().where(table.c.item == item.number))
    if item.state != "published":
        return
    weights = {word_of(text): weight for text, weight in weights_of(item).items()}
    # In order, so that two items that bring the same new words do not wait for each other.
    words = sorted(weights, key=lambda word: word.number)
    rows = [
        (word.number, word.text.encode(), word.text[::-1].encode(), word.stem) for word in words
    ]
    tx.insert_missing(store.word, "number", ("number", "word", "backwards", "stem"), rows)
    terms = [(word.number, item.number, weights[word]) for word in words]
    tx.insert_many(store.term, ("word", "item", "weight"), terms)
    values = {
        (name, filter_value(value), item.number)
        for name, attribute in item.attributes.items()
        for value in values_of(attribute)
    }
    tx.insert_many(store.attribute, ("name", "value", "item"), sorted(values))


def find_items(
    tx: Tx, sight: Sight, wanted: Wanted, *, after: str | None = None, limit: int = 50
) -> Found:
    """Return items that are seen and wanted: ranked by the query, without one the newest first.

    A page has at most 200 items. Where a query finds nothing, `suggestion` is the query with
    mistyped words mended, if that finds something. Refuses a cursor of another
    list (`cursor_unknown`) and more than 8 attributes (`value_invalid`).
    """
    if not 1 <= limit <= LONGEST_PAGE:
        raise ValueRefused(f"a page has 1 to {LONGEST_PAGE} items")
    words = query_words(wanted.query)
    if not words:
        return _listed(tx, sight, wanted, after, limit)
    groups = _groups_of(tx, words, open_end=ends_open(wanted.query))
    page = (
        _ranked(tx, sight, wanted, groups, after=after, limit=limit)
        if all(groups)
        else Found(items=())
    )
    if page.items or after is not None:
        return page
    return Found(items=(), suggestion=_suggestion(tx, sight, wanted, words, groups))


def _listed(tx: Tx, sight: Sight, wanted: Wanted, after: str | None, limit: int) -> Found:
    statement = sa.select(store.item).where(*_conditions(tx, sight, wanted))
    if after is not None:
        (number,) = _cursor(after, 1)
        statement = statement.where(store.item.c.number < number)
    statement = statement.order_by(store.item.c.number.desc()).limit(limit + 1)
    items = [store.item_of(row) for row in tx.run(statement)]
    more = len(items) > limit
    return Found(items=tuple(items[:limit]), next=str(items[limit - 1].number) if more else None)


def _conditions(tx: Tx, sight: Sight, wanted: Wanted) -> list[sa.ColumnElement[bool]]:
    """Return what a row of `item` must be to be seen and wanted."""
    item, now = store.item, tx.now_us
    found: list[sa.ColumnElement[bool]] = []
    if sight.owner is not None:
        found.append(item.c.owner == sight.owner)
    if sight.on_sale:
        found += [
            item.c.state == "published",
            sa.or_(item.c.available_from.is_(None), item.c.available_from <= now),
            sa.or_(item.c.available_until.is_(None), item.c.available_until > now),
        ]
    for column, value in ((item.c.kind, wanted.kind), (item.c.state, wanted.state)):
        if value is not None:
            found.append(column == value)
    if len(wanted.attributes) > MOST_FILTERS:
        raise ValueRefused(f"a search has at most {MOST_FILTERS} attributes")
    for name, value in wanted.attributes:
        has = store.attribute.alias()
        here = sa.and_(has.c.name == name, has.c.item == item.c.number)
        if value is not None:
            here = sa.and_(here, has.c.value == folded(value))
        found.append(sa.exists().where(here))
    return found


def _groups_of(tx: Tx, words: Sequence[str], *, open_end: bool) -> list[Group]:
    """Return, for each word of a query, the stored words it stands for and how close each is."""
    groups = [_forms(tx, word) for word in words]
    if open_end:
        for number in _continuations(tx, words[-1]):
            groups[-1].setdefault(number, SAME_BEGINNING)
    return groups


def _forms(tx: Tx, text: str) -> Group:
    """Return the stored words of a word's stem, the word itself being the closest."""
    asked = word_of(text)
    table = store.word
    rows = tx.run(
        sa.select(table.c.number)
        .where(table.c.stem == asked.stem)
        .order_by(sa.func.length(table.c.word), table.c.word)
        .limit(MOST_FORMS)
    )
    closest = {row.number: SAME_STEM for row in rows}
    if asked.number in closest or _is_stored(tx, asked.number):
        closest[asked.number] = SAME_WORD
    return closest


def _is_stored(tx: Tx, number: int) -> bool:
    return tx.one(sa.select(store.word.c.number).where(store.word.c.number == number)) is not None


def _continuations(tx: Tx, text: str) -> list[int]:
    table = store.word
    begins = _begins(table.c.word, text)
    shortest = (sa.func.length(table.c.word), table.c.word)
    rows = tx.run(sa.select(table.c.number).where(begins).order_by(*shortest).limit(MOST_FORMS))
    return [row.number for row in rows]


def _begins(column: sa.Column[Any], text: str) -> sa.ColumnElement[bool]:
    start = text.encode()
    return sa.and_(column >= start, column < start + _LAST_BYTE)


def _ranked(
    tx: Tx,
    sight: Sight,
    wanted: Wanted,
    groups: list[Group],
    *,
    after: str | None = None,
    limit: int = 1,
) -> Found:
    rarest, *others = sorted(groups, key=lambda group: _commonness(tx, group))
    base = _best_of(rarest).cte("base")
    statement = sa.select(base.c.item, base.c.score.label("score")).select_from(base)
    score: sa.ColumnElement[int] = base.c.score
    for place, group in enumerate(others):
        best = _scores_among(group, base).subquery(f"word_{place}")
        base_join = best.c.item == base.c.item
        statement = statement.join(best, base_join)
        score = score + best.c.score
    total = sa.cast(score, sa.BigInteger).label("total")
    item = store.item
    statement = statement.join(item, item.c.number == base.c.item)
    statement = statement.where(*_conditions(tx, sight, wanted)).with_only_columns(item, total)
    if after is not None:
        highest, number = _cursor(after, 2)
        behind = sa.and_(total.element == highest, item.c.number < number)
        statement = statement.where(sa.or_(total.element < highest, behind))
    ordered = statement.order_by(total.desc(), item.c.number.desc()).limit(limit + 1)
    rows = tx.run(ordered).all()
    last = rows[limit - 1] if len(rows) > limit else None
    return Found(
        items=tuple(store.item_of(row) for row in rows[:limit]),
        next=None if last is None else f"{last.total}-{last.number}",
    )


def _commonness(tx: Tx, group: Group) -> int:
    """Return how many terms a group has, counted as far as it matters."""
    some = sa.select(store.term.c.item).where(store.term.c.word.in_(list(group)))
    counted = sa.select(sa.func.count()).select_from(some.limit(MOST_RANKED + 1).subquery())
    return int(tx.run(counted).scalar_one())


def _best_of(group: Group) -> sa.Select[Any]:
    """Return the best items of a group with their scores: at most so many as are ranked.

    Of each word only its best items can be among them, and these the index gives without the rest.
    """
    table = store.term
    parts = [
        sa.select(
            sa.select(table.c.item, (table.c.weight * closeness).label("score"))
            .where(table.c.word == number)
            .order_by(table.c.weight.desc(), table.c.item.desc())
            .limit(MOST_RANKED)
            .subquery()
        )
        for number, closeness in group.items()
    ]
    both = parts[0].subquery() if len(parts) == 1 else sa.union_all(*parts).subquery()
    best = sa.func.max(both.c.score)
    return (
        sa.select(both.c.item, best.label("score"))
        .group_by(both.c.item)
        .order_by(best.desc(), both.c.item.desc())
        .limit(MOST_RANKED)
    )


def _scores_among(group: Group, base: sa.CTE) -> sa.Select[Any]:
    """Return the scores of a group's words, for the items of another group alone."""
    table = store.term
    closeness = sa.case(group, value=table.c.word)
    return (
        sa.select(table.c.item, sa.func.max(table.c.weight * closeness).label("score"))
        .where(table.c.word.in_(list(group)), table.c.item.in_(sa.select(base.c.item)))
        .group_by(table.c.item)
    )


def _suggestion(
    tx: Tx, sight: Sight, wanted: Wanted, words: Sequence[str], groups: Sequence[Group]
) -> str | None:
    """Return the query with unknown words replaced by the nearest known ones, if that finds any."""
    mended = list(words)
    for place, (word, group) in enumerate(zip(words, groups, strict=True)):
        if not group:
            guesses = _guesses(tx, word)
            if not guesses:
                return None
            mended[place] = guesses[0]
    if mended == list(words):
        return None
    found = _groups_of(tx, mended, open_end=False)
    return " ".join(mended) if _ranked(tx, sight, wanted, found).items else None


def _guesses(tx: Tx, word: str) -> list[str]:
    """Return known words near a mistyped one that an item still has, nearest first."""
    table = store.word
    known: list[str] = []
    for part, backwards in ranges_near(word):
        column = table.c.backwards if backwards else table.c.word
        near = _begins(column, part[::-1] if backwards else part)
        size = sa.func.abs(sa.func.length(table.c.word) - len(word.encode()))
        nearest_first = sa.select(table.c.word).where(near).order_by(size, table.c.word)
        known += [bytes(row.word).decode() for row in tx.run(nearest_first.limit(_MOST_NEAR))]
    return [each for each in nearest(word, known) if _is_used(tx, each)][:_GUESSES]


def _is_used(tx: Tx, text: str) -> bool:
    here = store.term.c.word == word_of(text).number
    return tx.one(sa.select(store.term.c.item).where(here).limit(1)) is not None


def _cursor(text: str, parts: int) -> list[int]:
    numbers = text.split("-")
    if len(numbers) != parts or not all(_NUMBER.fullmatch(each) for each in numbers):
        raise CursorUnknown
    return [min(int(each), ids.LAST_ID) for each in numbers]


def reindex_items(tx: Tx, *, after: int = 0, limit: int = 500) -> int | None:
    """Write the index of the next items anew; returns where to go on, None after the last."""
    statement = sa.select(store.item).where(store.item.c.number > after)
    rows = tx.run(statement.order_by(store.item.c.number).limit(limit).with_for_update()).all()
    for row in rows:
        index_item(tx, store.item_of(row))
    return rows[-1].number if len(rows) == limit else None
