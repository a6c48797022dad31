"""Customers: who pays, with what invoices, tax and letters need to know of them."""

from typing import Annotated, Any

from litestar import delete, get, patch, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import UNSET, Meta, UnsetType, structs

from farebox.access.flows.asks import NotAllowed
from farebox.billing.customers import service, service_tax_numbers
from farebox.billing.customers.model import (
    Address,
    Customer,
    CustomerKind,
    CustomerUnknown,
    Evidence,
    EvidenceSource,
)
from farebox.billing.customers.rules import LOCALE, LONGEST_DUE_DAYS
from farebox.http.deps import BILLING, Command, Desk
from farebox.http.wire import (
    ONE_LINE,
    Body,
    Limit,
    Name,
    Page,
    TextCursor,
    Time,
    View,
    Zone,
    show_time,
)
from farebox.storage import Tx

TAGS = ["Customers"]
_BY_OPERATORS = frozenset({"exempt_because", "due_days"})
_LONGEST = 256

Country = Annotated[str, Meta(pattern=r"^[A-Z]{2}$", description="ISO 3166-1, two letters")]
Currency = Annotated[str, Meta(pattern=r"^[A-Z]{3}$", description="ISO 4217")]
Email = Annotated[str, Meta(min_length=3, max_length=255)]
Line = Annotated[str, Meta(min_length=1, max_length=_LONGEST, pattern=ONE_LINE)]
Locale = Annotated[str, Meta(pattern=LOCALE, description="BCP 47: ru, en-GB")]
DueDays = Annotated[int, Meta(ge=0, le=LONGEST_DUE_DAYS)]
EmailFilter = Annotated[str | None, QueryParameter(name="email", max_length=255)]


class AddressBody(Body, frozen=True):
    """Where invoices say that a customer is."""

    lines: Annotated[tuple[Line, ...], Meta(max_length=4)] = ()
    city: Line | None = None
    postal_code: Line | None = None


class UpdateCustomer(Body, frozen=True):
    """What changes; null empties a field that may be empty."""

    name: Name | UnsetType = UNSET
    email: Email | UnsetType | None = UNSET
    address: AddressBody | UnsetType | None = UNSET
    country: Country | UnsetType | None = UNSET
    region: Line | UnsetType | None = UNSET
    exempt_because: Line | UnsetType | None = UNSET
    currency: Currency | UnsetType | None = UNSET
    zone: Zone | UnsetType = UNSET
    locale: Locale | UnsetType = UNSET
    invoice_email: Email | UnsetType | None = UNSET
    due_days: DueDays | UnsetType | None = UNSET


class TaxNumber(Body, frozen=True):
    """A VAT number with its country's letters, as it is written on letters."""

    number: Annotated[str, Meta(min_length=4, max_length=32)]


class RegisterAnswer(Body, frozen=True):
    """What a register answered when it was asked for the customer's number."""

    valid: bool
    reference: Line | None = None


class CustomerView(View, frozen=True):
    """Who pays: a consumer or a group, under the same id."""

    id: str
    kind: CustomerKind
    name: str
    email: str | None
    address: Address | None
    country: str | None
    region: str | None
    tax_number: str | None
    tax_checked_at: Time | None
    exempt_because: str | None
    currency: str | None
    zone: str
    locale: str
    invoice_email: str | None
    due_days: int | None
    version: int
    created_at: Time
    changed_at: Time


class EvidenceView(View, frozen=True):
    """What was found about a tax number, by its digits or in a register."""

    number: str
    country: str
    source: EvidenceSource
    reference: str | None
    valid: bool
    at: Time
    actor: str


class EvidenceList(View, frozen=True):
    """All that was found about a customer's tax numbers, oldest first."""

    items: list[EvidenceView]


def show_customer(one: Customer) -> CustomerView:
    """Return a customer as the API shows it."""
    facts: dict[str, Any] = {
        name: getattr(one, name) for name in CustomerView.__struct_fields__ if hasattr(one, name)
    }
    for name in ("tax_checked_at", "created_at", "changed_at"):
        facts[name] = None if facts[name] is None else show_time(facts[name])
    return CustomerView(**facts)


def show_evidence(one: Evidence) -> EvidenceView:
    """Return a finding as the API shows it."""
    return EvidenceView(
        number=one.number,
        country=one.country,
        source=one.source,
        reference=one.reference,
        valid=one.valid,
        at=show_time(one.at),
        actor=one.actor,
    )


def _changes_of(data: UpdateCustomer) -> dict[str, Any]:
    said = {name: value for name, value in structs.asdict(data).items() if value is not UNSET}
    if isinstance(data.address, AddressBody):
        address = data.address
        said["address"] = Address(
            lines=address.lines, city=address.city, postal_code=address.postal_code
        )
    return said


