"""A dumb dictionary model of Farebox's wire contract, strict about what it is asked.

The promises of the edge are tested against it and against the real server: what passes only here
is a fault of the model.
"""

import threading
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs

import msgspec

from farebox.contracts.decisions import CaptureRequest, DecideRequest, ReleaseRequest

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


class Problem(Exception):
    def __init__(self, status, code):
        super().__init__(code)
        self.status = status
        self.code = code


class Model:
    def __init__(self, key):
        self.key = key
        self.now = EPOCH
        self.balance = {}
        self.pasts = {}
        self.holds = {}
        self.remembered = {}
        self.operations = 0
        self._lock = threading.Lock()

    def answer(self, method, path, query, headers, body):
        with self._lock:
            try:
                return 200, self._answer(method, path.rstrip("/"), query, headers, body)
            except Problem as problem:
                return problem.status, {
                    "type": "about:blank",
                    "title": problem.code,
                    "status": problem.status,
                    "code": problem.code,
                    "detail": f"{method} {path}",
                }

    def _answer(self, method, path, query, headers, body):
        if headers.get("authorization") != f"Bearer {self.key}":
            raise Problem(401, "credential_unknown")
        self._expire()
        asked = {
            name: values[0] for name, values in parse_qs(query, keep_blank_values=True).items()
        }
        match method, path:
            case "GET", "/tot":
                return {"cred": asked["cred"], "tot": self._available(asked["cred"])}
            case "GET", "/past":
                return self._past(**asked)
            case "PATCH", "/mod":
                return self._once(headers, (path, query), lambda: self._mod(**asked))
            case "POST", "/v1/access/decide":
                request = self._parsed(headers, body, DecideRequest)
                return self._once(headers, (path, body), lambda: self._decide(request))
            case "POST", "/v1/access/capture":
                request = self._parsed(headers, body, CaptureRequest)
                return self._once(headers, (path, body), lambda: self._capture(request))
            case "POST", "/v1/access/release":
                request = self._parsed(headers, body, ReleaseRequest)
                return self._once(headers, (path, body), lambda: self._release(request))
        raise Problem(404, "path_unknown")

    def _parsed(self, headers, body, kind):
        if headers.get("content-type") != "application/json":
            raise Problem(415, "content_type_unknown")
        try:
            return msgspec.json.decode(body, type=kind)
        except msgspec.DecodeError as error:
            raise Problem(422, "body_invalid") from error

    def _once(self, headers, payload, command):
        key = headers.get("idempotency-key")
        if key is None:
            return command()
        if key not in self.remembered:
            try:
                self.remembered[key] = payload, command()
            except Problem as problem:
                self.remembered[key] = payload, problem
        first, outcome = self.remembered[key]
        if first != payload:
            raise Problem(422, "idempotency_key_reused")
        if isinstance(outcome, Problem):
            raise outcome
        return outcome

    def _expire(self):
        for hold in self.holds.values():
            if hold["state"] == "open" and hold["expires_at"] <= self.now:
                hold["state"] = "expired"
                if hold["on_expiry"] == "capture":
                    self.balance[hold["cred"]] -= hold["quantity"]
                else:
                    self._record(hold["cred"], hold["quantity"], "expire")

    def _available(self, cred):
        if cred not in self.balance:
            raise Problem(404, "account_unknown")
        held = sum(
            hold["quantity"]
            for hold in self.holds.values()
            if hold["cred"] == cred and hold["state"] == "open"
        )
        return max(self.balance[cred] - held, 0)

    def _record(self, cred, by, kind):
        """Write down a change of what is available, which has happened already."""
        self.operations += 1
        operation = f"op_{self.operations:016x}"
        entry = {"operation": operation, "at": self.now.isoformat(), "by": by}
        entry |= {"tot": self._available(cred), "kind": kind}
        self.pasts[cred].insert(0, entry)
        return operation

    def _mod(self, cred, by):
        self.balance.setdefault(cred, 0)
        self.pasts.setdefault(cred, [])
        if self._available(cred) + int(by) < 0:
            raise Problem(402, "insufficient_balance")
        self.balance[cred] += int(by)
        operation = self._record(cred, int(by), "grant" if int(by) > 0 else "use")
        return {"cred": cred, "tot": self._available(cred), "by": int(by), "operation": operation}

    def _past(self, cred, limit, cursor="0"):
        self._available(cred)
        start = int(cursor)
        end = start + int(limit)
        rest = self.pasts[cred][end:]
        page = self.pasts[cred][start:end]
        return {"cred": cred, "past": page, "next": str(end) if rest else None}

    def _decide(self, asked):
        assert asked.mode == "reserve"
        if asked.product != "accman":
            return {"allowed": False, "code": "product_unknown"}
        if asked.credential not in self.balance:
            return {"allowed": False, "code": "account_unknown"}
        available = self._available(asked.credential)
        wanted = available if asked.quantity is None else asked.quantity
        quantity = min(wanted, available) if asked.at_most else wanted
        if quantity > available or quantity == 0:
            return {"allowed": False, "code": "bucket_empty", "remaining": available}
        hold = f"hld_{len(self.holds):016x}"
        self.holds[hold] = {
            "cred": asked.credential,
            "quantity": quantity,
            "state": "open",
            "over_capture": asked.over_capture,
            "on_expiry": asked.on_expiry,
            "expires_at": self.now + timedelta(seconds=asked.ttl_seconds),
        }
        return {
            "allowed": True,
            "code": "allowed",
            "operation": self._record(asked.credential, -quantity, "hold"),
            "hold": hold,
            "quantity": quantity,
            "remaining": available - quantity,
            "expires_at": self.holds[hold]["expires_at"].isoformat(),
        }

    def _opened(self, name):
        hold = self.holds.get(name)
        if hold is None:
            raise Problem(404, "hold_unknown")
        if hold["state"] != "open":
            raise Problem(409, f"hold_{hold['state']}")
        return hold

    def _capture(self, asked):
        hold = self._opened(asked.hold)
        wanted = hold["quantity"] if asked.quantity is None else asked.quantity
        above = max(wanted - hold["quantity"], 0)
        if above and hold["over_capture"] == "deny":
            raise Problem(402, "over_capture")
        taken = wanted - above
        hold["state"] = "captured"
        self.balance[hold["cred"]] -= taken
        return {
            "hold": asked.hold,
            "operation": self._record(hold["cred"], hold["quantity"] - taken, "capture"),
            "captured": taken,
            "released": hold["quantity"] - taken,
            "debt": above if hold["over_capture"] == "debt" else 0,
            "remaining": self._available(hold["cred"]),
            "next_hold": None,
        }

    def _release(self, asked):
        hold = self._opened(asked.hold)
        hold["state"] = "released"
        return {
            "hold": asked.hold,
            "operation": self._record(hold["cred"], hold["quantity"], "release"),
            "released": hold["quantity"],
            "remaining": self._available(hold["cred"]),
        }
