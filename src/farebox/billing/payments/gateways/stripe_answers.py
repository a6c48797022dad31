"""What Stripe's answers mean to us."""

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, Final

import requests
import stripe

from farebox.billing.payments.gateways.money import from_stripe
from farebox.billing.payments.model_outcomes import (
    ActionNeeded,
    Declined,
    Lost,
    Outcome,
    Pending,
    Succeeded,
    Unreached,
)

MOST_LISTED: Final = 1_000
# Declines after which the same card is not to be tried again (docs.stripe.com/declines/codes).
FINAL: Final = frozenset({
    "stolen_card", "lost_card", "pickup_card", "fraudulent", "restricted_card", "invalid_account",
    "security_violation", "card_not_supported", "expired_card", "incorrect_number",
    "revocation_of_authorization", "revocation_of_all_authorizations", "stop_payment_order",
    "merchant_blacklist", "new_account_information_available",
})  # fmt: skip


def answered(call: Callable[[], Outcome]) -> Outcome:
    """Return the outcome of a call that asks for something."""
    try:
        return call()
    except stripe.CardError as error:
        said = error.error
        code = getattr(said, "decline_code", None) or error.code or "card_declined"
        final = code in FINAL or getattr(said, "advice_code", None) == "do_not_try_again"
        intent = getattr(said, "payment_intent", None)
        reference = None if intent is None else id_of(intent)
        return Declined(code=code, final=final, reference=reference)
    except (stripe.RateLimitError, stripe.AuthenticationError, stripe.PermissionError) as error:
        return Unreached(reason=reason(error))
    except stripe.IdempotencyError as error:
        return Lost(reason=reason(error))
    except stripe.InvalidRequestError as error:
        if error.code == "idempotency_key_in_use" or error.http_status == 409:  # noqa: PLR2004 - Conflict
            return Lost(reason=reason(error))
        return Declined(code=error.code or "request_refused")
    except stripe.APIConnectionError as error:
        return (Unreached if _never_left(error) else Lost)(reason=reason(error))
    except stripe.StripeError as error:
        return Lost(reason=reason(error))


def _never_left(error: stripe.APIConnectionError) -> bool:
    """Tell whether there was no connection, so that nothing can have been asked for."""
    cause = error.__cause__
    if isinstance(cause, requests.exceptions.ConnectTimeout | requests.exceptions.SSLError):
        return True
    text = str(cause)
    return isinstance(cause, requests.exceptions.ConnectionError) and (
        "NewConnectionError" in text or "NameResolutionError" in text
    )


def reason(error: stripe.StripeError) -> str:
    """Return why Stripe did not answer as it should."""
    return error.code or type(error).__name__


def of_intent(intent: Any) -> Outcome:  # noqa: ANN401 - the SDK's objects
    """Return what a payment intent says of its payment."""
    match intent.status:
        case "succeeded":
            return _succeeded(intent)
        case "requires_action":
            following = intent.next_action
            page = getattr(following, "redirect_to_url", None)
            return ActionNeeded(reference=intent.id, url=getattr(page, "url", None))
        case "processing" | "requires_capture":
            return Pending(reference=intent.id)
        case "canceled":
            return Declined(code="canceled", reference=intent.id)
        case "requires_confirmation":
            return Lost(reason="not_confirmed")
        case _:
            error = getattr(intent, "last_payment_error", None)
            code = getattr(error, "decline_code", None) or getattr(error, "code", None)
            return Declined(code=code or "card_declined", final=code in FINAL, reference=intent.id)


def _succeeded(intent: Any) -> Outcome:  # noqa: ANN401 - the SDK's objects
    currency = intent.currency.upper()
    taken = getattr(intent, "amount_received", None)
    amount = from_stripe(intent.amount if taken is None else taken, currency)
    if amount is None:
        return Lost(reason="amount_differs")
    entry = getattr(getattr(intent, "latest_charge", None), "balance_transaction", None)
    fee = 0
    # In another currency, the fee is part of what Stripe pays out, and not known here.
    if getattr(entry, "currency", None) == intent.currency:
        fee = from_stripe(getattr(entry, "fee", 0) or 0, currency) or 0
    return Succeeded(reference=intent.id, amount=amount, currency=currency, fee=fee)


def of_refund(refund: Any) -> Outcome:  # noqa: ANN401 - the SDK's objects
    """Return what a refund of Stripe's says of ours."""
    match refund.status:
        case "succeeded":
            currency = refund.currency.upper()
            amount = from_stripe(refund.amount, currency)
            return Succeeded(reference=refund.id, amount=amount, currency=currency)
        case "pending" | "requires_action":
            return Pending(reference=refund.id)
        case _:
            why = getattr(refund, "failure_reason", None) or refund.status
            return Declined(code=why, reference=refund.id)


def of_transfer(transfer: Any) -> Outcome:  # noqa: ANN401 - the SDK's objects
    """Return what a transfer says of its payout."""
    if transfer.reversed:
        return Declined(code="reversed", reference=transfer.id)
    currency = transfer.currency.upper()
    amount = from_stripe(transfer.amount, currency)
    return Succeeded(reference=transfer.id, amount=amount, currency=currency)


def with_word(listed: Any, word: str, value: str) -> Any | None:  # noqa: ANN401 - the SDK's lists
    """Return what carries our id, among what a list has; refuses to guess beyond its length."""
    pages: Iterator[Any] = listed.auto_paging_iter()
    found = next(
        (one for one in islice(pages, MOST_LISTED) if words_of(one).get(word) == value), None
    )
    if found is None and next(pages, None) is not None:
        raise stripe.APIError("the list is longer than what is looked through")
    return found


def words_of(thing: Any) -> dict[str, str]:  # noqa: ANN401 - the SDK's objects
    """Return the metadata of a thing."""
    words = getattr(thing, "metadata", None)
    return {} if words is None else {key: str(word) for key, word in words.to_dict().items()}


def id_of(thing: Any) -> str:  # noqa: ANN401 - an id, or what was expanded of it
    """Return the id of a thing that may have been expanded."""
    return str(getattr(thing, "id", thing))
