"""A gateway that moves no money: what it answers is said by the method's token.

It has no memory, so it answers alike in every process: `sandbox_timeout` gives no answer to the
first call, and tells by a look that the money was taken. What a customer would do at a provider's
page is told by a signed notice (docs/payments.md).
"""

import hashlib
import hmac
from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from farebox.billing.payments.model import SANDBOX, ChargebackState, NoticeRefused
from farebox.billing.payments.model_outcomes import (
    ActionNeeded,
    Ask,
    Charge,
    Claimed,
    Declined,
    Disputed,
    Heard,
    Lost,
    Notice,
    Outcome,
    Pending,
    Succeeded,
    Unreached,
)

SIGNATURE: Final = "farebox-sandbox-signature"
Script = Literal[
    "sandbox_ok",  # succeeds
    "sandbox_decline",  # declined; another try may succeed
    "sandbox_decline_final",  # declined for good
    "sandbox_action",  # waits for the customer, until a notice says what they did
    "sandbox_pending",  # waits for the bank, until a notice
    "sandbox_timeout",  # no answer, and the money was taken
    "sandbox_lost",  # no answer, and nothing was taken
    "sandbox_unknown",  # no answer, to any question
    "sandbox_down",  # is never reached
]

_FIRST: Final[Mapping[str, Outcome]] = {
    "sandbox_decline": Declined(code="card_declined"),
    "sandbox_decline_final": Declined(code="stolen_card", final=True),
    "sandbox_timeout": Lost(reason="timeout"),
    "sandbox_lost": Lost(reason="timeout"),
    "sandbox_unknown": Lost(reason="timeout"),
    "sandbox_down": Unreached(reason="connection_refused"),
}
_LATER: Final[Mapping[str, Outcome]] = {
    **_FIRST,
    "sandbox_lost": Declined(code="never_arrived"),
}


class Said(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A notice of the sandbox. `chargeback` is a word of your own that tells it from others."""

    id: str
    payment: str | None = None
    refund: str | None = None
    outcome: Literal["succeeded", "declined"] | None = None
    chargeback: str | None = None
    chargeback_state: ChargebackState = "opened"
    amount: int = 0


class Sandbox:
    """The scripted gateway; `secret` is what its notices are signed with."""

    name: Final = SANDBOX

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()

    def ask(self, ask: Ask) -> Outcome:
        """Answer a first call as the script says."""
        script = script_of(ask)
        if script == "sandbox_action":
            return ActionNeeded(reference=_reference(ask), url=f"https://sandbox.invalid/{ask.id}")
        if script == "sandbox_pending":
            return Pending(reference=_reference(ask))
        return _FIRST.get(script, _succeeded(ask))

    def look(self, ask: Ask) -> Outcome:
        """Answer a look as the script says."""
        script = script_of(ask)
        if script in {"sandbox_action", "sandbox_pending"}:
            return self.ask(ask)
        if script == "sandbox_timeout":
            return _succeeded(ask)
        return _LATER.get(script, _succeeded(ask))

    def abandon(self, ask: Ask) -> Outcome:
        """Call it off."""
        return Declined(code="canceled", reference=_reference(ask))

    def sign(self, body: bytes) -> str:
        """Return the signature of a notice, in hex."""
        return hmac.digest(self._secret, body, hashlib.sha256).hex()

    def hear(self, body: bytes, headers: Mapping[str, str]) -> Notice | None:
        """Take a notice whose HMAC-SHA-256 in hex is right."""
        shown = headers.get(SIGNATURE, "")
        if not hmac.compare_digest(shown.encode("utf-8", "replace"), self.sign(body).encode()):
            raise NoticeRefused
        try:
            said = msgspec.json.decode(body, type=Said)
        except msgspec.DecodeError as error:
            raise NoticeRefused("the notice is not one of the sandbox's") from error
        content = msgspec.json.encode(said).decode()
        if said.chargeback is not None and said.payment is not None:
            return Notice(
                event=said.id, noun="chargeback", subject=said.chargeback, content=content
            )
        if said.refund is not None:
            return Notice(event=said.id, noun="refund", subject=said.refund, content=content)
        if said.payment is not None:
            return Notice(event=said.id, noun="payment", subject=said.payment, content=content)
        return None

    def read(self, claimed: Claimed) -> Heard:
        """Tell what the notice itself says: behind the sandbox is nobody to ask."""
        said = msgspec.json.decode(claimed.notice.content, type=Said)
        if said.chargeback is not None:
            made = Disputed(
                reference=said.chargeback,
                state=said.chargeback_state,
                amount=said.amount,
                payment=said.payment,
            )
            return Heard(disputed=made)
        assert claimed.ask is not None
        if said.outcome == "declined":
            return Heard(outcome=Declined(code="card_declined"))
        return Heard(outcome=_succeeded(claimed.ask) if said.outcome == "succeeded" else None)

    def close(self) -> None:
        """Do nothing: there is no connection."""


def script_of(ask: Ask) -> str:
    """Return what is to happen: the method's token, or the payout's destination.

    A token belongs to one customer, so what follows a colon tells theirs apart.
    """
    said = getattr(ask, "destination", "sandbox_ok")
    if isinstance(ask, Charge):
        said = ask.token or "sandbox_ok"
    return str(said).partition(":")[0]


def _reference(ask: Ask) -> str:
    return ask.provider_reference or f"sbx_{ask.id}"


def _succeeded(ask: Ask) -> Succeeded:
    return Succeeded(reference=_reference(ask), amount=ask.amount, currency=ask.currency)
