"""A Farebox for the stories about charged visits, and faults on the way to it."""

import asyncio
import uuid
from collections import Counter, deque

import httpx2

from farebox.edge import AsyncFarebox, Farebox, mod, past, tot

CAPTURE = "/v1/access/capture"
RELEASE = "/v1/access/release"
DECIDE = "/v1/access/decide"


class Way:
    """The way to Farebox, on which what is planned gets lost.

    `lose[path] = 2` loses the next two answers after they took effect, `block[path]` lets the next
    calls not arrive, `fail[path]` answers 503 in Farebox's place. `hold_back[path]` is an event
    that the answers wait for. `sent[path]` counts.
    """

    def __init__(self):
        self.lose: Counter[str] = Counter()
        self.block: Counter[str] = Counter()
        self.fail: Counter[str] = Counter()
        self.hold_back: dict[str, asyncio.Event] = {}
        self.sent: Counter[str] = Counter()

    def before(self, request):
        path = request.url.path
        self.sent[path] += 1
        if self.block[path]:
            self.block[path] -= 1
            raise httpx2.ConnectError("planned", request=request)
        if self.fail[path]:
            self.fail[path] -= 1
            return httpx2.Response(503, json={"code": "bucket_fault", "title": "planned"})
        return None

    def after(self, request):
        path = request.url.path
        if self.lose[path]:
            self.lose[path] -= 1
            raise httpx2.ReadTimeout("planned", request=request)


class Carrier(httpx2.BaseTransport):
    """Carries calls along a `Way`, from a thread."""

    def __init__(self, way, inner):
        self._way = way
        self._inner = inner

    def handle_request(self, request):
        response = self._way.before(request) or self._inner.handle_request(request)
        response.read()
        self._way.after(request)
        return response

    def close(self):
        self._inner.close()


class AsyncCarrier(httpx2.AsyncBaseTransport):
    """Carries calls along a `Way`, on a loop."""

    def __init__(self, way, inner):
        self._way = way
        self._inner = inner

    async def handle_async_request(self, request):
        response = self._way.before(request)
        if response is None:
            response = await self._inner.handle_async_request(request)
        await response.aread()
        if request.url.path in self._way.hold_back:
            await self._way.hold_back[request.url.path].wait()
        self._way.after(request)
        return response

    async def aclose(self):
        await self._inner.aclose()


class Stage:
    """A Farebox of any kind, and an observer who sees it without faults."""

    def __init__(self, *, url, key, move_clock, transport=None):
        self.url = url
        self.key = key
        self.move_clock = move_clock
        self.way = Way()
        self.pauses: list[float] = []
        self.unique = uuid.uuid4().hex[:8]
        self._transport = transport
        # There is no TLS here; loading the authorities' certificates for each client is slow.
        plain = transport or httpx2.HTTPTransport(verify=False)
        self._observer = Farebox(url, key=key, transport=plain)

    def close(self):
        self._observer.close()

    def farebox(self):
        carrier = Carrier(self.way, self._transport or httpx2.HTTPTransport(verify=False))
        return Farebox(self.url, key=self.key, transport=carrier, sleep=self.pauses.append)

    def async_farebox(self):
        carrier = AsyncCarrier(self.way, self._transport or httpx2.AsyncHTTPTransport(verify=False))
        return AsyncFarebox(self.url, key=self.key, transport=carrier, sleep=self._sleep)

    async def _sleep(self, seconds):
        self.pauses.append(seconds)

    def open(self, amount, credential=None):
        credential = credential or f"cred-{uuid.uuid4()}"
        self._observer.send(mod(credential, by=amount))
        return credential

    def tot(self, credential):
        return self._observer.send(tot(credential)).tot

    def charges(self, credential):
        """What was taken, oldest first.

        The history tells of changes of what is available: a visit is a hold, and the part of it
        that came back. Holds end in the order in which they were made, as far as it matters here.
        """
        held: deque[int] = deque()
        taken = []
        for entry in reversed(self._observer.send(past(credential, limit=1_000)).past):
            if entry.kind == "hold" and entry.by:
                held.append(-entry.by)
            elif entry.kind in {"capture", "release", "expire"}:
                taken.append(held.popleft() - entry.by)
            elif entry.by < 0:
                taken.append(-entry.by)
        return [amount for amount in taken if amount]
