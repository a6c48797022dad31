"""The headers that every answer of the pages carries, errors as well."""

from typing import Any, Final

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "media-src 'self'; font-src 'self'; connect-src 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
_SAFE: Final = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def harden(response: Any) -> Any:  # noqa: ANN401 - the framework's responses
    """Forbid scripts, frames and sniffing, and keep the answer out of caches unless it says so."""
    for name, value in _SAFE.items():
        response.headers.setdefault(name, value)
    response.headers.setdefault("Cache-Control", "private, no-store")
    return response
