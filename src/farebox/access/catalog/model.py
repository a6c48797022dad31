"""Products: what is used, and the unit it is counted in."""

from typing import ClassVar, Final, Literal

import msgspec

from farebox.kernel.refusals import Refusal

ProductState = Literal["active", "archived"]
LONGEST_NAME: Final = 256
LONGEST_WORD: Final = 64


class Product(msgspec.Struct, frozen=True, kw_only=True):
    """What is used. Its ledger asset has the product's code and scale.

    An archived product gets no new buckets; what was sold of it stays usable.
    """

    code: str
    name: str
    type: str
    unit: str
    scale: int
    state: ProductState
    created_at: int


class ProductUnknown(Refusal):
    """There is no such product."""

    code: ClassVar[str] = "product_unknown"


class ProductTaken(Refusal):
    """A product of this code exists."""

    code: ClassVar[str] = "product_taken"


class ProductArchived(Refusal):
    """The product is archived, so nothing new is sold of it."""

    code: ClassVar[str] = "product_archived"
