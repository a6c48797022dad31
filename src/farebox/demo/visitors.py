"""Visitors who come by themselves, so that there is something to see.

They are guests of a hotel, with films and credit of their own: what the family of the story has
left is never theirs.
"""

import random
import threading
from contextlib import suppress
from typing import Final, Self

import httpx2

from farebox.contracts.decisions import DECIDE_PATH
from farebox.demo.example import CREDENTIAL_OF_GUESTS, PRODUCT, Example, client
from farebox.demo.films import FILMS
from farebox.demo.story import Places

SECONDS_BETWEEN: Final = 2.0


class Visitors:
    """A thread in which a guest does something every couple of seconds, until the block ends."""

    def __init__(self, example: Example, places: Places) -> None:
        self._keys = tuple(example.hotel.keys.values())
        self._places = places
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="visitors", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        with client() as guest:
            while not self._stop.is_set():
                # A guest who finds nobody there comes again; the demo itself tells who has ended.
                with suppress(httpx2.HTTPError):
                    self._visit(guest)
                self._stop.wait(SECONDS_BETWEEN)

    def _visit(self, guest: httpx2.Client) -> None:
        film = random.choice(tuple(FILMS))  # noqa: S311 - which film it is protects nothing
        key = random.choice(self._keys)  # noqa: S311
        guest.post(
            f"{self._places.farebox}{DECIDE_PATH}",
            json={"mode": "consume", "product": PRODUCT, "metadata": {"film": film}},
            headers={"Authorization": f"Bearer {key}"},
        )
        guest.get(f"{self._places.films}/films/{film}", headers={"ACCMAN": CREDENTIAL_OF_GUESTS})
