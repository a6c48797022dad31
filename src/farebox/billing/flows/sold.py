"""What is sold, looked up once for a piece of work that bills many customers."""

from farebox.billing.copies.model import PlanCopy, ProductCopy
from farebox.billing.copies.service import find_plan, find_product
from farebox.billing.pricing.model_prices import Price
from farebox.billing.pricing.service_prices import prices_of, use_price
from farebox.storage import Tx


class Sold:
    """Products, plans and prices of usage as they were when first asked for.

    For seconds, not longer: a price that is changed meanwhile is found by the next piece of work.
    One whose version was replaced before anything was sold on it is refused when it is used.
    """

    def __init__(self) -> None:
        self._products: dict[str, ProductCopy | None] = {}
        self._plans: dict[tuple[str, int], PlanCopy | None] = {}
        self._prices: dict[str, list[Price]] = {}

    def product(self, tx: Tx, code: str) -> ProductCopy | None:
        """Return a product, or None."""
        if code not in self._products:
            self._products[code] = find_product(tx, code)
        return self._products[code]

    def plan(self, tx: Tx, code: str, version: int) -> PlanCopy | None:
        """Return a version of a plan, or None."""
        if (code, version) not in self._plans:
            self._plans[code, version] = find_plan(tx, code, version)
        return self._plans[code, version]

    def prices(self, tx: Tx, product: str) -> list[Price]:
        """Return the prices of a product's usage."""
        if product not in self._prices:
            self._prices[product] = prices_of(tx, "product", product)
        return self._prices[product]

    def use(self, tx: Tx, price: Price) -> None:
        """Keep a price's version as it is from now on; refuses `price_unknown`."""
        if not price.used:
            use_price(tx, price.id, price.version)
            tx.after_commit(lambda: self._forget(price.code))

    def _forget(self, product: str) -> None:
        """Look the prices of a product up anew: one of them is in use now."""
        self._prices.pop(product, None)
