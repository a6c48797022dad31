"""Letters to people: what they have chosen, their inbox in the shop, and the log for support."""

from typing import Annotated, Final

from litestar import get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter

from farebox.http.deps import NOTIFICATIONS, Command, Desk
from farebox.http.routes.notification_forms import (
    LetterView,
    NoticeView,
    Preferences,
    PreferencesView,
    PreviewView,
    TemplateList,
    UnreadView,
    read_preferences,
    show_letter,
    show_notice,
    show_preferences,
)
from farebox.http.wire import (
    IdFilter,
    Limit,
    Page,
    TextCursor,
)
from farebox.notifications.deliveries import service as deliveries
from farebox.notifications.deliveries import service_notices as notices
from farebox.notifications.deliveries.model import (
    LetterState,
    LetterUnknown,
    NoticeUnknown,
)
from farebox.notifications.letters.model import Form, LetterKind
from farebox.notifications.letters.service import templates, write
from farebox.notifications.preferences import service as preferences
from farebox.notifications.preferences.model import RecipientUnknown
from farebox.storage import Tx

TAGS: Final = ["Notifications"]
PREFERENCES: Final = "/v1/notification-preferences/{consumer:str}"
Chosen = Annotated[Form, QueryParameter(description="How it is written for this channel")]
State = Annotated[LetterState | None, QueryParameter(name="state")]
Kind = Annotated[LetterKind | None, QueryParameter(name="kind")]
Unread = Annotated[bool, QueryParameter(description="Only those that were not read")]


@get(
    PREFERENCES,
    operation_id="readNotificationPreferences",
    opt=NOTIFICATIONS,
    tags=TAGS,
    sync_to_thread=True,
)
def read_preference(consumer: FromPath[str], desk: NamedDependency[Desk]) -> PreferencesView:
    """Read by which channels, when and in which language somebody wants to be told."""
    desk.must_own(consumer, RecipientUnknown)
    return show_preferences(desk.read(lambda tx: preferences.read_preference(tx, consumer)))


@put(
    PREFERENCES,
    operation_id="setNotificationPreferences",
    opt=NOTIFICATIONS,
    tags=TAGS,
    sync_to_thread=True,
)
def set_preference(
    consumer: FromPath[str], data: JSONBody[Preferences], command: NamedDependency[Command]
) -> PreferencesView:
    """Replace what somebody has chosen; it counts for letters that are not sent yet as well.

    Letters about money cannot be switched off, but their channel can be chosen.
    """
    command.must_own(consumer, RecipientUnknown)
    made = read_preferences(consumer, data)
    return command.answer(
        PreferencesView,
        lambda tx: show_preferences(deliveries.choose(tx, command.actor, made)),
    )


@get(
    "/v1/letter-templates",
    operation_id="listLetterTemplates",
    opt=NOTIFICATIONS,
    tags=TAGS,
    sync_to_thread=False,
)
def list_templates() -> TemplateList:
    """List the kinds of letters, what they are called, and which cannot be switched off."""
    return TemplateList(items=templates())


@get("/v1/notices", operation_id="listNotices", opt=NOTIFICATIONS, tags=TAGS, sync_to_thread=True)
def list_notices(
    desk: NamedDependency[Desk],
    consumer: IdFilter = None,
    unread: Unread = False,  # noqa: FBT002 - a filter of the query
    limit: Limit = 100,
    cursor: TextCursor = None,
) -> Page[NoticeView]:
    """List somebody's inbox, newest first; consumers see their own."""
    whose = _whose(desk, consumer)
    found = desk.read(
        lambda tx: notices.list_notices(tx, whose, unread=unread, before=cursor, limit=limit)
    )
    return Page(items=[show_notice(one) for one in found.items], next=found.next)


@get(
    "/v1/notices/unread",
    operation_id="countNotices",
    opt=NOTIFICATIONS,
    tags=TAGS,
    sync_to_thread=True,
)
def count_notices(desk: NamedDependency[Desk], consumer: IdFilter = None) -> UnreadView:
    """Count the notices that somebody has not read."""
    whose = _whose(desk, consumer)
    return UnreadView(unread=desk.read(lambda tx: notices.count_unread(tx, whose)))


