"""Stripe, by its own SDK (the extra `stripe`).

Every call carries our id as the idempotency key, which Stripe keeps for at least a day
(docs.stripe.com/api/idempotent_requests). So within `KEY_LIVES_US` the same call made again is the
same payment; after that Stripe's own lists are searched for our id, which stands in the metadata.
The SDK repeats nothing by itself: what is repeated is written down first.
"""

from collections.abc import Mapping
from typing import Any, Final, TypeVar

import stripe

from farebox.billing.payments.gateways.money import from_stripe, to_stripe
from farebox.billing.payments.gateways.stripe_answers import (
    answered,
    id_of,
    of_intent,
    of_refund,
    of_transfer,
    reason,
    with_word,
    words_of,
)
from farebox.billing.payments.model import STRIPE, ChargebackState, NoticeRefused
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
    Remittance,
    Return,
)
from farebox.kernel.clock import SECOND_US

T = TypeVar("T")
TIMEOUT_S: Final = 30
KEY_LIVES_US: Final = 23 * 3_600 * SECOND_US
SKEW_S: Final = 300
PAYMENT: Final = "farebox_payment"
REFUND: Final = "farebox_refund"
PAYOUT: Final = "farebox_payout"
_FEES: Final = "latest_charge.balance_transaction"
_DISPUTES: Final[Mapping[str, ChargebackState]] = {
    "needs_response": "opened",
    "under_review": "opened",
    "won": "won",
    "lost": "lost",
}


