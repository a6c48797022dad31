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
    Word,
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
MOST_READ: Final = 5_000
"""So many terms of the rarest word of a query are read and ranked, all of them."""
MOST_RANKED: Final = 2_000
"""Where there are more, so many items are ranked: those in whose best places the word stands."""
_CLOSENESS: Final = (SAME_WORD, SAME_STEM)
_MOST_NEAR: Final = 500
_GUESSES: Final = 5
_NUMBER: Final = re.compile("[0-9]{1,19}")
_LAST_BYTE: Final = b"\xff"  # no UTF-8 has it, so it lies behind every continuation
Group = dict[int, int]


def index_item(tx: Tx, item: Item) -> None:
    """Make an item found by what it says now, or not at all if it is not published."""
    index_items(tx, [item])


def index_items(tx: Tx, items: Sequence[Item]) -> None:
    """Write the index of items anew, in a few statements for all of them."""
    numbers = [item.number for item in items]
    for table in (store.term, store.attribute):
        tx.run(table.delete().where(table.c.item.in_(numbers)))
    words: dict[int, Word] = {}
    terms: list[tuple[int, int, int]] = []
    values: list[tuple[str, str, int]] = []
    for item in items:
        if item.state != "published":
            continue
        for text, weight in weights_of(item).items():
            word = word_of(text)
            words[word.number] = word
            terms.append((word.number, item.number, weight))
        values += {
            (name, filter_value(value), item.number)
            for name, attribute in item.attributes.items()
            for value in values_of(attribute)
        }
    # In order, so that two items that bring the same new words do not wait for each other.
    rows = [
        (number, word.text.encode(), word.text[::-1].encode(), word.stem)
        for number, word in sorted(words.items())
    ]
    tx.insert_missing(store.word, "number", ("number", "word", "backwards", "stem"), rows)
    tx.insert_many(store.term, ("word", "item", "weight"), sorted(terms))
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
    counted = sorted((_commonness(tx, group), place) for place, group in enumerate(groups))
    (terms, rarest), others = counted[0], [groups[place] for _, place in counted[1:]]
    base = _best_of(groups[rarest], whole=terms <= MOST_READ).cte("base")
    item, joined, score = store.item, base.join(store.item, store.item.c.number == base.c.item), []
    for place, group in enumerate(others):
        best = _scores_among(group, base).subquery(f"word_{place}")
        joined = joined.join(best, best.c.item == base.c.item)
        score.append(best.c.score)
    total = sa.cast(sum(score, start=base.c.score), sa.BigInteger)
    statement = sa.select(item, total.label("total")).select_from(joined)
    statement = statement.where(*_conditions(tx, sight, wanted))
    if after is not None:
        highest, number = _cursor(after, 2)
        behind = sa.and_(total == highest, item.c.number < number)
        statement = statement.where(sa.or_(total < highest, behind))
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
    counted = sa.select(sa.func.count()).select_from(some.limit(MOST_READ + 1).subquery())
    return int(tx.run(counted).scalar_one())


def _best_of(group: Group, *, whole: bool) -> sa.Select[Any]:
    """Return the items of a group with their scores, or only the best if there are very many.

    Of each word only its own best items can be among them, and these the index gives without the
    rest.
    """
    if whole:
        return _scored(group)
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
    both = sa.union_all(*parts).subquery()
    best = sa.func.max(both.c.score)
    return (
        sa.select(both.c.item, best.label("score"))
        .group_by(both.c.item)
        .order_by(best.desc(), both.c.item.desc())
        .limit(MOST_RANKED)
    )


def _scores_among(group: Group, base: sa.CTE) -> sa.Select[Any]:
    """Return the scores of a group's words, for the items of another group alone."""
    return _scored(group).where(store.term.c.item.in_(sa.select(base.c.item)))


def _scored(group: Group) -> sa.Select[Any]:
    """Return the items that have a word of a group, each with the best score of these words."""
    table = store.term
    near = [[word for word, how in group.items() if how == kind] for kind in _CLOSENESS]
    closeness = sa.case(
        *((table.c.word.in_(words), how) for words, how in zip(near, _CLOSENESS, strict=True)),
        else_=SAME_BEGINNING,
    )
    best = sa.func.max(table.c.weight * closeness)
    found = sa.select(table.c.item, best.label("score")).where(table.c.word.in_(list(group)))
    return found.group_by(table.c.item)


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
    index_items(tx, [store.item_of(row) for row in rows])
    return rows[-1].number if len(rows) == limit else None
