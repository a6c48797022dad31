"""Putting a letter's facts into words: templates by kind, language and channel.

A template is one file for a kind and a language with three blocks: `subject`, `text` (mail and the
inbox) and `short` (SMS). Its dates are in the letter's one zone and its amounts in its one
language. What a template asks for and its facts do not have is an error, never an empty place.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

import jinja2
import msgspec

from farebox.notifications.letters.model import (
    FORMS,
    KINDS,
    MONEY,
    Form,
    LetterKind,
    Terms,
    Written,
)
from farebox.notifications.letters.model_facts import Facts
from farebox.notifications.letters.rules import LABELS, reason_in, title_in
from farebox.platform import formats

_ENVIRONMENT: Final = jinja2.Environment(
    loader=jinja2.PackageLoader("farebox.notifications.letters", "templates"),
    undefined=jinja2.StrictUndefined,
    # Letters are plain text; the one page that they are put into for HTML escapes them.
    autoescape=jinja2.select_autoescape(["html"], default_for_string=False),
    trim_blocks=True,
    lstrip_blocks=True,
)
_PAGE: Final = "page.html"
_GAPS: Final = re.compile(r"\n{3,}")
"""What is left of parts of a template that said nothing."""
_SPACES: Final = re.compile("[^\\S\N{NO-BREAK SPACE}]+")
"""What may end a line, and would then end a subject."""


class Template(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of letter, as those see it who choose channels."""

    kind: LetterKind
    label: dict[str, str]
    needed: bool
    forms: tuple[Form, ...]


def templates() -> list[Template]:
    """Return every kind of letter with its name, and whether it can be switched off."""
    return [
        Template(kind=kind, label=dict(LABELS[kind]), needed=kind in MONEY, forms=FORMS)
        for kind in KINDS
    ]


def write(kind: LetterKind, form: Form, facts: Facts, terms: Terms, now: int) -> Written:
    """Write a letter for a channel. `now` is what time left is counted from."""
    language = formats.language_of(terms.locale)
    template = _ENVIRONMENT.get_template(f"{language}/{kind}.txt")
    known = _words(facts, terms, language, now)
    subject = _SPACES.sub(" ", _block(template, "subject", known)).strip()
    if form == "sms":
        # Also no-break spaces become plain ones, which every phone and every alphabet has.
        return Written(subject=subject, text=" ".join(_block(template, "short", known).split()))
    text = _GAPS.sub("\n\n", _block(template, "text", known)).strip()
    if form == "inbox":
        return Written(subject=subject, text=text)
    return Written(subject=subject, text=f"{text}\n", html=_page(subject, text, language))


def _block(template: jinja2.Template, name: str, known: Mapping[str, Any]) -> str:
    context = template.new_context(dict(known))
    return "".join(template.blocks[name](context))


def _page(subject: str, text: str, language: str) -> str:
    paragraphs = [part.splitlines() for part in text.split("\n\n")]
    page = _ENVIRONMENT.get_template(_PAGE)
    return page.render(language=language, subject=subject, paragraphs=paragraphs)


def _words(facts: Facts, terms: Terms, language: str, now: int) -> dict[str, Any]:
    """Return what a template may ask for: the facts, and how to write them."""
    locale, zone = language, terms.zone
    return {
        **{name: getattr(facts, name) for name in facts.__struct_fields__},
        "money": lambda minor, currency: formats.money(minor, currency, locale),
        "quantity": lambda count, scale: formats.quantity(count, scale, locale),
        "when": lambda at: formats.when(at, zone, locale),
        "short_time": lambda at: formats.short(at, zone, locale),
        "zone": formats.zone_name(zone, locale),
        "hours_of": lambda count: formats.hours(count, locale),
        "time_left": lambda at: formats.time_left(at - now, locale),
        "title_of": lambda title: title_in(title, language),
        "reason_of": lambda code: reason_in(code, language),
    }
