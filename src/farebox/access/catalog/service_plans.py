"""Plans: quotas, rate limits and features, in versions that never change."""

from typing import Any, Final

import msgspec
import sqlalchemy as sa

from farebox.access.catalog import store
from farebox.access.catalog.model import (
    Plan,
    PlanArchived,
    PlanState,
    PlanTaken,
    PlanTerms,
    PlanUnknown,
    VersionPassed,
)
from farebox.access.catalog.rules import (
    check_parts,
    checked_code,
    checked_terms,
    products_of,
    terms_of,
)
from farebox.access.catalog.service import products_named
from farebox.access.catalog.service_features import features_named
from farebox.events.service import publish
from farebox.platform.model import Actor, Page
from farebox.platform.rules import checked_limit, page_of
from farebox.platform.service_audit import record
from farebox.storage import Tx

_VERSIONS: Final = sa.select(store.plan_version, store.plan.c.state).join(
    store.plan, store.plan.c.code == store.plan_version.c.plan
)
_NEWEST: Final = store.plan_version.c.version == store.plan.c.version


def create_plan(tx: Tx, actor: Actor, *, code: str, terms: PlanTerms) -> Plan:
    """Create a plan in its version 1.

    Refuses a taken code (`plan_taken`), terms that contradict each other (`rules.checked_terms`),
    and what is not there, archived or of another kind (`rules.check_parts`).
    """
    made = _version(tx, checked_code(code), 1, terms, before=None)
    if not tx.insert_once(
        store.plan, {"code": code, "state": "active", "version": 1}, key=("code",)
    ):
        raise PlanTaken
    tx.run(store.plan_version.insert(), store.plan_version_row(made))
    record(tx, actor, "plan.created", f"plan:{code}", after=made)
    _tell(tx, "created", made)
    return made


def change_plan(
    tx: Tx, actor: Actor, code: str, terms: PlanTerms, *, expected_version: int | None = None
) -> Plan:
    """Make the next version of a plan; subscribers keep theirs. The same terms change nothing.

    Refuses what `create_plan` refuses, an archived plan (`plan_archived`), and another newest
    version than the expected one (`version_passed`). What the version before had may stay, even
    if it is archived by now.
    """
    old = _locked(tx, code)
    if old.state == "archived":
        raise PlanArchived
    if expected_version not in {None, old.version}:
        raise VersionPassed(version=old.version)
    new = _version(tx, code, old.version + 1, terms, before=old)
    if terms_of(new) == terms_of(old):
        return old
    tx.run(store.plan_version.insert(), store.plan_version_row(new))
    here = store.plan.c.code == code
    tx.run(store.plan.update().where(here).values(version=new.version))
    record(tx, actor, "plan.updated", f"plan:{code}", before=old, after=new)
    _tell(tx, "updated", new)
    return new


def archive_plan(tx: Tx, actor: Actor, code: str) -> Plan:
    """Take no new subscribers; those who have it keep it. Repeating changes nothing."""
    old = _locked(tx, code)
    if old.state == "archived":
        return old
    new = msgspec.structs.replace(old, state="archived")
    here = store.plan.c.code == code
    tx.run(store.plan.update().where(here).values(state="archived"))
    record(tx, actor, "plan.archived", f"plan:{code}", before=old, after=new)
    _tell(tx, "archived", new)
    return new


def find_plan(tx: Tx, code: str, version: int | None = None) -> Plan | None:
    """Return a version of a plan, the newest unless one is named, or None."""
    which = _NEWEST if version is None else store.plan_version.c.version == version
    row = tx.one(_VERSIONS.where(store.plan.c.code == code, which))
    return None if row is None else store.plan_of(row)


def read_plan(tx: Tx, code: str, version: int | None = None) -> Plan:
    """Return a version of a plan, the newest unless one is named; refuses (`plan_unknown`)."""
    found = find_plan(tx, code, version)
    if found is None:
        raise PlanUnknown
    return found


def list_plans(
    tx: Tx, *, state: PlanState | None = None, after: str | None = None, limit: int = 100
) -> Page[Plan]:
    """Return plans in their newest versions, in the order of their codes."""
    statement = _VERSIONS.where(_NEWEST).order_by(store.plan.c.code)
    if state is not None:
        statement = statement.where(store.plan.c.state == state)
    if after is not None:
        statement = statement.where(store.plan.c.code > after)
    rows = tx.run(statement.limit(checked_limit(limit) + 1))
    return page_of([store.plan_of(row) for row in rows], limit, lambda plan: plan.code)


def list_versions(tx: Tx, code: str, *, before: int | None = None, limit: int = 100) -> Page[Plan]:
    """Return the versions of a plan, newest first; refuses an unknown plan (`plan_unknown`)."""
    read_plan(tx, code)
    statement = _VERSIONS.where(store.plan.c.code == code)
    if before is not None:
        statement = statement.where(store.plan_version.c.version < before)
    statement = statement.order_by(store.plan_version.c.version.desc())
    rows = tx.run(statement.limit(checked_limit(limit) + 1))
    return page_of([store.plan_of(row) for row in rows], limit, lambda plan: str(plan.version))


def _version(
    tx: Tx, code: str, version: int, terms: PlanTerms, *, before: PlanTerms | None
) -> Plan:
    """Return a version whose terms were checked, alone and against what they name."""
    checked = checked_terms(terms)
    check_parts(
        checked,
        products_named(tx, set(products_of(checked))),
        features_named(tx, {line.feature for line in checked.features}),
        before=before,
    )
    return Plan(
        code=code,
        version=version,
        state="active",
        created_at=tx.now_us,
        **msgspec.structs.asdict(terms_of(checked)),
    )


def _locked(tx: Tx, code: str) -> Plan:
    """Return the newest version of a plan whose row nobody else changes until the commit."""
    here = store.plan.c.code == code
    if tx.one(sa.select(store.plan.c.code).where(here).with_for_update()) is None:
        raise PlanUnknown
    return read_plan(tx, code)


def facts_of(plan: Plan) -> dict[str, Any]:
    """Return a plan as events and snapshots tell it."""
    facts: dict[str, Any] = msgspec.to_builtins(plan)
    return {"plan": facts.pop("code"), **facts}


def _tell(tx: Tx, what: str, plan: Plan) -> None:
    publish(tx, type=f"plan.{what}", subject=f"plan:{plan.code}", data=facts_of(plan))
