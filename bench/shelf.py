"""A marketplace of many items, and what its visitors type: a workload for search.

Words follow Zipf's law as those of real texts do: a few stand in nearly every description, most in
a handful. They are made of Russian syllables, so that stems and beginnings behave as they should.
"""

import random
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import accumulate, islice
from typing import Final

from farebox.access.marketplace import store
from farebox.access.marketplace.model import Item, Offer
from farebox.access.marketplace.service_search import index_items
from farebox.storage import Database, Tx

ITEMS: Final = 100_000
VOCABULARY: Final = 40_000
_BATCH: Final = 500
_NOW: Final = 1_763_632_800_000_000
_STARTS: Final = (
    "ба", "ве", "га", "до", "зи", "ка", "ле", "ми", "но", "па", "ре", "са", "ту", "фи", "ха",
    "че", "ши", "ки", "ло", "мо", "ни", "по", "ру", "та",
)  # fmt: skip
_ENDS: Final = (
    "ра", "ни", "та", "лок", "мер", "зер", "дин", "вал", "рок", "тон", "ский", "ость", "ение",
    "ация", "ник", "тель", "ища", "ёнка",
)  # fmt: skip
_OFFERS: Final = (Offer(code="online", kind="online_rental", periods=(24, 48, 72)),)


class Shelf:
    """Makes items and queries from one seed, the same on every engine."""

    def __init__(self, seed: int = 7) -> None:
        self._random = random.Random(seed)
        self.words = self._vocabulary()
        self._weights = list(accumulate(1 / rank for rank in range(1, len(self.words) + 1)))

    def items(self, count: int = ITEMS) -> Iterator[Item]:
        """Return items: a title of 1 to 4 words, three actors, a description of 30 words."""
        for number in range(1, count + 1):
            title = " ".join(self._rare(self._random.randint(1, 4)))
            actors = [" ".join(self._rare(2)).title() for _ in range(3)]
            yield Item(
                id=f"itm_{number:027x}",
                number=number,
                code=f"item-{number}",
                owner="opr_1",
                kind="premiere" if number % 4 else "opera",
                title={"ru": title.capitalize()},
                description={"ru": " ".join(self._common(30))},
                attributes={"actors": list(actors), "year": 1990 + number % 37},
                offers=_OFFERS,
                capacity=None,
                available_from=None,
                available_until=None,
                state="published",
                version=1,
                created_at=_NOW,
                updated_at=_NOW,
            )

    def queries(self, count: int) -> dict[str, list[str]]:
        """Return what is typed, by kind."""
        pick = self._random
        return {
            "a word of a title": [self._rare(1)[0] for _ in range(count)],
            "two words": [" ".join((*self._rare(1), *self._common(1))) for _ in range(count)],
            "a beginning of 3 letters": [self._rare(1)[0][:3] for _ in range(count)],
            "the commonest words": [
                " ".join(pick.sample(self.words[:20], 2)) for _ in range(count)
            ],
            "a mistyped word": [_mistyped(self._rare(1)[0], pick) for _ in range(count)],
        }

    def _vocabulary(self) -> list[str]:
        found: dict[str, None] = {}
        while len(found) < VOCABULARY:
            stem = "".join(self._random.choices(_STARTS, k=self._random.randint(1, 3)))
            found[stem + self._random.choice(_ENDS)] = None
        return list(found)

    def _common(self, count: int) -> list[str]:
        return self._random.choices(self.words, cum_weights=self._weights, k=count)

    def _rare(self, count: int) -> list[str]:
        return self._random.choices(self.words[200:], k=count)


def _mistyped(word: str, pick: random.Random) -> str:
    place = pick.randrange(1, len(word) - 1)
    return word[:place] + word[place + 1] + word[place] + word[place + 2 :]


def fill(database: Database, items: Iterator[Item]) -> None:
    """Put items and their index into a migrated database, a few hundred in a transaction."""
    while batch := list(islice(items, _BATCH)):
        database.run(partial(_put, batch=batch))


def _put(tx: Tx, *, batch: Sequence[Item]) -> None:
    tx.run(store.item.insert(), [store.item_row(item) for item in batch])
    index_items(tx, batch)
