"""YooKassa, by its REST API, version 3.

Its keys (`Idempotence-Key`) live for a day, so within `KEY_LIVES_US` the same call made again is
the same payment; after that its lists are searched for our id, which stands in the metadata, and of
a refund in the description. Its notices are not signed: a notice says only which payment to read,
and what is read must name our payment itself, whatever the notice said.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import httpx2
import msgspec

from farebox.billing.payments.gateways.money import from_decimal, to_decimal
from farebox.billing.payments.model import YOOKASSA, NoticeRefused
from farebox.billing.payments.model_outcomes import (
    ActionNeeded,
    Ask,
    Charge,
    Claimed,
    Declined,
    Heard,
    Lost,
    Notice,
    Outcome,
    Pending,
    Return,
    SavedMethod,
    Succeeded,
    Unreached,
)
from farebox.kernel.clock import SECOND_US, show_time

URL: Final = "https://api.yookassa.ru/v3"
TIMEOUT_S: Final = 30
KEY_LIVES_US: Final = 23 * 3_600 * SECOND_US
SKEW_US: Final = 300 * SECOND_US
MOST_PAGES: Final = 20
WORD: Final = "farebox_payment"
# Reasons after which the same method is not to be tried again (yookassa.ru, declined payments).
FINAL: Final = frozenset({
    "card_expired", "country_forbidden", "fraud_suspected", "invalid_card_number",
    "payment_method_restricted", "permission_revoked", "identification_required",
})  # fmt: skip


class _Amount(msgspec.Struct, frozen=True):
    value: str
    currency: str


class _Cancellation(msgspec.Struct, frozen=True):
    reason: str = "canceled"


class _Confirmation(msgspec.Struct, frozen=True):
    confirmation_url: str | None = None


class _Card(msgspec.Struct, frozen=True):
    last4: str = ""
    card_type: str = "card"
    expiry_year: str = ""
    expiry_month: str = ""


class _Method(msgspec.Struct, frozen=True):
    id: str = ""
    saved: bool = False
    type: str = ""
    card: _Card | None = None


class Thing(msgspec.Struct, frozen=True):
    """A payment or a refund, as far as we read it."""

    id: str
    status: str
    amount: _Amount | None = None
    income_amount: _Amount | None = None
    metadata: dict[str, str] = {}
    description: str = ""
    payment_id: str = ""
    confirmation: _Confirmation | None = None
    cancellation_details: _Cancellation | None = None
    payment_method: _Method | None = None


class _Page(msgspec.Struct, frozen=True):
    items: list[Thing] = []
    next_cursor: str | None = None


class _Said(msgspec.Struct, frozen=True):
    type: str
    event: str
    object: Thing


class _NotThere(Exception):
    """The provider has no such thing."""


class Yookassa:
    """Payments by YooKassa: with a saved method at once, without one on YooKassa's own page."""

    name: Final = YOOKASSA

    def __init__(
        self,
        shop: str,
        key: str,
        *,
        return_url: str | None = None,
        url: str = URL,
        timeout_s: int = TIMEOUT_S,
    ) -> None:
        self._url = url
        self._return_url = return_url
        self._client = httpx2.Client(auth=(shop, key), timeout=timeout_s, follow_redirects=False)

    # -- asking ----------------------------------------------------------------------------------

    def ask(self, ask: Ask) -> Outcome:
        """Charge or refund under our id; within a day the same call is the same thing."""
        money = {"value": to_decimal(ask.amount, ask.currency), "currency": ask.currency}
        match ask:
            case Charge():
                return self._charge(ask, money)
            case Return():
                body = {"payment_id": ask.charge, "amount": money, "description": ask.id}
                return self._post("refunds", ask.id, body, _of_refund)
            case _:
                return Declined(code="payouts_not_supported")

    def _charge(self, ask: Charge, money: Mapping[str, str]) -> Outcome:
        body: dict[str, Any] = {
            "amount": money,
            "capture": True,
            "description": f"{ask.purpose} {ask.reference}",
            "metadata": {WORD: ask.id},
        }
        if ask.token is not None:
            body["payment_method_id"] = ask.token
        elif self._return_url is None:
            return Declined(code="method_missing")
        else:
            body["confirmation"] = {"type": "redirect", "return_url": self._return_url}
        return self._post("payments", ask.id, body, _of_payment)

    def _post(
        self, path: str, key: str, body: Mapping[str, Any], read: Callable[[Thing], Outcome]
    ) -> Outcome:
        try:
            answer = self._client.post(
                f"{self._url}/{path}", json=body, headers={"Idempotence-Key": key}
            )
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as error:
            return Unreached(reason=type(error).__name__)
        except httpx2.HTTPError as error:
            return Lost(reason=type(error).__name__)
        status = answer.status_code
        if status == httpx2.codes.OK:
            thing = _decoded(answer.content)
            return Lost(reason="answer_malformed") if thing is None else read(thing)
        if status in {401, 403, 429}:
            return Unreached(reason=f"status_{status}")
        # 202 and 5xx say that it may be done; anything else that it was refused.
        if status in {400, 404, 405, 415, 422}:
            return Declined(code=_code_in(answer.content))
        return Lost(reason=f"status_{status}")

    # -- looking ---------------------------------------------------------------------------------

    def look(self, ask: Ask) -> Outcome:
        """Read what came of it; ask again while YooKassa knows nothing of it and keeps our key."""
        young = ask.now - ask.first_call_at < KEY_LIVES_US
        if ask.provider_reference is None and young:
            return self.ask(ask)
        return self._found(ask) or Declined(code="never_arrived")

    def _found(self, ask: Ask, told: str | None = None) -> Outcome | None:
        """Return what YooKassa has of it, None where it has nothing.

        `told` is the id that a notice names for it. It is believed where the thing itself bears
        our id.
        """
        try:
            match ask:
                case Charge():
                    return self._found_payment(ask, told)
                case Return():
                    return self._found_refund(ask, told)
                case _:
                    return None
        except (httpx2.HTTPError, msgspec.DecodeError) as error:
            return Lost(reason=type(error).__name__)
        except _NotThere:
            return None

    def _found_payment(self, ask: Charge, told: str | None) -> Outcome | None:
        known = ask.provider_reference or told
        if known is not None:
            thing = self._get(f"payments/{known}")
            return _of_payment(thing) if thing.metadata.get(WORD) == ask.id else None
        since = show_time(ask.first_call_at - SKEW_US)
        for thing in self._listed("payments", {"created_at.gte": since}):
            if thing.metadata.get(WORD) == ask.id:
                return _of_payment(thing)
        return None

    def _found_refund(self, ask: Return, told: str | None) -> Outcome | None:
        known = ask.provider_reference or told
        if known is not None:
            thing = self._get(f"refunds/{known}")
            ours = thing.payment_id == ask.charge and thing.description == ask.id
            return _of_refund(thing) if ours else None
        for thing in self._listed("refunds", {"payment_id": ask.charge}):
            if thing.description == ask.id:
                return _of_refund(thing)
        return None

    def _get(self, path: str) -> Thing:
        answer = self._client.get(f"{self._url}/{path}")
        if answer.status_code == httpx2.codes.NOT_FOUND:
            raise _NotThere
        answer.raise_for_status()
        return msgspec.json.decode(answer.content, type=Thing)

    def _listed(self, path: str, terms: Mapping[str, str]) -> Iterator[Thing]:
        """Yield what a list has; a list that is too long to read says nothing."""
        cursor: dict[str, str] = {}
        for _ in range(MOST_PAGES):
            asked = {**terms, "limit": "100", **cursor}
            answer = self._client.get(f"{self._url}/{path}", params=asked)
            answer.raise_for_status()
            page = msgspec.json.decode(answer.content, type=_Page)
            yield from page.items
            if page.next_cursor is None:
                return
            cursor = {"cursor": page.next_cursor}
        raise httpx2.HTTPError("the list is longer than what is looked through")

    # -- calling off and listening ---------------------------------------------------------------

    def abandon(self, ask: Ask) -> Outcome:
        """Look: what waits for the customer is ended by YooKassa itself, within the hour."""
        return self._found(ask) or Declined(code="canceled")

    def hear(self, body: bytes, headers: Mapping[str, str]) -> Notice | None:  # noqa: ARG002 - nothing in them proves anything
        """Take a notice as a hint: it is not signed, so anybody may have sent it."""
        try:
            said = msgspec.json.decode(body, type=_Said)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise NoticeRefused("the notice is not one of YooKassa's") from error
        thing = said.object
        if said.type != "notification" or not _is_id(thing.id):
            raise NoticeRefused("the notice is not one of YooKassa's")
        if said.event.startswith("refund."):
            subject, noun = thing.description, "refund"
        elif said.event.startswith("payment."):
            subject, noun = thing.metadata.get(WORD, ""), "payment"
        else:
            return None
        if not subject:
            return None
        return Notice(
            event=f"{said.event[:64]}:{thing.id}:{subject}",
            noun="refund" if noun == "refund" else "payment",
            subject=subject,
            content=thing.id,
            repeats=True,
        )

    def read(self, claimed: Claimed) -> Heard:
        """Read what the notice is about, and believe it if it bears our id."""
        assert claimed.ask is not None
        return Heard(outcome=self._found(claimed.ask, claimed.notice.content))

    def close(self) -> None:
        """Let the connections go."""
        self._client.close()


