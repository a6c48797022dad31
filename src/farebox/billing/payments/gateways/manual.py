"""Transfers that people make and people confirm: the customer's to us, ours to them."""

from collections.abc import Mapping
from typing import Final

from farebox.billing.payments.model import MANUAL, NoticeRefused
from farebox.billing.payments.model_outcomes import (
    ActionNeeded,
    Ask,
    Charge,
    Claimed,
    Declined,
    Heard,
    Notice,
    Outcome,
    Pending,
)


class Manual:
    """Waits for an operator's word, for as long as it takes."""

    name: Final = MANUAL

    def ask(self, ask: Ask) -> Outcome:
        """Wait: a payment for the customer to transfer it, the rest for us."""
        waits = ActionNeeded if isinstance(ask, Charge) else Pending
        return waits(by_person=True)

    def look(self, ask: Ask) -> Outcome:
        """Wait on: nothing is known before a person says it."""
        return self.ask(ask)

    def abandon(self, ask: Ask) -> Outcome:  # noqa: ARG002 - the protocol's
        """Wait no longer."""
        return Declined(code="canceled")

    def hear(self, body: bytes, headers: Mapping[str, str]) -> Notice | None:  # noqa: ARG002 - the protocol's
        """Refuse every notice: there is nobody whose it could be."""
        raise NoticeRefused

    def read(self, claimed: Claimed) -> Heard:  # noqa: ARG002 - the protocol's
        """Tell nothing."""
        return Heard()

    def close(self) -> None:
        """Do nothing: there is no connection."""
