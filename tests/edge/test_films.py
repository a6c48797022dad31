"""What the demo's film service shows, and what of it costs."""

import asyncio

import pytest

from farebox.demo.films import CHARGING, FILMS, Films
from farebox.edge.asgi import AccManMiddleware
from tests.edge.visits import asgi_visit


@pytest.fixture
def visit(stage):
    """Visit the charged films, which play without pauses."""

    def visit_once(path, credential=None, method="GET"):
        async def go():
            async with stage.async_farebox() as farebox:
                app = AccManMiddleware(
                    Films(seconds_per_card=0), farebox=farebox, charging=CHARGING
                )
                headers = [("ACCMAN", credential)] if credential else []
                return await asgi_visit(app, path=path, method=method, headers=headers)

        return asyncio.run(go())

    return visit_once


def test_whole_film_is_played_for_10(stage, visit):
    credential = stage.open(100)

    for film in FILMS.values():
        answer = visit(f"/films/{film.id}/play", credential)
        reel = answer.body.decode()

        assert reel.startswith(f"{film.title.upper()} ({film.year})")
        assert all(card in reel for card in film.cards)
        assert reel.endswith("THE END\n\n")

    assert stage.charges(credential) == [10] * 10
    assert visit("/films/the-kid/play", credential).status == 402


@pytest.mark.parametrize(
    ("asked", "status", "charges"),
    [
        ("GET /", 200, []),
        ("GET /films", 200, []),
        ("GET /films/", 200, []),
        ("GET /films/the-kid", 200, [1]),
        ("GET /films/the-kid/", 200, [1]),
        ("GET /films/the-kid/play", 200, [10]),
        ("GET /films/the-kid/play/", 200, [10]),
        ("GET /films/other", 404, []),
        ("GET /films/other/play", 404, []),
        ("GET /films/the-kid/pause", 404, []),
        ("GET /elsewhere", 404, []),
        ("HEAD /films/the-kid/play", 405, []),
        ("POST /films/the-kid/play", 405, []),
    ],
)
def test_what_is_delivered_is_charged_and_nothing_else(stage, visit, asked, status, charges):
    credential = stage.open(100)
    method, path = asked.split()

    answer = visit(path, credential, method)

    assert (answer.status, stage.charges(credential)) == (status, charges)
