"""How things stand, for a reader that is new or was restored, with the position that belongs to it.

A snapshot is read in one consistent reading into a file, and travels from there: a slow reader
holds no transaction open. Its lines are JSON: a head with the position, then one event a subject,
then an end with their number, so that half a snapshot is known as such. What was written while the
snapshot was read may be in it and come again after its position; its version tells that.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import IO, Final

import msgspec
import sqlalchemy as sa

from farebox.events import store
from farebox.events.model import (
    SPEC_VERSION,
    Event,
    Fact,
    Position,
    SnapshotKindUnknown,
    TransportDown,
    source_of,
)
from farebox.events.service import end_of_log
from farebox.kernel.clock import show_time
from farebox.storage import Tx

Provider = Callable[[Tx], Iterable[Fact]]
Providers = Mapping[str, Provider]
AT_ONCE: Final = 500
_encode = msgspec.json.Encoder().encode
_decode_event = msgspec.json.Decoder(Event).decode


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """The first line: where the log goes on, and what was asked for."""

    position: Position
    kinds: tuple[str, ...]


class End(msgspec.Struct, frozen=True, kw_only=True):
    """The last line: how many events stand before it."""

    events: int


def kinds_of(providers: Providers, kinds: Sequence[str]) -> tuple[str, ...]:
    """Return the kinds that are wanted, in the providers' order; refuses unknown ones."""
    for kind in kinds:
        if kind not in providers:
            raise SnapshotKindUnknown(
                f"there is no snapshot of {kind!r}; there are {', '.join(providers)}"
            )
    return tuple(kind for kind in providers if not kinds or kind in kinds)


def write_snapshot(tx: Tx, providers: Providers, kinds: Sequence[str], file: IO[bytes]) -> None:
    """Write how everything of these kinds stands in this reading; the file is then at its start."""
    file.write(_encode(Head(position=end_of_log(tx), kinds=tuple(kinds))) + b"\n")
    count = 0
    for kind in kinds:
        for event in _events_of(tx, providers[kind]):
            file.write(_encode(event) + b"\n")
            count += 1
    file.write(_encode(End(events=count)) + b"\n")
    file.seek(0)


def read_snapshot(lines: Iterable[bytes]) -> tuple[Position, Iterator[Event]]:
    """Return the position and the events of a snapshot; raises `TransportDown` at a torn one."""
    rest = iter(lines)
    try:
        head = msgspec.json.decode(next(rest, b""), type=Head)
    except msgspec.DecodeError as error:
        raise TransportDown("this is not a snapshot") from error
    return head.position, _read_events(rest)


def _read_events(lines: Iterator[bytes]) -> Iterator[Event]:
    count, last = 0, next(lines, b"")
    for line in lines:
        yield _read(last)
        count, last = count + 1, line
    try:
        whole = msgspec.json.decode(last, type=End).events == count
    except msgspec.DecodeError:
        whole = False
    if not whole:
        raise TransportDown("the snapshot is not whole")


def _read(line: bytes) -> Event:
    try:
        return _decode_event(line)
    except msgspec.DecodeError as error:
        raise TransportDown("the snapshot is not whole") from error


def _events_of(tx: Tx, provider: Provider) -> Iterator[Event]:
    facts = iter(provider(tx))
    while page := list(islice(facts, AT_ONCE)):
        versions = _versions(tx, [fact.subject for fact in page])
        for fact in page:
            yield _event_of(tx, fact, versions.get(fact.subject, 0))


def _versions(tx: Tx, subjects: Sequence[str]) -> dict[str, int]:
    table = store.subject_version
    rows = tx.run(sa.select(table).where(table.c.subject.in_(subjects)))
    return {row.subject: row.version for row in rows}


def _event_of(tx: Tx, fact: Fact, version: int) -> Event:
    # The same state of a subject has the same id in every snapshot, so it is stored once.
    name = f"{fact.type}\n{fact.subject}\n{version}".encode()
    return Event(
        specversion=SPEC_VERSION,
        id=f"snp_{hashlib.blake2b(name, digest_size=16).hexdigest()}",
        source=source_of(tx.service),
        type=fact.type,
        subject=fact.subject,
        time=show_time(tx.now_us),
        datacontenttype="application/json",
        subjectversion=version,
        data=fact.data,
    )
