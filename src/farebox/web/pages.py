"""What every page has: who looks, in which language and zone, and how things are written.

    page = await site.open(request)         # who, language, zone
    items = await page.get("/v1/carts")     # the API, as this visitor
    return page.show("cart.html", cart=items)

A page decides nothing about money or access: it shows what the API says, and sends it what was
chosen. Times come from the services' clock, which a test clock moves.
"""

import importlib.util
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

import jinja2
from anyio import to_thread
from litestar import MediaType, Request, Response
from litestar.response import Redirect
from litestar.utils.scope.state import ScopeState
from markupsafe import Markup

from farebox.kernel.clock import parse_time
from farebox.kernel.ids import record_id
from farebox.platform import formats
from farebox.platform.formats import Language
from farebox.storage import Database
from farebox.web.api import Api, Document, Problem
from farebox.web.languages import NAMES, PACKAGES, preferred, words_of
from farebox.web.provider import Provider
from farebox.web.sessions import COOKIE, Sessions, Visitor
from farebox.web.static_files import StaticFiles

LANGUAGE_COOKIE: Final = "farebox_language"
CSRF_COOKIE: Final = "farebox_form"
CSRF_FIELD: Final = "_csrf_token"
SIGN_IN: Final = "/store/sign-in"
AnyRequest = Request[Any, Any, Any]


class MustSignIn(Exception):
    """The page is somebody's own; whoever looks must say who they are first, at `at`."""

    def __init__(self, at: str = SIGN_IN) -> None:
        super().__init__(at)
        self.at = at


class Site:
    """What pages are made from, once a process: the API, sessions, templates, files."""

    def __init__(
        self,
        *,
        api: Api,
        database: Database,
        sessions: Sessions,
        secure: bool,
        provider: Provider | None = None,
        demo: bool = False,
    ) -> None:
        self.api = api
        self.database = database
        self.sessions = sessions
        self.secure = secure
        self.provider = provider
        self.demo = demo
        self.files = StaticFiles()
        self._environments: dict[tuple[Language, str], jinja2.Environment] = {}

    def _environment(self, language: Language, part: str) -> jinja2.Environment:
        """Return the templates with their words, each compiled when it is first shown."""
        found = self._environments.get((language, part))
        if found is not None:
            return found
        loader = jinja2.ChoiceLoader([jinja2.PackageLoader(name) for name in _with_templates()])
        made = jinja2.Environment(
            loader=loader,
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
            extensions=["jinja2.ext.i18n"],
        )
        made.globals["asset"] = self.files.address
        words = words_of(language, part)
        made.install_gettext_translations(words, newstyle=True)  # type: ignore[attr-defined] # the i18n extension's own
        self._environments[language, part] = made
        return made

    async def open(self, request: AnyRequest) -> "Page":
        """Return the page that a request asks for, as whoever asks sees it."""
        visitor = await self.sessions.visitor(request.cookies.get(COOKIE))
        customer: Mapping[str, Any] = {}
        if visitor is not None:
            try:
                customer = await self.api.get(f"/v1/customers/{visitor.consumer}", visitor.key)
            except Problem:
                customer = {}  # billing is away or has not heard of them yet; the page still works
        chosen = request.cookies.get(LANGUAGE_COOKIE) or customer.get("locale")
        language = preferred(chosen or request.headers.get("accept-language"))
        now_us = await to_thread.run_sync(self.database.now_us)
        return Page(
            self, request, visitor=visitor, customer=customer, language=language, now_us=now_us
        )

    def render(
        self, name: str, language: Language, values: Mapping[str, Any], *, part: str = ""
    ) -> str:
        """Return a template's text in a language, in the words of a part of the pages."""
        return self._environment(language, part).get_template(name).render(values)


