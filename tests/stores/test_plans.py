"""Features, and plans in versions that never change."""

from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa

from farebox.access.catalog import service as catalog
from farebox.access.catalog import service_features as features
from farebox.access.catalog import service_plans as plans
from farebox.access.catalog.model import (
    Feature,
    FeatureArchived,
    FeatureTaken,
    FeatureUnknown,
    FeatureValueRefused,
    Plan,
    PlanArchived,
    PlanFeature,
    PlanTaken,
    PlanTerms,
    PlanUnknown,
    ProductArchived,
    ProductUnknown,
    Quota,
    QuotaRefused,
    RateLimit,
    VersionPassed,
)
from farebox.events.model import Position
from farebox.events.service import events_after
from farebox.kernel.refusals import Refusal
from farebox.platform import service_audit as audit
from tests.support.services import ADA, at_once, run


def feature(database, code="support", **named):
    terms = {"kind": "choice", "choices": ("mail", "phone"), "name": "Support", **named}
    return run(database, features.create_feature, ADA, code=code, **terms)


def plan(database, code="pro", **named):
    terms = PlanTerms(**{"name": "Pro", **named})
    return run(database, plans.create_plan, ADA, code=code, terms=terms)


def change(database, code="pro", *, expected=None, **named):
    terms = PlanTerms(**{"name": "Pro", **named})
    return run(database, plans.change_plan, ADA, code, terms, expected_version=expected)


def told(database, kind):
    events = run(database, events_after, Position()).events
    return [event for event in events if event.type.startswith(kind)]


@pytest.fixture
def films(database):
    return run(database, catalog.create_product, ADA, code="films", name="Films").code


def monthly(films, limit=10, **named):
    return Quota(product=films, limit=limit, unit="month", **named)


# -- features ------------------------------------------------------------------------------------


def test_a_feature_is_made_changed_archived_told_and_audited(database):
    made = feature(database)
    assert run(database, features.read_feature, "support") == made
    changed = run(
        database, features.update_feature, ADA, "support", choices=("mail", "phone", "visit")
    )
    gone = run(database, features.archive_feature, ADA, "support")
    assert run(database, features.archive_feature, ADA, "support") == gone
    assert (changed.version, gone.version, gone.state) == (2, 3, "archived")
    events = told(database, "feature.")
    assert [(one.type, one.subject) for one in events] == [
        ("feature.created", "feature:support"),
        ("feature.updated", "feature:support"),
        ("feature.archived", "feature:support"),
    ]
    assert events[1].data == {
        "feature": "support",
        "name": "Support",
        "kind": "choice",
        "state": "active",
        "created_at": made.created_at,
        "description": "",
        "choices": ["mail", "phone", "visit"],
        "version": 2,
    }
    log = run(database, audit.list_audit, subject="feature:support").items
    assert [entry.action for entry in reversed(log)] == [one.type for one in events]


def test_a_code_is_one_feature(database):
    feature(database)
    with pytest.raises(FeatureTaken):
        feature(database, name="Another")
    with pytest.raises(FeatureUnknown):
        run(database, features.read_feature, "suport")
    with pytest.raises(FeatureUnknown):
        run(database, features.update_feature, ADA, "suport", name="x")


def test_features_are_listed_in_pages_and_by_state(database):
    for code in ("a", "b", "c"):
        feature(database, code)
    run(database, features.archive_feature, ADA, "b")
    first = run(database, features.list_features, limit=2)
    rest = run(database, features.list_features, limit=2, after=first.next)
    assert [one.code for one in first.items + rest.items] == ["a", "b", "c"]
    assert [one.code for one in run(database, features.list_features, state="active").items] == [
        "a",
        "c",
    ]


def test_of_two_changes_of_one_version_of_a_feature_the_second_is_refused(database):
    feature(database)

    def rename(name: str) -> Feature:
        return run(database, features.update_feature, ADA, "support", name=name, expected_version=1)

    answers = at_once(partial(rename, name) for name in ("One", "Two"))
    assert sorted(type(answer).__name__ for answer in answers) == ["Feature", "VersionPassed"]


