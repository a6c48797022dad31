"""`farebox rates`: the European Central Bank's exchange rates, straight into billing's database."""

import io
import sys
import zipfile
from pathlib import Path

from farebox.billing.pricing.model_money import RateUnknown
from farebox.billing.pricing.service_rates import import_ecb
from farebox.kernel.clock import SystemClock
from farebox.platform.model import Actor
from farebox.wiring.services import opened
from farebox.wiring.settings import Settings

_LARGEST = 64 * 1024 * 1024


def run_rates(settings: Settings, file: Path | None, reason: str) -> None:
    """Take in the bank's file, as it is or in its zip, and print what it brought."""
    content = sys.stdin.buffer.read(_LARGEST) if file is None else file.read_bytes()
    text = _text_of(content)
    actor = Actor(kind="system", id="command-line", reason=reason or None)
    with opened(settings, SystemClock(), service="billing") as database:
        done = database.run(lambda tx: import_ecb(tx, actor, text))
    print(
        f"{done.days} days: {done.added} new rates, {done.changed} corrected, {done.same} as known"
    )


def _text_of(content: bytes) -> str:
    """Return the file as text; refuses (`rate_unknown`) what is neither text nor the bank's zip."""
    try:
        if content.startswith(b"PK"):
            with zipfile.ZipFile(io.BytesIO(content)) as packed:
                [name] = packed.infolist()
                if name.file_size > _LARGEST:
                    raise RateUnknown("the file is too large to be the bank's")
                content = packed.read(name)
        return content.decode("utf-8-sig")
    except (ValueError, zipfile.BadZipFile) as error:
        raise RateUnknown("this is neither the bank's file nor its zip") from error
