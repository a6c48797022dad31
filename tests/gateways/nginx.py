"""A real nginx with the configuration of docs/gateways.md, and a backend that tells what it got."""

import json
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx2

from tests.edge.servers import ROOT
from tests.support.ports import free_port

PAGE = (ROOT / "docs/gateways.md").read_text()
FRAME = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  {site}
}}
"""


class Backend(BaseHTTPRequestHandler):
    """Answers with the headers that arrived, by small names."""

    def do_GET(self):
        body = json.dumps({name.lower(): value for name, value in self.headers.items()}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815 - the name that the base class looks for

    def log_message(self, *_):
        """Say nothing."""


@contextmanager
def backend() -> Iterator[int]:
    """Serve a backend; yields its port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Backend)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


@contextmanager
def nginx_before(
    farebox: str, backend_port: int, key: str, folder: Path, *, patience_s: int = 10
) -> Iterator[str]:
    """Run nginx as the page says, before Farebox at this address; yields nginx's own.

    It waits longer for Farebox than the page says: a busy machine is slow, and nothing else.
    """
    (site,) = re.findall(r"```nginx\n(.*?)```", PAGE, flags=re.DOTALL)
    port = free_port()
    for said, real in (
        ("listen 80;", f"listen 127.0.0.1:{port};"),
        ("127.0.0.1:8080", farebox.removeprefix("http://")),
        ("127.0.0.1:9000", f"127.0.0.1:{backend_port}"),
        ("the key of an operator with the role edge", key),
        ("proxy_read_timeout 1s;", f"proxy_read_timeout {patience_s}s;"),
    ):
        assert site.count(said) == 1, said
        site = site.replace(said, real)
    config = folder / "nginx.conf"
    config.write_text(FRAME.format(folder=folder, site=site))
    command = ["nginx", "-p", str(folder), "-e", f"{folder}/error.log", "-c", str(config)]
    with subprocess.Popen(command) as process:
        try:
            wait_for(f"http://127.0.0.1:{port}", process, folder)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def wait_for(url: str, process: subprocess.Popen[bytes], folder: Path) -> None:
    """Wait until somebody answers."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        assert process.poll() is None, (folder / "error.log").read_text()
        with suppress(httpx2.TransportError):
            httpx2.get(url)
            return
        time.sleep(0.02)
    raise AssertionError("nginx does not answer")
