"""Refusals: inputs that a rule rejects.

A *denial* is an answer ("the bucket is empty") and travels as a value. A *refusal* is an
exception with a stable code, named for the rule that stands; its class docstring is the message.
Which HTTP status a refusal becomes is decided in one table, `farebox.http.problems`.
"""

from typing import ClassVar


class Refusal(Exception):
    """The request was refused."""

    code: ClassVar[str] = "refused"

    def __init__(self, detail: str | None = None, **facts: str | int | None) -> None:
        self.detail = detail or self.message()
        self.facts = facts
        super().__init__(self.detail)

    @classmethod
    def message(cls) -> str:
        """Return the class docstring's first line: what a caller reads without more detail."""
        return (cls.__doc__ or cls.code).strip().splitlines()[0]


class ValueRefused(Refusal):
    """A value lies outside of what its field can hold."""

    code = "value_invalid"


class ClockJumped(Refusal):
    """Wall clock and monotonic clock have parted; decisions wait for an operator."""

    code = "clock_jump"


class TryAgain(Refusal):
    """The database could not finish this now; the same request may be sent again."""

    code = "try_again"


class SettingsRefused(Refusal):
    """The settings are wrong; nothing was started."""

    code = "settings_invalid"