@post(
    "/v1/notices/{notice:str}/read",
    operation_id="markNoticeRead",
    opt=NOTIFICATIONS,
    tags=TAGS,
    status_code=200,
    sync_to_thread=True,
)
def mark_read(notice: FromPath[str], command: NamedDependency[Command]) -> NoticeView:
    """Note that a notice was read; the first time counts."""

    def work(tx: Tx) -> NoticeView:
        command.must_own(notices.read_notice(tx, notice).recipient, NoticeUnknown)
        return show_notice(notices.mark_read(tx, notice))

    return command.answer(NoticeView, work)


@post(
    "/v1/notices/read",
    operation_id="markNoticesRead",
    opt=NOTIFICATIONS,
    tags=TAGS,
    status_code=200,
    sync_to_thread=True,
)
def mark_all_read(command: NamedDependency[Command], consumer: IdFilter = None) -> UnreadView:
    """Note that everything in somebody's inbox was read."""
    whose = _whose(command, consumer)

    def work(tx: Tx) -> UnreadView:
        notices.mark_all_read(tx, whose)
        return UnreadView(unread=notices.count_unread(tx, whose))

    return command.answer(UnreadView, work)


@get(
    "/v1/deliveries",
    operation_id="listLetters",
    opt=NOTIFICATIONS,
    tags=TAGS,
    sync_to_thread=True,
)
def list_letters(
    desk: NamedDependency[Desk],
    *,
    consumer: IdFilter = None,
    in_state: State = None,
    of_kind: Kind = None,
    limit: Limit = 100,
    cursor: TextCursor = None,
) -> Page[LetterView]:
    """List letters with every try and what came of it, newest first."""
    found = desk.read(
        lambda tx: deliveries.list_letters(
            tx, recipient=consumer, state=in_state, kind=of_kind, before=cursor, limit=limit
        )
    )
    return Page(items=[show_letter(one) for one in found.items], next=found.next)


@get(
    "/v1/deliveries/{letter:str}",
    operation_id="readLetter",
    opt=NOTIFICATIONS,
    tags=TAGS,
    sync_to_thread=True,
)
def read_letter(letter: FromPath[str], desk: NamedDependency[Desk]) -> LetterView:
    """Read a letter with every try and what came of it."""
    return show_letter(desk.read(lambda tx: deliveries.read_letter(tx, letter)))


@get(
    "/v1/deliveries/{letter:str}/preview",
    operation_id="previewLetter",
    opt=NOTIFICATIONS,
    tags=TAGS,
    sync_to_thread=True,
)
def preview_letter(
    letter: FromPath[str], desk: NamedDependency[Desk], channel: Chosen = "mail"
) -> PreviewView:
    """Read what a letter says, in its own language and zone."""

    def work(tx: Tx) -> PreviewView:
        one = deliveries.read_letter(tx, letter).letter
        if one.terms is None:
            raise LetterUnknown
        made = write(one.kind, channel, one.facts, one.terms, one.created_at)
        return PreviewView(
            locale=one.terms.locale, zone=one.terms.zone, subject=made.subject, text=made.text
        )

    return desk.read(work)


@post(
    "/v1/deliveries/{letter:str}/resend",
    operation_id="resendLetter",
    opt=NOTIFICATIONS,
    tags=TAGS,
    status_code=200,
    sync_to_thread=True,
)
def resend_letter(letter: FromPath[str], command: NamedDependency[Command]) -> LetterView:
    """Send a letter again, in its own language and zone, by the channel that is chosen now."""
    return command.answer(
        LetterView, lambda tx: show_letter(deliveries.resend(tx, command.actor, letter))
    )


def _whose(desk: Desk, consumer: str | None) -> str:
    """Return whose inbox is meant: a consumer's own, or the one that an operator names.

    An operator who names nobody is told of their own, which is empty.
    """
    if desk.principal.kind == "consumer" or consumer is None:
        return desk.principal.id
    return consumer


HANDLERS = (
    read_preference,
    set_preference,
    list_templates,
    list_notices,
    count_notices,
    mark_all_read,
    mark_read,
    list_letters,
    read_letter,
    preview_letter,
    resend_letter,
)