def _is_id(text: str) -> bool:
    """Tell whether a text may stand in the path of a request."""
    return 0 < len(text) <= 64 and text.isascii() and text.replace("-", "").isalnum()  # noqa: PLR2004


def _decoded(body: bytes) -> Thing | None:
    try:
        return msgspec.json.decode(body, type=Thing)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _code_in(body: bytes) -> str:
    try:
        said = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return "request_refused"
    code = said.get("code") if isinstance(said, dict) else None
    return code if isinstance(code, str) else "request_refused"


def _of_payment(thing: Thing) -> Outcome:
    match thing.status:
        case "succeeded":
            return _succeeded(thing)
        case "canceled":
            why = (thing.cancellation_details or _Cancellation()).reason
            return Declined(code=why, final=why in FINAL, reference=thing.id)
        case "pending" if thing.confirmation and thing.confirmation.confirmation_url:
            return ActionNeeded(reference=thing.id, url=thing.confirmation.confirmation_url)
        case "pending" | "waiting_for_capture":
            return Pending(reference=thing.id)
        case _:
            return Lost(reason=f"status_{thing.status}")


def _succeeded(thing: Thing) -> Outcome:
    if thing.amount is None:
        return Lost(reason="answer_malformed")
    currency = thing.amount.currency
    amount = from_decimal(thing.amount.value, currency)
    if amount is None:
        return Lost(reason="amount_differs")
    fee = 0
    if thing.income_amount is not None and thing.income_amount.currency == currency:
        income = from_decimal(thing.income_amount.value, currency)
        fee = 0 if income is None else max(0, amount - income)
    return Succeeded(
        reference=thing.id, amount=amount, currency=currency, fee=fee, saved=_saved(thing)
    )


def _saved(thing: Thing) -> SavedMethod | None:
    method = thing.payment_method
    if method is None or not method.saved or not method.id:
        return None
    if method.card is None:
        return SavedMethod(token=method.id, kind="other", label=method.type)
    card = method.card
    month = f"{card.expiry_year}-{card.expiry_month.rjust(2, '0')}" if card.expiry_year else None
    return SavedMethod(token=method.id, label=f"{card.card_type} {card.last4}", expires=month)


def _of_refund(thing: Thing) -> Outcome:
    match thing.status:
        case "succeeded":
            amount = None if thing.amount is None else _amount(thing.amount)
            currency = None if thing.amount is None else thing.amount.currency
            return Succeeded(reference=thing.id, amount=amount, currency=currency)
        case "canceled":
            why = (thing.cancellation_details or _Cancellation()).reason
            return Declined(code=why, reference=thing.id)
        case _:
            return Pending(reference=thing.id)


def _amount(amount: _Amount) -> int | None:
    return from_decimal(amount.value, amount.currency)
