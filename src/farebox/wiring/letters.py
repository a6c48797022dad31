"""From settings to the worker that sends letters: channels, and the door to invoices' files."""

import importlib
from contextlib import ExitStack
from typing import Any, Final, Literal

import httpx2

from farebox.billing.flows.deliver_invoices import file_of
from farebox.billing.invoices.service import read_invoice
from farebox.billing.invoices.service_notes import read_note
from farebox.kernel.clock import SystemClock
from farebox.kernel.periods import zone_of
from farebox.kernel.refusals import Refusal, SettingsRefused
from farebox.notifications.channels.gateways.mail import Mail, MailTerms, is_sender
from farebox.notifications.channels.model import DocumentAway, Documents, Gateway
from farebox.notifications.flows.send_letters import Letters
from farebox.notifications.letters.model import Channel, Terms
from farebox.platform.service_test_clock import follow_test_clock
from farebox.storage import Database, open_database
from farebox.wiring.settings import Settings

_PHONE: Final = "farebox.notifications.channels.gateways.phone"
_TIMEOUT_S: Final = 20.0
_OK: Final = 200
Kind = Literal["invoice", "credit_note"]


def channels_of(settings: Settings) -> dict[Channel, Gateway]:
    """Return the channels that are set up; refuses (`settings_invalid`) what cannot be used."""
    found: dict[Channel, Gateway] = {}
    if settings.smtp_host is not None and settings.smtp_from is not None:
        found["mail"] = _mail(settings, settings.smtp_host, settings.smtp_from)
    if settings.sms_url is not None:
        found["sms"] = _phone(settings.sms_url)
    return found


def standard_terms(settings: Settings) -> Terms:
    """Return the language and zone of whom nobody has named any; refuses what is no zone."""
    try:
        zone_of(settings.default_zone)
    except Refusal as refusal:
        raise SettingsRefused(f"settings: default_zone: {refusal.detail}") from refusal
    return Terms(locale=settings.default_locale, zone=settings.default_zone)


def letters(settings: Settings, database: Database, closing: ExitStack) -> Letters:
    """Return the worker that sends letters; `closing` ends it."""
    worker = Letters(
        database,
        channels_of(settings),
        standard=standard_terms(settings),
        documents=documents_of(settings, closing),
    )
    closing.callback(worker.close)
    return worker


def documents_of(settings: Settings, closing: ExitStack) -> Documents | None:
    """Return where invoices' files are fetched: behind billing's URL, or from billing here.

    None where billing tells by a broker alone and names no URL.
    """
    if "billing" not in settings.served and settings.billing_url and settings.billing_key:
        client = httpx2.Client(
            base_url=settings.billing_url,
            headers={"Authorization": f"Bearer {settings.billing_key}"},
            timeout=_TIMEOUT_S,
        )
        closing.callback(client.close)
        return DocumentsBehindUrl(client)
    if "billing" not in settings.here:
        return None
    database = open_database("billing", settings.url_of("billing"), SystemClock())
    closing.callback(database.close)
    follow_test_clock(database)
    return DocumentsHere(database)


class DocumentsHere:
    """Invoices' files by billing's own front door, on its database."""

    def __init__(self, billing: Database) -> None:
        self._billing = billing

    def fetch(self, kind: Kind, document: str) -> bytes:
        """Return a document's PDF in its own language; raises `DocumentAway`."""
        try:
            with self._billing.read() as tx:
                note = read_note(tx, document) if kind == "credit_note" else None
                found = read_invoice(tx, document if note is None else note.invoice)
            return file_of(self._billing, found, note, "pdf", None).content
        except Refusal as refusal:
            raise DocumentAway(refusal.code) from refusal


class DocumentsBehindUrl:
    """Invoices' files over billing's API."""

    def __init__(self, client: httpx2.Client) -> None:
        self._client = client

    def fetch(self, kind: Kind, document: str) -> bytes:
        """Return a document's PDF in its own language; raises `DocumentAway`."""
        noun = "invoices" if kind == "invoice" else "credit-notes"
        try:
            response = self._client.get(f"/v1/{noun}/{document}/pdf")
        except httpx2.HTTPError as error:
            raise DocumentAway(type(error).__name__) from error
        if response.status_code != _OK:
            raise DocumentAway(f"status {response.status_code}")
        return response.content


def _mail(settings: Settings, host: str, sender: str) -> Mail:
    if not is_sender(sender):
        raise SettingsRefused("settings: smtp_from must be an address, perhaps after a name")
    return Mail(
        MailTerms(
            host=host,
            port=settings.smtp_port,
            sender=sender,
            security=settings.smtp_security,
            user=settings.smtp_user,
            password=settings.smtp_password,
        )
    )


def _phone(url: str) -> Gateway:
    try:
        module: Any = importlib.import_module(_PHONE)
    except ModuleNotFoundError as error:
        detail = f"settings: sms_url needs the Python package {error.name}: farebox[notify]"
        raise SettingsRefused(detail) from error
    if not module.is_known(url):
        raise SettingsRefused("settings: sms_url is of no service that Apprise knows")
    made: Gateway = module.Phone(url)
    return made
