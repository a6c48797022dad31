"""How long an answer takes: at a fixed rate, on one connection, with two workers."""

from bench import farebox, over_http
from bench.load import latency as timed
from bench.load.latency import Latency
from bench.load.requests import RequestSet
from bench.model import OURS, Row, Sizes, middle, rounded_up
from bench.peers import fastify
from bench.promises import measured, promised
from bench.rounds import interleave
from bench.stage import Stage


class LatencySide:
    """One server, timed round by round; a round's figure is its p99 in milliseconds.

    Without a `rate` it is asked on one connection, one request after the other.
    """

    def __init__(
        self, port: int, requests: RequestSet, *, sizes: Sizes, rate: float | None = None
    ) -> None:
        self.rate = rate
        self.seen: list[Latency] = []
        self._port = port
        self._requests = requests
        self._sizes = sizes
        self._time(sizes.warm_up_seconds)

    def __call__(self) -> float:
        """Time the server for one round."""
        seen = self._time(self._sizes.seconds)
        self.seen.append(seen)
        return seen.p99_ms

    def _time(self, seconds: float) -> Latency:
        if self.rate is None:
            return timed.on_one_connection(self._requests, port=self._port, seconds=seconds)
        return timed.at_fixed_rate(
            self._requests,
            port=self._port,
            rate=self.rate,
            seconds=seconds,
            connections=self._sizes.connections,
        )


def latency(stage: Stage) -> list[Row]:
    """Time both at half of what each can take."""
    farebox_, peer, sizes = stage.farebox(), stage.durable_peer(), stage.sizes
    maxima = _maxima(stage)
    sides = {
        OURS: LatencySide(
            farebox_.port, farebox_.requests("consume"), sizes=sizes, rate=maxima[OURS] / 2
        ),
        peer.name: LatencySide(
            peer.port, fastify.deductions(peer.accounts), sizes=sizes, rate=maxima[peer.name] / 2
        ),
    }
    rounds = interleave(sides, rounds=sizes.rounds, unit="ms p99")
    [row] = promised("latency")
    note = f"the peer, {_circumstances(sides[peer.name])}; Farebox, {_circumstances(sides[OURS])}"
    return [_row(row, rounds, peer=peer.name, note=note)]


def one_connection(stage: Stage) -> list[Row]:
    """Time both on one connection."""
    farebox_, peer, sizes = stage.farebox(), stage.durable_peer(), stage.sizes
    sides = {
        OURS: LatencySide(farebox_.port, farebox_.requests("consume"), sizes=sizes),
        peer.name: LatencySide(peer.port, fastify.deductions(peer.accounts), sizes=sizes),
    }
    p99 = interleave(sides, rounds=sizes.rounds, unit="ms p99")
    p50 = {name: [seen.p50_ms for seen in side.seen] for name, side in sides.items()}
    return [
        _row(row, rounds, peer=peer.name)
        for row, rounds in zip(promised("one-connection"), (p50, p99), strict=True)
    ]


def decisions(stage: Stage) -> list[Row]:
    """Time read-only decisions about subscribers, alone and among many connections."""
    farebox_, sizes = stage.farebox(), stage.sizes
    asked = farebox_.requests("look")
    alone = LatencySide(farebox_.port, asked, sizes=sizes)
    over = over_http.farebox_side(stage, farebox_, "look", uses=False)
    most = middle([over() for _ in range(sizes.rounds)])
    among = LatencySide(farebox_.port, asked, sizes=sizes, rate=most / 2)
    sides = {"alone": alone, "among": among}
    rounds = interleave(sides, rounds=sizes.rounds, unit="ms p99")
    first, second = promised("decisions")
    return [
        measured(first, ours=middle(rounds["alone"]), rounds={OURS: rounds["alone"]}),
        measured(
            second,
            ours=middle(rounds["among"]),
            rounds={OURS: rounds["among"]},
            note=_circumstances(among),
        ),
    ]


def two_workers(stage: Stage) -> list[Row]:
    """Time two workers on one SQLite file against one, at the same rate."""
    one, sizes = stage.farebox(), stage.sizes
    path = farebox.copy(stage.prepared(), stage.folder("farebox-two-workers"))
    two = stage.exits.enter_context(farebox.serving(path, workers=2))
    rate = _maxima(stage)[OURS] / 2
    [row] = promised("two-workers")
    sides = {
        OURS: LatencySide(two.port, two.requests("consume"), sizes=sizes, rate=rate),
        row.peer_name: LatencySide(one.port, one.requests("consume"), sizes=sizes, rate=rate),
    }
    rounds = interleave(sides, rounds=sizes.rounds, unit="ms p99")
    note = (
        f"two workers, {_circumstances(sides[OURS])};"
        f" one worker, {_circumstances(sides[row.peer_name])}"
    )
    return [_row(row, rounds, peer=row.peer_name, note=note)]


def _row(row: Row, rounds: dict[str, list[float]], *, peer: str, note: str = "") -> Row:
    return measured(
        row, ours=middle(rounds[OURS]), peer=middle(rounds[peer]), rounds=rounds, note=note
    )


def _circumstances(side: LatencySide) -> str:
    """Say at which rate, its median, and what the generator itself did to it."""
    p50 = rounded_up(middle([seen.p50_ms for seen in side.seen]), 2)
    late = rounded_up(middle([seen.generator_p99_ms for seen in side.seen]), 2)
    busy = middle([seen.generator_busy for seen in side.seen])
    return (
        f"{side.rate:,.0f}/s: p50 {p50} ms; of the generator itself, lateness p99 {late} ms,"
        f" {busy:.0%} of a processor"
    )


def _maxima(stage: Stage) -> dict[str, float]:
    """Return the most that each side takes, measured earlier in this run or now."""
    if OURS not in stage.maxima:
        over_http.consume(stage)
    return stage.maxima
