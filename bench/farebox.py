"""Farebox as it is served: the only place of the bench that knows how to start and furnish it."""

import shutil
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final
from urllib.error import URLError
from urllib.request import urlopen

import msgspec

from bench import ledger_rows
from bench.ledger_rows import GRANT_AMOUNT, GRANTS_A_BUCKET, PRODUCT
from bench.load.requests import KEY_MARK, RequestSet, request
from bench.model import NotMeasured
from bench.processes import free_port, running
from farebox.access.buckets.model import HolderKind, Terms
from farebox.access.buckets.service import create_bucket, top_up
from farebox.access.catalog.model import PlanFeature, PlanTerms, Quota, RateLimit
from farebox.access.catalog.service import create_product
from farebox.access.catalog.service_features import create_feature
from farebox.access.catalog.service_plans import create_plan
from farebox.access.consumers.service import create_consumer
from farebox.access.consumers.service_groups import add_member, create_group
from farebox.access.flows.handlers import BILLING, HANDLERS
from farebox.access.flows.subscribe import subscribe
from farebox.contracts.decisions import DECIDE_PATH
from farebox.events.model import SPEC_VERSION, Event
from farebox.kernel.clock import SystemClock, show_time
from farebox.platform.model import Actor
from farebox.storage import Tx, open_database
from farebox.wiring.services import prepare as prepare_database
from farebox.wiring.settings import Settings

FEATURE: Final = "hd"
PLAN: Final = "everything"
_PLENTY: Final = 1_000_000
ADMIN_KEY: Final = "bench-0123456789abcdef0123456789abcdef"
_IDENTITIES: Final = "bench.json"
_DATABASE: Final = "access.db"
_BILLING: Final = "billing.db"
_READY_SECONDS: Final = 30.0
_REST_SECONDS: Final = 300.0
_AT_REST: Final = (
    "(SELECT max(seq) FROM transfer) <= (SELECT journal FROM usage_position)",
    (
        "(SELECT max(seq) FROM main.outbox)"
        " <= (SELECT seq FROM billing.log_position WHERE kind = 'reader' AND name = 'access')"
    ),
    (
        "(SELECT max(seq) FROM billing.outbox)"
        " <= (SELECT seq FROM main.log_position WHERE kind = 'reader' AND name = 'billing')"
    ),
    "NOT EXISTS (SELECT 1 FROM main.inbox WHERE state = 'waiting')",
    "NOT EXISTS (SELECT 1 FROM billing.inbox WHERE state = 'waiting')",
)
"""What is true, in SQL, once nothing of the furnishing waits for a service any more."""


class Identities(msgspec.Struct, frozen=True, kw_only=True):
    """Who is in a data folder.

    Consumers with a bucket each, members of one group with one, and subscribers who have all that
    a decision may look at.
    """

    consumers: list[str]
    buckets: list[int]
    members: list[str]
    group: str
    subscribers: list[str]


class Farebox(msgspec.Struct, frozen=True, kw_only=True):
    """A running Farebox on an SQLite data folder."""

    port: int
    data: Path
    identities: Identities

    def used(self) -> int:
        """Return the units used so far, read from the balances themselves."""
        return ledger_rows.used(self.data / _DATABASE)

    def requests(self, kind: str) -> RequestSet:
        """Return one request for each consumer.

        `consume` draws on 1,000 buckets, `keys` does so with a random key each time, `shared`
        lets 1,000 members draw on the one bucket of their group, `check` moves nothing.
        `everything` draws on a subscription's quota, with a bucket behind it, a feature asked for
        and a rate limit counted; `look` asks the same and moves nothing.
        """
        group = self.identities.group if kind == "shared" else None
        whole = kind in {"everything", "look"}
        consumers = self.identities.consumers if group is None else self.identities.members
        consumers = self.identities.subscribers if whole else consumers
        headers = {"Authorization": f"Bearer {ADMIN_KEY}"}
        if kind == "keys":
            headers["Idempotency-Key"] = KEY_MARK.decode()
        mode = "check" if kind in {"check", "look"} else "consume"
        bodies: list[dict[str, object]] = [
            {"mode": mode, "product": PRODUCT, "quantity": 1, "consumer": consumer}
            for consumer in consumers
        ]
        if whole:
            bodies = [{**body, "feature": FEATURE} for body in bodies]
        if group is not None:
            bodies = [{**body, "group": group} for body in bodies]
        return RequestSet(
            requests=[request("POST", DECIDE_PATH, headers=headers, body=body) for body in bodies],
            expected=b'"allowed":true',
        )


def prepare(data: Path, *, consumers: int) -> None:
    """Make a data folder with consumers that have a bucket each, and as many members of a group."""
    settings = Settings(data=str(data), admin_key=ADMIN_KEY)
    prepare_database(settings, lambda _: None)
    database = open_database("access", settings.database_url, SystemClock())
    try:
        with database.write() as tx:
            identities = _furnish(tx, consumers)
    finally:
        database.close()
    (data / _IDENTITIES).write_bytes(msgspec.json.encode(identities))
    ledger_rows.settle(data / _DATABASE)