class Stripe:
    """Payments by Stripe: with a saved method at once, without one on Stripe's own page.

    `secret` is what notices are signed with. `return_url` is where customers come back to from
    Stripe's pages; without one only saved methods are charged. `url` is the API's address.
    """

    name: Final = STRIPE

    def __init__(
        self,
        key: str,
        *,
        secret: str | None,
        return_url: str | None = None,
        url: str | None = None,
        timeout_s: int = TIMEOUT_S,
    ) -> None:
        # requests is named, so that the SDK does not choose by what else is installed.
        self._http = stripe.RequestsClient(timeout=timeout_s)
        more: dict[str, Any] = {} if url is None else {"base_addresses": {"api": url}}
        self._client = stripe.StripeClient(
            key, http_client=self._http, max_network_retries=0, **more
        )
        self._secret = secret
        self._return_url = return_url

    # -- asking ----------------------------------------------------------------------------------

    def ask(self, ask: Ask) -> Outcome:
        """Charge, refund or transfer under our id; within a day the same call is the same thing."""
        amount = to_stripe(ask.amount, ask.currency)
        if amount is None:
            return Declined(code="amount_not_for_gateway")
        match ask:
            case Charge(token=None):
                return self._to_page(ask, amount)
            case Charge():
                return answered(lambda: of_intent(self._charge(ask, amount)))
            case Return():
                return answered(lambda: of_refund(self._refund(ask, amount)))
            case Remittance():
                return answered(lambda: of_transfer(self._transfer(ask, amount)))

    def _charge(self, ask: Charge, amount: int) -> Any:  # noqa: ANN401 - the SDK's objects
        params: dict[str, Any] = {
            "amount": amount,
            "currency": ask.currency.lower(),
            "payment_method": ask.token,
            "confirm": True,
            "metadata": {PAYMENT: ask.id},
            "expand": [_FEES],
        }
        if ask.account is not None:
            params["customer"] = ask.account
        if ask.purpose == "invoice":
            # Nobody is there to confirm it: what needs the customer is declined, and they are told.
            params["off_session"] = True
        elif self._return_url is not None:
            params["return_url"] = self._return_url
        return self._client.v1.payment_intents.create(params, _under(ask.id))  # type: ignore[arg-type]

    def _to_page(self, ask: Charge, amount: int) -> Outcome:
        if self._return_url is None:
            return Declined(code="method_missing")
        params: dict[str, Any] = {
            "mode": "payment",
            "client_reference_id": ask.id,
            "metadata": {PAYMENT: ask.id},
            "payment_intent_data": {"metadata": {PAYMENT: ask.id}},
            "success_url": self._return_url,
            "cancel_url": self._return_url,
            "line_items": [
                {
                    "quantity": 1,
                    "price_data": {
                        "currency": ask.currency.lower(),
                        "unit_amount": amount,
                        "product_data": {"name": f"{ask.purpose} {ask.reference}"},
                    },
                }
            ],
        }
        create = self._client.v1.checkout.sessions.create
        return answered(lambda: self._of_session(create(params, _under(ask.id))))  # type: ignore[arg-type]

    def _refund(self, ask: Return, amount: int) -> Any:  # noqa: ANN401 - the SDK's objects
        params: dict[str, Any] = {
            "payment_intent": ask.charge,
            "amount": amount,
            "metadata": {REFUND: ask.id},
        }
        return self._client.v1.refunds.create(params, _under(ask.id))  # type: ignore[arg-type]

    def _transfer(self, ask: Remittance, amount: int) -> Any:  # noqa: ANN401 - the SDK's objects
        params: dict[str, Any] = {
            "amount": amount,
            "currency": ask.currency.lower(),
            "destination": ask.destination,
            "metadata": {PAYOUT: ask.id},
        }
        return self._client.v1.transfers.create(params, _under(ask.id))  # type: ignore[arg-type]

    # -- looking ---------------------------------------------------------------------------------

    def look(self, ask: Ask) -> Outcome:
        """Read what came of it; ask again while Stripe knows nothing of it and keeps our key."""
        found = self._found(ask)
        if found is not None:
            return found
        if ask.now - ask.first_call_at < KEY_LIVES_US:
            return self.ask(ask)
        return Declined(code="never_arrived")

    def _found(self, ask: Ask) -> Outcome | None:
        """Return what Stripe has of it, None where it has nothing."""
        try:
            match ask:
                case Charge():
                    return self._found_charge(ask)
                case Return():
                    return self._found_refund(ask)
                case Remittance():
                    return self._found_transfer(ask)
        except stripe.StripeError as error:
            # Of a look only the answer counts: whatever else comes says nothing about the call.
            return Lost(reason=reason(error))

    def _found_charge(self, ask: Charge) -> Outcome | None:
        known = ask.provider_reference
        if known is not None and known.startswith("cs_"):
            return self._of_session(self._client.v1.checkout.sessions.retrieve(known))
        if known is not None:
            intents = self._client.v1.payment_intents
            return of_intent(intents.retrieve(known, {"expand": [_FEES]}))
        query = f"metadata['{PAYMENT}']:'{ask.id}'"
        try:
            found = self._client.v1.payment_intents.search({"query": query, "limit": 1}).data
        except stripe.InvalidRequestError as error:
            # Search is not in every region; then the key alone tells, while it lives.
            young = ask.now - ask.first_call_at < KEY_LIVES_US
            return None if young else Lost(reason=reason(error))
        return of_intent(found[0]) if found else None

    def _found_refund(self, ask: Return) -> Outcome | None:
        if ask.provider_reference is not None:
            return of_refund(self._client.v1.refunds.retrieve(ask.provider_reference))
        listed = self._client.v1.refunds.list({"payment_intent": ask.charge, "limit": 100})
        found = with_word(listed, REFUND, ask.id)
        return None if found is None else of_refund(found)

    def _found_transfer(self, ask: Remittance) -> Outcome | None:
        if ask.provider_reference is not None:
            return of_transfer(self._client.v1.transfers.retrieve(ask.provider_reference))
        listed = self._client.v1.transfers.list(
            {
                "destination": ask.destination,
                "created": {"gte": ask.first_call_at // SECOND_US - SKEW_S},
                "limit": 100,
            }
        )
        found = with_word(listed, PAYOUT, ask.id)
        return None if found is None else of_transfer(found)

    def _of_session(self, session: Any) -> Outcome:  # noqa: ANN401 - the SDK's objects
        if session.status == "open":
            return ActionNeeded(reference=session.id, url=session.url)
        if session.status == "expired":
            return Declined(code="expired", reference=session.id)
        intent = session.payment_intent
        if intent is None:
            return Pending(reference=session.id)
        intents = self._client.v1.payment_intents
        made = of_intent(intents.retrieve(id_of(intent), {"expand": [_FEES]}))
        # A declined card on Stripe's page is not the end: the customer may take another.
        return Pending(reference=session.id) if isinstance(made, Declined) else made

    # -- calling off and listening ---------------------------------------------------------------

    def abandon(self, ask: Ask) -> Outcome:
        """Cancel the intent, or let Stripe's page expire; what was paid meanwhile is paid."""
        assert isinstance(ask, Charge)
        known = ask.provider_reference
        if known is None:
            return self.look(ask)
        try:
            if known.startswith("cs_"):
                self._client.v1.checkout.sessions.expire(known)
            else:
                self._client.v1.payment_intents.cancel(known)
        except stripe.InvalidRequestError:
            return self.look(ask)
        except stripe.StripeError as error:
            return Lost(reason=reason(error))
        return Declined(code="canceled", reference=known)

    def hear(self, body: bytes, headers: Mapping[str, str]) -> Notice | None:
        """Take a notice that Stripe has signed within the last five minutes."""
        if self._secret is None:
            raise NoticeRefused("there is no secret to verify notices with")
        try:
            event: Any = stripe.Webhook.construct_event(
                body, headers.get("stripe-signature", ""), self._secret
            )
        except (stripe.SignatureVerificationError, ValueError) as error:
            raise NoticeRefused from error
        thing = event.data.object
        words = words_of(thing)
        if event.type.startswith("charge.dispute."):
            return Notice(event=event.id, noun="chargeback", subject=thing.id)
        if REFUND in words:
            return Notice(event=event.id, noun="refund", subject=words[REFUND])
        if PAYMENT in words:
            return Notice(event=event.id, noun="payment", subject=words[PAYMENT])
        return None

    def read(self, claimed: Claimed) -> Heard:
        """Read the payment, refund or dispute that a notice is about."""
        if claimed.ask is not None:
            return Heard(outcome=self._found(claimed.ask))
        try:
            return self._dispute(claimed.notice.subject)
        except stripe.StripeError as error:
            return Heard(outcome=Lost(reason=reason(error)))

    def _dispute(self, reference: str) -> Heard:
        found: Any = self._client.v1.disputes.retrieve(reference)
        state = _DISPUTES.get(found.status)
        currency = found.currency.upper()
        amount = from_stripe(found.amount, currency)
        if state is None or amount is None or found.payment_intent is None:
            return Heard()
        moved = [one for one in found.balance_transactions or () if one.currency == found.currency]
        fees = [from_stripe(one.fee, currency) or 0 for one in moved]
        return Heard(
            disputed=Disputed(
                reference=reference,
                state=state,
                amount=amount,
                charge=id_of(found.payment_intent),
                reason=found.reason,
                fee=max(0, sum(fees)),
            )
        )

    def close(self) -> None:
        """Let this thread's connections go; the others end with their threads."""
        http: Any = self._http  # The SDK says no type of this method.
        http.close()


def _under(key: str) -> Any:  # noqa: ANN401 - the SDK's options
    return {"idempotency_key": key}
