"""For other people's programs: ask Farebox, and charge for the visits of an own web service.

- `Farebox`, `AsyncFarebox`: send calls (`decide`, `capture`, `release`, `tot`, `mod`, `past`).
- `Leases`: decide in your own process, on slices that were reserved beforehand.
- `farebox.edge.asgi.AccManMiddleware`, `farebox.edge.wsgi.AccManMiddleware` with `Charging`: let
  visits through that can pay, charge each once, and tell the balance in the `ACCMAN` header.
"""

from farebox.edge.calls import Call, capture, decide, mod, past, release, tot
from farebox.edge.charging import Charging
from farebox.edge.client import AsyncFarebox, Farebox
from farebox.edge.errors import FareboxError, FareboxUnavailable, Refused
from farebox.edge.leases import Leases, Taken
from farebox.edge.messages import Headers, Request, Response

__all__ = [
    "AsyncFarebox",
    "Call",
    "Charging",
    "Farebox",
    "FareboxError",
    "FareboxUnavailable",
    "Headers",
    "Leases",
    "Refused",
    "Request",
    "Response",
    "Taken",
    "capture",
    "decide",
    "mod",
    "past",
    "release",
    "tot",
]
