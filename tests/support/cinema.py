"""A cinema for tests: films, a family of three who share them, and short ways to use them."""

from typing import Any, Final

import msgspec

from farebox.access.buckets import service as buckets
from farebox.access.buckets import service_caps as caps
from farebox.access.buckets.model import Terms
from farebox.access.catalog.service import create_product
from farebox.access.consumers import service as consumers
from farebox.access.consumers import service_groups as groups
from farebox.access.decisions.model import Authorisation, Denial, UsageRequest
from farebox.access.flows.authorise_usage import authorise_usage
from farebox.access.flows.provision_plan import provision_plan
from farebox.platform.model import Actor, Once
from farebox.platform.service_secrets import ensure_pepper
from farebox.platform.service_signing import ensure_signing_key
from farebox.storage import Database
from tests.support.services import ADA, run

ISSUER: Final = "https://farebox.example"
PROVIDER: Final = Actor(kind="operator", id="opr_cinema")


class Cinema:
    """A vendor has provisioned a plan of films for a family; `members` are three consumers."""

    def __init__(self, database: Database, films: int = 20) -> None:
        self.database = database
        database.run(ensure_pepper)
        database.run(ensure_signing_key)
        run(database, create_product, ADA, code="films", name="Films", unit="film")
        self.group = run(database, groups.create_group, ADA, name="Family").id
        self.members = [self.consumer(name) for name in ("Ada", "Bob", "Cleo")]
        for member in self.members:
            self.add(member)
        plan = provision_plan(database, ADA, product="films", group=self.group, bucket_limit=films)
        self.bucket = plan.bucket

    def consumer(self, name: str, **named: Any) -> str:
        """Return a new consumer's id."""
        return run(self.database, consumers.create_consumer, ADA, name=name, **named).id

    def add(self, consumer: str) -> None:
        """Take a consumer into the family."""
        run(self.database, groups.add_member, ADA, group=self.group, consumer=consumer)

    def remove(self, consumer: str) -> None:
        """Take a consumer out of the family."""
        run(self.database, groups.remove_member, ADA, group=self.group, consumer=consumer)

    def suspend(self, consumer: str) -> None:
        """Suspend a consumer."""
        run(self.database, consumers.suspend_consumer, ADA, consumer)

    def cap(self, consumer: str, films: int) -> None:
        """Let a member watch so many films in all."""
        run(
            self.database,
            caps.set_cap,
            ADA,
            bucket_id=self.bucket,
            consumer=consumer,
            amount=films,
        )

    def top_up(self, films: int) -> None:
        """Sell the family more films."""
        terms = Terms(amount=films)
        run(self.database, buckets.top_up, ADA, self.bucket, terms)

    def left(self) -> int:
        """Return how many films the family has left."""
        return run(self.database, buckets.read_bucket, self.bucket).balance.available

    def ask(self, consumer: str, *, key: str | None = None, **named: Any) -> Authorisation | Denial:
        """Ask for a film."""
        asked = UsageRequest(consumer=consumer, **{"product": "films", "quantity": 1, **named})
        once = key and Once(caller="opr_cinema", key=key, payload=msgspec.json.encode(asked))
        return authorise_usage(self.database, asked, issuer=ISSUER, once=once or None)

    def watch(self, consumer: str, **named: Any) -> Authorisation:
        """Ask for a film and get it."""
        answer = self.ask(consumer, **named)
        assert isinstance(answer, Authorisation), answer
        return answer

    def denied(self, consumer: str, **named: Any) -> Denial:
        """Ask for a film and be denied."""
        answer = self.ask(consumer, **named)
        assert isinstance(answer, Denial), answer
        return answer
