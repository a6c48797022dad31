"""Reminders that fall due, told by whichever process looks."""

from typing import Final

from farebox.access.rentals.service_reminders import next_due, tell_due
from farebox.storage import Database

AT_ONCE: Final = 100


class RentalReminders:
    """Tells of rentals that end soon, each once, however many work on one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def step(self) -> int:
        """Tell what is due, up to 100 at a time; returns how many rows were dealt with."""
        # Looked at first: a writing transaction would make every other writer wait its turn.
        with self._database.read() as tx:
            due = next_due(tx)
            if due is None or due > tx.now_us:
                return 0
        return self._database.run(lambda tx: tell_due(tx, limit=AT_ONCE))
