"""One keep-alive HTTP/1.1 connection with at most one request under way."""

import random
import socket

from bench.load.requests import KEY_MARK, RequestSet
from bench.model import Wrong


class Connection:
    """Sends prepared requests and knows when the answer is whole."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received = b""

    def send(self, raw: bytes) -> None:
        """Send one request; it is far smaller than any socket buffer, so it goes at once."""
        self.socket.sendall(raw)

    def receive(self) -> bytes | None:
        """Read what is there; return the answer when it is whole, else None."""
        part = self.socket.recv(65536)
        if not part:
            raise ConnectionError("the server closed the connection")
        self._received += part
        if not _whole(self._received):
            return None
        answer, self._received = self._received, b""
        return answer

    def close(self) -> None:
        """Close the connection."""
        self.socket.close()


def ask_each(requests: RequestSet, *, port: int) -> None:
    """Send each request once: the server has seen then everybody whom it will be asked about."""
    connection = Connection(port)
    for raw in requests.requests:
        connection.send(with_key(raw))
        while (answer := connection.receive()) is None:
            pass
        if requests.expected not in answer:
            raise Wrong(f"a wrong answer at first sight: {answer[:300]!r}")
    connection.close()


def with_key(raw: bytes) -> bytes:
    """Put a new random key where the request has the mark."""
    return raw.replace(KEY_MARK, b"%032x" % random.getrandbits(128)) if KEY_MARK in raw else raw


def _whole(received: bytes) -> bool:
    end = received.find(b"\r\n\r\n")
    if end < 0:
        return False
    head = received[:end].lower()
    at = head.find(b"content-length:")
    if at < 0:
        raise ConnectionError("an answer without a content length cannot be measured")
    length = int(head[at + 15 :].split(b"\r\n", 1)[0])
    return len(received) >= end + 4 + length
