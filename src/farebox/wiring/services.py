"""The access service of one process: its database, ledger lanes, decider, threads."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from farebox.access.catalog.service import ensure_product, fill_search
from farebox.access.consumers.service_tokens import TokenVerifier
from farebox.access.flows.callers import Callers
from farebox.access.flows.decide import Decider
from farebox.access.flows.sign_in import principal_of_token
from farebox.kernel.clock import Clock, SystemClock
from farebox.kernel.refusals import Refusal, SettingsRefused
from farebox.ledger.batch import Lane, Queue
from farebox.ledger.nearby import NearbyLooks
from farebox.ledger.remote import RemoteQueue
from farebox.ledger.running import Runner
from farebox.ledger.service import Ledger
from farebox.notifications.deliveries.service import begin as begin_letters
from farebox.platform import (
    service_operators,
    service_pepper,
    service_secrets,
    service_signing,
    service_test_clock,
)
from farebox.platform.model import Principal
from farebox.storage import Database, migrate, open_database, pending
from farebox.storage.migrations import Step
from farebox.wiring.letters import channels_of, standard_terms
from farebox.wiring.settings import Service, Settings
from farebox.wiring.upkeep import CLOCK, Upkeep

_SHARED: Final = ("ledger", "events", "platform")
COMPONENTS: Final[dict[Service, tuple[str, ...]]] = {
    "access": (*_SHARED, "access"),
    "billing": (*_SHARED, "billing"),
    "notifications": (*_SHARED, "notifications"),
}
ACCMAN: Final = "accman"


class Services:
    """Everything that a process which answers HTTP holds; closed in the reverse order.

    With a `ledger_socket` the ledger is a process of its own, otherwise two threads of this one.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: SystemClock | None = None,
        ledger_socket: Path | None = None,
    ) -> None:
        self.settings = settings
        self.clock = clock or SystemClock()
        self._closing = ExitStack()
        self.database: Database = open_database("access", settings.database_url, self.clock)
        self._closing.callback(self.database.close)
        self.billing = self._beside("billing")
        self.notifications = self._beside("notifications")
        service_test_clock.follow_test_clock(self.database)
        service_pepper.tell_peppers(self.database, settings.pepper, settings.pepper_old)
        with self.database.write() as tx:
            self.pepper = service_secrets.ensure_pepper(tx)
            service_signing.ensure_signing_key(tx)
        self.verifier = TokenVerifier(settings.issuers, self.clock).start()
        self._closing.callback(self.verifier.close)
        self.callers = Callers(self.database, self.pepper, self._principal_of_token)
        lane, looks = self._queues(ledger_socket)
        self.decider = Decider(self.database, lane, looks, self.callers)
        upkeep = Upkeep(
            self.database, self.clock, books=ledger_socket is None, rates=self.decider.rates
        )
        self._closing.callback(upkeep.close)

    def _beside(self, service: Service) -> Database | None:
        """Open the database of a service whose routes are served beside access's."""
        if service not in self.settings.served:
            return None
        database = open_database(service, self.settings.url_of(service), self.clock)
        self._closing.callback(database.close)
        service_test_clock.follow_test_clock(database)
        return database

    def _queues(self, ledger_socket: Path | None) -> tuple[Queue, Queue]:
        if ledger_socket is not None:
            remote = RemoteQueue(ledger_socket)
            self._closing.callback(remote.close)
            if not self.database.reads_at_once:
                return remote, remote.looks
            return remote, NearbyLooks(Runner(self.database, Ledger(), writes=False), remote)
        lane = Lane(self.database, Ledger())
        self._closing.callback(lane.close)
        looks = Lane(self.database, Ledger(), writes=False)
        self._closing.callback(looks.close)
        return lane, looks

    def _principal_of_token(self, token: str) -> Principal | None:
        if not self.settings.issuers:
            return None
        try:
            return principal_of_token(self.database, self.verifier, token)
        except Refusal:
            return None

    def close(self) -> None:
        """Answer what is queued, stop the threads, close the database."""
        self._closing.close()


@contextmanager
def opened(
    settings: Settings, clock: Clock, *, service: Service = "access", migrated: bool = True
) -> Iterator[Database]:
    """Open a service's database for a command, its schema up to date, and close it after.

    Refuses (`settings_invalid`) a database that cannot be reached, read or brought up to date.
    """
    components = COMPONENTS[service]
    with _refusing(service):
        database = open_database(service, settings.url_of(service), clock)
    try:
        with _refusing(service):
            pending(database, components)
            if migrated:
                migrate(database, components)
                service_test_clock.follow_test_clock(database)
                service_pepper.tell_peppers(database, settings.pepper, settings.pepper_old)
                database.run(service_pepper.settle_pepper)
        yield database
    finally:
        database.close()


def opened_served(settings: Settings) -> AbstractContextManager[Database]:
    """Open access's database for a command, or that of the one service that is served."""
    return opened(settings, SystemClock(), service=settings.served[0])


@contextmanager
def _refusing(service: Service) -> Iterator[None]:
    """Turn what stands between us and the database into one line for whoever started us."""
    try:
        yield
    except OSError as error:
        raise SettingsRefused(f"the {service} database cannot be opened: {error}") from error
    except ModuleNotFoundError as error:
        detail = f"the {service} database needs the Python package {error.name}"
        raise SettingsRefused(detail) from error
    except sa.exc.DBAPIError as error:
        detail = " ".join(str(error.orig).split())
        raise SettingsRefused(f"the {service} database cannot be used: {detail}") from error


def migrate_all(settings: Settings) -> list[tuple[Service, Step]]:
    """Bring the schemas of the databases up to date; returns what was done in which."""
    made: list[tuple[Service, Step]] = []
    for service in settings.here:
        with opened(settings, SystemClock(), service=service, migrated=False) as database:
            made += [(service, step) for step in migrate(database, COMPONENTS[service])]
    return made


def prepare(settings: Settings, tell: Callable[[str], None]) -> None:
    """Make everything ready to serve; `tell` gets the first admin's key if one was made.

    The operators are access's, unless another service is served alone: then its database has its
    own. Refuses (`settings_invalid`) channels of letters that cannot be used.
    """
    if "notifications" in settings.served:
        channels_of(settings)
        standard_terms(settings)
    migrate_all(settings)
    for service in settings.served:
        with opened(settings, SystemClock(), service=service) as database, database.write() as tx:
            service_test_clock.settle_test_clock(tx, wanted=settings.test_clock)
            service_secrets.ensure_pepper(tx)
            service_signing.ensure_signing_key(tx)
            first = service == settings.served[0]
            key = service_operators.first_admin(tx, settings.admin_key) if first else None
            if service == "access":
                ensure_product(tx, code=ACCMAN, name="AccMan credit", unit="credit")
                fill_search(tx)
            if service == "notifications":
                begin_letters(tx)
        if key is not None:
            tell(key)


def confirm_clock(settings: Settings) -> None:
    """Tell every process of the services here that its host's clock is right as it is now."""
    for service in settings.served:
        with opened(settings, SystemClock(), service=service) as database, database.write() as tx:
            Ledger().advance_revision(tx, CLOCK)
