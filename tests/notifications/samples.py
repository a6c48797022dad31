"""Facts of every kind of letter, for whoever writes them all."""

from typing import Final, Literal

from farebox.kernel.clock import SECOND_US, parse_time
from farebox.notifications.letters import model_facts as facts
from farebox.notifications.letters.model import LetterKind

START = parse_time("2026-11-20T17:00:00Z")
HOUR_US = 3_600 * SECOND_US
MAUSER = {"ru": "Маузер", "en": "Mauser"}
FILMS = {"": "Films"}

_CHANGES: Final[tuple[tuple[Literal["extended", "shortened", "moved"], int | None], ...]] = (
    ("extended", 12_000), ("shortened", -12_000), ("moved", None),
)  # fmt: skip

SAMPLES: Final[dict[LetterKind, list[facts.Facts]]] = {
    "account_opened": [facts.AccountOpened(product=FILMS, amount=1_500, scale=2)],
    "purchase": [
        facts.Purchase(
            order="ord_1", currency="RUB", total=86_000, discount=9_000,
            lines=(
                facts.BoughtLine(
                    title=MAUSER, amount=36_000, starts_at=START, ends_at=START + 24 * HOUR_US,
                    hours=24,
                ),
                facts.BoughtLine(title={"ru": "Чайка"}, amount=50_000, starts_at=START),
                facts.BoughtLine(title=FILMS, amount=0, given=False),
                facts.BoughtLine(title=MAUSER, amount=24_000, ends_at=START, returned=True),
            ),
        ),
    ],
    "reminder": [
        facts.Reminder(rental="rnt_1", version=1, title=MAUSER, ends_at=START + 3 * HOUR_US),
    ],
    "rental_changed": [
        facts.RentalChanged(
            rental="rnt_1", change=change, title=MAUSER, starts_at=START,
            ends_at=START + 48 * HOUR_US, hours=48, amount=amount, currency="RUB",
        )
        for change, amount in _CHANGES
    ],
    "change_failed": [
        facts.ChangeFailed(
            rental="rnt_1", title=MAUSER, hours=48, reason="wallet_short", missing=8_000,
            currency="RUB",
        ),
        facts.ChangeFailed(rental="rnt_1", title=MAUSER, hours=48, reason="never heard of"),
    ],
    "refund": [
        facts.Refund(
            order="ord_1", currency="RUB", amount=18_000, titles=(MAUSER, FILMS), taken=taken,
            undone=undone, by_bank=by_bank,
        )
        for taken, undone, by_bank in (
            (True, False, False), (True, True, False), (False, False, False), (True, False, True),
        )
    ],
    "invoice": [
        facts.Document(
            document="inv_1", invoice="inv_1", number="INV-7", currency="EUR", total=11_900,
            due=due, due_at=START if due else None, digest=digest,
        )
        for due, digest in ((11_900, "ab"), (0, None))
    ],
    "credit_note": [
        facts.Document(
            document="crn_1", invoice="inv_1", number="CN-1", currency="EUR", total=11_900,
            due=0, digest="ab",
        ),
    ],
    "payment_failed": [
        facts.PaymentFailed(
            what="subscription", reference="inv_1", reason="card_declined", amount=9_900,
            currency="RUB", next_at=START,
        ),
        facts.PaymentFailed(what="order", reference="ord_1", reason="wallet_short"),
    ],
    "quota_near": [
        facts.Quota(product=FILMS, percent=80, limit=10, used=8, remaining=2, resets_at=START),
    ],
    "quota_used_up": [
        facts.Quota(product=FILMS, percent=100, limit=10, used=10, remaining=0),
        facts.Quota(product=FILMS, percent=100, limit=10, used=12, remaining=0, resets_at=START),
    ],
    "balance_low": [facts.BalanceLow(currency="RUB", available=4_000, level=10_000)],
    "top_up_filled": [facts.TopUp(currency="RUB", amount=16_000, automatic=True)],
    "top_up_failed": [
        facts.TopUp(currency="RUB", amount=16_000, automatic=False, reason="card_declined"),
    ],
    "top_up_stopped": [facts.TopUpStopped(currency="RUB", reason="no_method")],
}  # fmt: skip
