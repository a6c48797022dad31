"""The offline viewer of the API's description: every file comes from this process."""

import mimetypes
from collections.abc import Mapping
from importlib import resources
from typing import Final

from litestar import MediaType, Response, get
from litestar.params import FromPath

from farebox.http.refusals import RouteUnknown
from farebox.http.roles import PUBLIC

# The viewer sets style attributes from its script; scripts come from files alone.
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_DAY: Final = "public, max-age=86400"
_FILES: Final[Mapping[str, str]] = {
    name.rpartition("/")[2]: name
    for name in (
        "start.js",
        "swagger-ui/LICENSE",
        "swagger-ui/NOTICE",
        "swagger-ui/favicon-32x32.png",
        "swagger-ui/swagger-ui-bundle.js",
        "swagger-ui/swagger-ui-bundle.js.LICENSE.txt",
        "swagger-ui/swagger-ui.css",
    )
}


def _read(name: str) -> bytes:
    return (resources.files("farebox.http") / "static" / name).read_bytes()


@get("/docs", opt=PUBLIC, include_in_schema=False, media_type=MediaType.HTML, sync_to_thread=True)
def show_docs() -> Response[bytes]:
    """Show the API's description for people."""
    headers = {"Content-Security-Policy": _POLICY, "Cache-Control": "no-cache"}
    return Response(_read("docs.html"), media_type=MediaType.HTML, headers=headers)


@get("/docs/files/{name:str}", opt=PUBLIC, include_in_schema=False, sync_to_thread=True)
def show_file(name: FromPath[str]) -> Response[bytes]:
    """Serve one of the viewer's files; the list of names is closed."""
    if name not in _FILES:
        raise RouteUnknown
    kind = mimetypes.guess_type(name)[0] or "text/plain"
    return Response(_read(_FILES[name]), media_type=kind, headers={"Cache-Control": _DAY})
