"""The channels that are set up: which there are, and where each finds its address."""

from collections.abc import Mapping

from farebox.notifications.channels.model import Gateway
from farebox.notifications.letters.model import Channel
from farebox.notifications.recipients.model import Recipient

Gateways = Mapping[Channel, Gateway]


def address_on(channel: Channel, recipient: Recipient) -> str | None:
    """Return where somebody is reached on a channel, or None."""
    return recipient.email if channel == "mail" else recipient.phone
