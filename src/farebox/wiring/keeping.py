"""How long things are kept: from settings to the worker that removes what is older."""

from collections import Counter

from farebox.kernel.clock import SystemClock
from farebox.storage import Database
from farebox.wiring.services import opened
from farebox.wiring.settings import Settings
from farebox.workers.retention import Forgetting


def forgetting(settings: Settings, database: Database) -> Forgetting:
    """Return the worker that forgets as the settings say."""
    return Forgetting(
        database,
        denials_days=settings.keep_denials_days,
        answers_days=settings.keep_answers_days,
        audit_days=settings.keep_audit_days,
    )


def forget_now(settings: Settings) -> dict[str, int]:
    """Forget all that is old enough, and return how many of each kind."""
    forgotten: Counter[str] = Counter()
    for service in settings.served:
        with opened(settings, SystemClock(), service=service) as database:
            worker = forgetting(settings, database)
            while worker.step():
                pass
            forgotten.update(worker.forgotten)
    return dict(forgotten)
