"""What every gateway answers to.

A gateway is called with no transaction open, from several threads at once, and writes nothing of
ours. It raises nothing for what its provider does: whatever is not a definite answer is `Lost`,
and `Unreached` only where the provider certainly took nothing.
"""

from collections.abc import Mapping
from typing import Protocol

from farebox.billing.payments.model_outcomes import Ask, Claimed, Heard, Notice, Outcome


class Gateway(Protocol):
    """One provider of payments.

    An `ask` is a `Charge`, a `Return` (a refund) or a `Remittance` (a payout); its id is the key
    under which the provider does it once.
    """

    @property
    def name(self) -> str:
        """Return the name under which the gateway is known, and its cash account."""
        ...

    def ask(self, ask: Ask) -> Outcome:
        """Let it be done: called for the first time, or after it was certainly not done."""
        ...

    def look(self, ask: Ask) -> Outcome:
        """Tell what came of something that may have been asked for.

        Where the provider has never heard of it, it is asked for now while the provider still
        remembers keys; else it is declined.
        """
        ...

    def abandon(self, ask: Ask) -> Outcome:
        """Call off what waits for the customer, so that nothing can come of it any more."""
        ...

    def hear(self, body: bytes, headers: Mapping[str, str]) -> Notice | None:
        """Return what a notice is about, None for what does not concern us.

        Refuses (`notice_unverified`) what is not the provider's. Names of headers are lower case.
        """
        ...

    def read(self, claimed: Claimed) -> Heard:
        """Tell what the subject of a notice is like now, by the provider's own word."""
        ...

    def close(self) -> None:
        """Let connections go; nothing is asked any more."""
        ...
