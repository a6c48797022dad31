"""A small Stripe of our own, for what localstripe does not have: keys, faults, search, disputes.

It is written from Stripe's documentation, not from our gateway: an idempotency key gives the first
answer again, for the same parameters; a fault happens before or after the work is done.
"""

import hashlib
import hmac
import itertools
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import parse_qsl, urlsplit

Fault = Literal["cut_before", "cut_after", "error_after", "error_before", "busy", "in_use"]
SECRET = "whsec_fake"


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Say nothing: a caller that hangs up is what some tests are about."""


class Refused(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, kind: str, code: str, **more: Any) -> None:
        super().__init__(code)
        self.status = status
        self.body = {"error": {"type": kind, "code": code, "message": code, **more}}


class FakeStripe:
    """Listens on a free port of this machine until closed."""

    key_header = "idempotency-key"
    root = "/v1/"

    def __init__(self) -> None:
        self.things: dict[str, dict[str, Any]] = {}
        self.keys: dict[str, tuple[Any, int, Any]] = {}
        self.faults: list[Fault] = []
        self.calls: list[tuple[str, str]] = []
        self.search_works = True
        self._numbers = itertools.count(1)
        self._turn = threading.RLock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer.answer(self, "GET")

            def do_POST(self) -> None:
                outer.answer(self, "POST")

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = _Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    # -- what tests look at ------------------------------------------------------------------

    def of(self, kind: str) -> list[dict[str, Any]]:
        """Return everything of a kind."""
        return [one for one in self.things.values() if one["object"] == kind]

    @property
    def charged(self) -> int:
        """Return what was taken from cards in all."""
        return sum(
            one["amount"] for one in self.of("payment_intent") if one["status"] == "succeeded"
        )

    def dispute(self, intent: str, status: str, amount: int = 1000) -> dict[str, Any]:
        """Let a bank take back a payment, or decide about that."""
        found = next((one for one in self.of("dispute") if one["payment_intent"] == intent), None)
        made = found or self._new("dispute", "dp", payment_intent=intent, currency="usd")
        made |= {
            "status": status, "amount": amount, "reason": "fraudulent",
            "balance_transactions": [
                {"object": "balance_transaction", "currency": "usd", "fee": 1500, "id": "txn_d"}
            ],
        }  # fmt: skip
        return made

    def event(self, kind: str, thing: dict[str, Any], number: int = 0) -> tuple[bytes, str]:
        """Return the body and the signature of a notice about a thing."""
        name = f"evt_{number or next(self._numbers)}"
        said = {
            "id": name, "object": "event", "type": kind, "api_version": "2026-10-28",
            "created": int(time.time()), "data": {"object": thing},
        }  # fmt: skip
        body = json.dumps(said).encode()
        return body, sign(body)

    # -- the server --------------------------------------------------------------------------

    def answer(self, request: Any, method: str) -> None:
        """Answer one request, or let its fault happen."""
        length = int(request.headers.get("content-length") or 0)
        form = self.form_of(request.rfile.read(length))
        parts = urlsplit(request.path)
        query = dict(parse_qsl(parts.query))
        with self._turn:
            self.calls.append((method, parts.path))
            fault = self.faults.pop(0) if self.faults else None
            if fault == "cut_before":
                return self._hang_up(request)
            if fault in {"error_before", "busy", "in_use"}:
                return self._send(request, *_FAULTS[fault])
            status, body = self._keyed(request, method, parts.path, form, query)
        if fault == "cut_after":
            return self._hang_up(request)
        if fault == "error_after":
            return self._send(request, *_FAULTS["error_before"])
        return self._send(request, status, body)

    def form_of(self, body: bytes) -> Any:
        """Return what a request carries."""
        return dict(parse_qsl(body.decode(), keep_blank_values=True))

    def _keyed(self, request: Any, *call: Any) -> tuple[int, Any]:
        key = request.headers.get(self.key_header)
        asked = json.dumps(call)
        if key is None:
            return self._do(*call)
        if key not in self.keys:
            self.keys[key] = (asked, *self._do(*call))
        first, status, body = self.keys[key]
        if first != asked:
            error = Refused(400, "idempotency_error", "idempotency_key_reused")
            return error.status, error.body
        return status, body

    def _do(self, method: str, path: str, form: Any, query: Any) -> tuple[int, Any]:
        try:
            return 200, self._work(method, path.removeprefix(self.root).split("/"), form, query)
        except Refused as refused:
            return refused.status, refused.body

    def _work(self, method: str, parts: list[str], form: Any, query: Any) -> Any:
        match method, *parts:
            case "POST", "payment_intents":
                return self._intent(form)
            case "GET", "payment_intents", "search":
                if not self.search_works:
                    raise Refused(400, "invalid_request_error", "search_unavailable")
                wanted = query["query"].split(":")[1].strip("'")
                return _list([
                    one for one in self.of("payment_intent")
                    if one["metadata"].get("farebox_payment") == wanted
                ])  # fmt: skip
            case "POST", "payment_intents", name, "cancel":
                return self._cancel(name)
            case "POST", "checkout", "sessions":
                return self._session(form)
            case "POST", "checkout", "sessions", name, "expire":
                return self._expire(name)
            case "POST", "refunds":
                return self._refund(form)
            case "GET", "refunds":
                return _list([
                    one for one in self.of("refund")
                    if one["payment_intent"] == query["payment_intent"]
                ])  # fmt: skip
            case "POST", "transfers":
                return self._new(
                    "transfer", "tr", amount=int(form["amount"]), currency=form["currency"],
                    destination=form["destination"], metadata=_metadata(form), reversed=False,
                )  # fmt: skip
            case "GET", "transfers":
                return _list(
                    [
                        one
                        for one in self.of("transfer")
                        if one["destination"] == query["destination"]
                    ]
                )
            case "GET", *_, name if name in self.things:
                return self.things[name]
        raise Refused(404, "invalid_request_error", "resource_missing")

    def _new(self, kind: str, prefix: str, **fields: Any) -> dict[str, Any]:
        name = f"{prefix}_{next(self._numbers)}"
        self.things[name] = {"id": name, "object": kind, **fields}
        return self.things[name]

    def _intent(self, form: Any) -> Any:
        made = self._new(
            "payment_intent", "pi", amount=int(form["amount"]), currency=form["currency"],
            metadata=_metadata(form), payment_method=form.get("payment_method"),
            status="processing",
            next_action=None, last_payment_error=None, amount_received=0, latest_charge=None,
        )  # fmt: skip
        self.finish(made, form["payment_method"])
        if made["status"] == "requires_payment_method":
            raise Refused(
                402, "card_error", "card_declined", payment_intent=made,
                decline_code=made["last_payment_error"]["decline_code"],
            )  # fmt: skip
        return made

    def finish(self, intent: dict[str, Any], method: str = "pm_ok") -> None:
        """Let a method pay an intent, or not."""
        if method.startswith("pm_decline_"):
            why = method.removeprefix("pm_decline_")
            intent |= {
                "status": "requires_payment_method",
                "last_payment_error": {"code": "card_declined", "decline_code": why},
            }
        elif method == "pm_action":
            url = f"https://hooks.stripe.test/{intent['id']}"
            following = {"type": "redirect_to_url", "redirect_to_url": {"url": url}}
            intent |= {"status": "requires_action", "next_action": following}
        elif method != "pm_slow":
            fee = {"object": "balance_transaction", "id": "txn_1", "currency": "usd", "fee": 59}
            charge = {"object": "charge", "id": "ch_1", "balance_transaction": fee}
            intent |= {
                "status": "succeeded", "amount_received": intent["amount"], "next_action": None,
                "latest_charge": charge,
            }  # fmt: skip

    def _cancel(self, name: str) -> Any:
        intent = self.things[name]
        if intent["status"] in {"succeeded", "canceled"}:
            raise Refused(400, "invalid_request_error", "payment_intent_unexpected_state")
        intent["status"] = "canceled"
        return intent

    def _session(self, form: Any) -> Any:
        return self._new(
            "checkout.session", "cs", status="open", url="https://checkout.stripe.test/1",
            payment_intent=None, metadata=_metadata(form),
            amount=int(form["line_items[0][price_data][unit_amount]"]),
            currency=form["line_items[0][price_data][currency]"],
        )  # fmt: skip

    def complete(self, session: dict[str, Any]) -> None:
        """Let a customer pay on Stripe's page."""
        intent = self._new(
            "payment_intent", "pi", amount=session["amount"], currency=session["currency"],
            metadata=session["metadata"], status="processing", last_payment_error=None,
            latest_charge=None,
        )  # fmt: skip
        self.finish(intent)
        session |= {"status": "complete", "payment_intent": intent["id"]}

    def _expire(self, name: str) -> Any:
        session = self.things[name]
        if session["status"] != "open":
            raise Refused(400, "invalid_request_error", "session_not_open")
        session["status"] = "expired"
        return session

    def _refund(self, form: Any) -> Any:
        intent = self.things[form["payment_intent"]]
        amount = int(form["amount"])
        done = sum(
            one["amount"] for one in self.of("refund") if one["payment_intent"] == intent["id"]
        )
        if any(one["payment_intent"] == intent["id"] for one in self.of("dispute")):
            raise Refused(400, "invalid_request_error", "charge_disputed")
        if done + amount > intent["amount"]:
            raise Refused(400, "invalid_request_error", "charge_already_refunded")
        return self._new(
            "refund", "re", amount=amount, currency=intent["currency"], status="succeeded",
            payment_intent=intent["id"], metadata=_metadata(form), failure_reason=None,
        )  # fmt: skip

    @staticmethod
    def _hang_up(request: Any) -> None:
        request.close_connection = True
        request.connection.close()

    @staticmethod
    def _send(request: Any, status: int, body: Any) -> None:
        written = json.dumps(body).encode()
        request.send_response(status)
        request.send_header("content-type", "application/json")
        request.send_header("content-length", str(len(written)))
        request.end_headers()
        request.wfile.write(written)


_FAULTS: dict[str, tuple[int, Any]] = {
    "error_before": (500, Refused(500, "api_error", "api_error").body),
    "busy": (429, Refused(429, "invalid_request_error", "rate_limit").body),
    "in_use": (409, Refused(409, "invalid_request_error", "idempotency_key_in_use").body),
}


def sign(body: bytes, *, secret: str = SECRET, at: int | None = None) -> str:
    """Return Stripe's signature of a notice (docs.stripe.com/webhooks, by hand)."""
    moment = int(time.time()) if at is None else at
    text = f"{moment}.".encode() + body
    return f"t={moment},v1={hmac.new(secret.encode(), text, hashlib.sha256).hexdigest()}"


def _metadata(form: Any) -> dict[str, str]:
    words = ((name, value) for name, value in form.items() if name.startswith("metadata["))
    return {name[len("metadata[") : -1]: value for name, value in words}


def _list(found: list[Any]) -> Any:
    return {"object": "list", "data": found, "has_more": False, "url": "/v1/things"}
