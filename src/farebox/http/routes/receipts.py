"""Receipts of orders as PDF; consumers read their own."""

from typing import Any, Final

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath

from farebox.billing.invoices.rules_receipts import Receipt
from farebox.billing.invoices.service_pdf import receipt_pdf
from farebox.billing.invoices.service_receipts import language_for, receipt_of
from farebox.http.deps import BILLING, Desk
from farebox.http.routes.invoice_files import InLanguage
from farebox.http.routes.orders import ORDER, TAGS, own_order
from farebox.storage import Tx

PDF: Final[dict[str, Any]] = {**BILLING, "answers": "application/pdf", "problems": (409,)}


@get(
    f"{ORDER}/receipt.pdf", operation_id="readReceipt", opt=PDF, tags=TAGS,
    media_type="application/pdf", sync_to_thread=True,
)  # fmt: skip
def read_receipt(
    order: FromPath[str], desk: NamedDependency[Desk], language: InLanguage = None
) -> Response[bytes]:
    """Read the receipt of a paid order: what was bought, paid and given back until now."""

    def work(tx: Tx) -> tuple[Receipt, str]:
        found = own_order(tx, desk, order)
        return receipt_of(tx, found), language_for(tx, found, language)

    # Laid out with no transaction open.
    facts, said = desk.read(work)
    return Response(
        receipt_pdf(facts, said),
        media_type="application/pdf",
        headers={
            "Content-Disposition": f'attachment; filename="{facts.order.id}.pdf"',
            "X-Content-Type-Options": "nosniff",
        },
    )


HANDLERS = (read_receipt,)
