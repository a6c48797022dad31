"""Which port to listen on."""

import errno
import socket

from farebox.kernel.refusals import SettingsRefused


def port_to_listen_on(host: str, port: int) -> int:
    """Return the port if nobody listens on it, or one that is free now for 0.

    Refuses (`settings_invalid`) one that is taken. Workers' sockets share a port with whoever
    allows it, so a second Farebox would get half of the first one's requests.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            return int(probe.getsockname()[1])
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        why = "something else listens there" if taken else error.strerror
        raise SettingsRefused(f"cannot listen on port {port} of {host}: {why}") from error
