"""The log of a service elsewhere, read over its API with a key: no broker is needed.

GET /v1/events?cursor=..&reader=..    GET /v1/events/position?at=..    GET /v1/events/snapshot
"""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import IO, Any, Final

import httpx2
import msgspec

from farebox.events.model import Event, Feed, Position, PositionGone, TransportDown
from farebox.events.service import parse_position, show_position
from farebox.events.service_snapshots import read_snapshot
from farebox.events.transports.in_process import IN_MEMORY
from farebox.kernel.clock import show_time
from farebox.kernel.refusals import Refusal

TIMEOUT_S: Final = 30.0
_OK: Final = 200
_GONE: Final = 410


class _Page(msgspec.Struct):
    """What the log answers; fields that we do not know are ignored."""

    items: tuple[Event, ...]
    next: str


class _Place(msgspec.Struct):
    next: str


class HttpLog:
    """Another service's log, behind a URL.

    `key` is an operator's with the right to read events. `reader` is the name under which the log
    remembers how far we have come, so that it keeps what we have not seen.
    """

    def __init__(
        self,
        url: str,
        key: str,
        *,
        name: str,
        reader: str,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        self.name = name
        self._reader = reader
        self._client = httpx2.Client(
            base_url=url,
            headers={"Authorization": f"Bearer {key}"},
            timeout=TIMEOUT_S,
            transport=transport,
        )

    def after(self, position: Position, limit: int) -> Feed:
        """Return the next events; refuses (`position_gone`) what is no longer kept."""
        asked = {"limit": limit, "cursor": show_position(position), "reader": self._reader}
        page = self._get("/v1/events", asked, _Page)
        return Feed(events=page.items, position=_position(page.next))

    def position_at(self, at_us: int) -> Position:
        """Return the position just before the first event of an instant or later."""
        return _position(self._get("/v1/events/position", {"at": show_time(at_us)}, _Place).next)

    @contextmanager
    def snapshot(self, kinds: Sequence[str]) -> Iterator[tuple[Position, Iterator[Event]]]:
        """Return how things stand, and where the log goes on; fetched before it is used."""
        with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY) as file:
            self._fetch("/v1/events/snapshot", {"kind": list(kinds)}, file)
            yield read_snapshot(file)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _fetch(self, path: str, asked: Mapping[str, Any], file: IO[bytes]) -> None:
        try:
            with self._client.stream("GET", path, params=dict(asked)) as response:
                if response.status_code != _OK:
                    raise TransportDown(f"{self.name}: {response.status_code}")
                for chunk in response.iter_bytes():
                    file.write(chunk)
        except httpx2.HTTPError as error:
            raise TransportDown(f"{self.name}: {error}") from error
        file.seek(0)

    def _get(self, path: str, asked: Mapping[str, Any], kind: type[Any]) -> Any:  # noqa: ANN401 - the caller names the kind
        try:
            response = self._client.get(path, params=dict(asked))
        except httpx2.HTTPError as error:
            raise TransportDown(f"{self.name}: {error}") from error
        if response.status_code == _GONE:
            raise PositionGone
        if response.status_code != _OK:
            raise TransportDown(f"{self.name}: {response.status_code} {response.text[:200]}")
        try:
            return msgspec.json.decode(response.content, type=kind)
        except msgspec.DecodeError as error:
            raise TransportDown(f"{self.name} does not speak our language: {error}") from error


def _position(text: str) -> Position:
    try:
        return parse_position(text)
    except Refusal as refusal:
        raise TransportDown(f"not a position: {text[:50]!r}") from refusal
