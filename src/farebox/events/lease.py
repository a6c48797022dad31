"""One process at a time: a lease that a process holds, renews and loses."""

import os
import secrets
import threading
import time
from typing import Final

from farebox.events.service_leases import (
    LONGEST_TTL_US,
    confirm_lease,
    give_up_lease,
    is_settled,
    take_lease,
)
from farebox.kernel.clock import SECOND_US
from farebox.storage import Database, Tx

TTL_US: Final = 10 * SECOND_US


class Lease:
    """A named work in a database that one process at a time may do.

    `take` asks the database; `is_held` is this process's own view and never outlasts the row, by a
    clock that no one can set. What must not be written twice is written with `confirm`.
    """

    def __init__(
        self, database: Database, name: str, *, ttl_us: int = TTL_US, holder: str | None = None
    ) -> None:
        assert 0 < ttl_us <= LONGEST_TTL_US
        self.name = name
        self.ttl_us = ttl_us
        self.holder = holder or f"{os.uname().nodename}/{os.getpid()}/{secrets.token_hex(4)}"
        self._database = database
        self._lock = threading.Lock()
        self._held_until_ns = 0

    @property
    def is_held(self) -> bool:
        """Tell whether this process may do the work now."""
        return time.monotonic_ns() < self._held_until_ns

    def take(self) -> bool:
        """Take or renew the lease; tells whether it is ours."""
        with self._lock:
            with self._database.read() as tx:
                settled = is_settled(tx, self.name, self.holder, self.ttl_us)
            if settled is not None and settled is self.is_held:
                return settled
            # The time is taken before the database is asked, so our view ends first.
            asked_ns = time.monotonic_ns()
            ours = self._database.run(
                lambda tx: take_lease(tx, self.name, self.holder, self.ttl_us)
            )
            self._held_until_ns = asked_ns + self.ttl_us * 1000 if ours else 0
            return ours

    def confirm(self, tx: Tx) -> None:
        """Make sure, in the transaction of a work, that it is ours; refuses (`lease_lost`)."""
        confirm_lease(tx, self.name, self.holder)

    def give_up(self) -> None:
        """Let another process take over at once."""
        with self._lock:
            self._held_until_ns = 0
            self._database.run(lambda tx: give_up_lease(tx, self.name, self.holder))
