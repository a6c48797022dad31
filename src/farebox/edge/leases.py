"""Decisions in one's own process, on slices of balances that were reserved beforehand.

    with Leases(farebox, product="calls", slice_=1_000) as leases:
        if leases.take(consumer="con_1").allowed:
            ...

A slice is a hold: whoever else asks finds that much less, so edges together cannot overspend. What
was taken from it is captured when it is used up, when it ends, or on `close`; the rest goes back.

What that costs: a slice counts as used for everybody else until it is settled. A suspension is
heard when the slice ends, so `ttl_seconds` is how long it can be passed by, and the slice by how
much. A process that dies captures its whole slices when they expire (`on_crash="release"` gives
them back instead, what was taken included).
"""

import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Final, Self

import msgspec

from farebox.contracts.decisions import (
    CaptureRequest,
    DecideRequest,
    Decision,
    OnExpiry,
    ReleaseRequest,
)
from farebox.edge.calls import capture, decide, release
from farebox.edge.client import Farebox
from farebox.edge.errors import FareboxUnavailable, Refused

REFILL_AT: Final = 0.25
"""Of a slice; with less left the next one is fetched beside the takes."""
SENDERS: Final = 4


class Taken(msgspec.Struct, frozen=True):
    """What became of a take: `left` is what this process may still give without asking."""

    allowed: bool
    code: str
    left: int


class _Slice:
    """A hold of ours, and how much of it was taken. `ends` is on the local clock."""

    __slots__ = ("ends", "granted", "hold", "spent")

    def __init__(self, hold: str, granted: int, ends: float) -> None:
        self.hold = hold
        self.granted = granted
        self.spent = 0
        self.ends = ends


class _Purse:
    """The slices of one consumer; `lock` is held for a few instructions, never over a call."""

    __slots__ = ("asking", "closed_code", "closed_until", "dropped", "lock", "slices", "under_way")

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.asking = threading.Lock()
        self.slices: list[_Slice] = []
        self.under_way = False
        self.dropped = False
        self.closed_until = 0.0
        self.closed_code = ""


