"""Notifications as it is, with a real mail server and a real gateway for short messages.

Events are given to its inbox as a log would give them; nothing else is played.
"""

import itertools
import json
import threading
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from farebox.events.inbox import Inbox
from farebox.events.model import SPEC_VERSION, Event, source_of
from farebox.kernel.clock import SECOND_US, ManualClock, parse_time, show_time
from farebox.notifications.channels.gateways.mail import Mail, MailTerms
from farebox.notifications.channels.gateways.phone import Phone
from farebox.notifications.channels.model import Documents
from farebox.notifications.channels.service import Gateways
from farebox.notifications.deliveries.model import LetterLog, Notice
from farebox.notifications.deliveries.service import choose, list_letters
from farebox.notifications.deliveries.service_notices import list_notices
from farebox.notifications.flows.handlers import COPIES, HANDLERS
from farebox.notifications.flows.send_letters import Letters
from farebox.notifications.letters.model import Terms
from farebox.notifications.preferences.model import Preference
from farebox.storage import Database
from tests.support.ports import free_port
from tests.support.services import ADA, run

NOON: Final = parse_time("2026-11-20T12:00:00+03:00")
EVENING: Final = "2026-11-20T17:00:00.000000Z"
NEXT_EVENING: Final = "2026-11-21T17:00:00.000000Z"
HOUR_US: Final = 3_600 * SECOND_US
STANDARD: Final = Terms(locale="en", zone="UTC")
SENDER: Final = "Шанс-видео <letters@shop.example>"
_numbers: Final = itertools.count(1)