def _furnish(tx: Tx, count: int) -> Identities:
    actor = Actor(kind="system", id="bench", reason="measuring")
    create_product(tx, actor, code=PRODUCT, name="Films", unit="film")
    group = create_group(tx, actor, name="Everybody").id
    _filled_bucket(tx, actor, "group", group)
    consumers, buckets, members = [], [], []
    for number in range(count):
        consumer = create_consumer(tx, actor, name=f"Consumer {number}").id
        buckets.append(_filled_bucket(tx, actor, "consumer", consumer))
        consumers.append(consumer)
        member = create_consumer(tx, actor, name=f"Member {number}").id
        add_member(tx, actor, group=group, consumer=member)
        members.append(member)
    _offer_plan(tx, actor)
    return Identities(
        consumers=consumers,
        buckets=buckets,
        members=members,
        group=group,
        subscribers=[_subscriber(tx, actor, number) for number in range(count)],
    )


def _offer_plan(tx: Tx, actor: Actor) -> None:
    create_feature(tx, actor, code=FEATURE, name="HD", kind="switch")
    terms = PlanTerms(
        name="Everything",
        quotas=(Quota(product=PRODUCT, limit=GRANT_AMOUNT, unit="month", anchor="calendar"),),
        rate_limits=(RateLimit(limit=_PLENTY, seconds=1, burst=_PLENTY),),
        features=(PlanFeature(feature=FEATURE, value=True),),
    )
    create_plan(tx, actor, code=PLAN, terms=terms)


def _subscriber(tx: Tx, actor: Actor, number: int) -> str:
    """Make a consumer with a bucket, and a subscription that billing says is paid."""
    consumer = create_consumer(tx, actor, name=f"Subscriber {number}").id
    _filled_bucket(tx, actor, "consumer", consumer)
    made = subscribe(tx, actor, plan=PLAN, holder_kind="consumer", holder=consumer)
    paid = Event(
        specversion=SPEC_VERSION,
        id=f"paid-{number}",
        source=BILLING,
        type="payment.succeeded",
        subject=made.id,
        time=show_time(tx.now_us),
        datacontenttype="application/json",
        subjectversion=1,
        data={"subscriptionId": made.id},
    )
    HANDLERS[paid.source, paid.type](tx, paid)
    return consumer


def _filled_bucket(tx: Tx, actor: Actor, kind: HolderKind, holder: str) -> int:
    first, *others = (
        Terms(amount=GRANT_AMOUNT, priority=priority) for priority in range(GRANTS_A_BUCKET)
    )
    bucket = create_bucket(tx, actor, product=PRODUCT, holder_kind=kind, holder=holder, grant=first)
    for terms in others:
        top_up(tx, actor, bucket.id, terms)
    return bucket.id


def grow(data: Path, *, operations: int, batch: int) -> None:
    """Let the consumers' buckets be used in process until so many operations are in the journal."""
    buckets = _identities(data).buckets
    path = data / _DATABASE
    ledger_rows.grow(path, buckets=buckets, operations=operations, batch=batch, seed=1)


def come_to_rest(data: Path) -> None:
    """Serve a prepared folder until both services have dealt with what furnishing it has made.

    That is: the journal is added up, and every event is applied. A server that has run has it
    behind it; beside a measurement it would keep a processor busy for most of a minute.
    """
    deadline = time.monotonic() + _REST_SECONDS
    with serving(data):
        while not _rests(data):
            if time.monotonic() > deadline:
                raise NotMeasured("the prepared data was not dealt with in time")
            time.sleep(0.5)
    for name in (_DATABASE, _BILLING):
        ledger_rows.settle(data / name)


def _rests(data: Path) -> bool:
    uri = f"file:{data / _DATABASE}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True)) as connection:
        connection.execute("ATTACH ? AS billing", [f"file:{data / _BILLING}?mode=ro"])
        return all(connection.execute(f"SELECT {at_rest}").fetchone()[0] for at_rest in _AT_REST)


def copy(source: Path, target: Path) -> Path:
    """Copy a prepared data folder, which nobody serves, into an empty one."""
    shutil.copytree(source, target, dirs_exist_ok=True)
    return target


@contextmanager
def serving(data: Path, *, workers: int = 1) -> Iterator[Farebox]:
    """Run `farebox serve` on a prepared data folder, as a user would."""
    port = free_port()
    environment = {
        "FAREBOX_DATA": str(data),
        "FAREBOX_HOST": "127.0.0.1",
        "FAREBOX_PORT": str(port),
        "FAREBOX_WORKERS": str(workers),
        "FAREBOX_ADMIN_KEY": ADMIN_KEY,
        "FAREBOX_LOG_LEVEL": "warning",
    }
    command = [program(), "serve"]
    with running(command, port=port, environment=environment, log=data / "serve.log"):
        await_ready(port)
        yield Farebox(port=port, data=data, identities=_identities(data))


def _identities(data: Path) -> Identities:
    return msgspec.json.decode((data / _IDENTITIES).read_bytes(), type=Identities)


def program() -> str:
    """Return the command `farebox` beside this Python."""
    return str(Path(sys.executable).with_name("farebox"))


def await_ready(port: int) -> None:
    """Wait until a server says that it is ready."""
    until = time.monotonic() + _READY_SECONDS
    while True:
        try:
            urlopen(f"http://127.0.0.1:{port}/readyz").close()
            return
        except (URLError, ConnectionError) as error:
            if time.monotonic() > until:
                raise NotMeasured(f"farebox serve was not ready: {error}") from error
            time.sleep(0.1)
