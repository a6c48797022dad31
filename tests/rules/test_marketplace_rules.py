"""The marketplace's rules: who has what already, how a place stands, how words are compared."""

import msgspec
import pytest

from farebox.access.marketplace.model import Item, Offer, Place
from farebox.access.marketplace.rules import (
    begins_at,
    covers,
    is_on_sale,
    place_state,
    returns_place,
)
from farebox.access.marketplace.service_words import (
    ends_open,
    mistakes_allowed,
    nearest,
    query_words,
    ranges_near,
    weights_of,
    word_of,
    words_in,
)

HALL = Offer(code="hall", kind="theatre_ticket", starts_at=50)
ONLINE = Offer(code="online", kind="online_rental", periods=(12,))
KEEP = Offer(code="keep", kind="purchase")
ITEM = Item(
    id="itm_1", number=1, code="mauser-2", owner="opr_1", kind="premiere",
    title={"ru": "Маузер", "en": "The Mauser of Paris"}, description={"ru": "Один в поле."},
    attributes={"actors": ["Пётр Маузер"], "year": 2026, "live": True},
    offers=(HALL, ONLINE, KEEP), capacity=None, available_from=10, available_until=20,
    state="published", version=1, created_at=0, updated_at=0,
)  # fmt: skip


# Each line: what somebody has, and which offers would bring nothing then.
@pytest.mark.parametrize(
    ("owned", "pointless"),
    [
        ("hall", ["hall"]),
        ("online", ["online"]),
        ("keep", ["online", "keep"]),
        (None, ["hall", "online", "keep"]),  # granted by an operator
        ("gone", ["hall", "online", "keep"]),  # an offer that the item has no more
    ],
)
def test_what_somebody_has_makes_some_offers_pointless(owned, pointless):
    assert [offer.code for offer in ITEM.offers if covers(ITEM, owned, offer)] == pointless


@pytest.mark.parametrize(
    ("state", "now", "expected"),
    [
        ("published", 9, False),
        ("published", 10, True),
        ("published", 19, True),
        ("published", 20, False),
        ("draft", 15, False),
        ("archived", 15, False),
    ],
)
def test_an_item_is_on_sale_while_published_and_within_its_window(state, now, expected):
    assert is_on_sale(msgspec.structs.replace(ITEM, state=state), now) is expected


@pytest.mark.parametrize(
    ("facts", "now", "expected"),
    [
        ({"expires_at": 10}, 9, "held"),
        ({"expires_at": 10}, 10, "expired"),
        ({"expires_at": None}, 99, "pinned"),
        ({"expires_at": 10, "ended_by": "released"}, 5, "released"),
        ({"expires_at": None, "ended_by": "sold"}, 5, "sold"),
        ({"expires_at": None, "ended_by": "returned"}, 5, "returned"),
    ],
)
def test_how_a_place_stands_follows_from_its_times(facts, now, expected):
    place = Place(
        id="plc_1", item="a", offer="b", consumer="c", hold=1, taken_at=0, renewals=0, **facts
    )
    assert place_state(place, now) == expected


# Each line: what was sold, its rental's start, when it is refunded, whether the place goes back.
@pytest.mark.parametrize(
    ("offer", "start", "now", "expected"),
    [
        (HALL, None, 49, True),
        (HALL, None, 50, False),
        (ONLINE, 30, 29, True),
        (ONLINE, 30, 30, False),
        (KEEP, None, 99, True),
    ],
)
def test_a_place_goes_back_while_its_time_lies_ahead(offer, start, now, expected):
    assert returns_place(begins_at(offer, start), now) is expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Ёлки-8: «Маузер»!", ["елки", "8", "маузер"]),
        ("Café CRÈME, naïve", ["cafe", "creme", "naive"]),
        ("Йод и йога", ["йод", "и", "йога"]),
        ("snake_case a.b", ["snake", "case", "a", "b"]),
        ("\u0415\u0308лка", ["елка"]),  # ё in two pieces
        ("", []),
        ("—!?", []),
        ("x" * 90, ["x" * 40]),
    ],
)
def test_texts_become_words_that_can_be_compared(text, words):
    assert words_in(text) == words


@pytest.mark.parametrize(
    "forms",
    [
        ["маузер", "маузера", "маузеры", "маузером"],
        ["премьера", "премьеры", "премьерой"],
        ["run", "runs", "running"],
    ],
)
def test_forms_of_a_word_have_one_stem_and_numbers_of_their_own(forms):
    assert len({word_of(form).stem for form in forms}) == 1
    assert len({word_of(form).number for form in forms}) == len(forms)


def test_a_word_counts_as_much_as_the_best_place_it_stands_in():
    weights = weights_of(ITEM)
    assert weights["маузер"] == 107  # a title of one word
    assert weights["paris"] == 104  # one of four
    assert (weights["петр"], weights["2026"], weights["поле"]) == (10, 10, 1)
    assert "true" not in weights


@pytest.mark.parametrize(
    ("query", "words", "open_end"),
    [
        ("Маузер и розы", ["маузер", "розы"], True),
        ("и в на", ["и", "в", "на"], True),
        ("мау ", ["мау"], False),
        ("a b c d e f g h i j", ["b", "c", "d", "e", "f", "g", "h"], True),
        ("роза роза", ["роза"], True),
        ("!", [], False),
    ],
)
def test_a_query_is_its_telling_words(query, words, open_end):
    assert (query_words(query), ends_open(query)) == (words, open_end)


def test_the_nearest_words_are_within_the_mistakes_of_their_length():
    assert [mistakes_allowed(word) for word in ("ум", "мир", "маска", "маузер")] == [0, 1, 1, 2]
    assert nearest("муазер", ["маузер", "мазер", "глазер", "муазер"]) == [
        "маузер", "мазер", "глазер",
    ]  # fmt: skip
    assert nearest("ум", ["дум", "им"]) == []


@pytest.mark.parametrize("typed", ["муазер", "мазуер", "маузр", "маузерр", "паузер", "маузен"])
def test_a_word_with_one_mistake_keeps_a_beginning_or_an_ending(typed):
    kept = [
        "маузер".endswith(part) if backwards else "маузер".startswith(part)
        for part, backwards in ranges_near(typed)
    ]
    assert any(kept)
