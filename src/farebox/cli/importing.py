"""`farebox rates`: the European Central Bank's exchange rates, straight into billing's database."""

import io
import sys
import zipfile
from functools import partial
from pathlib import Path
from typing import Final

from farebox.billing.pricing.model_money import RateUnknown
from farebox.billing.pricing.rules_rates import parts_of
from farebox.billing.pricing.service_rates import import_ecb, read_ecb_file
from farebox.kernel.clock import SystemClock
from farebox.platform.model import Actor
from farebox.wiring.services import opened
from farebox.wiring.settings import Settings

_LARGEST: Final = 64 * 1024 * 1024
_AT_ONCE: Final = 20_000


def run_rates(settings: Settings, file: Path | None, reason: str) -> None:
    """Take in the bank's file, as it is or in its zip, and print what it brought."""
    content = sys.stdin.buffer.read(_LARGEST) if file is None else file.read_bytes()
    rates = read_ecb_file(_text_of(content))
    actor = Actor(kind="system", id="command-line", reason=reason or None)
    with opened(settings, SystemClock(), service="billing") as database:
        # Part by part, so that nobody who writes waits for long. Whoever is interrupted begins
        # again: what is there already stays as it is.
        done = [
            database.run(partial(import_ecb, actor=actor, file=part))
            for part in parts_of(rates, _AT_ONCE)
        ]
    days = len({day for _, day in rates})
    added, changed = sum(each.added for each in done), sum(each.changed for each in done)
    same = sum(each.same for each in done)
    print(f"{days} days: {added} new rates, {changed} corrected, {same} as known")


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
