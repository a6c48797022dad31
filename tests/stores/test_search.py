"""Search: what is found, in which order, the same on both engines."""

import pytest
import sqlalchemy as sa

from farebox.access.marketplace import service as items
from farebox.access.marketplace import service_search as search
from farebox.access.marketplace.model import Sight
from farebox.kernel.refusals import ValueRefused
from farebox.ledger.model import CursorUnknown
from tests.support.services import ADA, run
from tests.support.stall import Stall

DAY = 24 * 3_600_000_000


@pytest.fixture
def stall(database):
    return Stall(database)


@pytest.fixture
def bill(stall):
    """What is on at the theatre."""
    stall.item("mauser", "Маузер", description="Драма о последнем дне.")
    stall.item("roses", "Маузеры и розы", attributes={"actors": ["Анна Белова"]})
    stall.item("big", "МАУЗЕР: премьера большой сцены")
    stall.item("gun", "Револьвер", description="Старый маузер на стене.")
    stall.item("cast", "Тишина", attributes={"actors": ["Пётр Маузер", "Анна Ким"]})
    stall.item("fir", "Ёлки 8", description="Новогодняя комедия")
    stall.item("r1", "The running man", attributes={"year": 1987, "genre": "action"})
    return stall


# Each line: what is typed, and what is found, best first.
FINDS = {
    "a word": ("Маузер", ["mauser", "big", "roses", "cast", "gun"]),
    "any case": ("мАУЗЕР", ["mauser", "big", "roses", "cast", "gun"]),
    "a form of it": ("маузера", ["mauser", "roses", "big", "cast", "gun"]),
    "its beginning": ("мауз", ["mauser", "roses", "big", "cast", "gun"]),
    "ё as е": ("елки", ["fir"]),
    "е as ё": ("ёлка", ["fir"]),
    "an English form": ("runs", ["r1"]),
    "a number": ("1987", ["r1"]),
    "a name": ("белова анна", ["roses"]),
    "two words, the last one open": ("анна ки", ["cast"]),
    "a beginning that is closed": ("мауз ", []),
    "small words do not count": ("розы и маузер", ["roses"]),
    "not even a last one": ("анна к", ["cast", "roses"]),
    "a word of a description": ("комедии", ["fir"]),
    "marks and dashes": ("«Ёлки-8»!", ["fir"]),
    "a code": ("mauser", ["mauser"]),
    "nothing like it": ("водевиль", []),
    "one word of two is missing": ("маузер водевиль", []),
}


def test_what_is_typed_finds_what_is_meant_best_first(bill):
    found = {name: bill.codes(query) for name, (query, _) in FINDS.items()}
    assert found == {name: expected for name, (_, expected) in FINDS.items()}


# Each line: what is mistyped, and what is suggested.
GUESSES = {
    "муазер": "маузер",  # a swap
    "мазуер": "маузер",  # a swap in the middle
    "паузер": "маузер",
    "маузр": "маузер",
    "маауузер": "маузер",
    "ревльвер": "револьвер",
    "анна белва": "анна белова",
    "runing men": "running man",
    "runing man": "running man",
    "водевиль": None,
    "ум": None,
}


def test_a_mistyped_word_is_guessed_when_nothing_was_found(bill):
    found = {query: bill.search(query) for query in GUESSES}
    assert {query: page.suggestion for query, page in found.items()} == GUESSES
    assert all(not page.items for page in found.values())
    assert bill.search("маузер").suggestion is None


def test_consumers_find_what_is_published_and_within_its_window(stall, clock):
    now = clock.now_us()
    stall.item("draft", "Маузер", published=False)
    stall.item("soon", "Маузер", available_from=now + DAY)
    stall.item("over", "Маузер", available_until=now + DAY)
    stall.item("gone", "Маузер")
    run(stall.database, items.archive_item, ADA, "gone")
    assert stall.codes("маузер") == stall.codes() == ["over"]
    clock.move(DAY)
    assert stall.codes("маузер") == stall.codes() == ["soon"]
    assert stall.codes(sight=Sight()) == ["gone", "over", "soon", "draft"]


