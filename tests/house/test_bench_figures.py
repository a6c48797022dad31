"""The bench promises honest figures; each promise has its test."""

import socket
import threading
from functools import partial

import pytest

from bench import report
from bench.load.latency import at_fixed_rate, on_one_connection, percentile
from bench.load.requests import KEY_MARK, RequestSet, request
from bench.machine import Machine
from bench.model import QUICK, Judged, Row, Wrong, rounded_down, rounded_up, verdict
from bench.promises import FIGURES, measured, promised
from bench.rounds import fastest, interleave

ANSWER = b'HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n{"allowed":true}'


@pytest.mark.parametrize(
    ("judged", "sides", "bounds", "says"),
    [
        (Judged.RATIO, (130.0, 100.0), (0.9, 1.3), "aim met"),
        (Judged.RATIO, (129.9, 100.0), (0.9, 1.3), "floor met"),
        (Judged.RATIO, (89.999, 100.0), (0.9, 1.3), "BELOW FLOOR"),
        (Judged.RATIO, (None, 100.0), (0.9, 1.3), "not measured"),
        (Judged.RATIO, (100.0, None), (0.9, 1.3), "not measured"),
        (Judged.RATIO_AT_MOST, (2.0, 1.0), (2.0, None), "floor met"),
        (Judged.RATIO_AT_MOST, (2.001, 1.0), (2.0, None), "BELOW FLOOR"),
        (Judged.TIME, (4.999, None), (10, 5), "aim met"),
        (Judged.TIME, (5.0, None), (10, 5), "floor met"),
        (Judged.TIME, (10.0, None), (10, 5), "BELOW FLOOR"),
        (Judged.TIME, (1.0, None), (None, 1), "below aim"),
        (Judged.NOTHING, (1.0, 100.0), (None, None), "-"),
    ],
)
def test_verdict_is_that_of_the_unrounded_figure(judged, sides, bounds, says):
    ours, peer = sides
    floor, aim = bounds
    row = Row(
        figure="x", what="x", unit="/s", judged=judged, ours=ours, peer=peer, floor=floor, aim=aim
    )
    assert verdict(row) == says


def test_rounding_is_never_in_our_favour():
    assert rounded_down(0.8999, 2) == "0.89"
    assert rounded_down(21_999.9, 0) == "21,999"
    assert rounded_up(4.9901, 2) == "5.00"


def test_ratio_just_below_its_floor_is_shown_below_it():
    row = measured(promised("consume")[0], ours=89_999.0, peer=100_000.0)
    assert "| 0.89 | 0.9 | 1.3 | BELOW FLOOR |" in report.markdown(_report([row]))


def test_figures_that_were_not_measured_stay_in_the_table():
    rows = [row for figure in FIGURES for row in promised(figure)]
    lines = report.markdown(_report(rows)).splitlines()
    table = [line for line in lines if line.startswith("| ")][1:]
    assert len(table) == len(rows)
    assert all(line.endswith("| not measured |") for line in table)


def test_block_in_the_readme_is_replaced_and_the_rest_stays(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text(f"# A\n{report.BEGIN}\nold\n{report.END}\n# B\n")
    report.replace_block(readme, _report(promised("consume")))
    text = readme.read_text()
    assert text.startswith(f"# A\n{report.BEGIN}\n| what |")
    assert text.endswith(f"{report.END}\n# B\n")
    assert "old" not in text


def test_document_without_the_block_is_refused(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text("# A\n")
    with pytest.raises(SystemExit, match="bench:begin"):
        report.replace_block(readme, _report([]))
    assert readme.read_text() == "# A\n"


def test_sides_run_in_turn_and_the_peer_is_taken_at_its_best():
    order: list[str] = []
    figures = {"a": iter([1.0, 9.0, 2.0]), "b": iter([3.0, 4.0, 3.0])}

    def side(name):
        order.append(name)
        return next(figures[name])

    rounds = interleave({name: partial(side, name) for name in figures}, rounds=3, unit="/s")
    assert "".join(order) == "ababab"
    assert fastest(rounds, ["a", "b"]) == "b"


@pytest.mark.parametrize(("percent", "value"), [(50, 50), (99, 99), (100, 100), (1, 1)])
def test_percentile_is_the_nearest_rank(percent, value):
    assert percentile(range(1, 101), percent) == value


def test_latency_counts_from_the_schedule_and_not_from_the_sending():
    """2,000 arrivals in 2 ms on one connection: the last ones waited for all before them."""
    with _Server() as server:
        requests = _requests()
        seen = at_fixed_rate(
            requests, port=server.port, rate=1_000_000, seconds=0.002, connections=1
        )
        elapsed_ms = seen.answers / seen.per_second * 1e3
        assert seen.answers == 2_000
        assert seen.worst_ms > 0.8 * (elapsed_ms - 2)


def test_denial_under_load_is_not_taken_for_a_use():
    with _Server(ANSWER.replace(b"true}", b"nope}")) as server:
        with pytest.raises(Wrong, match="nope"):
            on_one_connection(_requests(), port=server.port, seconds=1)
        with pytest.raises(Wrong, match="nope"):
            at_fixed_rate(_requests(), port=server.port, rate=100, seconds=0.1, connections=1)


def test_each_request_gets_a_key_of_its_own():
    with _Server() as server:
        at_fixed_rate(_requests(), port=server.port, rate=10_000, seconds=0.005, connections=2)
    keys = [head.split(b"Idempotency-Key: ")[1][:32] for head in server.heads]
    assert len(keys) == 50
    assert len(set(keys)) == 50
    assert KEY_MARK not in keys


def _requests():
    headers = {"Idempotency-Key": KEY_MARK.decode()}
    return RequestSet(
        requests=[request("POST", "/", headers=headers, body={"mode": "consume"})],
        expected=b'"allowed":true',
    )


def _report(rows):
    machine = Machine(
        date="2026-01-01",
        cores=2,
        processor="p",
        system="s",
        python="3",
        sqlite="3",
        node="20",
        postgresql="18",
        commit="c",
        fdatasync_p50_us=1,
        fdatasync_p99_us=1,
    )
    return report.Report(machine=machine, sizes=QUICK, command="python -m bench", rows=rows)


class _Server:
    """Answers every request of the keep-alive connections that it gets, and keeps the requests."""

    def __init__(self, answer=ANSWER):
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.heads: list[bytes] = []
        self._threads = [threading.Thread(target=self._accept)]

    def __enter__(self):
        self._threads[0].start()
        return self

    def __exit__(self, *_):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join()

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._threads.append(threading.Thread(target=self._serve, args=(connection,)))
            self._threads[-1].start()

    def _serve(self, connection):
        with connection:
            while True:
                try:
                    received = connection.recv(65536)
                    if not received:
                        return
                    self.heads.append(received)
                    connection.sendall(self._answer)
                except ConnectionError:
                    return
