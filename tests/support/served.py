"""A service of Farebox as it is served: its processes, calls to it, and its sudden end."""

import itertools
import signal
from typing import Any, Final

import httpx2

from tests.support.commands import Process, answers, kill_family, line_of, stop, until

ADMIN: Final = "the-admin-of-the-two-services-0123456789"
_calls: Final = itertools.count(1)


class Service:
    """A running service, and calls to it."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.url = line_of(process, r"^Farebox listens on (http\S+)$")[1]
        until(lambda: answers(f"{self.url}/readyz"), process)
        self._client = httpx2.Client(base_url=self.url, trust_env=False, verify=False, timeout=20)

    def post(self, path: str, body: Any = None, *, key: str = ADMIN) -> Any:
        return self._command("POST", path, body, key)

    def put(self, path: str, body: Any = None, *, key: str = ADMIN) -> Any:
        return self._command("PUT", path, body, key)

    def get(self, path: str, *, key: str = ADMIN, **params: Any) -> Any:
        answer = self._client.get(path, params=params, headers={"X-API-Key": key})
        assert answer.is_success, answer.text
        return answer.json()

    def delete(self, path: str) -> None:
        answer = self._client.delete(path, headers={"X-API-Key": ADMIN})
        assert answer.is_success, answer.text

    def kill(self) -> None:
        """End every process of the service at once, as a power cut would."""
        self._client.close()
        kill_family(self.process)

    def end(self) -> None:
        self._client.close()
        assert stop(self.process, signal.SIGTERM)[0] == 0

    def answer(
        self, method: str, path: str, body: Any = None, *, key: str = ADMIN
    ) -> httpx2.Response:
        """Return the response to a command, under an idempotency key of its own."""
        headers = {"X-API-Key": key, "Idempotency-Key": f"call-{next(_calls)}"}
        return self._client.request(method, path, json=body, headers=headers)

    def _command(self, method: str, path: str, body: Any, key: str) -> Any:
        answer = self.answer(method, path, body, key=key)
        assert answer.is_success, answer.text
        return answer.json()
