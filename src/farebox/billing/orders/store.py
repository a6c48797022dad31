"""The tables of carts, orders and refunds, and how rows become them: wishes and lists are JSON."""

from functools import partial
from typing import Any, Final, TypeVar

import msgspec
import sqlalchemy as sa

from farebox.billing.orders.model import Charge, Order, OrderLine
from farebox.billing.orders.model_automatic import AutomaticPurchase
from farebox.billing.orders.model_carts import Cart, CartLine
from farebox.billing.orders.model_changes import RentalChange
from farebox.billing.orders.model_refunds import Refund, RefundPart, RefundPolicy
from farebox.storage import table

metadata = sa.MetaData()
T = TypeVar("T", bound=msgspec.Struct)
_table = partial(table, metadata)
_INT, _TEXT = sa.BigInteger, sa.Text
cart = _table(
    "cart", id=_TEXT, customer=_TEXT, currency=_TEXT, coupons=_TEXT, order_id=_TEXT,
    created_at=_INT, changed_at=_INT,
)  # fmt: skip
cart_line = _table(
    "cart_line", id=_TEXT, cart=_TEXT, wish=_TEXT, price=_TEXT, price_version=_INT,
    list_fee=_INT, fee=_INT, promotion=_TEXT, book=_TEXT, guaranteed_until=_INT, renewals=_INT,
    added_at=_INT,
)  # fmt: skip
order = _table(
    "sales_order", id=_TEXT, key=_TEXT, fingerprint=_TEXT, customer=_TEXT, currency=_TEXT,
    state=_TEXT, pay_by=_TEXT, buy_at_once=_INT, fees=_INT, discount=_INT, tax=_INT, total=_INT,
    charged=_INT, refunded=_INT, cart=_TEXT, method=_TEXT, gateway=_TEXT, payment=_TEXT,
    coupons=_TEXT, due_at=_INT, ended_by=_TEXT, reason=_TEXT, created_at=_INT, updated_at=_INT,
)  # fmt: skip
line = _table(
    "order_line", id=_TEXT, order_id=_TEXT, number=_INT, wish=_TEXT, item=_TEXT, title=_TEXT,
    price=_TEXT, price_version=_INT, book=_TEXT, list_fee=_INT, fee=_INT, promotion=_TEXT,
    discount=_INT, net=_INT, tax=_INT, taxes=_TEXT, gross=_INT, owner=_TEXT,
    commission_percent=_TEXT, policy=_TEXT, policy_version=_INT, state=_TEXT, purchase=_TEXT,
    rental=_TEXT, starts_at=_INT, period_hours=_INT, played_at=_INT,
)  # fmt: skip
charge = _table(
    "order_charge", id=_TEXT, order_id=_TEXT, line=_TEXT, gross=_INT, taxes=_TEXT, commission=_INT,
    owner=_TEXT, operation=_INT, payment=_TEXT, refunded=_INT, at=_INT,
)  # fmt: skip
refund = _table(
    "order_refund", id=_TEXT, order_id=_TEXT, customer=_TEXT, currency=_TEXT, kind=_TEXT,
    reason=_TEXT, amount=_INT, note=_TEXT, at=_INT,
)  # fmt: skip
part = _table(
    "order_refund_part", refund=_TEXT, charge=_TEXT, line=_TEXT, gross=_INT, taxes=_TEXT,
    commission=_INT,
)  # fmt: skip
policy = _table("refund_policy", code=_TEXT, version=_INT, rules=_TEXT, created_at=_INT)
commission = _table("commission_terms", owner=_TEXT, version=_INT, percent=_TEXT, created_at=_INT)
waiting = _table("waiting_purchase", id=_TEXT, order_id=_TEXT, facts=_TEXT, due_at=_INT)
change = _table(
    "rental_change", id=_TEXT, line=_TEXT, rental=_TEXT, from_hours=_INT, to_hours=_INT,
    amount=_INT, state=_TEXT, reason=_TEXT, at=_INT, ended_at=_INT,
)  # fmt: skip
automatic = _table(
    "automatic_purchase", bucket=_TEXT, customer=_TEXT, product=_TEXT, quantity=_INT,
    currency=_TEXT, most=_INT, unit=_TEXT, unit_count=_INT, anchor_at=_INT,
)  # fmt: skip
automatic_order = _table(
    "automatic_purchase_order", order_id=_TEXT, bucket=_TEXT, customer=_TEXT, amount=_INT, at=_INT
)
order_time = _table("order_time", gateway=_TEXT, minutes=_INT)
_JSON: Final = frozenset({"wish", "title", "book", "taxes", "coupons", "rules", "promotion"})
_NAMES: Final = {"order_id": "order"}


def row_of(made: msgspec.Struct, table: sa.Table, **more: object) -> dict[str, Any]:
    """Return the row that something is; what the table does not have is left out."""
    facts = {**msgspec.structs.asdict(made), **more}
    return {
        column.name: _stored(column.name, facts[_NAMES.get(column.name, column.name)])
        for column in table.c
    }


def cart_of(row: sa.Row[Any]) -> Cart:
    """Return a row of `cart`."""
    return _read(row, Cart)


def cart_line_of(row: sa.Row[Any]) -> CartLine:
    """Return a row of `cart_line`."""
    return _read(row, CartLine)


def order_of(row: sa.Row[Any]) -> Order:
    """Return a row of `sales_order`."""
    return _read(row, Order)


def line_of(row: sa.Row[Any]) -> OrderLine:
    """Return a row of `order_line`."""
    return _read(row, OrderLine)


def charge_of(row: sa.Row[Any]) -> Charge:
    """Return a row of `order_charge`."""
    return _read(row, Charge)


def refund_of(row: sa.Row[Any], parts: tuple[RefundPart, ...]) -> Refund:
    """Return a row of `order_refund` with its parts."""
    return msgspec.structs.replace(_read(row, Refund), parts=parts)


def part_of(row: sa.Row[Any]) -> RefundPart:
    """Return a row of `order_refund_part`."""
    return _read(row, RefundPart)


def policy_of(row: sa.Row[Any]) -> RefundPolicy:
    """Return a row of `refund_policy`."""
    return _read(row, RefundPolicy)


def change_of(row: sa.Row[Any]) -> RentalChange:
    """Return a row of `rental_change`."""
    return _read(row, RentalChange)


def automatic_of(row: sa.Row[Any]) -> AutomaticPurchase:
    """Return a row of `automatic_purchase`."""
    return _read(row, AutomaticPurchase)


def _stored(name: str, value: Any) -> Any:  # noqa: ANN401 - any column's value
    if name in _JSON:
        return msgspec.json.encode(value).decode()
    return int(value) if isinstance(value, bool) else value


def _read(row: sa.Row[Any], kind: type[T]) -> T:
    held = row._mapping  # noqa: SLF001 - SQLAlchemy's own name for a row as a mapping
    known = msgspec.structs.fields(kind)
    facts = {_NAMES.get(str(name), str(name)): (str(name), value) for name, value in held.items()}
    read = {
        each.name: msgspec.json.decode(value) if name in _JSON else value
        for each in known
        if each.name in facts
        for name, value in (facts[each.name],)
    }
    # Lenient, because a yes or no is stored as 1 or 0, and JSON's names are texts.
    return msgspec.convert(read, kind, strict=False)
