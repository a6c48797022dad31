"""A small film service that knows nothing of money, and the middleware that charges for it.

It stands for other people's programs: it imports `farebox.edge` and nothing else of Farebox.

    GET /films              the list               free
    GET /films/{id}         what the film is about    1
    GET /films/{id}/play    the title cards, as they come   10, charged before the first one
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from importlib import resources
from typing import Any, Final

import msgspec

from farebox.edge import AsyncFarebox, Charging, Request, Response
from farebox.edge.asgi import AccManMiddleware

URL_VARIABLE: Final = "FILMS_FAREBOX_URL"
KEY_VARIABLE: Final = "FILMS_FAREBOX_KEY"
PRICE_OF_DETAILS: Final = 1
PRICE_OF_PLAYING: Final = 10

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class Film(msgspec.Struct, frozen=True, kw_only=True):
    """A film in the public domain, with the title cards that stand in for its pictures."""

    id: str
    title: str
    original_title: str
    year: int
    country: str
    director: str
    minutes: int
    about: str
    cards: tuple[str, ...]


def _packaged(name: str) -> bytes:
    return resources.files(__package__).joinpath(name).read_bytes()


FILMS: Final = {
    film.id: film for film in msgspec.json.decode(_packaged("films.json"), type=list[Film])
}


class Films:
    """The service itself: an ASGI application without accounts."""

    def __init__(self, *, seconds_per_card: float = 0.7) -> None:
        self._seconds_per_card = seconds_per_card
        self._page = _packaged("films.html")

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            await _live(receive, send)
            return
        if scope["method"] != "GET":
            await _send_json(send, HTTPStatus.METHOD_NOT_ALLOWED, {"detail": "GET, please."})
            return
        match scope["path"].strip("/").split("/"):
            case [""]:
                await _send(send, HTTPStatus.OK, "text/html; charset=utf-8", self._page)
            case ["films"]:
                await _send_json(send, HTTPStatus.OK, {"films": _listing()})
            case ["films", name] if name in FILMS:
                await _send_json(send, HTTPStatus.OK, _details(FILMS[name]))
            case ["films", name, "play"] if name in FILMS:
                await self._play(FILMS[name], send)
            case _:
                await _send_json(send, HTTPStatus.NOT_FOUND, {"detail": "No such film."})

    async def _play(self, film: Film, send: Send) -> None:
        await send(_head(HTTPStatus.OK, "text/plain; charset=utf-8"))
        opening = f"{film.title.upper()} ({film.year})\nby {film.director}"
        for card in (opening, *film.cards, "THE END"):
            await send(
                {"type": "http.response.body", "body": f"{card}\n\n".encode(), "more_body": True}
            )
            await asyncio.sleep(self._seconds_per_card)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def price_of(request: Request) -> int:
    """Return what a path costs if the film exists."""
    match request.path.strip("/").split("/"):
        case ["films", _, "play"]:
            return PRICE_OF_PLAYING
        case ["films", _]:
            return PRICE_OF_DETAILS
    return 0


def cost(request: Request, response: Response) -> int:
    """Charge for what was delivered: a film that we do not have costs nothing."""
    return price_of(request) if response.status == HTTPStatus.OK else 0


CHARGING: Final = Charging(
    cost=cost,
    maximum_cost=price_of,
    free=lambda request: price_of(request) == 0 or request.method != "GET",
    cost_from_head=True,
)


def charged_films(
    *, farebox_url: str, farebox_key: str, seconds_per_card: float = 0.7
) -> AccManMiddleware:
    """Return the film service behind the middleware, ready for a server."""
    return AccManMiddleware(
        Films(seconds_per_card=seconds_per_card),
        farebox=AsyncFarebox(farebox_url, key=farebox_key),
        charging=CHARGING,
    )


def from_environment() -> AccManMiddleware:
    """Return the charged service; for `uvicorn --factory`."""
    return charged_films(
        farebox_url=os.environ[URL_VARIABLE],
        farebox_key=os.environ[KEY_VARIABLE],
        seconds_per_card=float(os.environ.get("FILMS_SECONDS_PER_CARD", "0.7")),
    )


def _listing() -> list[dict[str, str | int]]:
    return [
        {
            "id": film.id,
            "title": film.title,
            "year": film.year,
            "price_of_details": PRICE_OF_DETAILS,
            "price_of_playing": PRICE_OF_PLAYING,
        }
        for film in FILMS.values()
    ]


def _details(film: Film) -> dict[str, str | int]:
    return {
        "id": film.id,
        "title": film.title,
        "original_title": film.original_title,
        "year": film.year,
        "country": film.country,
        "director": film.director,
        "minutes": film.minutes,
        "about": film.about,
    }


async def _live(receive: Receive, send: Send) -> None:
    message = {"type": ""}
    while message["type"] != "lifespan.shutdown":
        message = dict(await receive())
        await send({"type": f"{message['type']}.complete"})


def _head(status: int, content_type: str) -> Message:
    return {
        "type": "http.response.start",
        "status": int(status),
        "headers": [(b"content-type", content_type.encode())],
    }


async def _send(send: Send, status: int, content_type: str, body: bytes) -> None:
    await send(_head(status, content_type))
    await send({"type": "http.response.body", "body": body})


async def _send_json(send: Send, status: int, said: dict[str, Any]) -> None:
    await _send(send, status, "application/json", msgspec.json.encode(said))
