"""Customers: who pays. A customer is a consumer or a group of access, under the same id."""

from typing import Literal

import msgspec

from farebox.kernel.refusals import Refusal

CustomerKind = Literal["consumer", "group"]
EvidenceSource = Literal["digits", "register"]


class Address(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where invoices say that a customer is; the country stands beside it."""

    lines: tuple[str, ...] = ()
    city: str | None = None
    postal_code: str | None = None


class Customer(msgspec.Struct, frozen=True, kw_only=True):
    """Who pays.

    `country` is an ISO 3166 code of two letters; `currency` (ISO 4217) is what they are charged in
    where nothing else is said. `tax_number` was right by its digits at `tax_checked_at`, and is of
    `tax_country`. `due_days` is how long invoices may take, None as long as everybody's. Times are
    microseconds UTC.
    """

    id: str
    kind: CustomerKind
    name: str
    created_at: int
    changed_at: int
    version: int = 1
    email: str | None = None
    address: Address | None = None
    country: str | None = None
    region: str | None = None
    tax_number: str | None = None
    tax_country: str | None = None
    tax_checked_at: int | None = None
    exempt_because: str | None = None
    currency: str | None = None
    zone: str = "UTC"
    locale: str = "en"
    invoice_email: str | None = None
    due_days: int | None = None


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What was found when a tax number was looked at: by its `digits`, or in a `register`.

    `reference` is what the register calls its answer (VIES: the consultation number).
    """

    customer: str
    number: str
    country: str
    source: EvidenceSource
    reference: str | None
    valid: bool
    at: int
    actor: str


class CustomerUnknown(Refusal):
    """There is no such customer."""

    code = "customer_unknown"


class TaxNumberMissing(Refusal):
    """The customer has no tax number that a register could have been asked for."""

    code = "tax_number_missing"
