"""SMS, and whatever else reaches a phone number, by a service that Apprise knows.

The address of the service is a setting of the operator, `{phone}` in it is the recipient's number.
A customer chooses digits and nothing else: Apprise calls whatever host its address names, so no
part of an address may ever come from a customer.
"""

import logging
import warnings
from typing import Final
from urllib.parse import quote

import apprise

from farebox.notifications.channels.model import NotSent, Parcel, Sent

PLACE: Final = "{phone}"
# At its debug level it writes addresses with the passwords in them.
logging.getLogger("apprise").setLevel(logging.CRITICAL)
with warnings.catch_warnings():
    # All services are loaded at the first use of one, and some warn of Python's own plans.
    warnings.simplefilter("ignore", DeprecationWarning)
    apprise.Apprise.instantiate("json://localhost")


class Phone:
    """Sends short messages through one service."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._asset = apprise.AppriseAsset(async_mode=False, app_id="Farebox", app_url="")

    def send(self, parcel: Parcel) -> Sent | NotSent:
        """Hand a message to the service."""
        way = apprise.Apprise(asset=self._asset)
        try:
            known = way.add(self._address.replace(PLACE, quote(parcel.address, safe="")))
            taken = known and way.notify(body=parcel.written.text)
        except Exception as error:  # noqa: BLE001 - a service's own fault is an answer here
            return NotSent(error=type(error).__name__)
        if not taken:
            # Apprise tells nothing more, and what it logs may name the password.
            return NotSent(error="the service did not take it")
        return Sent()


def is_known(address: str) -> bool:
    """Tell whether Apprise knows what service an address is of."""
    example = address.replace(PLACE, quote("+15555550100", safe=""))
    return bool(apprise.Apprise.instantiate(example, suppress_exceptions=True))
