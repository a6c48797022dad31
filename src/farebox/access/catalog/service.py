"""Products. Each has a ledger asset of its code."""

from farebox.access.catalog.model import Product, ProductState
from farebox.platform.model import Actor, Page
from farebox.storage import Tx


def create_product(
    tx: Tx,
    actor: Actor,
    *,
    code: str,
    name: str,
    type: str = "service",
    unit: str = "use",
    scale: int = 0,
) -> Product:
    """Create a product and its asset; refuses a taken code (`product_taken`). The scale never changes."""
    raise NotImplementedError


def read_product(tx: Tx, code: str) -> Product:
    """Return a product; refuses an unknown one (`product_unknown`)."""
    raise NotImplementedError


def find_product(tx: Tx, code: str) -> Product | None:
    """Return a product or None."""
    raise NotImplementedError


def list_products(
    tx: Tx, *, state: ProductState | None = None, after: str | None = None, limit: int = 100
) -> Page[Product]:
    """Return products in the order of their codes."""
    raise NotImplementedError


def update_product(
    tx: Tx,
    actor: Actor,
    code: str,
    *,
    name: str | None = None,
    type: str | None = None,
    unit: str | None = None,
) -> Product:
    """Change what is given."""
    raise NotImplementedError


def archive_product(tx: Tx, actor: Actor, code: str) -> Product:
    """Sell nothing new of a product; what was sold stays usable. Repeating changes nothing."""
    raise NotImplementedError


def ensure_product(tx: Tx, *, code: str, name: str, unit: str, scale: int = 0) -> Product:
    """Return a product that the platform itself needs, making it at the first start."""
    raise NotImplementedError
