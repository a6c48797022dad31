"""The most that a server answers a second: consume, keys, shared, check."""

import time
from collections.abc import Callable
from typing import Final

from bench.farebox import Farebox
from bench.load import wrk
from bench.load.requests import RequestSet
from bench.model import OURS, Row, Sizes, Wrong, middle
from bench.peers import fastify
from bench.promises import measured, promised
from bench.rounds import fastest, interleave
from bench.stage import Stage

_REST_SECONDS: Final = 0.3


class HttpSide:
    """One server under `wrk`, and the proof, round by round, that it did what it answered."""

    def __init__(
        self,
        name: str,
        port: int,
        requests: RequestSet,
        *,
        used: Callable[[], int],
        sizes: Sizes,
        uses: bool = True,
    ) -> None:
        self.name = name
        self._port = port
        self._requests = requests
        self._used = used
        self._sizes = sizes
        self._uses = uses
        self._load(sizes.warm_up_seconds)

    def __call__(self) -> float:
        """Load the server for one round; return answers a second."""
        return self._load(self._sizes.seconds)

    def _load(self, seconds: float) -> float:
        before = self._at_rest()
        load = wrk.run(
            self._requests, port=self._port, connections=self._sizes.connections, seconds=seconds
        )
        prove(
            self.name,
            answered=load.requests,
            used=self._at_rest() - before,
            uses=self._uses,
            connections=self._sizes.connections,
        )
        return load.per_second

    def _at_rest(self) -> int:
        """Return the units used once nothing is under way any more.

        The generator leaves in the middle of requests, which the server still finishes.
        """
        last = -1
        while (now := self._used()) != last:
            last = now
            time.sleep(_REST_SECONDS)
        return now


def prove(name: str, *, answered: int, used: int, uses: bool, connections: int) -> None:
    """Refuse a round whose answers are not in the balances.

    A round ends with at most one request under way on each connection, which
    the server did and the generator did not count. Everything else must match:
    no denial passes for a use, no use is lost, and a check uses nothing.
    """
    least = answered if uses else 0
    most = answered + connections if uses else 0
    if not least <= used <= most:
        raise Wrong(f"{name}: {answered} answers, but {used} units used")


def consume(stage: Stage) -> list[Row]:
    return _against_the_peers(stage, "consume")


def everything(stage: Stage) -> list[Row]:
    return _against_the_peers(stage, "everything")


def keys(stage: Stage) -> list[Row]:
    return _against_the_peers(stage, "keys")


def shared(stage: Stage) -> list[Row]:
    return _against_our_consume(stage, "shared", uses=True)


def check(stage: Stage) -> list[Row]:
    return _against_our_consume(stage, "check", uses=False)


def _against_the_peers(stage: Stage, kind: str) -> list[Row]:
    farebox, peers = stage.farebox(), stage.peers()
    sides = {OURS: farebox_side(stage, farebox, kind)}
    for peer in peers:
        requests = fastify.deductions(peer.accounts)
        sides[peer.name] = HttpSide(
            peer.name, peer.port, requests, used=peer.used, sizes=stage.sizes
        )
    rounds = interleave(sides, rounds=stage.sizes.rounds, unit="/s")
    if kind == "consume":
        stage.maxima.update({name: middle(figures) for name, figures in rounds.items()})
    return [
        _against_the_quicker(row, rounds, [peer.name for peer in peers if peer.sync is sync])
        for row, sync in zip(promised(kind), (False, True), strict=True)
    ]


def _against_the_quicker(row: Row, rounds: dict[str, list[float]], names: list[str]) -> Row:
    best = fastest(rounds, names)
    return measured(
        row,
        ours=middle(rounds[OURS]),
        peer_name=best,
        peer=middle(rounds[best]),
        rounds={name: rounds[name] for name in [OURS, *names]},
        note="of the peer's two forms (naive, serialised per account) the quicker one is taken",
    )


def _against_our_consume(stage: Stage, kind: str, *, uses: bool) -> list[Row]:
    farebox = stage.farebox()
    [row] = promised(kind)
    sides = {
        OURS: farebox_side(stage, farebox, kind, uses=uses),
        row.peer_name: farebox_side(stage, farebox, "consume"),
    }
    rounds = interleave(sides, rounds=stage.sizes.rounds, unit="/s")
    ours, peer = middle(rounds[OURS]), middle(rounds[row.peer_name])
    return [measured(row, ours=ours, peer=peer, rounds=rounds)]


def farebox_side(stage: Stage, farebox: Farebox, kind: str, *, uses: bool = True) -> HttpSide:
    """Put a running Farebox under load with one kind of request."""
    return HttpSide(
        f"{OURS}, {kind}",
        farebox.port,
        farebox.requests(kind),
        used=farebox.used,
        sizes=stage.sizes,
        uses=uses,
    )
