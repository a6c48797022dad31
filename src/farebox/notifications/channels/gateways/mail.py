"""Mail by SMTP, one connection a letter.

Python's own `smtplib` does it: the worker has threads, and each waits for its server's word anyway.
"""

import smtplib
import ssl
from contextlib import suppress
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from typing import Final, Literal

import msgspec

from farebox.notifications.channels.model import NotSent, Parcel, Sent

TIMEOUT_S: Final = 20
# Seven bits, because not every server on the way says that it takes eight.
_POLICY: Final = SMTP.clone(cte_type="7bit")
LONGEST_ERROR: Final = 300
_FOR_GOOD: Final = frozenset({550, 551, 552, 553, 554})
"""Answers about one recipient that trying again does not change (RFC 5321, section 4.2.3)."""


class MailTerms(msgspec.Struct, frozen=True, kw_only=True):
    """Which server takes our mail. `sender` is an address, perhaps with a name before it."""

    host: str
    port: int
    sender: str
    security: Literal["none", "starttls", "tls"]
    user: str | None = None
    password: str | None = None
    timeout_s: int = TIMEOUT_S


class Mail:
    """Sends letters by one SMTP server."""

    def __init__(self, terms: MailTerms) -> None:
        self._terms = terms
        name, address = parseaddr(terms.sender)
        self._sender = _address(address, name)

    def send(self, parcel: Parcel) -> Sent | NotSent:
        """Hand a letter to the server; what it takes it answers for."""
        try:
            letter = self.message(parcel)
            server = self._connected()
            try:
                server.send_message(letter)
            finally:
                # What was taken stays taken, however the two part.
                with suppress(OSError, smtplib.SMTPException):
                    server.quit()
        except smtplib.SMTPRecipientsRefused as error:
            code, said = next(iter(error.recipients.values()))
            return NotSent(error=_text(f"{code} {_said(said)}"), for_good=code in _FOR_GOOD)
        except smtplib.SMTPResponseException as error:
            return NotSent(error=_text(f"{error.smtp_code} {_said(error.smtp_error)}"))
        except (OSError, smtplib.SMTPException, ValueError) as error:
            return NotSent(error=_text(f"{type(error).__name__}: {error}"))
        return Sent()

    def message(self, parcel: Parcel) -> EmailMessage:
        """Return a letter as it goes over the wire."""
        made = EmailMessage(policy=_POLICY)
        made["From"] = self._sender
        made["To"] = _address(parcel.address, parcel.name)
        made["Subject"] = parcel.written.subject
        made["Date"] = format_datetime(datetime.now(UTC))
        # A repeat carries the same number: many servers then keep one of the two.
        made["Message-ID"] = f"<{parcel.number}@{self._sender.domain}>"
        made["Auto-Submitted"] = "auto-generated"
        made.set_content(parcel.written.text)
        if parcel.written.html is not None:
            made.add_alternative(parcel.written.html, subtype="html")
        for file in parcel.files:
            main, _, sub = file.media.partition("/")
            made.add_attachment(file.content, maintype=main, subtype=sub, filename=file.name)
        # Last, because whatever sets content moves such heads to its part.
        made["Content-Language"] = parcel.language
        return made

    def _connected(self) -> smtplib.SMTP:
        terms = self._terms
        if terms.security == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                terms.host, terms.port, timeout=terms.timeout_s, context=_tls()
            )
        else:
            server = smtplib.SMTP(terms.host, terms.port, timeout=terms.timeout_s)
        try:
            if terms.security == "starttls":
                server.starttls(context=_tls())
            if terms.user is not None and terms.password is not None:
                server.login(terms.user, terms.password)
        except BaseException:
            server.close()
            raise
        return server


def is_sender(text: str) -> bool:
    """Tell whether a text can stand in a letter's `From`: an address, perhaps after a name."""
    name, address = parseaddr(text)
    try:
        found = _address(address, name)
    except ValueError:
        return False
    return bool(found.username and found.domain)


def _address(address: str, name: str) -> Address:
    local, _, domain = address.rpartition("@")
    # Built from its parts, so that nothing in a name can become another address.
    return Address(display_name=" ".join(name.split()), username=local, domain=domain)


def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


def _said(answer: bytes | str) -> str:
    return answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer


def _text(error: str) -> str:
    return " ".join(error.replace("\x00", "").split())[:LONGEST_ERROR]
