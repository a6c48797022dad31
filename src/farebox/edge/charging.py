"""The rules of charging for a visit, the same for ASGI and WSGI. Nothing here does any I/O.

A visit in the good case, on a balance of 20, for a service that states a maximum of 5:

    client   GET /film/7, ACCMAN: cinema-7
    reserve  hold 5 of 20                                     (15 stay available to others)
    service  runs, answers 200; cost(request, response) = 3
    settle   capture 3 of the hold, 2 go back
    client   200, ACCMAN: 17

`reserve`, `settle` and `abandon` are conversations: generators that yield a `Call`, are sent its
answer (or have its error thrown in) and return what to do. Whoever drives them does the I/O, in a
thread or on an event loop, so that the order of the steps and what each failure means stand once.
"""

import logging
import uuid
from collections.abc import Callable, Generator
from http import HTTPStatus
from typing import Final

import msgspec

from farebox.contracts.accounts import ACCOUNT_PRODUCT
from farebox.contracts.decisions import (
    LARGEST_QUANTITY,
    LONGEST_CREDENTIAL,
    LONGEST_HOLD_SECONDS,
    CaptureRequest,
    CaptureResult,
    DecideRequest,
    Decision,
    OverCapture,
    ReleaseRequest,
    ReleaseResult,
)
from farebox.edge.calls import Call, capture, decide, release
from farebox.edge.errors import FareboxError, Refused
from farebox.edge.messages import (
    BALANCE_HEADER,
    Answer,
    Headers,
    Request,
    Response,
    answer_with_problem,
)

log = logging.getLogger("farebox.edge")

Settled = CaptureResult | ReleaseResult


def nothing_is_free(request: Request) -> bool:  # noqa: ARG001 - the shape of `Charging.free`
    """Let no request pass without a charge."""
    return False


class Charging(msgspec.Struct, frozen=True, kw_only=True):
    """What a service tells the middleware about its prices.

    - `cost(request, response)`: what this visit costs, a whole number from 0. Anything else, and an
      exception, is a bug of the service: the visit is not charged and answered with 500.
    - `maximum_cost`: the most that a visit can cost, or a function of the request. It is reserved
      before the service runs, all or nothing. None reserves everything that is available: simple
      and safe, but then a second visit at the same time finds nothing and gets 402. State a maximum
      where clients work in parallel.
    - `over_capture`: what happens if the cost exceeds the hold. `deny` withholds the answer (402,
      nothing charged), `cap` charges what was held, `debt` also records the rest as owed.
    - `hold_seconds`: how long credit stays reserved if this process dies. A service that takes
      longer is not charged, and its answer is withheld.
    - `free(request)`: visits that need no account at all. They pass as if there were no middleware.
      A browser's preflight carries no credential: `lambda request: request.method == "OPTIONS"`.
    - `cost_from_head`: work out the cost from request and response head alone, charge when the
      response starts and let the body stream. What breaks off after that stays charged. Without it
      the body waits for its price: in memory up to `memory_bytes`, above that in a temporary file.
      Over `largest_body_bytes` the visit is not charged and answered with 500.
    """

    cost: Callable[[Request, Response], int]
    maximum_cost: int | Callable[[Request], int] | None = None
    over_capture: OverCapture = "deny"
    hold_seconds: int = 60
    free: Callable[[Request], bool] = nothing_is_free
    cost_from_head: bool = False
    memory_bytes: int = 1024 * 1024
    largest_body_bytes: int = 1024 * 1024 * 1024
    product: str = ACCOUNT_PRODUCT

    def __post_init__(self) -> None:
        """Refuse terms that cannot work, when the service starts and not at its first visit."""
        if not 1 <= self.hold_seconds <= LONGEST_HOLD_SECONDS:
            raise ValueError(f"hold_seconds must be from 1 to {LONGEST_HOLD_SECONDS}")
        if isinstance(self.maximum_cost, int) and not _may_be_held(self.maximum_cost):
            raise ValueError(f"maximum_cost must be from 1 to {LARGEST_QUANTITY}")


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """The credit that is reserved for one visit."""

    hold: str
    quantity: int
    everything: bool


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """How a visit ends: with the service's answer, or with one `instead` of it.

    `balance` is what the account has available afterwards, None where Farebox could not say.
    """

    balance: int | None = None
    instead: Answer | None = None


# The status of a denial at a gateway. What is not listed is a rule about this consumer: 403.
_STATUS_OF_DENIAL: Final = {
    "account_unknown": 401,
    "consumer_unknown": 401,
    "bucket_empty": 402,
    "no_bucket": 402,
    "member_cap_reached": 402,
    "rate_limited": 429,
    "quota_exceeded": 429,
    "concurrency_exceeded": 429,
}


def reserve(
    charging: Charging, request: Request
) -> Generator[Call[Decision], Decision, Held | Answer]:
    """Hold the most that the visit can cost, or say why the service must not run."""
    credential = _credential_in(request.headers)
    if isinstance(credential, Answer):
        return credential
    try:
        maximum = _maximum_cost(charging, request)
    except Exception:
        log.exception("maximum_cost failed for %s %s", request.method, request.path)
        return _bug_of_the_service()
    asked = DecideRequest(
        mode="reserve",
        product=charging.product,
        credential=credential,
        quantity=maximum,
        at_most=maximum is None,
        ttl_seconds=charging.hold_seconds,
        on_expiry="release",
        over_capture=charging.over_capture,
    )
    try:
        decision = yield decide(asked, key=f"reserve:{uuid.uuid4()}")
    except FareboxError as error:
        # A `Refused` is about our own key or configuration; the client cannot mend it.
        log.error("no credit could be reserved: %s", error)  # noqa: TRY400 - the error says it all
        return _accounting_unavailable()
    if decision.allowed and decision.hold is not None and decision.quantity:
        return Held(hold=decision.hold, quantity=decision.quantity, everything=maximum is None)
    return _denied(decision)


