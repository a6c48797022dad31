"""The pages' words in Russian; in English the words are the keys.

Catalogues are gettext's `.po` files, read when the pages start: there is nothing to compile, and a
translator changes one text file. A word that has no translation is shown in English; a test finds
it before a visitor does.
"""

import gettext
import io
from functools import lru_cache
from importlib import resources
from typing import Final

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from farebox.platform.formats import LANGUAGES, Language

NAMES: Final[dict[Language, str]] = {"ru": "Русский", "en": "English"}
PACKAGES: Final = ("farebox.web", "farebox.shop", "farebox.portal", "farebox.console")
_PART_OF: Final = {"store": "farebox.shop"}


@lru_cache(maxsize=32)
def words_of(language: Language, part: str = "") -> gettext.NullTranslations:
    """Return the words of a language: those of a part (`store`, `portal`) before all others.

    One English word has several in Russian: from a day, from a person.
    """
    words: gettext.NullTranslations = gettext.NullTranslations()
    own = _PART_OF.get(part, f"farebox.{part}")
    for package in sorted(PACKAGES, key=lambda one: (one == own, one == PACKAGES[0])):
        read = _read(package, language)
        if read is not None:
            read.add_fallback(words)
            words = read
    return words


def _read(package: str, language: Language) -> gettext.NullTranslations | None:
    try:
        file = resources.files(package) / "locale" / f"{language}.po"
    except ModuleNotFoundError:
        return None
    if not file.is_file():
        return None
    with file.open("rb") as text:
        catalogue = read_po(text, locale=language)
    compiled = io.BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)


def preferred(accepted: str | None, default: Language = "ru") -> Language:
    """Return the language of ours that an `Accept-Language` header asks for first."""
    best: list[tuple[float, int, Language]] = []
    for place, part in enumerate((accepted or "").split(",")):
        tag, _, weight = part.strip().partition(";q=")
        found = tag.partition("-")[0].lower()
        best += [(-_weight(weight), place, each) for each in LANGUAGES if each == found]
    return min(best)[2] if best else default


def _weight(text: str) -> float:
    try:
        return float(text or "1")
    except ValueError:
        return 0.0