class Leases:
    """Takes from slices, fetches and settles them; safe to share between threads.

    `slice_` is how much is reserved at once, at most `ttl_seconds` long (2 or more). After a
    denial Farebox is not asked again for `deny_seconds`.
    """

    def __init__(
        self,
        farebox: Farebox,
        *,
        product: str,
        slice_: int = 1_000,
        ttl_seconds: int = 60,
        deny_seconds: float = 1.0,
        on_crash: OnExpiry = "capture",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if slice_ < 1 or ttl_seconds < 2:  # noqa: PLR2004 - as the docstring says
            raise ValueError("a slice is at least 1, and lasts at least 2 seconds")
        self._farebox = farebox
        self._product = product
        self._slice = slice_
        self._ttl = ttl_seconds
        # Settled before Farebox would end it, with time for a lost answer or two.
        self._usable = ttl_seconds - min(5.0, ttl_seconds / 4)
        self._deny = deny_seconds
        self._on_crash: OnExpiry = on_crash
        self._clock = clock
        self._purses: dict[tuple[str | None, str | None, str | None], _Purse] = {}
        self._unsettled: list[_Slice] = []
        self._guard = threading.Lock()
        self._senders = ThreadPoolExecutor(SENDERS, thread_name_prefix="leases")
        self._stop = threading.Event()
        self._sweeper = threading.Thread(target=self._sweep_on, name="leases", daemon=True)
        self._sweeper.start()

    def take(
        self,
        quantity: int = 1,
        *,
        consumer: str | None = None,
        credential: str | None = None,
        group: str | None = None,
    ) -> Taken:
        """Take an amount, asking Farebox for a slice where none is there; all or nothing.

        Raises `FareboxUnavailable` when it is needed and does not answer, `Refused` for what it
        refuses.
        """
        taken = self.take_now(quantity, consumer=consumer, credential=credential, group=group)
        if taken is not None:
            return taken
        who = (consumer, credential, group)
        while True:
            with self._guard:
                purse = self._purses.setdefault(who, _Purse())
            with purse.asking:
                if purse.dropped:
                    continue
                # Whoever was asking before us may have brought enough.
                taken = self.take_now(
                    quantity, consumer=consumer, credential=credential, group=group
                )
                if taken is None:
                    self._fetch(who, purse, quantity)
                    taken = self.take_now(
                        quantity, consumer=consumer, credential=credential, group=group
                    )
            return Taken(False, purse.closed_code or "bucket_empty", 0) if taken is None else taken

    def take_now(
        self,
        quantity: int = 1,
        *,
        consumer: str | None = None,
        credential: str | None = None,
        group: str | None = None,
    ) -> Taken | None:
        """Take from the slices that are here, without waiting; None where `take` would ask."""
        who = (consumer, credential, group)
        purse = self._purses.get(who)
        if purse is None:
            return None
        if quantity < 1:
            raise ValueError("a quantity is at least 1")
        now = self._clock()
        with purse.lock:
            slices = purse.slices
            for one in slices:
                left = one.granted - one.spent - quantity
                if left >= 0 and now < one.ends:
                    one.spent += quantity
                    break
            else:
                if now < purse.closed_until:
                    return Taken(False, purse.closed_code, 0)
                return None
            refill = left <= one.granted * REFILL_AT and self._runs_low(purse, now)
            purse.under_way = purse.under_way or refill
        if refill:
            self._senders.submit(self._refill, who, purse)
        return Taken(True, "allowed", left)

    def close(self) -> None:
        """Settle every slice, waiting for it; what cannot be settled ends by itself."""
        self._stop.set()
        self._sweeper.join()
        self._senders.shutdown(wait=True)
        self._sweep(everything=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _runs_low(self, purse: _Purse, now: float) -> bool:
        """Tell whether the next slice should be fetched: nobody does, and little is left."""
        if purse.under_way or now < purse.closed_until:
            return False
        room = sum(one.granted - one.spent for one in purse.slices if now < one.ends)
        return room <= self._slice * REFILL_AT

    # -- fetching and settling -------------------------------------------------------------------

    def _refill(self, who: tuple[str | None, str | None, str | None], purse: _Purse) -> None:
        try:
            with purse.asking:
                self._fetch(who, purse, 1)
        except (FareboxUnavailable, Refused):
            pass  # Nobody waits for it: whoever needs a slice next asks, and is told.
        finally:
            with purse.lock:
                purse.under_way = False

    def _fetch(
        self, who: tuple[str | None, str | None, str | None], purse: _Purse, least: int
    ) -> None:
        """Reserve a slice of at least so much, or learn that there is none."""
        consumer, credential, group = who
        asked = self._clock()
        ask = DecideRequest(
            mode="reserve",
            product=self._product,
            quantity=max(self._slice, least),
            consumer=consumer,
            credential=credential,
            group=group,
            at_most=True,
            ttl_seconds=self._ttl,
            on_expiry=self._on_crash,
        )
        # Under a key, so that an answer that got lost does not leave a hold that nobody knows.
        made: Decision = self._farebox.send(decide(ask, key=f"lease:{uuid.uuid4().hex}"))
        granted = made.quantity or 0
        with purse.lock:
            if made.hold is not None and granted >= least:
                purse.slices.append(_Slice(made.hold, granted, asked + self._usable))
                purse.closed_code, purse.closed_until = "", 0.0
                return
            purse.closed_code = "bucket_empty" if made.allowed else made.code
            purse.closed_until = self._clock() + self._deny
        if made.hold is not None:
            self._settle(_Slice(made.hold, granted, asked))

    def _sweep_on(self) -> None:
        while not self._stop.wait(min(0.25, self._ttl / 8)):
            self._sweep()

    def _sweep(self, *, everything: bool = False) -> None:
        """Settle what is used up or has ended; what could not be settled is tried again."""
        now = self._clock()
        with self._guard:
            ended, self._unsettled = self._unsettled, []
            for who, purse in list(self._purses.items()):
                with purse.lock:
                    kept = [
                        one
                        for one in purse.slices
                        if not everything and now < one.ends and one.spent < one.granted
                    ]
                    ended += [one for one in purse.slices if one not in kept]
                    purse.slices = kept
                    idle = not kept and now >= purse.closed_until
                # Who is asking keeps the purse: what they bring must be found in it.
                if idle and purse.asking.acquire(blocking=False):
                    purse.dropped = True
                    del self._purses[who]
                    purse.asking.release()
        for one in ended:
            self._settle(one)

    def _settle(self, one: _Slice) -> None:
        try:
            if one.spent:
                self._farebox.send(capture(CaptureRequest(hold=one.hold, quantity=one.spent)))
            else:
                self._farebox.send(release(ReleaseRequest(hold=one.hold)))
        except FareboxUnavailable:
            with self._guard:
                self._unsettled.append(one)
        except Refused:
            # It has ended meanwhile, as `on_crash` says.
            return
