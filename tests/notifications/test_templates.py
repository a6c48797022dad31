"""Every kind of letter is written for every channel, in every language."""

import re

import jinja2
import msgspec
import pytest

from farebox.notifications.flows.handlers import LETTERS
from farebox.notifications.letters import service
from farebox.notifications.letters.model import FORMS, KINDS, MONEY, Terms
from farebox.notifications.letters.model_facts import FACTS
from farebox.notifications.letters.rules import LABELS
from farebox.platform.formats import LANGUAGES
from tests.notifications.samples import SAMPLES, START

MOST_OF_AN_SMS = 4 * 67
"""Four parts of a long message in Cyrillic letters."""


@pytest.fixture
def without(monkeypatch):
    """Return a function that takes a template, or a block of one, away."""

    def take(name, block=None):
        loader = service._ENVIRONMENT.loader
        assert loader is not None
        sources = {
            each: loader.get_source(service._ENVIRONMENT, each)[0]
            for each in service._ENVIRONMENT.list_templates()
        }
        if block is None:
            del sources[name]
        else:
            sources[name] = sources[name].replace(f"block {block} ", "block other ")
        left = jinja2.DictLoader(sources)
        monkeypatch.setattr(service, "_ENVIRONMENT", service._ENVIRONMENT.overlay(loader=left))

    return take


def written(kind, form, language):
    """Return each sample of a kind as it is written."""
    terms = Terms(locale=language, zone="Europe/Moscow")
    return [service.write(kind, form, each, terms, START) for each in SAMPLES[kind]]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_written_for_every_channel_in_every_language(kind, form, language):
    for each in written(kind, form, language):
        assert each.subject
        assert each.text.strip()
        for text in (each.subject, each.text, each.html or ""):
            assert "None" not in text
            assert "{" not in text.partition("<style")[0]
            assert not re.search(r" [.,:;]", text.replace("\N{NO-BREAK SPACE}", " ")), text
            assert "  " not in text
        assert "\n\n\n" not in each.text
        if form == "sms":
            assert "\n" not in each.text
            assert len(each.text) <= MOST_OF_AN_SMS
        has_cyrillic = bool(re.search("[а-яё]", each.subject.replace("Чайка", "").lower()))
        assert has_cyrillic is (language == "ru")


def test_no_letter_speaks_russian_with_a_capital_you():
    for kind in KINDS:
        for form in FORMS:
            for each in written(kind, form, "ru"):
                found = re.findall(
                    r"(?<![.!?:] )(?<!^)(?<!\n)\bВ(?:ы|ас|ам|ами|аш\w*)\b", each.text
                )
                assert not found, each.text


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_template_that_is_missing_is_seen(without, language):
    without(f"{language}/reminder.txt")
    with pytest.raises(jinja2.TemplateNotFound):
        written("reminder", "mail", language)


@pytest.mark.parametrize(
    ("block", "form"), [("subject", "mail"), ("text", "inbox"), ("short", "sms")]
)
def test_a_part_that_is_missing_is_seen(without, block, form):
    without("ru/reminder.txt", block)
    with pytest.raises(KeyError, match=block):
        written("reminder", form, "ru")


def test_a_template_that_asks_for_what_there_is_not_is_seen(monkeypatch):
    loader = jinja2.DictLoader({"ru/reminder.txt": "{% block subject %}{{ price }}{% endblock %}"})
    monkeypatch.setattr(service, "_ENVIRONMENT", service._ENVIRONMENT.overlay(loader=loader))
    with pytest.raises(jinja2.UndefinedError, match="price"):
        written("reminder", "mail", "ru")


def test_every_kind_has_facts_a_name_and_somebody_who_tells_it():
    assert set(KINDS) == set(FACTS) == set(LABELS) == set(SAMPLES)
    assert all(set(each) == set(LANGUAGES) for each in LABELS.values())
    told = {compose.__name__ for compose in LETTERS.values()}
    assert len(told) >= len(KINDS) - 1


def test_facts_are_the_same_after_they_were_kept():
    for kind, samples in SAMPLES.items():
        for each in samples:
            assert msgspec.json.decode(msgspec.json.encode(each), type=FACTS[kind]) == each


def test_what_a_customer_can_name_is_escaped_on_the_page():
    title = {"ru": "<script>alert(1)</script>"}
    facts = msgspec.structs.replace(SAMPLES["reminder"][0], title=title)
    made = service.write("reminder", "mail", facts, Terms(locale="ru", zone="UTC"), START)
    assert made.html is not None
    assert "<script>" not in made.html
    assert "&lt;script&gt;" in made.html
    assert "<script>" in made.text


def test_letters_about_money_are_those_of_the_plan():
    assert {"purchase", "refund", "invoice", "payment_failed", "top_up_failed"} <= MONEY
    assert not {"reminder", "quota_near", "balance_low"} & MONEY
