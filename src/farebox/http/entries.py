"""An entry of the table of who may call what, and the table of the routes of letters."""

from collections.abc import Mapping
from typing import Final

import msgspec

from farebox.platform.model import Permission, Principal
from farebox.platform.rules import may


class Entry(msgspec.Struct, frozen=True):
    """Who may call an operation."""

    permission: Permission
    consumers: bool = False

    def admits(self, principal: Principal) -> bool:
        """Tell whether this caller may call it at all."""
        if principal.kind == "consumer":
            return self.consumers
        return may(principal, self.permission)


_READ: Final = Entry(Permission.READ)
_READ_OWN: Final = Entry(Permission.READ, consumers=True)

# Consumers choose and read their own, support looks and sends again.
OF_LETTERS: Final[Mapping[str, Entry]] = {
    "readNotificationPreferences": _READ_OWN,
    "setNotificationPreferences": Entry(Permission.CUSTOMERS, consumers=True),
    "listLetterTemplates": _READ_OWN,
    "listNotices": _READ_OWN,
    "countNotices": _READ_OWN,
    "markNoticeRead": Entry(Permission.CUSTOMERS, consumers=True),
    "markNoticesRead": Entry(Permission.CUSTOMERS, consumers=True),
    "listLetters": _READ,
    "readLetter": _READ,
    "previewLetter": _READ,
    "resendLetter": Entry(Permission.CUSTOMERS),
}