def settle(
    charging: Charging, request: Request, response: Response, held: Held
) -> Generator[Call[Settled], Settled, Verdict]:
    """Charge what the visit cost, or give the credit back where nothing is owed."""
    if response.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Verdict(balance=(yield from abandon(held)))
    if response.too_large:
        log.error("the answer to %s %s is too large", request.method, request.path)
        yield from abandon(held)
        return Verdict(instead=_too_large(charging))
    try:
        cost = _whole_cost(charging.cost(request, response))
    except Exception:
        log.exception("cost failed for %s %s", request.method, request.path)
        yield from abandon(held)
        return Verdict(instead=_bug_of_the_service())
    if cost > held.quantity and charging.over_capture == "deny":
        balance = yield from abandon(held)
        return Verdict(balance=balance, instead=_too_expensive(held, cost, balance))
    try:
        captured = yield capture(CaptureRequest(hold=held.hold, quantity=cost))
    except FareboxError as error:
        log.error("hold %s could not be charged %d: %s", held.hold, cost, error)  # noqa: TRY400
        return Verdict(instead=_not_charged(error))
    return Verdict(balance=captured.remaining)


def abandon(held: Held) -> Generator[Call[ReleaseResult], Settled, int | None]:
    """Give the hold back and return the balance; on failure the hold expires by itself."""
    try:
        released = yield release(ReleaseRequest(hold=held.hold))
    except FareboxError as error:
        log.warning("hold %s is left to expire: %s", held.hold, error)
        return None
    return released.remaining


def _credential_in(headers: Headers) -> str | Answer:
    values = headers.every(BALANCE_HEADER)
    if len(values) > 1:
        return answer_with_problem(
            status=401,
            code="credential_ambiguous",
            detail=f"Send one {BALANCE_HEADER} header.",
        )
    credential = values[0].strip() if values else ""
    if not credential:
        return answer_with_problem(
            status=401,
            code="credential_missing",
            detail=f"Send the credential of your account in the {BALANCE_HEADER} header.",
        )
    # Farebox would refuse the whole call as malformed, which would look like our fault.
    if len(credential) > LONGEST_CREDENTIAL:
        return _denied(Decision(allowed=False, code="account_unknown"))
    return credential


def _maximum_cost(charging: Charging, request: Request) -> int | None:
    maximum = charging.maximum_cost
    if callable(maximum):
        maximum = maximum(request)
        if not _may_be_held(maximum):
            raise ValueError(f"maximum_cost returned {maximum!r}; for nothing to pay there is free")
    return maximum


def _may_be_held(maximum: int) -> bool:
    return type(maximum) is int and 1 <= maximum <= LARGEST_QUANTITY


def _whole_cost(cost: int) -> int:
    # type() and not isinstance(): True is a forgotten comparison, not a price of 1.
    if type(cost) is not int or not 0 <= cost <= LARGEST_QUANTITY:
        raise ValueError(f"cost returned {cost!r}, not a whole number from 0")
    return cost


def _denied(decision: Decision) -> Answer:
    if decision.allowed:  # a hold of nothing: there was nothing available
        return _insufficient(balance=0)
    if decision.code in {"bucket_empty", "no_bucket"}:
        return _insufficient(balance=decision.remaining)
    if decision.code == "account_unknown":
        detail = "There is no account with this credential."
    else:
        detail = f"The account may not be used: {decision.code}."
    return answer_with_problem(
        status=_STATUS_OF_DENIAL.get(decision.code, 403), code=decision.code, detail=detail
    )


def _insufficient(*, balance: int | None) -> Answer:
    return answer_with_problem(
        status=402,
        code="insufficient_balance",
        detail="The balance does not cover this request.",
        balance=balance,
    )


def _too_expensive(held: Held, cost: int, balance: int | None) -> Answer:
    if held.everything:
        return _insufficient(balance=balance)
    return answer_with_problem(
        status=402,
        code="cost_above_hold",
        detail=f"The request cost {cost}, but at most {held.quantity} was reserved. "
        "Nothing was charged.",
        balance=balance,
    )


def _too_large(charging: Charging) -> Answer:
    return answer_with_problem(
        status=500,
        code="response_too_large",
        detail=f"The answer is longer than {charging.largest_body_bytes} bytes. "
        "Nothing was charged.",
    )


def _bug_of_the_service() -> Answer:
    return answer_with_problem(
        status=500,
        code="cost_unknown",
        detail="The service could not say what this request costs. Nothing was charged.",
    )


def _not_charged(error: FareboxError) -> Answer:
    if isinstance(error, Refused) and error.code == "hold_expired":
        return answer_with_problem(
            status=503,
            code="hold_expired",
            detail="The service took longer than credit stays reserved. Nothing was charged.",
        )
    return _accounting_unavailable()


def _accounting_unavailable() -> Answer:
    return answer_with_problem(
        status=503,
        code="accounting_unavailable",
        detail="The account could not be charged now. Try again later.",
    )
