"""Letters are kept as long as the settings say: they name people, and what they bought."""

from typing import Final

from farebox.kernel.clock import SECOND_US
from farebox.notifications.deliveries.service import forget_before
from farebox.storage import Database

DAY_US: Final = 86_400 * SECOND_US


class LetterRetention:
    """Forgets letters, with their tries and notices, so many days after they have ended."""

    name: Final = "letter-retention"

    def __init__(self, database: Database, *, days: int) -> None:
        assert days > 0
        self._database = database
        self._days = days

    def step(self) -> int:
        """Forget up to a thousand letters; returns how many."""
        return self._database.run(lambda tx: forget_before(tx, tx.now_us - self._days * DAY_US))
