"""Webhooks: the way out for events, and the call that carries one.

`WebhookSender` is a `Sender` like the others, but what it hands events to is our own table: the
call is made later, by whoever works on what is due (`workers.webhooks`). `Caller` makes it.

The address is looked at where the connection is made: every address that the name leads to must be
public, and the connection goes to one of those that were looked at. A name that answers otherwise
the second time, as in DNS rebinding, is never asked a second time.
"""

import contextlib
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

import httpcore2

from farebox.events.model import Event
from farebox.events.webhooks.model import Answer, Parcel
from farebox.events.webhooks.rules import is_public, signatures
from farebox.events.webhooks.service_deliveries import note_events
from farebox.storage import Database

DEADLINE_S: Final = 20.0
CONNECT_S: Final = 5.0
MOST_ADDRESSES: Final = 3
LARGEST_ANSWER: Final = 64 * 1024
_LONGEST_NUMBER: Final = 9
_JSON: Final = b"application/cloudevents+json; charset=utf-8"
Resolve = Callable[[str, int], Sequence[str]]


class WebhookSender:
    """Notes a delivery for each webhook that wants an event. Sending twice changes nothing."""

    name: Final = "webhooks"

    def __init__(self, database: Database) -> None:
        self._database = database

    def send(self, events: Sequence[Event]) -> None:
        """Note the deliveries of events, durably."""
        self._database.run(lambda tx: note_events(tx, events))


class AddressNotPublic(httpcore2.ConnectError):
    """The name leads to an address that is not on the open internet."""


class NameUnknown(httpcore2.ConnectError):
    """The name leads nowhere."""


