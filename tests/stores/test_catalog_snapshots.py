"""The catalogue as a new reader gets it: each subject as its last event told of it."""

import msgspec

from farebox.access.catalog import service as catalog
from farebox.access.catalog import service_features as features
from farebox.access.catalog import service_plans as plans
from farebox.access.catalog.model import PlanFeature, PlanTerms, Quota
from farebox.access.flows.snapshots import PROVIDERS
from farebox.events.model import Position
from farebox.events.service import events_after
from tests.support.services import ADA, run


def test_a_snapshot_says_what_the_last_events_said(database):
    run(database, catalog.create_product, ADA, code="films", name="Films")
    run(database, features.create_feature, ADA, code="sso", name="SSO")
    quota = Quota(product="films", limit=10, unit="month")
    terms = PlanTerms(
        name="Pro", quotas=(quota,), features=(PlanFeature(feature="sso", value=True),)
    )
    for code in ("basic", "pro"):
        run(database, plans.create_plan, ADA, code=code, terms=terms)
    run(database, plans.change_plan, ADA, "pro", PlanTerms(name="Pro 2", quotas=(quota,)))
    run(database, plans.archive_plan, ADA, "pro")
    run(database, features.archive_feature, ADA, "sso")
    last = {event.subject: event for event in run(database, events_after, Position()).events}
    found = {
        fact.subject: fact
        for kind in ("products", "features", "plans")
        for fact in run(database, lambda tx, kind=kind: list(PROVIDERS[kind](tx)))
    }
    assert found.keys() == last.keys() == {"product:films", "feature:sso", "plan:basic", "plan:pro"}
    as_sent = msgspec.json.decode(
        msgspec.json.encode({name: fact.data for name, fact in found.items()})
    )
    assert as_sent == {name: event.data for name, event in last.items()}
    assert {name: fact.type for name, fact in found.items()} == {
        "product:films": "product.updated",
        "feature:sso": "feature.archived",
        "plan:basic": "plan.updated",
        "plan:pro": "plan.archived",
    }
