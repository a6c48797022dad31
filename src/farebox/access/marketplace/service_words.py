"""How texts become words that can be compared: case, stems, weights, beginnings, mistakes.

Pure, and the same for every engine: what is found where follows from here and from the tables.
"""

import hashlib
import re
import threading
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, Final

import msgspec
import snowballstemmer  # type: ignore[import-untyped] # it brings no annotations
from rapidfuzz.distance import OSA

from farebox.access.marketplace.model import LONGEST_QUERY, MOST_WORDS, Item, Scalar
from farebox.access.marketplace.rules import values_of
from farebox.kernel.refusals import ValueRefused

_WORD: Final = re.compile(r"[^\W_]+")
_CYRILLIC: Final = re.compile(r"[\u0400-\u04ff]")
_LONGEST_WORD: Final = 40
_MOST_ITEM_WORDS: Final = 4_000
TITLE_WEIGHT: Final = 100
PEOPLE_WEIGHT: Final = 10
TEXT_WEIGHT: Final = 1
_BREVITY: Final = 7  # a short title says more about what it names than a long one
# Times the weight of the place that a word stands in. The places lie so far apart that any word of
# a title counts more than any attribute, and any attribute more than any description.
SAME_WORD: Final = 3
SAME_STEM: Final = 2
SAME_BEGINNING: Final = 1
# Words that say nothing about what is looked for; they count only where nothing else is said.
_SMALL_WORDS: Final = frozenset(
    small
    for line in (
        "а без бы в во для до же за и из или к как ко на над не но о об от по под при с со у что",
        "это a an and at by for from in is of on or the to with",
    )
    for small in line.split()
)
_local = threading.local()


class Word(msgspec.Struct, frozen=True):
    """A word as it is stored: a number that stands for it, itself and its stem."""

    number: int
    text: str
    stem: str


def folded(text: str) -> str:
    """Return a text as it is compared: composed letters, no case, ё as е."""
    return unicodedata.normalize("NFC", text).casefold().replace("ё", "е")


def filter_value(value: Scalar) -> str:
    """Return a value as filters compare it: texts without case, ё as е; true, false; digits."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return folded(value) if isinstance(value, str) else str(value)


def words_in(text: str) -> list[str]:
    """Return the words of a text in order, as they are compared. Latin letters lose accents."""
    return [_plain(word)[:_LONGEST_WORD] for word in _WORD.findall(folded(text))]


def _plain(word: str) -> str:
    if word.isascii() or _CYRILLIC.search(word):
        return word  # й without its mark would be и, another letter
    apart = unicodedata.normalize("NFKD", word)
    return "".join(letter for letter in apart if not unicodedata.combining(letter)) or word


@lru_cache(maxsize=65_536)
def word_of(text: str) -> Word:
    """Return a word with its number and stem: Russian if it is Cyrillic, else English."""
    # A stemmer works in fields of its own, so that threads must not share one.
    stemmers: dict[str, Any] | None = getattr(_local, "stemmers", None)
    if stemmers is None:
        names = ("russian", "english")
        stemmers = _local.stemmers = {name: snowballstemmer.stemmer(name) for name in names}
    stem: str = stemmers["russian" if _CYRILLIC.search(text) else "english"].stemWord(text)
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return Word(int.from_bytes(digest) >> 1, text, stem)


def weights_of(item: Item) -> dict[str, int]:
    """Return the words of an item, each with the weight of the best place that it stands in."""
    found: dict[str, int] = {}

    def add(text: str, weight: int) -> None:
        for word in words_in(text):
            if found.get(word, 0) < weight and (word in found or len(found) < _MOST_ITEM_WORDS):
                found[word] = weight

    for title in item.title.values():
        brevity = max(0, _BREVITY + 1 - len(words_in(title)))
        add(title, TITLE_WEIGHT + brevity)
    add(item.code, PEOPLE_WEIGHT)
    for attribute in item.attributes.values():
        for value in values_of(attribute):
            if not isinstance(value, bool):
                add(str(value), PEOPLE_WEIGHT)
    for text in item.description.values():
        add(text, TEXT_WEIGHT)
    return found


def query_words(query: str) -> list[str]:
    """Return the words to look for, in order, the first eight; refuses an over-long query.

    Small words are left out unless there are no others.
    """
    if len(query) > LONGEST_QUERY:
        raise ValueRefused(f"a query has at most {LONGEST_QUERY} characters")
    words = list(dict.fromkeys(words_in(query)))[:MOST_WORDS]
    telling = [word for word in words if word not in _SMALL_WORDS]
    return telling or words


def ends_open(query: str) -> bool:
    """Tell whether the last word may go on: nothing, not even a space, follows it."""
    return bool(query) and _WORD.fullmatch(query[-1]) is not None


def mistakes_allowed(word: str) -> int:
    """Return how many mistakes a mistyped word may have and still be guessed."""
    return 0 if len(word) < 3 else 1 if len(word) < 6 else 2  # noqa: PLR2004 - letters


def ranges_near(word: str) -> Iterator[tuple[str, bool]]:
    """Return beginnings (False) and endings (True) of which a near word keeps at least one.

    A mistake falls into the first half or the second, and leaves the other as it was. A swap of
    the two letters in the middle touches both, so the swapped word's beginning is looked at too.
    """
    half = max(1, len(word) // 2)
    yield word[:half], False
    yield word[half:], True
    swapped = word[: half - 1] + word[half : half + 1] + word[half - 1 : half] + word[half + 1 :]
    if swapped != word:
        yield swapped[: half + 1], False


def nearest(word: str, known: Sequence[str]) -> list[str]:
    """Return known words within the mistakes allowed, nearest first; a swap is one mistake."""
    most = mistakes_allowed(word)
    near = [
        (OSA.distance(word, each, score_cutoff=most), abs(len(each) - len(word)), each)
        for each in set(known)
    ]
    return [each for distance, _, each in sorted(near) if 0 < distance <= most]