class Caller:
    """Makes the calls: one connection each, no redirects, no proxy, one deadline over all of it.

    `private` lets addresses of one's own network through. `resolve` returns a name's addresses.
    """

    def __init__(
        self,
        *,
        private: bool = False,
        resolve: Resolve | None = None,
        deadline_s: float = DEADLINE_S,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._private = private
        self._resolve = resolve or addresses_of
        self._deadline_s = deadline_s
        self._tls = tls or httpcore2.default_ssl_context()

    def call(self, parcel: Parcel) -> Answer:
        """Make one attempt and tell what it met; nothing is raised for what the receiver does."""
        began = time.monotonic()
        deadline = began + self._deadline_s
        try:
            status, retry_after_s = self._post(parcel, deadline)
        except (httpcore2.NetworkError, httpcore2.TimeoutException, OSError) as error:
            return Answer(error=_reason(error), duration_ms=_since(began))
        except (httpcore2.ProtocolError, httpcore2.UnsupportedProtocol, ValueError):
            return Answer(error="answer_malformed", duration_ms=_since(began))
        return Answer(status=status, retry_after_s=retry_after_s, duration_ms=_since(began))

    def _post(self, parcel: Parcel, deadline: float) -> tuple[int, int | None]:
        backend = _CheckedBackend(self._resolve, private=self._private, deadline=deadline)
        # The receiver holds the time against its own clock, so a test clock has no say here.
        now_s = int(time.time())
        headers = [
            (b"content-type", _JSON),
            (b"content-length", str(len(parcel.body)).encode()),
            (b"user-agent", b"Farebox-Webhooks"),
            (b"accept", b"*/*"),
            (b"connection", b"close"),
            (b"webhook-id", parcel.event.encode()),
            (b"webhook-timestamp", str(now_s).encode()),
            (
                b"webhook-signature",
                signatures(parcel.secrets, parcel.event, now_s, parcel.body).encode(),
            ),
        ]
        url = httpcore2.URL(parcel.url)
        headers.insert(0, (b"host", _host_header(url)))
        with (
            httpcore2.ConnectionPool(self._tls, network_backend=backend) as pool,
            pool.stream("POST", url, headers=headers, content=parcel.body) as response,
        ):
            _read_some(response.iter_stream())
            found = dict(response.headers)
            return response.status, _seconds(found.get(b"retry-after", found.get(b"Retry-After")))


def addresses_of(host: str, port: int) -> Sequence[str]:
    """Return the addresses of a name, each once, in the order that the system prefers."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class _CheckedBackend(httpcore2.NetworkBackend):
    """Connects to addresses that were looked at, and to no others."""

    def __init__(self, resolve: Resolve, *, private: bool, deadline: float) -> None:
        self._resolve = resolve
        self._private = private
        self._deadline = deadline
        self._inner = httpcore2.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002 - the deadline holds
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        """Connect to the first address that answers."""
        addresses = self._looked_at(host, port)
        for place, address in enumerate(addresses, 1):
            try:
                stream = self._inner.connect_tcp(
                    address,
                    port,
                    min(CONNECT_S, _left(self._deadline, httpcore2.ConnectTimeout)),
                    local_address,
                    socket_options,
                )
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout):
                if place == len(addresses):
                    raise
            else:
                return _BoundedStream(stream, self._deadline)
        raise NameUnknown(host)

    def _looked_at(self, host: str, port: int) -> Sequence[str]:
        try:
            addresses = self._resolve(host, port)
        except (OSError, UnicodeError) as error:
            raise NameUnknown(host) from error
        if not self._private and not all(is_public(address) for address in addresses):
            raise AddressNotPublic(host)
        return addresses[:MOST_ADDRESSES]


class _BoundedStream(httpcore2.NetworkStream):
    """A stream whose every step ends at one deadline: a byte now and then holds nobody."""

    def __init__(self, stream: httpcore2.NetworkStream, deadline: float) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002 - as above
        return self._stream.read(max_bytes, _left(self._deadline, httpcore2.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002 - as above
        self._stream.write(buffer, _left(self._deadline, httpcore2.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002 - as above
    ) -> httpcore2.NetworkStream:
        try:
            left = _left(self._deadline, httpcore2.ConnectTimeout)
        except httpcore2.ConnectTimeout:
            # Who opened the line forgets it when this fails; what fails in TLS hangs up itself.
            self.close()
            raise
        inner = self._stream.start_tls(ssl_context, server_hostname, left)
        return _BoundedStream(inner, self._deadline)

    def get_extra_info(self, info: str) -> Any:  # noqa: ANN401 - the library's signature
        return self._stream.get_extra_info(info)


def _left(deadline: float, otherwise: type[httpcore2.TimeoutException]) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise otherwise
    return left


def _host_header(url: httpcore2.URL) -> bytes:
    usual = {b"http": 80, b"https": 443}.get(url.scheme)
    host = b"[" + url.host + b"]" if b":" in url.host else url.host
    return host if url.port in {None, usual} else host + b":" + str(url.port).encode()


def _read_some(chunks: Iterator[bytes]) -> None:
    """Read an answer as far as a decent one goes, so that the receiver is not cut off in it."""
    read = 0
    # The status has come: what is wrong with the rest of the answer changes nothing.
    with contextlib.suppress(httpcore2.NetworkError, httpcore2.TimeoutException):
        for chunk in chunks:
            read += len(chunk)
            if read >= LARGEST_ANSWER:
                return


def _seconds(header: bytes | None) -> int | None:
    if header is None or not header.isdigit() or len(header) > _LONGEST_NUMBER:
        return None
    return int(header)


def _reason(error: Exception) -> str:
    """Return the word under which the log keeps an error: never what a stranger wrote."""
    for kind, word in (
        (AddressNotPublic, "address_not_public"),
        (NameUnknown, "name_unknown"),
        (httpcore2.TimeoutException, "timed_out"),
    ):
        if isinstance(error, kind):
            return word
    if isinstance(error, httpcore2.ConnectError):
        cause = error.__cause__ or error.__context__
        return "tls_failed" if isinstance(cause, ssl.SSLError) else "not_connected"
    return "connection_lost"


def _since(began: float) -> int:
    return round((time.monotonic() - began) * 1_000)
