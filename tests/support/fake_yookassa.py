"""A small YooKassa of our own, written from its documentation, with the faults of `FakeStripe`."""

import json
from typing import Any

from tests.support.fake_stripe import FakeStripe, Refused


class FakeYookassa(FakeStripe):
    """Payments and refunds of API version 3. The method's id says what comes of a payment."""

    key_header = "idempotence-key"
    root = "/v3/"

    def form_of(self, body: bytes) -> Any:
        return json.loads(body) if body else {}

    @property
    def address(self) -> str:
        return f"{self.url}/v3"

    @property
    def charged(self) -> int:
        """Return what was taken, in kopecks."""
        paid = [one for one in self.of("payment") if one["status"] == "succeeded"]
        return sum(round(float(one["amount"]["value"]) * 100) for one in paid)

    def notice(self, event: str, thing: dict[str, Any]) -> bytes:
        """Return the body of a notice; nobody signs it."""
        return json.dumps({"type": "notification", "event": event, "object": thing}).encode()

    def _work(self, method: str, parts: list[str], form: Any, query: Any) -> Any:
        match method, *parts:
            case "POST", "payments":
                return self._payment(form)
            case "POST", "refunds":
                return self._refund(form)
            case "GET", "payments":
                return {"type": "list", "items": self.of("payment")}
            case "GET", "refunds":
                wanted = query["payment_id"]
                found = [one for one in self.of("refund") if one["payment_id"] == wanted]
                return {"type": "list", "items": found}
            case "GET", _, name if name in self.things:
                return self.things[name]
        raise Refused(404, "error", "not_found")

    def _payment(self, form: Any) -> Any:
        made = self._new(
            "payment", "2d", amount=form["amount"], metadata=form["metadata"], status="pending",
            description=form["description"],
        )  # fmt: skip
        self._rename(made)
        method = form.get("payment_method_id")
        if method is None:
            made["confirmation"] = {
                "type": "redirect", "confirmation_url": f"https://yoomoney.test/{made['id']}",
            }  # fmt: skip
        elif method.startswith("decline-"):
            why = method.removeprefix("decline-").replace("-", "_")
            made |= {
                "status": "canceled",
                "cancellation_details": {"party": "payment_network", "reason": why},
            }
        elif method != "slow":
            self.pay(made)
        return made

    def _rename(self, made: dict[str, Any]) -> None:
        """Give a thing an id that looks like YooKassa's."""
        number = int(made["id"].partition("_")[2])
        del self.things[made["id"]]
        made["id"] = f"23d93cac-000f-5000-8000-{number:012x}"
        self.things[made["id"]] = made

    def pay(self, payment: dict[str, Any], *, saved: bool = False) -> None:
        """Let a customer pay."""
        card = {
            "last4": "4444", "card_type": "Mir", "expiry_year": "2030", "expiry_month": "7",
        }  # fmt: skip
        payment |= {
            "status": "succeeded", "income_amount": {"value": "9.65", "currency": "RUB"},
            "payment_method": {
                "id": payment["id"], "type": "bank_card", "saved": saved, "card": card,
            },
        }  # fmt: skip
        payment.pop("confirmation", None)

    def _refund(self, form: Any) -> Any:
        payment = self.things[form["payment_id"]]
        done = sum(
            float(one["amount"]["value"])
            for one in self.of("refund")
            if one["payment_id"] == payment["id"]
        )
        if done + float(form["amount"]["value"]) > float(payment["amount"]["value"]):
            raise Refused(400, "error", "invalid_request")
        made = self._new(
            "refund", "2e", amount=form["amount"], payment_id=payment["id"], status="succeeded",
            description=form["description"],
        )  # fmt: skip
        self._rename(made)
        return made
