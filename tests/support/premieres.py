"""The premiere store on both services: furnished as the demo furnishes it, and used as a shell."""

from collections.abc import Callable
from typing import Any, Final

from farebox.demo.premieres import HALL, ONLINE, OPENING, Person, Premieres, furnish
from farebox.kernel.clock import parse_time
from tests.api.conftest import Api, bearer

NOON: Final = OPENING.isoformat()


class AsAdmin:
    """An admin's calls, as the demo makes them over HTTP."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def request(self, method: str, path: str, /, **more: Any) -> Any:
        return self._api.call(method, path, key=None, **more)


def furnished(api: Api, settle: Callable[[], None]) -> Premieres:
    """Return the premieres, furnished by an admin."""
    return furnish(AsAdmin(api), settle=settle)


class Shopper:
    """A customer with a shell: what the store's pages call for them, and in which order."""

    def __init__(self, client: Any, person: Person, settle: Callable[[], None]) -> None:
        self.id, self.name = person.id, person.name
        self.api = Api(client, bearer(person.key))
        self._settle = settle

    # -- looking -----------------------------------------------------------------------------------

    @property
    def wallet(self) -> dict[str, Any]:
        return dict(self.api.get(f"/v1/customers/{self.id}/wallets/RUB"))

    @property
    def balance(self) -> int:
        return int(self.wallet["available"])

    @property
    def orders(self) -> list[dict[str, Any]]:
        return list(self.api.get("/v1/orders")["items"])

    @property
    def rentals(self) -> list[dict[str, Any]]:
        return list(self.api.get("/v1/rentals")["items"])

    def order(self, order: str, **params: str) -> dict[str, Any]:
        return dict(self.api.get(f"/v1/orders/{order}", **params))

    def statement(self) -> list[tuple[int, int]]:
        """Return what moved the wallet and what was in it then, oldest first."""
        page = self.api.get(f"/v1/customers/{self.id}/wallets/RUB/statement")
        return [(each["amount"], each["balance"]) for each in page["items"]]

    # -- the cart ----------------------------------------------------------------------------------

    def hold(self, item: str, offer: str = ONLINE) -> dict[str, Any]:
        return dict(self.api.post("/v1/places", {"item": item, "offer": offer}))

    def cart(self) -> dict[str, Any]:
        return dict(self.api.post("/v1/carts", {"currency": "RUB"}))

    def put(
        self, item: str, hours: int | None = 24, *, starts_at: str | None = None
    ) -> dict[str, Any]:
        """Put a premiere into the cart; without hours the seat in the theatre."""
        wish: dict[str, Any] = {"kind": "item", "code": item}
        wish |= {"offer": HALL} if hours is None else {"offer": ONLINE, "period_hours": hours}
        if starts_at is not None:
            wish["starts_at"] = starts_at
        return dict(self.api.post(f"/v1/carts/{self.cart()['id']}/lines", wish))

    # -- the checkout ------------------------------------------------------------------------------

    def complete(self, shown_total: int, *, key: str = "new", **more: Any) -> Any:
        """Return the answer to the confirmation of what is in the cart."""
        path = f"/v1/carts/{self.cart()['id']}/complete"
        return self.api.call("POST", path, key=key, json={"shown_total": shown_total, **more})

    def begin(self, order: dict[str, Any], place: str | None = None) -> list[Any]:
        """Pin the places of an order's items at access; returns each answer."""
        answers = []
        for line in order["lines"]:
            body = {
                "id": line["purchase"], "item": line["code"], "offer": line["offer"],
                "period_hours": line["period_hours"], "order": order["id"], "place": place,
                "starts_at": line["starts_at"] if line["period_hours"] else None,
            }  # fmt: skip
            answers.append(self.api.call("POST", "/v1/purchases", json=body))
        return answers

    def confirm(self, shown_total: int, **more: Any) -> dict[str, Any]:
        """Buy what is in the cart, and have it; returns the order then."""
        made = Api.good(self.complete(shown_total, **more))
        for answer in self.begin(made):
            Api.good(answer)
        self._settle()
        return self.order(made["id"], wait="true")

    def buy(self, item: str, hours: int, shown_total: int, **more: Any) -> dict[str, Any]:
        """Put one premiere into the cart and buy it."""
        self.put(item, hours, **more)
        return self.confirm(shown_total)

    # -- money -------------------------------------------------------------------------------------

    def card(self, script: str) -> str:
        """Show a card of the sandbox that plays a script."""
        path = f"/v1/customers/{self.id}/payment-methods"
        body = {"gateway": "sandbox", "token": f"{script}:{self.id}"}
        return str(self.api.post(path, body)["id"])

    def top_up(self, amount: int, script: str = "sandbox_ok", **more: Any) -> Any:
        """Ask for money by a card, and let the gateway answer; returns the answer to the asking."""
        method = self.card(script)
        path = f"/v1/customers/{self.id}/wallets/RUB/top-ups"
        answer = self.api.call("POST", path, json={"amount": amount, "method": method, **more})
        self._settle()
        return answer

    # -- afterwards --------------------------------------------------------------------------------

    def quote_return(self, order: str) -> tuple[int, str]:
        """Return what would go back of a whole order of one line, and how many percent it is."""
        found = self.api.get(f"/v1/orders/{order}/return-quote")
        return found["amount"], found["items"][0]["percent"]

    def give_back(self, order: str, **more: Any) -> dict[str, Any]:
        """Cancel what was bought; returns the refund."""
        made = dict(self.api.post(f"/v1/orders/{order}/returns", more))
        self._settle()
        return made

    def extend(self, rental: str, hours: int) -> None:
        self.api.post(f"/v1/rentals/{rental}/request-extension", {"period_hours": hours})
        self._settle()


class Store:
    """The store at noon of its opening, with its three customers."""

    def __init__(self, both: Any, made: Premieres) -> None:
        self.both, self.made = both, made
        self.anna, self.boris, self.vera = (
            self.shopper(self.made.people[name]) for name in ("Anna", "Boris", "Vera")
        )

    def at(self, moment: str) -> None:
        """Move the clock, and let both services do what is due then."""
        self.both.clock.set(parse_time(moment))
        self.both.settle()

    def settle(self) -> None:
        self.both.settle()

    def shopper(self, person: Person) -> Shopper:
        return Shopper(self.both.client, person, self.both.settle)

    def visitor(self, name: str, balance: int) -> Shopper:
        """Return somebody more, with so much in their wallet."""
        made = self.both.customer(name)
        self.settle()
        self.both.admin.patch(f"/v1/customers/{made.id}", {"currency": "RUB"})
        visitor = self.shopper(Person(id=made.id, name=name, key=made.key))
        self.fill(visitor, balance)
        return visitor

    def fill(self, who: Shopper, amount: int) -> None:
        """Put money into a wallet by hand; below 0 it is taken out."""
        path = f"/v1/customers/{who.id}/wallets/RUB/adjustments"
        body = {"amount": amount, "reason": "The scenario's balance", "part": "paid"}
        self.both.admin.post(path, {**body, "account": "cash:sandbox"})

    def reprice(self, item: str, hours: int, amount: str) -> None:
        terms = {"charge": {"model": "flat", "amount": amount}}
        price = self.made.prices[item, ONLINE, hours]
        self.both.admin.put(f"/v1/prices/{price}", {"terms": terms})

    def look(self, path: str, **params: Any) -> Any:
        """Return the answer to somebody without a credential."""
        return Api(self.both.client, {}).call("GET", path, params=params)
