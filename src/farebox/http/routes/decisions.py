"""Deciding, capturing and releasing.

In production the hot path answers these routes in front of the framework. Here they are declared
with the same types over the same object, so that the description shows them and so that they work
without it.
"""

import asyncio
from typing import Annotated

from litestar import Request, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import HeaderParameter, JSONBody

from farebox.contracts.decisions import (
    CAPTURE_PATH,
    DECIDE_BATCH_PATH,
    DECIDE_PATH,
    RELEASE_PATH,
    CaptureRequest,
    CaptureResult,
    DecideBatchRequest,
    DecideBatchResult,
    DecideRequest,
    Decision,
    ReleaseRequest,
    ReleaseResult,
)
from farebox.http.deps import Decisions, Services
from farebox.http.wire import Key, read_key
from farebox.kernel.refusals import Refusal

# A batch gives each of its decisions a key of its own, made from the batch's.
LONGEST_BATCH_KEY = 240
BatchKey = Annotated[
    str | None,
    HeaderParameter(
        name="Idempotency-Key",
        max_length=LONGEST_BATCH_KEY,
        pattern=r"^[!-~]+$",
        description="A repeat under the same key is answered with the first answers",
    ),
]


async def decide_each(
    decisions: Decisions, shown: str, asks: list[DecideRequest], key: str | None
) -> DecideBatchResult:
    """Decide each request alone; what is refused becomes a decision with the refusal's code."""

    async def one(place: int, ask: DecideRequest) -> Decision:
        try:
            own = None if key is None else f"{key}/{place}"
            return await decisions.decide(shown, ask, own)
        except Refusal as refusal:
            return Decision(allowed=False, code=refusal.code, product=ask.product)

    made = await asyncio.gather(*(one(place, ask) for place, ask in enumerate(asks)))
    return DecideBatchResult(decisions=list(made))


@post(DECIDE_PATH, operation_id="decide", tags=["Decisions"], status_code=200)
async def decide(
    data: JSONBody[DecideRequest],
    request: Request[object, str, State],
    services: NamedDependency[Services],
    idempotency_key: Key = None,
) -> Decision:
    """Decide whether a consumer may use a product, and take or reserve it in the same step.

    A denial is an answer: `allowed` is false, `code` says why, `remaining` what is left.
    """
    made = await services.decisions.decide(request.auth, data, read_key(idempotency_key))
    services.metrics.decided(mode=data.mode, code=made.code)
    return made


@post(DECIDE_BATCH_PATH, operation_id="decideBatch", tags=["Decisions"], status_code=200)
async def decide_batch(
    data: JSONBody[DecideBatchRequest],
    request: Request[object, str, State],
    services: NamedDependency[Services],
    idempotency_key: BatchKey = None,
) -> DecideBatchResult:
    """Decide up to 1,000 independent requests; each stands or falls alone, refused ones as well."""
    key = read_key(idempotency_key)
    made = await decide_each(services.decisions, request.auth, data.decisions, key)
    for ask, decision in zip(data.decisions, made.decisions, strict=True):
        services.metrics.decided(mode=ask.mode, code=decision.code)
    return made


@post(CAPTURE_PATH, operation_id="capture", tags=["Decisions"], status_code=200)
async def capture(
    data: JSONBody[CaptureRequest],
    request: Request[object, str, State],
    services: NamedDependency[Services],
    idempotency_key: Key = None,
) -> CaptureResult:
    """Turn a hold into a debit and give the rest back."""
    return await services.decisions.capture(request.auth, data, read_key(idempotency_key))


@post(RELEASE_PATH, operation_id="release", tags=["Decisions"], status_code=200)
async def release(
    data: JSONBody[ReleaseRequest],
    request: Request[object, str, State],
    services: NamedDependency[Services],
    idempotency_key: Key = None,
) -> ReleaseResult:
    """Give a hold back in full."""
    return await services.decisions.release(request.auth, data, read_key(idempotency_key))


HANDLERS = (decide, decide_batch, capture, release)
