"""Calls at other people's gateways: which route, whose key, one decision.

The gateway shows a key of its own; the call shows the customer's. Everything a gateway does not
vouch for (identity headers that a client sent along, say) is not looked at here. A customer's
`Idempotency-Key` is not, either: whoever may choose it could call for ever under one and pay once.

Routes are kept in memory for at most a second, so a changed route counts everywhere after that;
what decides about the customer counts at once, as in every decision.
"""

import asyncio
import time
from typing import Final, Protocol

import msgspec

from farebox.access.flows.asks import NotAllowed, Standing
from farebox.access.flows.callers import Caller, CredentialInvalid
from farebox.access.gateways.model import Call, Route
from farebox.access.gateways.rules import RouteTable
from farebox.access.gateways.service import all_routes
from farebox.contracts.decisions import DecideRequest, Decision
from farebox.kernel.refusals import Refusal
from farebox.platform.model import LONGEST_CREDENTIAL
from farebox.storage import Database

ROUTES_SECONDS: Final = 1.0


class GatewayUnknown(Refusal):
    """The gateway shows no key of an operator who may ask for decisions."""

    code = "gateway_unknown"


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a call: `code` is `allowed` or why not.

    Without a `decision` the route alone decided (an open one, a preflight, an unknown one), or
    the credential did. `standing` is known where the consumer is, `at_us` is when it was given.
    """

    code: str
    at_us: int
    route: Route | None = None
    decision: Decision | None = None
    standing: Standing | None = None

    @property
    def allowed(self) -> bool:
        """Tell whether the call may go on."""
        return self.code == "allowed"


class Decides(Protocol):
    """What visits need of the decider."""

    async def decide(
        self, shown: str, ask: DecideRequest, idempotency_key: str | None = None
    ) -> Decision:
        """Decide for whoever showed this credential."""
        ...

    async def caller(self, shown: str) -> Caller:
        """Return whose credential this is."""
        ...

    async def standing(
        self, consumer: str, credential: str | None, product: str | None
    ) -> Standing | None:
        """Return what is known of a consumer besides a decision."""
        ...


class Gatekeeper:
    """Answers gateways: one a process, over its decider."""

    def __init__(self, database: Database, decider: Decides) -> None:
        self._database = database
        self._decider = decider
        self._table = RouteTable(())
        self._read_at = float("-inf")

    def forget_routes(self) -> None:
        """Read the routes anew at the next call: they have changed."""
        self._read_at = float("-inf")

    async def routes(self) -> RouteTable:
        """Return the routes as they were at most a second ago."""
        if time.monotonic() - self._read_at >= ROUTES_SECONDS:
            asked_at = time.monotonic()
            self._table = await asyncio.to_thread(self._load)
            self._read_at = asked_at
        return self._table

    def _load(self) -> RouteTable:
        with self._database.read() as tx:
            return RouteTable(all_routes(tx))

    async def judge(self, gateway: str | None, call: Call, credentials: list[str]) -> Verdict:
        """Answer a call that shows these credentials.

        Refuses a gateway that is not known (`gateway_unknown`) or whose operator's roles do not
        allow decisions (`role_missing`). Whatever stands against the call itself is a verdict:
        `credential_missing`, `credential_ambiguous`, `credential_invalid`, `route_unknown`, or
        the code of the decision.
        """
        if gateway is None or len(gateway) > LONGEST_CREDENTIAL:
            raise GatewayUnknown
        try:
            caller = await self._decider.caller(gateway)
        except CredentialInvalid as error:
            raise GatewayUnknown from error
        if not caller.speaks:
            raise NotAllowed
        route = (await self.routes()).route_of(call)
        if route is not None and (route.mode == "open" or call.preflight):
            return self._verdict("allowed", route=route)
        if len(credentials) != 1:
            missing = not credentials
            return self._verdict("credential_missing" if missing else "credential_ambiguous")
        credential = credentials[0]
        if len(credential) > LONGEST_CREDENTIAL and credential.count(".") != 2:  # noqa: PLR2004 - a JWT has three parts
            return self._verdict("credential_invalid")
        if route is None:
            return await self._without_route(credential)
        return await self._decide(gateway, route, credential)

    def _verdict(
        self,
        code: str,
        *,
        route: Route | None = None,
        decision: Decision | None = None,
        standing: Standing | None = None,
    ) -> Verdict:
        now = self._database.now_us()
        return Verdict(code=code, at_us=now, route=route, decision=decision, standing=standing)

    async def _without_route(self, credential: str) -> Verdict:
        """Say that the address is unknown, but to those only whom we know."""
        try:
            holder = await self._decider.caller(credential)
        except CredentialInvalid:
            return self._verdict("credential_invalid")
        known = holder.kind == "consumer"
        return self._verdict("route_unknown" if known else "credential_invalid")

    async def _decide(self, gateway: str, route: Route, credential: str) -> Verdict:
        assert route.mode != "open"
        ask = DecideRequest(
            mode=route.mode,
            product=route.product,
            feature=route.feature,
            quantity=route.quantity,
            credential=credential,
        )
        try:
            decision = await self._decider.decide(gateway, ask)
        except CredentialInvalid as error:
            raise GatewayUnknown from error
        if decision.code == "account_unknown":
            return self._verdict("credential_invalid")
        standing = None
        if decision.consumer:
            try:
                standing = await self._decider.standing(
                    decision.consumer, credential, route.product
                )
            except CredentialInvalid:
                standing = None  # revoked between the decision and this: there is less to tell
        return self._verdict(decision.code, route=route, decision=decision, standing=standing)
