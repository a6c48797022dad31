"""Letters about money: payments, wallets, invoices."""

from collections.abc import Iterator

from farebox.events.model import Event
from farebox.notifications.deliveries.model import Draft
from farebox.notifications.flows.told import Said, draft, instant, number, text, whom
from farebox.notifications.letters.model import LetterKind
from farebox.notifications.letters.model_facts import (
    BalanceLow,
    Document,
    PaymentFailed,
    TopUp,
    TopUpStopped,
)
from farebox.notifications.recipients.rules import email_of
from farebox.storage import Tx


def payment_failed(tx: Tx, event: Event) -> Iterator[Draft]:
    """Tell that a payment of an order or of a subscription did not come, and what follows."""
    said = event.data
    of_subscription = "subscriptionId" in said
    amount = said.get("amount") if of_subscription else said.get("total")
    facts = PaymentFailed(
        what="subscription" if of_subscription else "order",
        reference=text(said, "orderId"),
        reason=said.get("reason") or "unknown",
        amount=amount if type(amount) is int else None,
        currency=said.get("currency"),
        next_at=instant(said, "nextAttemptAt"),
    )
    yield draft(event, "payment_failed", whom(tx, said), event.id, facts)


def balance_low(tx: Tx, event: Event) -> Iterator[Draft]:
    """Tell that a wallet has come to its low level."""
    said = event.data
    facts = BalanceLow(
        currency=text(said, "currency"),
        available=number(said, "available"),
        level=number(said, "level"),
    )
    yield draft(event, "balance_low", whom(tx, said), event.id, facts)


def top_up_filled(tx: Tx, event: Event) -> Iterator[Draft]:
    """Tell that a wallet was filled."""
    yield _top_up(tx, event, "top_up_filled")


def top_up_failed(tx: Tx, event: Event) -> Iterator[Draft]:
    """Tell that a wallet could not be filled."""
    yield _top_up(tx, event, "top_up_failed")


def top_up_stopped(tx: Tx, event: Event) -> Iterator[Draft]:
    """Tell that a wallet is not filled by itself any more."""
    said = event.data
    facts = TopUpStopped(currency=text(said, "currency"), reason=text(said, "reason"))
    yield draft(event, "top_up_stopped", whom(tx, said), event.id, facts)


def invoice_ready(tx: Tx, event: Event) -> Iterator[Draft]:
    """Send an invoice. One that is handed over again by hand is another letter."""
    yield _document(tx, event, "invoice")


def credit_note_ready(tx: Tx, event: Event) -> Iterator[Draft]:
    """Send a credit note."""
    yield _document(tx, event, "credit_note")


def _top_up(tx: Tx, event: Event, kind: LetterKind) -> Draft:
    said = event.data
    facts = TopUp(
        currency=text(said, "currency"),
        amount=number(said, "amount"),
        automatic=bool(said.get("automatic")),
        reason=said.get("reason") or "unknown",
    )
    return draft(event, kind, whom(tx, said), text(said, "topUpId"), facts)


def _document(tx: Tx, event: Event, kind: LetterKind) -> Draft:
    said = event.data
    total = said.get("documentTotal")
    facts = Document(
        document=text(said, "documentId"),
        invoice=text(said, "invoiceId"),
        number=text(said, "documentNumber"),
        currency=text(said, "currency"),
        total=total if type(total) is int else number(said, "total"),
        due=number(said, "due"),
        due_at=instant(said, "dueAt"),
        address=email_of(said.get("email")),
        digest=_digest(said),
    )
    return draft(event, kind, whom(tx, said), event.id, facts, locale=said.get("language"))


def _digest(said: Said) -> str | None:
    for file in said.get("files") or ():
        if file.get("form") == "pdf":
            return text(file, "sha256")
    return None