def test_a_change_is_found_at_once_and_what_was_before_is_not(bill):
    bill.change("fir", title={"ru": "Сосны"}, attributes={"genre": "comedy"})
    assert (bill.codes("елки"), bill.codes("сосна")) == ([], ["fir"])
    run(bill.database, items.withdraw_item, ADA, "fir")
    assert bill.codes("сосны") == []
    run(bill.database, items.publish_item, ADA, "fir")
    assert bill.codes("сосны") == ["fir"]


def test_a_word_that_no_item_has_any_more_is_not_suggested(bill):
    bill.change("fir", title={"ru": "Сосны"})
    assert bill.search("елик").suggestion is None


def test_filters_by_kind_and_attributes_hold_for_search_and_list(bill):
    bill.item("opera", "Маузер в опере", kind="opera", attributes={"genre": "Ёра", "live": True})
    assert bill.codes("маузер", kind="opera") == bill.codes(kind="opera") == ["opera"]
    assert bill.codes(attributes=(("genre", "ера"),)) == ["opera"]
    assert bill.codes("маузер", attributes=(("live", "true"),)) == ["opera"]
    assert bill.codes(attributes=(("actors", "анна ким"),)) == ["cast"]
    assert bill.codes(attributes=(("year", "1987"), ("genre", "action"))) == ["r1"]
    assert bill.codes(attributes=(("year", "1987"), ("genre", "drama"))) == []
    assert bill.codes(attributes=(("actors", None),)) == ["cast", "roses"]


@pytest.mark.parametrize("query", ["", "пьеса", "пьес"])
def test_pages_hold_everything_once_in_one_order(stall, query):
    for number in range(7):
        stall.item(f"play-{number}", "Пьеса" if number % 2 else "Одна пьеса")
    whole = stall.codes(query)
    assert len(whole) == 7
    found, after = [], None
    while True:
        page = stall.search(query, after=after, limit=2)
        found += [item.code for item in page.items]
        after = page.next
        if after is None:
            break
    assert found == whole


@pytest.mark.parametrize("cursor", ["x", "1-2-3", "-1", "1-", "٣-٣", "9" * 30, "1;drop"])
def test_a_cursor_of_another_list_is_refused(bill, cursor):
    for query in ("", "маузер"):
        with pytest.raises(CursorUnknown):
            bill.search(query, after=cursor)


@pytest.mark.parametrize(
    "query",
    ["", " ", "!!!", "%", "_", "'", '"', "\\", "ä" * 200, "𝕄", "маузер\x00", "*", "a" * 200],
)
def test_no_query_breaks_it(bill, query):
    bill.search(query)


def test_a_query_of_nothing_lists_the_newest_first(bill):
    assert bill.codes("—")[0] == "r1"
    with pytest.raises(ValueRefused):
        bill.search("x" * 201)


def test_a_word_in_very_many_items_still_answers_and_says_the_best(stall, monkeypatch):
    monkeypatch.setattr(search, "MOST_READ", 3)
    monkeypatch.setattr(search, "MOST_RANKED", 3)
    for number in range(6):
        stall.item(f"text-{number}", "Пусто", description="спектакль")
    stall.item("best", "Спектакль")
    assert stall.codes("спектакль") == ["best", "text-5", "text-4"]
    assert stall.codes("спектакль пусто")[:1] == ["text-5"]


def test_the_index_can_be_written_anew(bill):
    before = bill.codes("маузер")
    bill.database.run(lambda tx: tx.run(sa.text("DELETE FROM item_term")))
    assert bill.codes("маузер") == []
    after: int | None = 0
    while after is not None:
        after = run(bill.database, search.reindex_items, after=after, limit=3)
    assert bill.codes("маузер") == before
