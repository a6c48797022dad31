"""The AccMan source's own stack, Fastify and LevelDB, as a server to be measured."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import msgspec

from bench.load.requests import RequestSet, request
from bench.model import NotMeasured
from bench.processes import free_port, running
from bench.rounds import say

_FOLDER = Path(__file__).with_name("accman")
_BALANCE = 1_000_000_000


class Peer(msgspec.Struct, frozen=True, kw_only=True):
    """A running peer and how it was started."""

    name: str
    port: int
    accounts: int
    sync: bool

    def used(self) -> int:
        """Return what was deducted so far, read back from the peer itself."""
        left = 0
        for number in range(self.accounts):
            with urlopen(f"http://127.0.0.1:{self.port}/tot?cred=k{number}") as answer:
                left += msgspec.json.decode(answer.read(), type=dict[str, int])["tot"]
        return self.accounts * _BALANCE - left


def install() -> None:
    """Install the locked packages beside the peer, once."""
    for tool in ("node", "npm"):
        if shutil.which(tool) is None:
            raise NotMeasured(
                f"{tool} is not installed (Debian and Ubuntu: apt-get install nodejs npm)"
            )
    if (_FOLDER / "node_modules" / "level").exists():
        return
    say("installing the peer: npm ci")
    done = subprocess.run(
        ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
        cwd=_FOLDER,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise NotMeasured(f"npm ci failed: {done.stderr.strip()[-300:]}")


@contextmanager
def serving(folder: Path, *, sync: bool, naive: bool, accounts: int) -> Iterator[Peer]:
    """Run the peer on a new LevelDB in `folder`.

    `sync` makes every write reach the disk before it is answered. `naive`
    leaves out the line per account: quicker, and it loses a deduction when two
    requests for one account meet.
    """
    install()
    name = (
        f"Fastify + LevelDB, sync {'on' if sync else 'off'}, {'naive' if naive else 'serialised'}"
    )
    path = folder / f"accman-{'sync' if sync else 'nosync'}-{'naive' if naive else 'line'}"
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    port = free_port()
    environment = {
        "PORT": str(port),
        "DATA": str(path / "level"),
        "SYNC": str(int(sync)),
        "NAIVE": str(int(naive)),
        "ACCOUNTS": str(accounts),
        "BALANCE": str(_BALANCE),
        "NODE_ENV": "production",
    }
    command = ["node", str(_FOLDER / "server.mjs")]
    with running(command, port=port, environment=environment, log=path / "log"):
        yield Peer(name=name, port=port, accounts=accounts, sync=sync)
    shutil.rmtree(path, ignore_errors=True)


def deductions(accounts: int) -> RequestSet:
    """Return one deduction of 1 for each account."""
    return RequestSet(
        requests=[request("PATCH", f"/mod?cred=k{number}&by=-1") for number in range(accounts)],
        expected=b'"tot":',
    )
