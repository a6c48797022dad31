"""Whatever pages say, they say in Russian too; and no translation is of words that are gone."""

import re
from importlib import resources
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

PACKAGES = ("farebox.web", "farebox.shop", "farebox.portal", "farebox.console")
FILLED = re.compile(r"%\((\w+)\)s")


def words_in(package):
    folder = str(Path(str(resources.files(package))))
    found = extract_from_dir(
        folder,
        method_map=[("**.py", "python"), ("**.html", "jinja2")],
        keywords={"_": None, "words": None, "ngettext": (1, 2)},
    )
    return {message for _, _, message, _, _ in found}


def catalogue_of(package):
    with (resources.files(package) / "locale" / "ru.po").open("rb") as file:
        return {one.id: one.string for one in read_po(file, locale="ru") if one.id}


@pytest.mark.parametrize("package", PACKAGES)
def test_every_message_has_its_russian_words_and_no_words_are_left_over(package):
    assert words_in(package) == set(catalogue_of(package))


@pytest.mark.parametrize("package", PACKAGES)
def test_a_translation_is_whole_and_fills_in_what_the_message_does(package):
    for message, russian in catalogue_of(package).items():
        english = message if isinstance(message, tuple) else (message,)
        forms = russian if isinstance(russian, tuple) else (russian,)
        assert len(forms) == (3 if isinstance(message, tuple) else 1), message
        for form in forms:
            assert form, message
            assert set(FILLED.findall(form)) <= set(FILLED.findall(" ".join(english))), message
            assert set(FILLED.findall(english[-1])) <= set(FILLED.findall(form)), message
