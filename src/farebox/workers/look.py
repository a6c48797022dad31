"""One cheap look at a database in the place of everybody's own.

Workers are woken by a bell that only this process rings. What others commit has to be looked for,
ten times a second, and if each worker did that by itself, a process in which nothing happens would
keep a processor busy that decisions need. So one looks and rings the bell for all.
"""

from typing import Final

import sqlalchemy as sa

from farebox.events.bell import BELL
from farebox.events.service import parts_of_end
from farebox.events.service_inbox import first_due
from farebox.events.service_positions import next_try
from farebox.events.webhooks import service_deliveries as webhooks
from farebox.storage import Database, Tx

NEVER_US: Final = 1 << 62


class Look:
    """Rings the bell when there is something to do for those who send, read, apply or deliver.

    That is: the log has a new end, an event of the inbox or a delivery of a webhook is due, or the
    pause of a sender is over. `log_only` looks at the log's end alone: another service's.
    """

    def __init__(self, database: Database, *, log_only: bool = False) -> None:
        self.name = f"look:{database.name}"
        self._database = database
        self._log_only = log_only
        self._mark: object | None = None
        self._end: tuple[int | None, ...] | None = None
        self._due_us = NEVER_US
        self._pause_us = NEVER_US
        self._later_us = 0
        self._asked: sa.Executable | None = None

    def step(self) -> int:
        """Ring the bell if there is news; returns 0, for it has nothing more to do at once."""
        mark = self._database.mark()
        now_us = self._database.clock.now_us() + self._later_us
        # Nobody has written since, so there is what there was, and it was not due.
        if mark is not None and mark == self._mark and now_us < self._due_us:
            return 0
        with self._database.glance() as tx:
            is_news = self._look(tx)
        self._mark = mark
        if is_news:
            BELL.ring()
        return 0

    def _look(self, tx: Tx) -> bool:
        # Before anything is asked: what a test clock or a server's clock is ahead of ours.
        now_us = tx.now_us
        self._later_us = now_us - self._database.clock.now_us()
        if self._asked is None:
            self._asked = self._statement(tx)
        row = tx.run(self._asked, {"now_us": now_us}).one()
        asked: list[int | None] = list(row[2:])
        end, dues, over_us = row[:2], [_at(due) for due in asked], self._pause_us
        # What is due stays so until it is dealt with; a pause that is over is not found again.
        self._due_us = min(dues, default=NEVER_US)
        self._pause_us = NEVER_US if self._log_only else dues[-1]
        is_news = end != self._end or min(self._due_us, over_us) <= now_us
        self._end = end
        return is_news

    def _statement(self, tx: Tx) -> sa.Executable:
        """Return the one statement that is asked. Building it costs more than asking it."""
        end = parts_of_end(tx)
        if self._log_only:
            return sa.select(*end)
        # The pause of a sender that nobody asks for any more is noted for ever: it rings once.
        pause = next_try(sa.bindparam("now_us", type_=sa.BigInteger))
        return sa.select(*end, first_due(), webhooks.first_due(), pause)


def _at(due_us: int | None) -> int:
    return NEVER_US if due_us is None else due_us
