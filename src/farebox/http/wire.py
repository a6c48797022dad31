"""What the API's types have in common: texts, amounts, times, ids and pages on the wire."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, Generic, TypeVar

import msgspec
from litestar.params import HeaderParameter, QueryParameter
from msgspec import Meta

from farebox.contracts.decisions import LARGEST_QUANTITY
from farebox.kernel import ids
from farebox.kernel.clock import LAST_US
from farebox.kernel.refusals import Refusal
from farebox.platform.model import LONGEST_LABEL
from farebox.platform.rules import LAST_PRIORITY, LEAST_PRIORITY

T = TypeVar("T")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)

# What `platform.rules.checked_text` lets through, said in the description as well.
ONE_LINE: Final = r"^[^\x00-\x1f\x7f-\x9f]*$"
_VISIBLE: Final = r"^[!-~]+$"
LARGEST_PAGE: Final = 1_000
LONGEST_KEY: Final = 255

Name = Annotated[str, Meta(min_length=1, max_length=256, pattern=ONE_LINE)]
Text = Annotated[str, Meta(max_length=512, pattern=ONE_LINE)]
Id = Annotated[str, Meta(min_length=1, max_length=128, pattern=_VISIBLE)]
Amount = Annotated[int, Meta(ge=1, le=LARGEST_QUANTITY, description="Smallest units, at least 1")]
Priority = Annotated[
    int, Meta(ge=LEAST_PRIORITY, le=LAST_PRIORITY, description="The smallest is drawn first")
]
Label = Annotated[str, Meta(max_length=LONGEST_LABEL, pattern=ONE_LINE)]
Word = Annotated[str, Meta(min_length=1, max_length=64, pattern=ONE_LINE)]
Zone = Annotated[str, Meta(min_length=1, max_length=64, description="Europe/Moscow")]
Time = Annotated[datetime, Meta(tz=True)]
MetadataValue = Text | Annotated[int, Meta(ge=-LARGEST_QUANTITY, le=LARGEST_QUANTITY)] | bool | None
Metadata = Annotated[
    dict[Annotated[str, Meta(min_length=1, max_length=64, pattern=ONE_LINE)], MetadataValue],
    Meta(max_length=32),
]

# Parameters. A list's `cursor` is what the page before it called `next`.
Limit = Annotated[int, QueryParameter(ge=1, le=LARGEST_PAGE, description="Most items on the page")]
IdFilter = Annotated[str | None, QueryParameter(min_length=1, max_length=128, pattern=_VISIBLE)]
TextCursor = Annotated[
    str | None,
    QueryParameter(name="cursor", max_length=128, pattern=_VISIBLE, description="The last `next`"),
]
NumberCursor = Annotated[
    str | None,
    QueryParameter(name="cursor", pattern=r"^[1-9][0-9]{0,17}$", description="The last `next`"),
]
ZoneParameter = Annotated[
    str, QueryParameter(name="zone", max_length=64, pattern=r"^[A-Za-z0-9_+/-]+$")
]
EventCursor = Annotated[
    str | None,
    QueryParameter(
        name="cursor", pattern=r"^[0-9]{1,18}-[0-9]{1,18}$", description="The last `next`"
    ),
]
Reason = Annotated[
    str | None,
    QueryParameter(
        name="reason", max_length=512, pattern=ONE_LINE, description="Why; kept in the audit log"
    ),
]
Key = Annotated[
    str | None,
    HeaderParameter(
        name="Idempotency-Key",
        max_length=LONGEST_KEY,
        pattern=_VISIBLE,
        description="A repeat under the same key is answered with the first answer",
    ),
]


class Body(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of what requests carry: unknown fields are refused."""


class View(msgspec.Struct, frozen=True, kw_only=True):
    """Base of what answers carry: readers ignore fields that they do not know."""


class Page(View, Generic[T], frozen=True):
    """One page of a list; `next` is the cursor of the page after it, null on the last one."""

    items: list[T]
    next: str | None


class TimeOutOfRange(Refusal):
    """The time is not one that can be used here."""

    code = "time_out_of_range"


def show_time(at_us: int) -> datetime:
    """Return an instant as a time of the API."""
    return _EPOCH + timedelta(microseconds=at_us)


def show_end(at_us: int | None) -> datetime | None:
    """Return an end as a time of the API; None stays "no end"."""
    return None if at_us is None or at_us > LAST_US else show_time(at_us)


def read_time(moment: datetime) -> int:
    """Return a time of the API in microseconds, from 1970 to 9999 at the utmost."""
    return min(max(0, (moment - _EPOCH) // _MICROSECOND), LAST_US)


def read_end(moment: datetime | None, *, now_us: int, starts_at: int | None = None) -> int | None:
    """Return an end in microseconds; refuses one that has passed or does not follow the start."""
    if moment is None:
        return None
    end = read_time(moment)
    if end <= max(now_us, starts_at or 0):
        raise TimeOutOfRange("an end lies in the future and after the start")
    return end


def read_key(header: str | None) -> str | None:
    """Return an Idempotency-Key, which clients send bare or as a quoted string."""
    if header is None or len(header) < len('"k"') or header[0] + header[-1] != '""':
        return header
    return header[1:-1]


def read_bucket_id(text: str, *, otherwise: Refusal) -> int:
    """Return the ledger's id of a bucket; an id of another form is nobody's bucket."""
    number = ids.parse("bkt", text)
    if number is None:
        raise otherwise
    return number
