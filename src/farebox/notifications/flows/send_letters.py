"""The sending worker: settles new letters, and sends what is due, a few at a time."""

import threading
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from hashlib import sha256
from typing import Final, Literal

import structlog

from farebox.notifications.channels.model import (
    DocumentAway,
    Documents,
    File,
    NotSent,
    Parcel,
    Sent,
)
from farebox.notifications.channels.service import Gateways
from farebox.notifications.deliveries.model import Claimed
from farebox.notifications.deliveries.service_sending import anything_due, claim, note, settle
from farebox.notifications.letters.model import Channel, Terms
from farebox.notifications.letters.model_facts import Document
from farebox.notifications.letters.service import write
from farebox.storage import Database

AT_ONCE: Final = 4
PATIENCE_S: Final = 1.0
_PDF: Final = "application/pdf"
_log: Final = structlog.get_logger("farebox.letters")


class Letters:
    """Sends letters over the channels that are set up. Several may work on one database at once.

    `standard` is the language and zone of whom nobody has named any. Without `documents` an
    invoice's letter carries no file.
    """

    name: Final = "letters"

    def __init__(
        self,
        database: Database,
        gateways: Gateways,
        *,
        standard: Terms,
        documents: Documents | None = None,
        at_once: int = AT_ONCE,
    ) -> None:
        self._database = database
        self._gateways = gateways
        self._standard = standard
        self._documents = documents
        self._at_once = at_once
        self._busy: set[str] = set()
        self._turn = threading.Lock()
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix="letters")
        self._under_way: set[Future[None]] = set()

    def step(self) -> int:
        """Settle what is new and begin to send what is due, as far as threads are free."""
        # Looked at first: a writing transaction would make every other writer wait its turn.
        with self._database.read() as tx:
            if not anything_due(tx):
                return 0
        settled = self._database.run(lambda tx: settle(tx, self._standard))
        with self._turn:
            busy = set(self._busy)
        free = self._at_once - len(busy)
        if free <= 0:
            # This thread has nothing else to do, and the next letter goes as soon as one has gone.
            wait(set(self._under_way), timeout=PATIENCE_S, return_when=FIRST_COMPLETED)
            return 1
        found = self._database.run(lambda tx: claim(tx, self._channels, most=free, busy=busy))
        for each in found:
            if each is None:
                continue
            with self._turn:
                self._busy.add(each.letter.id)
            sending = self._threads.submit(self._send, each)
            self._under_way.add(sending)
            sending.add_done_callback(self._under_way.discard)
        return settled + len(found)

    def settle(self) -> None:
        """Wait until the tries under way are noted."""
        wait(set(self._under_way))

    def close(self) -> None:
        """Let the tries under way end, and stop the threads."""
        self._threads.shutdown(wait=True)

    @property
    def _channels(self) -> frozenset[Channel]:
        return frozenset(self._gateways)

    def _send(self, mine: Claimed) -> None:
        try:
            outcome = self._hand_over(mine)
            self._database.run(lambda tx: note(tx, mine, outcome, self._channels))
        except Exception:  # noqa: BLE001 - it is due again when its claim ends
            _log.warning("letter_try_failed", letter=mine.letter.id, exc_info=True)
        finally:
            with self._turn:
                self._busy.discard(mine.letter.id)

    def _hand_over(self, mine: Claimed) -> Sent | NotSent:
        letter, terms = mine.letter, mine.letter.terms
        assert terms is not None, "a letter is settled before it is sent"
        try:
            files = self._files(mine)
        except DocumentAway as error:
            return NotSent(error=f"the document cannot be fetched: {error}")
        now = self._database.now_us()
        written = write(letter.kind, mine.channel, letter.facts, terms, now)
        parcel = Parcel(
            number=f"{letter.id}.{letter.round}",
            address=mine.address,
            name=mine.name,
            language=terms.locale,
            written=written,
            files=files,
        )
        return self._gateways[mine.channel].send(parcel)

    def _files(self, mine: Claimed) -> tuple[File, ...]:
        facts = mine.letter.facts
        if not isinstance(facts, Document) or facts.digest is None or mine.channel != "mail":
            return ()
        if self._documents is None:
            return ()
        kind: Literal["invoice", "credit_note"] = (
            "invoice" if facts.document == facts.invoice else "credit_note"
        )
        content = self._documents.fetch(kind, facts.document)
        if sha256(content).hexdigest() != facts.digest:
            raise DocumentAway("what came is not what was announced")
        return (File(name=f"{facts.number}.pdf", media=_PDF, content=content),)
