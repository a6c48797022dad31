"""Identity providers for tests, over real HTTP: a mock in its own process, and one to bend."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from joserfc import jwt
from joserfc.jwk import Key, RSAKey

CONFIGURATION = "/realms/cinema/.well-known/openid-configuration"
CERTIFICATES = "/realms/cinema/protocol/openid-connect/certs"


# In a process of its own, because what it imports warns of its own future. It ends with its input.
_MOCK: Final = """
import sys
from oidc_provider_mock import run_server_in_thread
with run_server_in_thread() as server:
    print(server.server_port, flush=True)
    sys.stdin.read()
"""


@contextmanager
def mock_provider() -> Iterator[str]:
    """Run the provider of `oidc-provider-mock` and return its URL."""
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", _MOCK],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield f"http://localhost:{int(process.stdout.readline())}"
    finally:
        process.stdin.close()
        process.wait(30)
        process.stdout.close()


class Keycloak:
    """A provider whose answers and tokens a test may bend."""

    def __init__(self, url: str) -> None:
        self.issuer = f"{url}/realms/cinema"
        self.keys: list[RSAKey] = [RSAKey.generate_key(2048, {"kid": "first", "use": "sig"})]
        self.asked: list[str] = []
        self.answers: dict[str, tuple[int, bytes]] = {}

    def rotate(self, kid: str) -> None:
        """Sign by a new key; the old one is gone from the JWKS."""
        self.keys = [RSAKey.generate_key(2048, {"kid": kid, "use": "sig"})]

    def answer(self, path: str) -> tuple[int, bytes]:
        """Return what is answered to a GET."""
        self.asked.append(path)
        if path in self.answers:
            return self.answers[path]
        if path == CONFIGURATION:
            base = self.issuer.removesuffix("/realms/cinema")
            found: Any = {"issuer": self.issuer, "jwks_uri": base + CERTIFICATES}
        elif path == CERTIFICATES:
            # Keycloak lists a key for encryption beside the one that signs.
            spare = {**self.keys[0].as_dict(private=False), "kid": "enc", "use": "enc"}
            found = {"keys": [spare, *(key.as_dict(private=False) for key in self.keys)]}
        else:
            return 404, b"{}"
        return 200, json.dumps(found).encode()

    def claims(self, **changed: Any) -> dict[str, Any]:
        """Return the claims of a good token, with changes; `...` takes a claim away."""
        at = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": ["account", "farebox"],
            "azp": "films-app",
            "sub": "5f1c9a",
            "typ": "Bearer",
            "iat": at,
            "exp": at + 300,
            "preferred_username": "bob",
            "realm_access": {"roles": ["viewer"]},
            "resource_access": {"films": {"roles": ["premiere"]}},
        }
        return {name: value for name, value in {**claims, **changed}.items() if value is not ...}

    def token(self, *, key: Key | None = None, kid: str | None = None, **changed: Any) -> str:
        """Return a signed token."""
        signing = key or self.keys[0]
        header = {"alg": "RS256", "typ": "JWT", "kid": kid or signing.get("kid")}
        return jwt.encode(header, self.claims(**changed), signing, ["RS256"])


@contextmanager
def keycloak() -> Iterator[Keycloak]:
    """Serve a provider on a free port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = provider.answer(self.path)
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    provider = Keycloak(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
