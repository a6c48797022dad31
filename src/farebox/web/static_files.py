"""Files of the pages: style, script, pictures.

Their addresses carry a digest of what is in them, so browsers may keep them for ever.
"""

import hashlib
import mimetypes
from importlib import resources
from typing import Final

import msgspec

WHERE: Final = "/web/"
_KEEP: Final = "public, max-age=31536000, immutable"
_PACKAGES: Final = ("farebox.web", "farebox.shop", "farebox.portal", "farebox.console")


class File(msgspec.Struct, frozen=True):
    """One file as it is served."""

    content: bytes
    media_type: str
    cache: str = _KEEP


class StaticFiles:
    """All files, read once; the list of names is closed."""

    def __init__(self) -> None:
        self._files: dict[str, File] = {}
        self._addresses: dict[str, str] = {}
        for package in _PACKAGES:
            self._take(package)

    def _take(self, package: str) -> None:
        try:
            folder = resources.files(package) / "static"
        except ModuleNotFoundError:
            return
        if not folder.is_dir():
            return
        for entry in folder.iterdir():
            if not entry.is_file():
                continue
            content = entry.read_bytes()
            kind = mimetypes.guess_type(entry.name)[0] or "application/octet-stream"
            stem, dot, ending = entry.name.rpartition(".")
            name = f"{stem}.{hashlib.sha256(content).hexdigest()[:12]}{dot}{ending}"
            self._files[name] = File(content, kind)
            self._addresses[entry.name] = WHERE + name

    def address(self, name: str) -> str:
        """Return where a file is; a name that is not there is our own fault."""
        return self._addresses[name]

    def find(self, name: str) -> File | None:
        """Return a file by the name that its address carries."""
        return self._files.get(name)
