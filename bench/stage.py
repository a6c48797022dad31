"""What is running for one run of the bench, started when first asked for.

Idle servers cost nothing, so they all run at once and the rounds go from one to
the other without a start in between.
"""

import shutil
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from bench import farebox, ledger_rows, processes
from bench.farebox import Farebox
from bench.ledger_rows import Node
from bench.load.connections import ask_each
from bench.model import Sizes
from bench.peers import fastify
from bench.peers.fastify import Peer


class Stage:
    """The servers and files of a run. Leaving the block stops and removes them all."""

    def __init__(self, sizes: Sizes) -> None:
        self.sizes = sizes
        self.work = processes.work_folder()
        self.maxima: dict[str, float] = {}
        self.exits = ExitStack()
        self._farebox: Farebox | None = None
        self._peers: list[Peer] = []
        self._prepared: Path | None = None
        self._ledger_file: Path | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.exits.close()

    def folder(self, name: str) -> Path:
        """Return a new, empty folder that goes when the run ends."""
        path = self.work / name
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir()
        self.exits.callback(shutil.rmtree, path, ignore_errors=True)
        return path

    def prepared(self) -> Path:
        """Return a data folder with its consumers and the small journal, to be copied."""
        if self._prepared is None:
            path = self.folder("farebox-small")
            farebox.prepare(path, consumers=self.sizes.consumers)
            operations, batch = self.sizes.journal_small, self.sizes.batch
            farebox.grow(path, operations=operations, batch=batch)
            farebox.come_to_rest(path)
            self._prepared = path
        return self._prepared

    def ledger_file(self) -> Path:
        """Return a settled ledger without anything around it, with the small journal."""
        if self._ledger_file is None:
            path = self.folder("ledger-small") / "ledger.db"
            with Node(f"sqlite:///{path}") as node:
                node.create(self.sizes.consumers)
            operations, batch = self.sizes.journal_small, self.sizes.batch
            ledger_rows.grow(path, operations=operations, batch=batch, seed=1)
            self._ledger_file = path
        return self._ledger_file

    def farebox(self) -> Farebox:
        """Return the running Farebox: SQLite, one worker, everything switched on."""
        if self._farebox is None:
            path = farebox.copy(self.prepared(), self.folder("farebox"))
            running = self.exits.enter_context(farebox.serving(path))
            # Otherwise the first round measures how states are loaded at first sight.
            ask_each(running.requests("look"), port=running.port)
            self._farebox = running
        return self._farebox

    def peers(self) -> list[Peer]:
        """Return the four running forms of the peer: sync off and on, naive and serialised."""
        if not self._peers:
            accounts = self.sizes.consumers
            self._peers = [
                self.exits.enter_context(
                    fastify.serving(self.work, sync=sync, naive=naive, accounts=accounts)
                )
                for sync in (False, True)
                for naive in (True, False)
            ]
        return self._peers

    def durable_peer(self) -> Peer:
        """Return the peer that promises what we promise: correct, and on disk when answered."""
        return self.peers()[-1]
