"""What of a customer decides about tax, for whoever prices something for them."""

from farebox.billing.customers.model import Customer
from farebox.billing.pricing.model_money import VatNumber
from farebox.billing.pricing.model_taxes import NOWHERE, Payer


def payer_of(customer: Customer) -> Payer:
    """Return what of a customer decides about tax."""
    number, country = customer.tax_number, customer.tax_country
    checked = None
    if number is not None and country is not None:
        checked = VatNumber(
            country=country, number=number, checked_at_us=customer.tax_checked_at or 0
        )
    return Payer(
        id=customer.id,
        country=customer.country or NOWHERE,
        region=customer.region,
        exempt_because=customer.exempt_because,
        vat=checked,
    )