class Page:
    """One request's page."""

    def __init__(
        self,
        site: Site,
        request: AnyRequest,
        *,
        visitor: Visitor | None,
        customer: Mapping[str, Any],
        language: Language,
        now_us: int,
    ) -> None:
        self.site = site
        self.request = request
        self.visitor = visitor
        self.customer = customer
        self.language = language
        self.zone = str(customer.get("zone") or "Europe/Moscow")
        self.now_us = now_us

    # -- who ---------------------------------------------------------------------------------------

    @property
    def own(self) -> Visitor:
        """Return who looks; whoever is not signed in is sent to do so."""
        if self.visitor is None:
            raise MustSignIn
        return self.visitor

    @property
    def _key(self) -> str | None:
        return None if self.visitor is None else self.visitor.key

    @property
    def _part(self) -> str:
        """Return which part of the pages this one is of: `store`, `portal`."""
        return self.request.url.path.split("/")[1]

    # -- the API as this visitor -------------------------------------------------------------------

    async def get(self, path: str, **query: object) -> Any:  # noqa: ANN401 - JSON
        """Ask the API; raises `Problem`."""
        return await self.site.api.get(path, self._key, **query)

    async def find(self, path: str, **query: object) -> Any:  # noqa: ANN401 - JSON
        """Ask the API; None where it knows nothing of the kind (404)."""
        try:
            return await self.get(path, **query)
        except Problem as problem:
            if problem.status == 404:  # noqa: PLR2004 - not found
                return None
            raise

    async def post(self, path: str, body: object = None, *, key: str | None = None) -> Any:  # noqa: ANN401 - JSON
        """Give the API a command, once under its key; raises `Problem`."""
        return await self.site.api.post(path, self._key, body, key=key)

    async def put(self, path: str, body: object) -> Any:  # noqa: ANN401 - JSON
        """Set something."""
        return await self.site.api.put(path, self._key, body)

    async def patch(self, path: str, body: object) -> Any:  # noqa: ANN401 - JSON
        """Change something."""
        return await self.site.api.patch(path, self._key, body)

    async def delete(self, path: str) -> Any:  # noqa: ANN401 - JSON
        """Remove something."""
        return await self.site.api.delete(path, self._key)

    async def file(self, path: str, **query: object) -> Response[bytes]:
        """Hand on a file of the API."""
        found: Document = await self.site.api.file(path, self.own.key, **query)
        headers = {"Cache-Control": "private, no-store"}
        if found.disposition is not None:
            headers["Content-Disposition"] = found.disposition
        return Response(found.content, media_type=found.media_type, headers=headers)

    # -- how things are written --------------------------------------------------------------------

    def words(self, text: str, **values: object) -> str:
        """Return a message in the page's language, values filled in."""
        found = words_of(self.language, self._part).gettext(text)
        return found % values if values else found

    def money(self, minor: int, currency: str = "RUB") -> str:
        """Write an amount of the smallest unit."""
        return formats.money(minor, currency, self.language)

    def moment(self, at: str | int, zone: str | None = None) -> Markup:
        """Write an instant (RFC 3339 or microseconds) in the visitor's zone or this, as `<time>`.

        What happens at a place is told in the time of that place.
        """
        at_us = parse_time(at) if isinstance(at, str) else at
        machine = datetime.fromtimestamp(at_us / 1_000_000, UTC).isoformat(timespec="seconds")
        text = formats.when(at_us, zone or self.zone, self.language)
        return Markup('<time datetime="{}">{}</time>').format(machine, text)

    def short(self, at: str | int) -> Markup:
        """Write an instant shortly, for tables."""
        at_us = parse_time(at) if isinstance(at, str) else at
        machine = datetime.fromtimestamp(at_us / 1_000_000, UTC).isoformat(timespec="seconds")
        return Markup('<time datetime="{}">{}</time>').format(
            machine, formats.short(at_us, self.zone, self.language)
        )

    def time_left(self, until: str | int) -> str:
        """Say how long it still is until an instant."""
        until_us = parse_time(until) if isinstance(until, str) else until
        return formats.time_left(until_us - self.now_us, self.language)

    def hours(self, count: int) -> str:
        """Write so many hours with the word that the number wants."""
        return formats.hours(count, self.language)

    def named(self, names: Mapping[str, str]) -> str:
        """Return what something is called in the page's language, or in another one."""
        return names.get(self.language) or next(iter(names.values()), "")

    # -- answers -----------------------------------------------------------------------------------

    def show(self, template: str, *, status: int = 200, **values: object) -> Response[str]:
        """Answer with a page."""
        # The middleware's own: it has put the same token into the cookie.
        token = ScopeState.from_scope(self.request.scope).csrf_token
        if not isinstance(token, str):
            # Nor has it seen what is refused before any handler; the browser may have a token.
            token = self.request.cookies.get(CSRF_COOKIE, "")
        given = {
            "page": self,
            "visitor": self.visitor,
            "customer": self.customer,
            "language": self.language,
            "languages": NAMES,
            "zone": self.zone,
            "zone_name": formats.zone_name(self.zone, self.language),
            "money": self.money,
            "moment": self.moment,
            "short": self.short,
            "time_left": self.time_left,
            "hours": self.hours,
            "named": self.named,
            "now_us": self.now_us,
            "here": self.request.url.path,
            "said": said(self.request),
            "csrf": Markup('<input type="hidden" name="{}" value="{}">').format(CSRF_FIELD, token),
            "once": record_id("web"),
            **values,
        }
        text = self.site.render(template, self.language, given, part=self._part)
        answer = Response(text, media_type=MediaType.HTML, status_code=status)
        answer.headers["Content-Language"] = self.language
        answer.headers["Vary"] = "Cookie, Accept-Language"
        return answer

    def go(self, address: str, saying: str | None = None) -> Redirect:
        """Send the browser on after a form (303), with a word of what happened.

        `saying` is the name of a notice in `web/notices.html`, so that an address from elsewhere
        can never put words into our mouth.
        """
        if saying is not None:
            address += ("&" if "?" in address else "?") + f"said={saying}"
        return Redirect(address, status_code=303)


async def opened(request: AnyRequest) -> Page:
    """Return the page of a request."""
    site: Site = request.app.state.site
    return await site.open(request)


def said(request: AnyRequest) -> str | None:
    """Return the name of the notice that an address carries."""
    word = request.query_params.get("said", "")
    return word if word.replace("_", "").isalnum() else None


def to_sign_in(request: AnyRequest, at: str = SIGN_IN) -> Redirect:
    """Send somebody to the sign-in page, and back here after it."""
    back = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    if request.method != "GET":
        back = request.headers.get("referer", "").partition(request.url.netloc)[2] or "/store/"
    return Redirect(f"{at}?next={quote(back, safe='')}", status_code=303)


def local_address(text: object, otherwise: str = "/store/") -> str:
    """Return an address of ours to go on to; anything else becomes `otherwise`."""
    if not isinstance(text, str) or not text.startswith("/") or text.startswith(("//", "/\\")):
        return otherwise
    # Browsers leave out tabs and ends of lines, and so would find `//` after all.
    return otherwise if any(letter < " " for letter in text) else text


def _with_templates() -> Sequence[str]:

    return [name for name in PACKAGES if importlib.util.find_spec(name) is not None]