@get("/v1/customers", operation_id="listCustomers", opt=BILLING, tags=TAGS, sync_to_thread=True)
def list_customers(
    desk: NamedDependency[Desk],
    email: EmailFilter = None,
    limit: Limit = 100,
    cursor: TextCursor = None,
) -> Page[CustomerView]:
    """List customers in the order of their ids."""
    page = desk.read(lambda tx: service.list_customers(tx, email=email, after=cursor, limit=limit))
    return Page(items=[show_customer(one) for one in page.items], next=page.next)


@get(
    "/v1/customers/{customer:str}",
    operation_id="readCustomer",
    opt=BILLING,
    tags=TAGS,
    sync_to_thread=True,
)
def read_customer(customer: FromPath[str], desk: NamedDependency[Desk]) -> CustomerView:
    """Read a customer. Consumers read themselves; who has paid nothing yet may not be there."""
    desk.must_own(customer, CustomerUnknown)
    return show_customer(desk.read(lambda tx: service.read_customer(tx, customer)))


@patch(
    "/v1/customers/{customer:str}",
    operation_id="updateCustomer",
    opt=BILLING,
    tags=TAGS,
    sync_to_thread=True,
)
def update_customer(
    customer: FromPath[str], data: JSONBody[UpdateCustomer], command: NamedDependency[Command]
) -> CustomerView:
    """Change what is known of a customer, who is made of a consumer or a group where needed.

    Consumers change themselves, but not why they are charged no tax and how long they may take.
    """
    command.must_own(customer, CustomerUnknown)
    changes = _changes_of(data)
    if command.principal.kind == "consumer" and _BY_OPERATORS & set(changes):
        raise NotAllowed

    def work(tx: Tx) -> CustomerView:
        made = service.ensure_by_id(tx, customer)
        return show_customer(service.update_customer(tx, command.actor, made.id, **changes))

    return command.answer(CustomerView, work)


@put(
    "/v1/customers/{customer:str}/tax-number",
    operation_id="setTaxNumber",
    opt=BILLING,
    tags=TAGS,
    sync_to_thread=True,
)
def set_tax_number(
    customer: FromPath[str], data: JSONBody[TaxNumber], command: NamedDependency[Command]
) -> CustomerView:
    """Give a customer a VAT number; its form and check digits are checked."""
    command.must_own(customer, CustomerUnknown)

    def work(tx: Tx) -> CustomerView:
        made = service.ensure_by_id(tx, customer)
        return show_customer(
            service_tax_numbers.set_tax_number(tx, command.actor, made.id, data.number)
        )

    return command.answer(CustomerView, work)


@delete(
    "/v1/customers/{customer:str}/tax-number",
    operation_id="removeTaxNumber",
    opt=BILLING,
    tags=TAGS,
    sync_to_thread=True,
)
def remove_tax_number(customer: FromPath[str], command: NamedDependency[Command]) -> None:
    """Take a customer's tax number away; what was found about it stays."""
    command.must_own(customer, CustomerUnknown)
    command.write(lambda tx: service_tax_numbers.remove_tax_number(tx, command.actor, customer))


@post(
    "/v1/customers/{customer:str}/tax-number/register",
    operation_id="noteTaxRegister",
    opt=BILLING,
    tags=TAGS,
    status_code=200,
    sync_to_thread=True,
)
def note_tax_register(
    customer: FromPath[str], data: JSONBody[RegisterAnswer], command: NamedDependency[Command]
) -> CustomerView:
    """Note what a register (VIES) answered about the number; one that it does not know goes."""

    def work(tx: Tx) -> CustomerView:
        return show_customer(
            service_tax_numbers.note_register(
                tx, command.actor, customer, valid=data.valid, reference=data.reference
            )
        )

    return command.answer(CustomerView, work)


@get(
    "/v1/customers/{customer:str}/tax-evidence",
    operation_id="listTaxEvidence",
    opt=BILLING,
    tags=TAGS,
    sync_to_thread=True,
)
def list_tax_evidence(customer: FromPath[str], desk: NamedDependency[Desk]) -> EvidenceList:
    """List what was found about a customer's tax numbers."""
    desk.must_own(customer, CustomerUnknown)
    found = desk.read(lambda tx: service_tax_numbers.evidence_of(tx, customer))
    return EvidenceList(items=[show_evidence(one) for one in found])


HANDLERS = (
    list_customers,
    read_customer,
    update_customer,
    set_tax_number,
    remove_tax_number,
    note_tax_register,
    list_tax_evidence,
)
