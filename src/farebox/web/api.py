"""The API as pages use it: as any client would, with the credential of whom they serve.

In one process with the API no connection is made; what stands between is HTTP all the same, so
whatever the API refuses a stranger, a page refuses too.
"""

import logging
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

import httpx2
import msgspec

from farebox.kernel.ids import record_id

_HOST: Final = "http://farebox"
_PATIENCE_S: Final = 30.0


class Problem(Exception):
    """The API's answer was no: its status, code and words, and all that it said besides."""

    def __init__(self, status: int, said: Mapping[str, Any]) -> None:
        self.status = status
        self.said = dict(said)
        self.code = str(said.get("code", "unknown"))
        self.detail = str(said.get("detail") or said.get("title") or "")
        super().__init__(f"{status} {self.code}: {self.detail}")


def one_part(typed: object) -> str:
    """Return what somebody sent as one part of a path: it never leads to another path.

    What cannot be a part (nothing, dots alone) becomes one that no record has.
    """
    text = str(typed)
    return quote(text, safe="") if text.strip(".") else "-"


class Document(msgspec.Struct, frozen=True):
    """A file that the API gave: its media type, its bytes, and how it wants to be named."""

    media_type: str
    content: bytes
    disposition: str | None = None


class Api:
    """A client of the API. `credential` is a consumer's key, or None for what is public."""

    def __init__(self, app: Any) -> None:  # noqa: ANN401 - any ASGI application
        # It tells of every call at the level info; ours are no news, they stay in the process.
        logging.getLogger("httpx2").setLevel(logging.WARNING)
        self._client = httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app=app), base_url=_HOST, timeout=_PATIENCE_S
        )

    async def get(self, path: str, credential: str | None = None, /, **query: object) -> Any:  # noqa: ANN401 - JSON
        """Return what the API answers; raises `Problem`. What is None in the query is left out."""
        return await self._call("GET", path, credential, query=query)

    async def post(
        self,
        path: str,
        credential: str | None,
        body: object = None,
        *,
        key: str | None = None,
        **query: object,
    ) -> Any:  # noqa: ANN401 - JSON
        """Give a command. Without a `key` it gets one of its own: then a repeat is another one."""
        key = key or record_id("web")
        return await self._call("POST", path, credential, body=body, key=key, query=query)

    async def put(self, path: str, credential: str | None, body: object) -> Any:  # noqa: ANN401 - JSON
        """Set something."""
        return await self._call("PUT", path, credential, body=body)

    async def patch(self, path: str, credential: str | None, body: object) -> Any:  # noqa: ANN401 - JSON
        """Change something."""
        return await self._call("PATCH", path, credential, body=body)

    async def delete(self, path: str, credential: str | None) -> Any:  # noqa: ANN401 - JSON
        """Remove something."""
        return await self._call("DELETE", path, credential)

    async def file(self, path: str, credential: str, /, **query: object) -> Document:
        """Return a file; raises `Problem`."""
        answer = await self._send("GET", path, credential, query=query)
        return Document(
            answer.headers.get("content-type", "application/octet-stream"),
            answer.content,
            answer.headers.get("content-disposition"),
        )

    async def _call(
        self,
        method: str,
        path: str,
        credential: str | None,
        *,
        body: object = None,
        key: str | None = None,
        query: Mapping[str, object] | None = None,
    ) -> Any:  # noqa: ANN401 - JSON
        answer = await self._send(method, path, credential, body=body, key=key, query=query)
        return msgspec.json.decode(answer.content) if answer.content else None

    async def _send(
        self,
        method: str,
        path: str,
        credential: str | None,
        *,
        body: object = None,
        key: str | None = None,
        query: Mapping[str, object] | None = None,
    ) -> httpx2.Response:
        headers = {"accept": "application/json"}
        if credential is not None:
            headers["authorization"] = f"Bearer {credential}"
        if key is not None:
            # A forged form's key may have letters that no header can carry.
            headers["idempotency-key"] = quote(key, safe="/:~")
        content = None
        if body is not None:
            headers["content-type"] = "application/json"
            content = msgspec.json.encode(body)
        given = {name: str(value) for name, value in (query or {}).items() if value is not None}
        answer = await self._client.request(
            method, quote(path), params=given or None, content=content, headers=headers
        )
        if answer.is_success:
            return answer
        try:
            said = msgspec.json.decode(answer.content, type=dict[str, Any])
        except msgspec.MsgspecError:
            said = {}
        raise Problem(answer.status_code, said)
