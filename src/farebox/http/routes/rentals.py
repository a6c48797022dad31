"""Rentals: what may be watched from when to when."""

from typing import Annotated

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import Meta

from farebox.access.flows.change_rental import ask_extension
from farebox.access.marketplace.model import LONGEST_PERIOD_HOURS
from farebox.access.rentals import service
from farebox.access.rentals.model import RentalState, Seen
from farebox.http.deps import Command, Desk
from farebox.http.routes.purchases import own_of
from farebox.http.wire import (
    Body,
    IdFilter,
    Limit,
    Page,
    TextCursor,
    Time,
    View,
    read_time,
    show_end,
    show_time,
)
from farebox.storage import Tx

TAGS = ["Rentals"]
Hours = Annotated[int, Meta(ge=1, le=LONGEST_PERIOD_HOURS)]


class PlayRental(Body, frozen=True):
    """What the first play, or a play on a second device, asks for.

    `start_finish_clock`: the second clock of a rental of two may start. `take_over`: play goes on
    here and ends on the device that played last.
    """

    start_finish_clock: bool = False
    take_over: bool = False


class MoveRental(Body, frozen=True):
    """When it shall start."""

    starts_at: Time


class RequestExtension(Body, frozen=True):
    """Which of the offer's periods it shall have in all, counted from its start."""

    period_hours: Hours


class ExtendRental(Body, frozen=True):
    """Which period it shall have in all; `beyond_window` lets it outlive the item's window."""

    period_hours: Hours
    beyond_window: bool = False


class RentalView(View, frozen=True):
    """A rental as it stands now. With two clocks `ends_at` comes nearer with the first play.

    `device` is the id of the key with which it was played last.
    """

    id: str
    consumer: str
    item: str
    offer: str
    order: str | None
    entitlement: str
    state: RentalState
    expiring: bool
    starts_at: Time
    ends_at: Time
    period_hours: int
    finish_within_hours: int | None
    first_played_at: Time | None
    device: str | None
    moved: int
    extended: int
    revoked_at: Time | None
    created_at: Time


class ExtensionRequested(View, frozen=True):
    """The event by which billing is asked for the difference."""

    rental: str
    period_hours: int
    event: str


def show_rental(one: Seen) -> RentalView:
    """Return a rental as the API shows it."""
    rental = one.rental
    return RentalView(
        id=rental.id,
        consumer=rental.consumer,
        item=rental.item,
        offer=rental.offer,
        order=rental.order,
        entitlement=rental.entitlement,
        state=one.state,
        expiring=one.expiring,
        starts_at=show_time(rental.starts_at),
        ends_at=show_time(one.ends_at),
        period_hours=rental.period_hours,
        finish_within_hours=rental.finish_within_hours,
        first_played_at=show_end(rental.first_played_at),
        device=rental.device,
        moved=rental.moved,
        extended=rental.extended,
        revoked_at=show_end(rental.revoked_at),
        created_at=show_time(rental.created_at),
    )


@get("/v1/rentals", operation_id="listRentals", tags=TAGS, sync_to_thread=True)
def list_rentals(
    desk: NamedDependency[Desk],
    consumer: IdFilter = None,
    item: IdFilter = None,
    limit: Limit = 100,
    cursor: TextCursor = None,
) -> Page[RentalView]:
    """List rentals in the order of their ids, also those that are over; consumers see their own."""
    whose = own_of(desk) or consumer
    found = desk.read(
        lambda tx: service.list_rentals(tx, consumer=whose, item=item, after=cursor, limit=limit)
    )
    return Page(items=[show_rental(one) for one in found.items], next=found.next)


@get("/v1/rentals/{rental:str}", operation_id="readRental", tags=TAGS, sync_to_thread=True)
def read_rental(rental: FromPath[str], desk: NamedDependency[Desk]) -> RentalView:
    """Read a rental as it stands now."""
    own = own_of(desk)
    return desk.read(lambda tx: show_rental(service.read_rental(tx, rental, consumer=own)))


@post(
    "/v1/rentals/{rental:str}/play",
    operation_id="playRental",
    tags=TAGS,
    status_code=200,
    sync_to_thread=True,
)
def play_rental(
    rental: FromPath[str],
    command: NamedDependency[Command],
    data: JSONBody[PlayRental | None] = None,
) -> RentalView:
    """Play a rental; the first play of one with two clocks starts the second, if that is said.

    It is played on one device at a time: a consumer's second key has to take over from the first.
    """
    own, said = own_of(command), data or PlayRental()

    def work(tx: Tx) -> RentalView:
        one = service.play_rental(
            tx,
            command.actor,
            rental,
            consumer=own,
            device=None if own is None else command.principal.key_id,
            confirmed=said.start_finish_clock,
            take_over=said.take_over,
        )
        return show_rental(one)

    return command.answer(RentalView, work)


@post(
    "/v1/rentals/{rental:str}/move",
    operation_id="moveRental",
    tags=TAGS,
    status_code=200,
    sync_to_thread=True,
)
def move_rental(
    rental: FromPath[str], data: JSONBody[MoveRental], command: NamedDependency[Command]
) -> RentalView:
    """Give a rental another start before it starts, free of charge; its period stays."""
    own, start = own_of(command), read_time(data.starts_at)
    return command.answer(
        RentalView,
        lambda tx: show_rental(service.move_rental(tx, command.actor, rental, start, consumer=own)),
    )


@post(
    "/v1/rentals/{rental:str}/request-extension",
    operation_id="requestExtension",
    tags=TAGS,
    status_code=202,
    sync_to_thread=True,
)
def request_extension(
    rental: FromPath[str], data: JSONBody[RequestExtension], command: NamedDependency[Command]
) -> ExtensionRequested:
    """Ask for another period. It has it when billing says that the difference is paid."""
    own = own_of(command)

    def work(tx: Tx) -> ExtensionRequested:
        event = ask_extension(tx, rental, data.period_hours, consumer=own)
        return ExtensionRequested(rental=rental, period_hours=data.period_hours, event=event.id)

    return command.answer(ExtensionRequested, work)


@post(
    "/v1/rentals/{rental:str}/extend",
    operation_id="extendRental",
    tags=TAGS,
    status_code=200,
    sync_to_thread=True,
)
def extend_rental(
    rental: FromPath[str], data: JSONBody[ExtendRental], command: NamedDependency[Command]
) -> RentalView:
    """Give a rental another period without a charge."""

    def work(tx: Tx) -> RentalView:
        one = service.extend_rental(
            tx, command.actor, rental, data.period_hours, beyond=data.beyond_window
        )
        return show_rental(one)

    return command.answer(RentalView, work)


@post(
    "/v1/rentals/{rental:str}/revoke",
    operation_id="revokeRental",
    tags=TAGS,
    status_code=200,
    sync_to_thread=True,
)
def revoke_rental(rental: FromPath[str], command: NamedDependency[Command]) -> RentalView:
    """Take a rental back with its entitlement, at once; the money is billing's."""
    return command.answer(
        RentalView, lambda tx: show_rental(service.revoke_rental(tx, command.actor, rental))
    )


HANDLERS = (
    list_rentals,
    read_rental,
    play_rental,
    move_rental,
    request_extension,
    extend_rental,
    revoke_rental,
)