class MailServer:
    """An SMTP server that keeps what it takes. `refusing` is what it says instead of taking."""

    def __init__(self) -> None:
        self.taken: list[EmailMessage] = []
        self.refusing: str | None = None
        self.port = free_port()
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port, ready_timeout=60)
        self._controller.start()

    async def handle_RCPT(  # noqa: N802 - the server's own name for it
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.refusing is not None:
            return self.refusing
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802 - as above
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        assert isinstance(envelope.content, bytes)
        found = message_from_bytes(envelope.content, policy=default)
        assert isinstance(found, EmailMessage)
        assert envelope.rcpt_tos == [found["To"].addresses[0].addr_spec]
        self.taken.append(found)
        return "250 taken"

    @property
    def gateway(self) -> Mail:
        """Return the way to this server."""
        terms = MailTerms(
            host="127.0.0.1", port=self.port, sender=SENDER, security="none", timeout_s=60
        )
        return Mail(terms)

    def to(self, address: str) -> list[EmailMessage]:
        """Return what somebody has got."""
        return [one for one in self.taken if address in one["To"]]

    def close(self) -> None:
        self._controller.stop()


class SmsServer:
    """A gateway for short messages, as Apprise's `json://` speaks to one."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, str]] = []
        self.asked = 0
        self.failing = 0
        ours = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                ours.asked += 1
                if ours.failing > 0:
                    ours.failing -= 1
                    self.send_response(503)
                else:
                    ours.taken.append((self.path.strip("/"), body["message"]))
                    self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"json://127.0.0.1:{self._server.server_port}/{{phone}}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def gateway(self) -> Phone:
        """Return the way to this gateway."""
        return Phone(self.url)

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def event(service: str, type_: str, subject: str, data: dict[str, Any], at_us: int) -> Event:
    """Return an event as a service's log gives it; each is a later one of its subject."""
    number = next(_numbers)
    return Event(
        specversion=SPEC_VERSION,
        id=f"evt_{number}",
        source=source_of(service),
        type=type_,
        subject=subject,
        time=show_time(at_us),
        datacontenttype="application/json",
        subjectversion=number,
        data=data,
    )


class Office:
    """The notification service of a test: its inbox, its worker, and how time goes on."""

    def __init__(
        self,
        database: Database,
        clock: ManualClock,
        gateways: Gateways,
        *,
        documents: Documents | None = None,
    ) -> None:
        self.database, self.clock = database, clock
        self.inbox = Inbox(database, HANDLERS, copies=COPIES)
        self.worker = self.another(gateways, documents)

    def another(self, gateways: Gateways, documents: Documents | None = None) -> Letters:
        """Return another worker on the same database, as another process would have it."""
        return Letters(self.database, gateways, standard=STANDARD, documents=documents)

    def hear(self, *events: Event) -> None:
        """Let events come in and be acted on; none may fail."""
        assert self.inbox.take(events) == ()
        while self.inbox.step():
            pass
        with self.database.read() as tx:
            rows = tx.connection.exec_driver_sql("SELECT state, error FROM inbox").all()
        assert {row[0] for row in rows} <= {"applied", "passed"}, rows

    def tell(self, service: str, type_: str, subject: str, **data: Any) -> Event:
        """Let a service tell something, and what follows be queued."""
        made = event(service, type_, subject, data, self.clock.now_us())
        self.hear(made)
        return made

    def work(self) -> None:
        """Send all that is due now."""
        while self.worker.step():
            self.worker.settle()

    def later(self, us: int) -> None:
        """Let time pass, and send what falls due."""
        self.clock.move(us)
        self.work()

    def letters(self, recipient: str | None = None) -> list[LetterLog]:
        """Return letters, oldest first, with what became of them."""
        return list(run(self.database, list_letters, recipient=recipient).items)[::-1]

    def notices(self, recipient: str) -> list[Notice]:
        """Return somebody's inbox, oldest first."""
        return list(run(self.database, list_notices, recipient).items)[::-1]

    def choose(self, recipient: str, **chosen: Any) -> None:
        """Let somebody choose how they are told."""
        run(self.database, choose, ADA, Preference(recipient=recipient, **chosen))

    def close(self) -> None:
        self.worker.close()

    # -- people and things ----------------------------------------------------------------------

    def person(self, id_: str, name: str, **metadata: Any) -> str:
        """Let access tell of a consumer."""
        self.tell(
            "access", "consumer.updated", id_,
            consumerId=id_, name=name, owner=None, metadata=metadata,
        )  # fmt: skip
        return id_

    def anna(self) -> str:
        """Return Anna: Russian, Moscow, mail."""
        return self.person(
            "con_anna", "Анна", email="anna@example.org", phone="+79161234567",
            locale="ru", zone="Europe/Moscow",
        )  # fmt: skip

    def boris(self) -> str:
        """Return Boris: English, Vladivostok, mail."""
        return self.person(
            "con_boris", "Boris", email="boris@example.org", locale="en", zone="Asia/Vladivostok"
        )

    def mauser(self) -> str:
        """Let access tell of the premiere."""
        title = {"ru": "Маузер", "en": "Mauser"}
        self.tell("access", "item.created", "item:mauser", itemId="mauser", title=title)
        return "mauser"

    def bought(
        self, who: str, order: str = "ord_1", *, titles: tuple[str, ...] = ("Маузер",)
    ) -> Event:
        """Let billing tell of an order that was fulfilled: rentals for a day from the evening."""
        lines = [
            {
                "lineId": f"orl_{number}", "title": {"ru": title}, "gross": 36_000,
                "state": "granted", "itemId": title, "offer": "online", "periodHours": 24,
                "startsAt": EVENING,
            }
            for number, title in enumerate(titles)
        ]  # fmt: skip
        return self.tell(
            "billing", "order.fulfilled", order,
            orderId=order, consumerId=who, currency="RUB", total=36_000 * len(titles),
            discount=9_000, reason=None, lines=lines,
        )  # fmt: skip

    def rental(self, who: str, what: str = "created", *, version: int = 1, **facts: Any) -> Event:
        """Let access tell of Anna's rental of the premiere."""
        told = {
            "rentalId": "rnt_1", "orderId": "ord_1", "itemId": "mauser", "offer": "online",
            "consumerId": who, "startsAt": EVENING, "endsAt": NEXT_EVENING, "periodHours": 24,
            "version": version, "revokedAt": None, **facts,
        }  # fmt: skip
        return self.tell("access", f"rental.{what}", "rnt_1", **told)

    def expiring(self, who: str, *, version: int = 1, ends: str = NEXT_EVENING) -> Event:
        """Let access tell that the rental ends soon."""
        return self.tell(
            "access", "entitlement.expiring", "ent_1",
            entitlementId="ent_1", rentalId="rnt_1", consumerId=who, itemId="mauser",
            offer="online", endsAt=ends, version=version,
        )  # fmt: skip


def text_of(letter: EmailMessage) -> str:
    """Return the plain text of a letter, with plain spaces."""
    body = letter.get_body(("plain",))
    assert body is not None
    return plain(str(body.get_content()))


def plain(text: str) -> str:
    """Return a text with plain spaces in the place of no-break ones."""
    return text.replace("\N{NO-BREAK SPACE}", " ").replace("\N{NARROW NO-BREAK SPACE}", " ")
