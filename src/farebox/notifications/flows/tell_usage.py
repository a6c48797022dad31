"""Letters about accounts and quotas."""

from collections.abc import Iterator

from farebox.events.model import Event
from farebox.notifications.copies.service import product_of
from farebox.notifications.deliveries.model import Draft
from farebox.notifications.flows.told import draft, instant, number, text, whom
from farebox.notifications.letters.model import LetterKind
from farebox.notifications.letters.model_facts import AccountOpened, Quota
from farebox.storage import Tx


def account_opened(tx: Tx, event: Event) -> Iterator[Draft]:
    """Tell that an account was opened."""
    said = event.data
    product = product_of(tx, text(said, "product"))
    facts = AccountOpened(product=product.title, amount=number(said, "amount"), scale=product.scale)
    yield draft(event, "account_opened", whom(tx, said), text(said, "account"), facts)


def quota_near(tx: Tx, event: Event) -> Iterator[Draft]:
    """Tell that most of a quota is used."""
    yield _quota(tx, event, "quota_near")


def quota_used_up(tx: Tx, event: Event) -> Iterator[Draft]:
    """Tell that a quota is used up."""
    yield _quota(tx, event, "quota_used_up")


def _quota(tx: Tx, event: Event, kind: LetterKind) -> Draft:
    said = event.data
    code, percent = text(said, "productCode"), number(said, "percent")
    product = product_of(tx, code)
    facts = Quota(
        product=product.title,
        percent=percent,
        limit=number(said, "limit"),
        used=number(said, "used"),
        remaining=number(said, "remaining"),
        scale=product.scale,
        unit=product.unit,
        resets_at=instant(said, "resetsAt"),
    )
    once = f"{code}:{text(said, 'subscriptionId')}:{text(said, 'periodFrom')}:{percent}"
    return draft(event, kind, whom(tx, said), once, facts)
