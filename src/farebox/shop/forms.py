"""What a person typed, as the API wants it: moments and days. Nothing is decided here."""

from datetime import UTC, date, datetime, timedelta
from typing import Final

from farebox.kernel.clock import SECOND_US
from farebox.kernel.periods import zone_of

# What is added to a moment must still be one that can be written.
_YEARS: Final = range(1970, 9000)


def parse_moment(text: str, zone: str) -> int | None:
    """Return the microseconds of a `datetime-local` field's text in a zone, None if it is none."""
    try:
        local = datetime.strptime(text[:16], "%Y-%m-%dT%H:%M").replace(tzinfo=zone_of(zone))
    except ValueError:
        return None
    return int(local.timestamp()) * SECOND_US if local.year in _YEARS else None


def typed_moment(at_us: int, zone: str) -> str:
    """Write an instant as a `datetime-local` field has it."""
    local = datetime.fromtimestamp(at_us // SECOND_US, UTC).astimezone(zone_of(zone))
    return local.strftime("%Y-%m-%dT%H:%M")


def parse_day(text: str, zone: str, *, later: int = 0) -> int | None:
    """Return the microseconds at which a day of a `date` field begins in a zone.

    So many days `later` are counted on the calendar: a day has 23 hours now and then.
    """
    try:
        day = date.fromisoformat(text) + timedelta(days=later)
    except (ValueError, OverflowError):
        return None
    return parse_moment(f"{day.isoformat()}T00:00", zone)
