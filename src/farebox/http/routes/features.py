"""Features: named capabilities that plans and products bring."""

from typing import Annotated, Any

from litestar import delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import Meta

from farebox.access.catalog import service_features as service
from farebox.access.catalog.model import MOST_LINES, Feature, FeatureKind, FeatureState
from farebox.http.deps import Command, Desk
from farebox.http.routes.products import Code, Description, StateFilter, Version
from farebox.http.wire import Body, Limit, Name, Page, TextCursor, Time, View, Word, show_time
from farebox.storage import Tx

TAGS = ["Features"]
Choices = Annotated[tuple[Word, ...], Meta(max_length=MOST_LINES)]


class CreateFeature(Body, frozen=True):
    """A switch is on or off, a number is a whole number, a choice is one of its choices."""

    code: Code
    name: Name
    kind: FeatureKind = "switch"
    description: Description = ""
    choices: Choices = ()


class UpdateFeature(Body, frozen=True):
    """What is given is changed."""

    name: Name | None = None
    description: Description | None = None
    choices: Choices | None = None
    expected_version: Version | None = None


class FeatureView(View, frozen=True):
    """A named capability. An archived one is put into nothing new."""

    code: str
    name: str
    description: str
    kind: FeatureKind
    choices: tuple[str, ...]
    state: FeatureState
    version: int
    created_at: Time


def show_feature(feature: Feature) -> FeatureView:
    """Return a feature as the API shows it."""
    return FeatureView(
        code=feature.code,
        name=feature.name,
        description=feature.description,
        kind=feature.kind,
        choices=feature.choices,
        state=feature.state,
        version=feature.version,
        created_at=show_time(feature.created_at),
    )


@post("/v1/features", operation_id="createFeature", tags=TAGS, sync_to_thread=True)
def create_feature(data: JSONBody[CreateFeature], command: NamedDependency[Command]) -> FeatureView:
    """Create a feature."""

    def work(tx: Tx) -> FeatureView:
        made = service.create_feature(
            tx,
            command.actor,
            code=data.code,
            name=data.name,
            kind=data.kind,
            description=data.description,
            choices=data.choices,
        )
        return show_feature(made)

    return command.answer(FeatureView, work)


@get("/v1/features", operation_id="listFeatures", tags=TAGS, sync_to_thread=True)
def list_features(
    desk: NamedDependency[Desk],
    in_state: StateFilter = "any",
    limit: Limit = 100,
    cursor: TextCursor = None,
) -> Page[FeatureView]:
    """List features in the order of their codes."""
    wanted: Any = None if in_state == "any" else in_state
    page = desk.read(lambda tx: service.list_features(tx, state=wanted, after=cursor, limit=limit))
    return Page(items=[show_feature(feature) for feature in page.items], next=page.next)


@get("/v1/features/{code:str}", operation_id="readFeature", tags=TAGS, sync_to_thread=True)
def read_feature(code: FromPath[str], desk: NamedDependency[Desk]) -> FeatureView:
    """Read a feature."""
    return show_feature(desk.read(lambda tx: service.read_feature(tx, code)))


@patch("/v1/features/{code:str}", operation_id="updateFeature", tags=TAGS, sync_to_thread=True)
def update_feature(
    code: FromPath[str], data: JSONBody[UpdateFeature], command: NamedDependency[Command]
) -> FeatureView:
    """Change what is given of a feature; its kind stays."""

    def work(tx: Tx) -> FeatureView:
        changed = service.update_feature(
            tx,
            command.actor,
            code,
            name=data.name,
            description=data.description,
            choices=data.choices,
            expected_version=data.expected_version,
        )
        return show_feature(changed)

    return command.answer(FeatureView, work)


@delete(
    "/v1/features/{code:str}",
    operation_id="archiveFeature",
    tags=TAGS,
    status_code=200,
    sync_to_thread=True,
)
def archive_feature(code: FromPath[str], command: NamedDependency[Command]) -> FeatureView:
    """Put a feature into nothing new; plans and products that have it keep it."""
    return command.answer(
        FeatureView, lambda tx: show_feature(service.archive_feature(tx, command.actor, code))
    )


HANDLERS = (create_feature, list_features, read_feature, update_feature, archive_feature)
