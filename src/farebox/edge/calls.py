"""What can be asked of Farebox, as values: nothing here sends anything.

A call is built once and may be sent again: its key makes the repeat harmless. The sync and the
async client both take calls, so that each verb exists once:

    farebox.send(tot("cinema-7"))                     ->  Total(cred="cinema-7", tot=95)
    farebox.send(mod("cinema-7", by=-5, key="k-1"))   ->  Modification(tot=90, ...)
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Generic, TypeVar

import msgspec

from farebox.contracts.accounts import MOD_PATH, PAST_PATH, TOT_PATH, Modification, Past, Total
from farebox.contracts.decisions import (
    CAPTURE_PATH,
    DECIDE_PATH,
    RELEASE_PATH,
    CaptureRequest,
    CaptureResult,
    DecideRequest,
    Decision,
    ReleaseRequest,
    ReleaseResult,
)
from farebox.edge.errors import FareboxUnavailable, Refused

T_co = TypeVar("T_co", covariant=True)


class Call(msgspec.Struct, Generic[T_co], frozen=True, kw_only=True):
    """One request to Farebox and the type of its answer.

    `key` is the Idempotency-Key. `repeatable` says that sending the call twice does no more than
    sending it once.
    """

    method: str
    path: str
    answer: type[T_co]
    query: Mapping[str, str] = {}
    content: bytes = b""
    key: str | None = None
    repeatable: bool

    def headers(self) -> dict[str, str]:
        """Return the headers that this call needs beside the caller's credential."""
        headers = {"accept": "application/json"}
        if self.content:
            headers["content-type"] = "application/json"
        if self.key is not None:
            headers["idempotency-key"] = self.key
        return headers

    def may_follow(self, failure: FareboxUnavailable) -> bool:
        """Tell whether the call may be sent again after `failure`."""
        return self.repeatable or failure.never_sent


def decide(request: DecideRequest, *, key: str | None = None) -> Call[Decision]:
    """Ask for a decision. A consume or a reserve without `key` is sent at most once."""
    return Call(
        method="POST",
        path=DECIDE_PATH,
        answer=Decision,
        content=msgspec.json.encode(request),
        key=key,
        repeatable=key is not None or request.mode == "check",
    )


def capture(request: CaptureRequest) -> Call[CaptureResult]:
    """Debit a hold. The key is made of the hold's id: a lost answer can be asked for again."""
    return Call(
        method="POST",
        path=CAPTURE_PATH,
        answer=CaptureResult,
        content=msgspec.json.encode(request),
        key=f"capture:{request.hold}",
        repeatable=True,
    )


def release(request: ReleaseRequest) -> Call[ReleaseResult]:
    """Give a hold back. The key is made of the hold's id, as for `capture`."""
    return Call(
        method="POST",
        path=RELEASE_PATH,
        answer=ReleaseResult,
        content=msgspec.json.encode(request),
        key=f"release:{request.hold}",
        repeatable=True,
    )


def tot(cred: str) -> Call[Total]:
    """Ask for an account's balance. An unknown account is `Refused`, code `account_unknown`."""
    return Call(method="GET", path=TOT_PATH, answer=Total, query={"cred": cred}, repeatable=True)


def mod(cred: str, *, by: int, key: str | None = None) -> Call[Modification]:
    """Add `by` to an account, which is opened if it is new; without `key` sent at most once.

    What would fall below the floor is `Refused`, code `insufficient_balance`.
    """
    return Call(
        method="PATCH",
        path=MOD_PATH,
        answer=Modification,
        query={"cred": cred, "by": str(by)},
        key=key,
        repeatable=key is not None,
    )


def past(cred: str, *, limit: int = 50, cursor: str | None = None) -> Call[Past]:
    """Ask for one page of an account's history, newest first."""
    query = {"cred": cred, "limit": str(limit)}
    if cursor is not None:
        query["cursor"] = cursor
    return Call(method="GET", path=PAST_PATH, answer=Past, query=query, repeatable=True)


class _ProblemSeen(msgspec.Struct):
    """A problem as far as it can be read: something between us and Farebox may have written it."""

    code: str = "unknown"
    title: str = ""
    detail: str = ""


def read_answer(call: Call[T_co], *, status: int, content: bytes) -> T_co:
    """Return the answer to `call`, or raise what the status and the body mean."""
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        try:
            return msgspec.json.decode(content, type=call.answer)
        except msgspec.DecodeError as error:
            raise FareboxUnavailable(f"an answer that is not understood: {error}") from error
    try:
        problem = msgspec.json.decode(content, type=_ProblemSeen)
    except msgspec.DecodeError:
        problem = _ProblemSeen()
    detail = problem.detail or problem.title or f"status {status}"
    if HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR:
        raise Refused(code=problem.code, status=status, detail=detail)
    # A redirect lands here too: it is a wrong base URL or a proxy at work, and is not followed,
    # because the credential would follow it.
    raise FareboxUnavailable(f"{status} {problem.code}: {detail}")