# -- plans ---------------------------------------------------------------------------------------


def test_a_plan_comes_back_as_it_was_made(database, films):
    feature(database)
    feature(database, "sso", kind="switch", choices=())
    feature(database, "seats", kind="number", choices=())
    made = plan(
        database,
        description="For those who watch a lot",
        trial_days=14,
        on_payment_failed="grace",
        grace_days=7,
        quotas=(
            monthly(films, 2**53 - 1, anchor="calendar", zone="Europe/Moscow", rollover=True),
            Quota(product=films, limit=3, unit="hour", count=6),
        ),
        rate_limits=(
            RateLimit(limit=10, seconds=1, burst=20),
            RateLimit(limit=100, seconds=60, burst=100, product=films),
        ),
        features=(
            PlanFeature(feature="support", value="phone"),
            PlanFeature(feature="sso", value=True),
            PlanFeature(feature="seats", value=1),
        ),
    )
    found = run(database, plans.read_plan, "pro")
    assert found == made
    assert (found.version, found.state) == (1, "active")
    # A number 1 is not true, and true is no number: JSON keeps them apart.
    assert [type(one.value) for one in found.features] == [str, bool, int]


def test_a_change_makes_a_version_and_leaves_the_older_ones_as_they_were(database, films):
    first = plan(database, quotas=(monthly(films),))
    second = change(database, name="Pro 2", quotas=(monthly(films, 20),))
    assert (second.version, second.quotas[0].limit) == (2, 20)
    assert run(database, plans.read_plan, "pro") == second
    assert run(database, plans.read_plan, "pro", 1) == first
    assert run(database, plans.read_plan, "pro", 2) == second
    with pytest.raises(PlanUnknown):
        run(database, plans.read_plan, "pro", 3)
    newest = run(database, plans.list_versions, "pro", limit=1)
    oldest = run(database, plans.list_versions, "pro", before=int(newest.next or 0))
    assert newest.items + oldest.items == (second, first)
    assert oldest.next is None


def test_a_version_cannot_be_written_over(database):
    plan(database)
    for statement in ("UPDATE plan_version SET terms = '{}'", "DELETE FROM plan_version"):
        with pytest.raises(sa.exc.DBAPIError, match="append-only"), database.write() as tx:
            tx.run(sa.text(statement))


def test_the_same_terms_make_no_version(database, films):
    made = plan(database, quotas=(monthly(films),))
    assert change(database, quotas=(monthly(films),)) == made
    assert [one.type for one in told(database, "plan.")] == ["plan.created"]


def test_of_changes_made_from_one_version_only_the_first_counts(database):
    plan(database)
    answers = at_once(partial(change, database, expected=1, trial_days=n) for n in (1, 2, 3))
    (kept,) = [answer for answer in answers if isinstance(answer, Plan)]
    refused = [answer for answer in answers if isinstance(answer, VersionPassed)]
    assert [one.facts for one in refused] == [{"version": 2}] * 2
    assert run(database, plans.read_plan, "pro") == kept
    assert len(run(database, plans.list_versions, "pro").items) == 2


def test_changes_without_an_expected_version_follow_each_other(database):
    plan(database)
    answers = at_once(partial(change, database, trial_days=n) for n in (1, 2, 3))
    assert sorted(answer.version for answer in answers if isinstance(answer, Plan)) == [2, 3, 4]


def test_one_of_two_plans_of_a_code_is_made(database):
    answers = at_once([partial(plan, database), partial(plan, database)])
    assert sorted(type(answer).__name__ for answer in answers) == ["Plan", "PlanTaken"]
    with pytest.raises(PlanTaken):
        plan(database)


