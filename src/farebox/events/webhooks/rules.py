"""The rules of outgoing webhooks: form, signature, addresses, pauses.

Signatures and pauses are those of Standard Webhooks (specification 1.0): the signed text is
`id.timestamp.body`, the secret is shown as `whsec_` and base64.
"""

import base64
import binascii
import hmac
import ipaddress
import re
import zlib
from collections.abc import Sequence
from typing import ClassVar, Final
from urllib.parse import urlsplit

from farebox.kernel.clock import SECOND_US
from farebox.kernel.refusals import Refusal, ValueRefused

SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - the prefix that the standard gives secrets
SECRET_BYTES: Final = 32
_HOUR: Final = 3_600
PAUSES_S: Final = (
    5, 300, 1_800, 2 * _HOUR, 5 * _HOUR, 10 * _HOUR, 14 * _HOUR, 20 * _HOUR, 24 * _HOUR,
)  # fmt: skip
"""The pause after the first, second ... try; after the one that follows the last it is given up."""
LONGEST_WISH_S: Final = 24 * _HOUR
FAILING_US: Final = 5 * 24 * _HOUR * SECOND_US
GONE: Final = 410
_WORD: Final = r"[a-z0-9_]+"
_PATTERN: Final = re.compile(rf"{_WORD}(\.{_WORD})*(\.\*)?")
_LONGEST_PATTERN: Final = 128
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")


class AddressRefused(Refusal):
    """Webhooks go to public https addresses only."""

    code: ClassVar[str] = "webhook_address_refused"


def checked_types(types: Sequence[str], most: int) -> tuple[str, ...]:
    """Return event types, each once in order: `order.completed`, or `order.*` for all of them."""
    if len(types) > most:
        raise ValueRefused(f"a webhook names at most {most} event types")
    for one in types:
        if len(one) > _LONGEST_PATTERN or _PATTERN.fullmatch(one) is None:
            raise ValueRefused(f"{one!r} is not an event type such as order.completed or order.*")
    return tuple(sorted(set(types)))


def wants(types: Sequence[str], event_type: str) -> bool:
    """Tell whether an endpoint with these types gets an event of this type."""
    if not types:
        return True
    return any(
        event_type.startswith(one[:-1]) if one.endswith(".*") else event_type == one
        for one in types
    )


def checked_url(url: str, *, private: bool, longest: int) -> str:
    """Return an address that may be called, as far as its text tells; else refuse it.

    What its name leads to is looked at when it is called. `private` lets plain HTTP and addresses
    of one's own network through. Refuses `value_invalid` and `webhook_address_refused`.
    """
    if not url.isascii() or not url.isprintable() or " " in url or len(url) > longest:
        raise ValueRefused(f"a URL has at most {longest} printable ASCII characters and no spaces")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ValueRefused("this is not a URL") from error
    if parts.scheme not in {"http", "https"} or not host or port == 0:
        raise ValueRefused("a webhook is an https URL with a host")
    if parts.username is not None or parts.fragment:
        raise ValueRefused("a webhook's URL has no user and no fragment")
    if private:
        return url
    if parts.scheme != "https":
        raise AddressRefused
    literal = _literal(host)
    if literal is not None and not is_public(str(literal)):
        raise AddressRefused
    return url


def _literal(host: str) -> _Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def is_public(address: str) -> bool:
    """Tell whether an address is on the open internet.

    Not so are: loopback, private, link-local (with the metadata services of clouds), shared,
    multicast, reserved. An IPv6 address that carries an IPv4 one is as public as that.
    """
    found = _literal(address.partition("%")[0])
    if found is None:
        return False
    carried = _carried(found)
    if carried is not None:
        return is_public(str(carried))
    return found.is_global and not (
        found.is_multicast or found.is_reserved or found.is_unspecified or found.is_link_local
    )


def _carried(address: _Address) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address that a mapped, 6to4, Teredo or NAT64 address leads to."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    teredo = None if address.teredo is None else address.teredo[1]
    return address.ipv4_mapped or address.sixtofour or teredo


def show_secret(secret: bytes) -> str:
    """Write a secret as the standard shows it."""
    return SECRET_PREFIX + base64.b64encode(secret).decode()


def read_secret(text: str) -> bytes:
    """Read a shown secret back; refuses (`value_invalid`) anything else."""
    try:
        return base64.b64decode(text.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueRefused("this is not a webhook secret") from error


def signatures(secrets: Sequence[bytes], event: str, timestamp_s: int, body: bytes) -> str:
    """Return the header `webhook-signature`: one signature for each secret in force."""
    signed = b".".join((event.encode(), str(timestamp_s).encode(), body))
    digests = (hmac.digest(secret, signed, "sha256") for secret in secrets)
    return " ".join("v1," + base64.b64encode(digest).decode() for digest in digests)


def is_success(status: int | None) -> bool:
    """Tell whether the receiver has taken the message; a redirect has not."""
    return status is not None and 200 <= status < 300  # noqa: PLR2004 - the 2xx of HTTP


def next_due(
    tries: int, now_us: int, *, delivery: str, retry_after_s: int | None = None
) -> int | None:
    """Return when the next try is due after so many failed ones; None to give up.

    Up to a tenth is added, by the delivery's id, so that what failed together does not come back
    together. A receiver may ask for a longer pause, up to a day.
    """
    if not 1 <= tries <= len(PAUSES_S):
        return None
    pause = PAUSES_S[tries - 1] * SECOND_US
    pause += pause * (zlib.crc32(delivery.encode()) % 1_000) // 10_000
    wish = min(max(retry_after_s or 0, 0), LONGEST_WISH_S) * SECOND_US
    return now_us + max(pause, wish)


def has_failed_for_long(failing_since: int | None, now_us: int) -> bool:
    """Tell whether an endpoint has failed for so long that it is disabled."""
    return failing_since is not None and now_us - failing_since >= FAILING_US
