"""The access service of one process: its database, ledger lanes, decider, threads."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import sqlalchemy as sa
import structlog

from farebox.access.catalog.service import ensure_product
from farebox.access.consumers.service_tokens import TokenVerifier
from farebox.access.flows.callers import Callers
from farebox.access.flows.decide import Decider
from farebox.access.flows.sign_in import principal_of_token
from farebox.kernel.clock import Clock, SystemClock
from farebox.kernel.refusals import Refusal, SettingsRefused
from farebox.ledger.batch import Lane
from farebox.ledger.service import Ledger
from farebox.ledger.verify import advance_sinks
from farebox.platform import service_operators, service_secrets, service_signing
from farebox.platform.model import Principal
from farebox.storage import Database, migrate, open_database, pending
from farebox.storage.migrations import Step
from farebox.wiring.settings import Settings

COMPONENTS: Final = ("ledger", "events", "platform", "access")
UPKEEP_SECONDS: Final = 1.0
CLOCK: Final = "clock"
ACCMAN: Final = "accman"
_log = structlog.get_logger("farebox")


class Services:
    """Everything a process of the access service holds; closed in the reverse order."""

    def __init__(self, settings: Settings, clock: SystemClock | None = None) -> None:
        self.settings = settings
        self.clock = clock or SystemClock()
        self.database: Database = open_database("access", settings.database_url, self.clock)
        self.ledger = Ledger()
        self.alarms: list[int] = []
        with self.database.write() as tx:
            self.pepper = service_secrets.ensure_pepper(tx)
            service_signing.ensure_signing_key(tx)
        self.verifier = TokenVerifier(settings.issuers, self.clock).start()
        self.lane = Lane(self.database, self.ledger, on_alarm=self._alarm)
        self.looks = Lane(self.database, self.ledger, writes=False)
        self.callers = Callers(self.database, self.pepper, self._principal_of_token)
        self.decider = Decider(self.database, self.lane, self.looks, self.callers)
        with self.database.read() as tx:
            self._clock_confirmed = self.ledger.revision(tx, CLOCK)
        self._stop = threading.Event()
        self._upkeep = threading.Thread(target=self._keep_up, name="upkeep", daemon=True)
        self._upkeep.start()

    def _alarm(self, buckets: Sequence[int]) -> None:
        self.alarms.extend(buckets)

    def _principal_of_token(self, token: str) -> Principal | None:
        if not self.settings.issuers:
            return None
        try:
            return principal_of_token(self.database, self.verifier, token)
        except Refusal:
            return None

    def _keep_up(self) -> None:
        """Checkpoint and move the sinks' snapshots on, apart from whoever is waiting."""
        while not self._stop.wait(UPKEEP_SECONDS):
            for work in (self.database.upkeep, self._watch_clock, self._advance_sinks):
                try:
                    work()
                except Exception:  # noqa: BLE001 - upkeep goes on; the next round tries again
                    _log.warning("upkeep_failed", exc_info=True)

    def _watch_clock(self) -> None:
        """Trust the wall clock again once an operator has confirmed it, on any process."""
        with self.database.read() as tx:
            confirmed = self.ledger.revision(tx, CLOCK)
        if confirmed != self._clock_confirmed:
            self._clock_confirmed = confirmed
            jump = self.clock.confirm()
            _log.warning("clock_confirmed", jump_us=jump)

    def _advance_sinks(self) -> None:
        self.database.run(advance_sinks)

    def close(self) -> None:
        """Answer what is queued, stop the threads, close the database."""
        self._stop.set()
        self._upkeep.join()
        self.lane.close()
        self.looks.close()
        self.verifier.close()
        self.database.close()


@contextmanager
def opened(settings: Settings, clock: Clock, *, migrated: bool = True) -> Iterator[Database]:
    """Open the access database for a command, its schema up to date, and close it after.

    Refuses (`settings_invalid`) a database that cannot be reached, read or brought up to date.
    """
    with _refusing():
        database = open_database("access", settings.database_url, clock)
    try:
        with _refusing():
            pending(database, COMPONENTS)
            if migrated:
                migrate(database, COMPONENTS)
        yield database
    finally:
        database.close()


@contextmanager
def _refusing() -> Iterator[None]:
    """Turn what stands between us and the database into one line for whoever started us."""
    try:
        yield
    except OSError as error:
        raise SettingsRefused(f"the access database cannot be opened: {error}") from error
    except ModuleNotFoundError as error:
        detail = f"the access database needs the Python package {error.name}"
        raise SettingsRefused(detail) from error
    except sa.exc.DBAPIError as error:
        detail = " ".join(str(error.orig).split())
        raise SettingsRefused(f"the access database cannot be used: {detail}") from error


def migrate_all(settings: Settings) -> list[Step]:
    """Bring the schema up to date and return what was done."""
    with opened(settings, SystemClock(), migrated=False) as database:
        return migrate(database, COMPONENTS)


def prepare(settings: Settings, tell: Callable[[str], None]) -> None:
    """Make everything ready to serve; `tell` gets the first admin's key if one was made."""
    with opened(settings, SystemClock()) as database, database.write() as tx:
        service_secrets.ensure_pepper(tx)
        service_signing.ensure_signing_key(tx)
        key = service_operators.first_admin(tx, settings.admin_key)
        ensure_product(tx, code=ACCMAN, name="AccMan credit", unit="credit")
    if key is not None:
        tell(key)


def confirm_clock(settings: Settings) -> None:
    """Tell every process of this database that its host's clock is right as it is now."""
    with opened(settings, SystemClock()) as database, database.write() as tx:
        Ledger().advance_revision(tx, CLOCK)
