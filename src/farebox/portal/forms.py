"""What a person typed, as the API wants it: fields, keys and days. Nothing is decided here."""

from datetime import datetime, timedelta
from typing import Any

from farebox.kernel.clock import SECOND_US, show_time
from farebox.kernel.periods import zone_of


def text_of(form: Any, name: str) -> str:  # noqa: ANN401 - the framework's form
    """Return what stands in a field, without spaces around it; nothing if it is not there."""
    return str(form.get(name) or "").strip()


def key_of(form: Any) -> str | None:  # noqa: ANN401 - as above
    """Return the key that the form was rendered with, under which it counts once."""
    return text_of(form, "key")[:200] or None


def parse_last_day(text: str, zone: str) -> str | None:
    """Return the end of a `date` field's day in a zone, as the API writes times; or None."""
    try:
        # The hour is the zone's own; the day after is counted on its calendar.
        begins = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=zone_of(zone))
        end = begins + timedelta(days=1)
        return str(show_time(int(end.timestamp()) * SECOND_US))
    except (ValueError, OverflowError):
        return None