def test_an_archived_plan_is_readable_in_all_versions_and_does_not_change(database):
    plan(database)
    change(database, trial_days=7)
    gone = run(database, plans.archive_plan, ADA, "pro")
    assert run(database, plans.archive_plan, ADA, "pro") == gone
    assert (gone.state, gone.version) == ("archived", 2)
    assert run(database, plans.read_plan, "pro", 1).state == "archived"
    with pytest.raises(PlanArchived):
        change(database, trial_days=8)
    assert [one.type for one in told(database, "plan.")] == [
        "plan.created",
        "plan.updated",
        "plan.archived",
    ]


def test_a_plan_tells_all_of_itself(database, films):
    made = plan(database, quotas=(monthly(films, overage=True, hard=False),))
    (event,) = told(database, "plan.")
    assert event.subject == "plan:pro"
    assert event.data == {
        "plan": "pro",
        "version": 1,
        "name": "Pro",
        "state": "active",
        "created_at": made.created_at,
        "description": "",
        "trial_days": 0,
        "on_payment_failed": "suspend",
        "grace_days": 0,
        "quotas": [
            {
                "product": "films",
                "limit": 10,
                "unit": "month",
                "count": 1,
                "anchor": "anniversary",
                "zone": "UTC",
                "rollover": False,
                "overage": True,
                "hard": False,
            }
        ],
        "rate_limits": [],
        "features": [],
    }
    log = run(database, audit.list_audit, subject="plan:pro").items
    assert [(entry.action, entry.before) for entry in log] == [("plan.created", None)]


def test_a_plan_names_only_what_is_there(database, films):
    feature(database)
    refused: list[tuple[type[Refusal], dict[str, Any]]] = [
        (ProductUnknown, {"quotas": (monthly("filmz"),)}),
        (FeatureUnknown, {"features": (PlanFeature(feature="suport", value="mail"),)}),
        (FeatureValueRefused, {"features": (PlanFeature(feature="support", value="fax"),)}),
        (QuotaRefused, {"quotas": (monthly(films), monthly(films, 20))}),
    ]
    for refusal, terms in refused:
        with pytest.raises(refusal):
            plan(database, **terms)
    assert run(database, plans.find_plan, "pro") is None
    plan(database)
    for refusal, terms in refused:
        with pytest.raises(refusal):
            change(database, **terms)
    assert run(database, plans.read_plan, "pro").version == 1
    with pytest.raises(PlanUnknown):
        change(database, "prow")


def test_what_is_archived_stays_in_plans_and_comes_to_no_other(database, films):
    feature(database)
    terms = {
        "quotas": (monthly(films),),
        "features": (PlanFeature(feature="support", value="mail"),),
    }
    plan(database, **terms)
    run(database, catalog.archive_product, ADA, films)
    run(database, features.archive_feature, ADA, "support")
    with pytest.raises(ProductArchived):
        plan(database, "other", quotas=terms["quotas"])
    with pytest.raises(FeatureArchived):
        plan(database, "other", features=terms["features"])
    assert change(database, **terms, trial_days=7).version == 2


def test_a_choice_that_is_gone_comes_to_no_new_version(database):
    feature(database)
    kept = (PlanFeature(feature="support", value="phone"),)
    plan(database, features=kept)
    run(database, features.update_feature, ADA, "support", choices=("mail",))
    assert run(database, plans.read_plan, "pro").features == kept
    with pytest.raises(FeatureValueRefused):
        change(database, features=kept, trial_days=7)


def test_plans_are_listed_newest_version_each_in_pages_and_by_state(database):
    for code in ("a", "b", "c"):
        plan(database, code)
    change(database, "a", trial_days=7)
    run(database, plans.archive_plan, ADA, "b")
    first = run(database, plans.list_plans, limit=2)
    rest = run(database, plans.list_plans, limit=2, after=first.next)
    assert [(one.code, one.version) for one in first.items + rest.items] == [
        ("a", 2),
        ("b", 1),
        ("c", 1),
    ]
    active = run(database, plans.list_plans, state="active").items
    assert [one.code for one in active] == ["a", "c"]
