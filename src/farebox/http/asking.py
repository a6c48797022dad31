"""What other standards' questions about decisions have in common: a body, a consumer, a look.

They only look: whatever is asked here takes nothing, from no quota, bucket or rate limit.
"""

from typing import Any, Final

import msgspec
from anyio import to_thread

from farebox.access.consumers.model import ConsumerUnknown
from farebox.access.consumers.service_lookup import consumer_of_user
from farebox.contracts.decisions import DecideRequest, Decision
from farebox.http.deps import AnyRequest, Services
from farebox.http.refusals import RequestMalformed
from farebox.kernel.refusals import Refusal
from farebox.platform.model import Principal

_NOBODY: Final = frozenset({"consumer_unknown", "value_invalid"})


async def object_in(request: AnyRequest) -> dict[str, Any]:
    """Return the JSON object that a request carries; refuses others (`request_malformed`)."""
    media_type, _ = request.content_type
    if media_type.lower() != "application/json":
        raise RequestMalformed("send application/json")
    try:
        found = msgspec.json.decode(await request.body())
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RequestMalformed("the body is not JSON") from error
    if not isinstance(found, dict):
        raise RequestMalformed("the body is not a JSON object")
    return found


async def consumer_meant(services: Services, principal: Principal, name: str) -> str | None:
    """Return the consumer whose id this is, or whom an issuer calls so; None for nobody.

    Consumers may ask about themselves only; everybody else is nobody to them.
    """

    def look() -> str:
        with services.database.read() as tx:
            return consumer_of_user(tx, name).id

    try:
        found = await to_thread.run_sync(look)
    except ConsumerUnknown:
        return None
    return found if principal.kind != "consumer" or principal.id == found else None


async def look(services: Services, shown: str, ask: DecideRequest) -> Decision:
    """Ask a decision that takes nothing; what is refused is a denial with the refusal's code."""
    assert ask.mode == "check"
    try:
        made = await services.decisions.decide(shown, ask)
    except Refusal as refusal:
        if refusal.code in _NOBODY:
            return Decision(allowed=False, code=refusal.code)
        raise
    services.metrics.decided(mode=ask.mode, code=made.code)
    return made
