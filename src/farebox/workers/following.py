"""Following another service's log, whatever has become of it."""

import structlog

from farebox.events.model import PositionGone
from farebox.events.reader import Reader

_log = structlog.get_logger("farebox.workers")


class Following:
    """A reader that begins anew with a snapshot where the log is no longer kept.

    So a new database, and one that was restored from an old backup, is filled without anybody's
    doing. A snapshot tells copies how things stand; what processes would have done about the events
    that are gone, they have not done, so this is a warning.
    """

    def __init__(self, reader: Reader) -> None:
        self.name = reader.name
        self._reader = reader

    def step(self) -> int:
        """Store the next page, or a snapshot; returns how many events."""
        try:
            return self._reader.step()
        except PositionGone:
            _log.warning("log_is_gone", reader=self.name)
            count = self._reader.restore()
            _log.warning("begun_anew", reader=self.name, events=count)
            return count
