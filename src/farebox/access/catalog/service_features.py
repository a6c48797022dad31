"""Features: named capabilities that plans and products bring."""

from collections.abc import Collection
from typing import Any

import msgspec
import sqlalchemy as sa

from farebox.access.catalog import store
from farebox.access.catalog.model import (
    Feature,
    FeatureKind,
    FeatureState,
    FeatureTaken,
    FeatureUnknown,
    VersionPassed,
)
from farebox.access.catalog.rules import checked_feature
from farebox.events.service import publish
from farebox.platform.model import Actor, Page
from farebox.platform.rules import checked_limit, page_of
from farebox.platform.service_audit import record
from farebox.storage import Tx


def create_feature(
    tx: Tx,
    actor: Actor,
    *,
    code: str,
    name: str,
    kind: FeatureKind = "switch",
    description: str = "",
    choices: tuple[str, ...] = (),
) -> Feature:
    """Create a feature; refuses a taken code (`feature_taken`). Its kind never changes."""
    made = checked_feature(
        Feature(
            code=code,
            name=name,
            kind=kind,
            state="active",
            created_at=tx.now_us,
            description=description,
            choices=choices,
        )
    )
    if not tx.insert_once(store.feature, store.feature_row(made), key=("code",)):
        raise FeatureTaken
    record(tx, actor, "feature.created", f"feature:{code}", after=made)
    _tell(tx, "created", made)
    return made


def find_feature(tx: Tx, code: str) -> Feature | None:
    """Return a feature or None."""
    row = tx.one(sa.select(store.feature).where(store.feature.c.code == code))
    return None if row is None else store.feature_of(row)


def read_feature(tx: Tx, code: str) -> Feature:
    """Return a feature; refuses an unknown one (`feature_unknown`)."""
    found = find_feature(tx, code)
    if found is None:
        raise FeatureUnknown
    return found


def features_named(tx: Tx, codes: Collection[str]) -> dict[str, Feature]:
    """Return those features that exist, by their codes."""
    here = store.feature.c.code.in_(sorted(set(codes)))
    rows = tx.run(sa.select(store.feature).where(here)) if codes else ()
    return {row.code: store.feature_of(row) for row in rows}


def list_features(
    tx: Tx, *, state: FeatureState | None = None, after: str | None = None, limit: int = 100
) -> Page[Feature]:
    """Return features in the order of their codes."""
    statement = sa.select(store.feature).order_by(store.feature.c.code)
    if state is not None:
        statement = statement.where(store.feature.c.state == state)
    if after is not None:
        statement = statement.where(store.feature.c.code > after)
    rows = tx.run(statement.limit(checked_limit(limit) + 1))
    return page_of([store.feature_of(row) for row in rows], limit, lambda one: one.code)


def update_feature(
    tx: Tx,
    actor: Actor,
    code: str,
    *,
    name: str | None = None,
    description: str | None = None,
    choices: tuple[str, ...] | None = None,
    expected_version: int | None = None,
) -> Feature:
    """Change what is given; refuses another version than the expected one (`version_passed`).

    A choice that plans have may go: they keep it, and no new version of a plan gets it.
    """
    old = _locked(tx, code)
    if expected_version not in {None, old.version}:
        raise VersionPassed(version=old.version)
    new = msgspec.structs.replace(
        old,
        name=old.name if name is None else name,
        description=old.description if description is None else description,
        choices=old.choices if choices is None else choices,
    )
    return _change(tx, actor, "updated", old, checked_feature(new))


def archive_feature(tx: Tx, actor: Actor, code: str) -> Feature:
    """Put a feature into nothing new; plans that have it keep it. Repeating changes nothing."""
    old = _locked(tx, code)
    return _change(tx, actor, "archived", old, msgspec.structs.replace(old, state="archived"))


def _locked(tx: Tx, code: str) -> Feature:
    """Return a feature whose row nobody else changes until the commit."""
    here = store.feature.c.code == code
    row = tx.one(sa.select(store.feature).where(here).with_for_update())
    if row is None:
        raise FeatureUnknown
    return store.feature_of(row)


def _change(tx: Tx, actor: Actor, what: str, old: Feature, new: Feature) -> Feature:
    if new == old:
        return old
    new = msgspec.structs.replace(new, version=old.version + 1)
    here = store.feature.c.code == old.code
    tx.run(store.feature.update().where(here).values(store.feature_row(new)))
    record(tx, actor, f"feature.{what}", f"feature:{old.code}", before=old, after=new)
    _tell(tx, what, new)
    return new


def facts_of(feature: Feature) -> dict[str, Any]:
    """Return a feature as events and snapshots tell it."""
    facts: dict[str, Any] = msgspec.to_builtins(feature)
    return {"feature": facts.pop("code"), **facts}


def _tell(tx: Tx, what: str, feature: Feature) -> None:
    publish(
        tx,
        type=f"feature.{what}",
        subject=f"feature:{feature.code}",
        data=facts_of(feature),
    )
