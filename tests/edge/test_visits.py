"""What the middleware promises for every visit, over ASGI and over WSGI."""

import pytest

from farebox.edge import Charging
from tests.edge.visits import Answer, Service, Wsgi, accman, costing


def test_visit_is_charged_once_and_answers_with_the_balance(stage, protocol):
    credential = stage.open(20)
    service = Service(chunks=(b"hel", b"lo"))

    answer = protocol.visit(service, costing(3), headers=accman(credential))

    assert (answer.status, answer.body, answer.balance) == (200, b"hello", 17)
    assert answer.every("content-type") == ["text/plain"]
    assert (stage.tot(credential), stage.charges(credential)) == (17, [3])


def test_each_of_three_visits_is_charged(stage, protocol):
    credential = stage.open(20)

    balances = [
        protocol.visit(Service(), costing(cost), headers=accman(credential)).balance
        for cost in (1, 5, 2)
    ]

    assert balances == [19, 14, 12]
    assert stage.charges(credential) == [1, 5, 2]


def test_cost_sees_the_request_and_the_response(stage, protocol):
    credential = stage.open(1_000)
    seen = []

    def cost(request, response):
        seen.append((request, response))
        return 7

    protocol.visit(
        Service(status=201, headers=(("X-Frames", "24"),), chunks=(b"abc", b"de")),
        Charging(cost=cost),
        method="POST",
        path="/reels",
        query="a=1&b=%20",
        body=b"request body",
        headers=[*accman(credential), ("X-Length", "90")],
    )

    [(request, response)] = seen
    assert (request.method, request.path, request.query) == ("POST", "/reels", "a=1&b=%20")
    assert (request.headers["x-length"], request.headers.get("X-LENGTH")) == ("90", "90")
    assert (request.body_size, request.body_start) == (12, b"request body")
    assert (response.status, response.headers["x-frames"]) == (201, "24")


def test_cost_may_be_the_size_of_the_body(stage, protocol):
    credential = stage.open(1_000)
    charging = Charging(cost=lambda request, response: response.size + response.body.count(b"x"))

    answer = protocol.visit(Service(chunks=(b"xx", b"yyy")), charging, headers=accman(credential))

    assert (answer.body, answer.balance) == (b"xxyyy", 1_000 - 5 - 2)


def test_body_above_the_memory_limit_waits_on_disk_and_arrives_whole(stage, protocol):
    credential = stage.open(1_000_000)
    chunks = tuple(bytes([number]) * 50_000 for number in range(8))
    charging = Charging(cost=lambda request, response: response.size, memory_bytes=1_000)

    answer = protocol.visit(Service(chunks=chunks), charging, headers=accman(credential))

    assert answer.body == b"".join(chunks)
    assert stage.tot(credential) == 600_000


def test_body_above_the_largest_is_not_charged_and_answers_500(stage, protocol):
    credential = stage.open(20)
    charging = costing(3, largest_body_bytes=7)

    answer = protocol.visit(
        Service(chunks=(b"1234", b"5678")), charging, headers=accman(credential)
    )

    assert (answer.status, answer.problem) == (500, "response_too_large")
    assert (stage.tot(credential), stage.charges(credential)) == (20, [])


def test_crash_of_the_service_releases(stage, protocol):
    credential = stage.open(20)

    with pytest.raises(ZeroDivisionError):
        protocol.visit(Service(crash=ZeroDivisionError()), costing(3), headers=accman(credential))

    assert (stage.tot(credential), stage.charges(credential)) == (20, [])


@pytest.mark.parametrize("status", [500, 503, 599])
def test_5xx_is_not_charged_and_answers_with_the_balance(stage, protocol, status):
    credential = stage.open(20)

    answer = protocol.visit(Service(status=status), costing(3), headers=accman(credential))

    assert (answer.status, answer.body, answer.balance) == (status, b"hello", 20)
    assert stage.charges(credential) == []


def test_4xx_costs_what_the_service_says(stage, protocol):
    credential = stage.open(20)

    answer = protocol.visit(Service(status=404), costing(1), headers=accman(credential))

    assert (answer.status, answer.balance) == (404, 19)


def test_cost_of_0_takes_nothing(stage, protocol):
    credential = stage.open(20)

    answer = protocol.visit(Service(), costing(0), headers=accman(credential))

    assert (answer.status, answer.balance, stage.tot(credential)) == (200, 20, 20)


@pytest.mark.parametrize("cost", [-1, 1.5, "3", None, True, 2**53])
def test_cost_that_is_no_amount_is_500_and_not_charged(stage, protocol, caplog, cost):
    credential = stage.open(20)

    answer = protocol.visit(Service(), costing(cost), headers=accman(credential))

    assert (answer.status, answer.problem) == (500, "cost_unknown")
    assert stage.tot(credential) == 20
    assert "cost failed" in caplog.text


def test_cost_that_raises_is_500_and_not_charged(stage, protocol):
    credential = stage.open(20)
    charging = Charging(cost=lambda request, response: 1 // 0)

    answer = protocol.visit(Service(), charging, headers=accman(credential))

    assert (answer.status, answer.problem) == (500, "cost_unknown")
    assert stage.tot(credential) == 20


@pytest.mark.parametrize("maximum", [0, -1, 1.5, None, True, 2**53])
def test_maximum_that_is_no_amount_is_500_and_the_service_does_not_run(stage, protocol, maximum):
    credential = stage.open(20)
    service = Service()
    charging = costing(3, maximum_cost=lambda request: maximum)

    answer = protocol.visit(service, charging, headers=accman(credential))

    assert (answer.status, answer.problem, service.calls) == (500, "cost_unknown", 0)


def test_maximum_may_depend_on_the_request(stage, protocol):
    credential = stage.open(8)
    charging = costing(1, maximum_cost=lambda request: 10 if request.path == "/play" else 1)

    play = protocol.visit(Service(), charging, path="/play", headers=accman(credential))
    look = protocol.visit(Service(), charging, path="/look", headers=accman(credential))

    assert (play.status, look.status) == (402, 200)


@pytest.mark.parametrize(
    ("over_capture", "maximum", "ends"),
    [
        ("deny", 5, (402, 20)),
        ("deny", None, (402, 20)),
        ("cap", 5, (200, 15)),
        ("cap", None, (200, 0)),
        ("debt", 5, (200, 15)),
        ("debt", None, (200, 0)),
    ],
)
def test_cost_above_the_hold_follows_the_policy(stage, protocol, over_capture, maximum, ends):
    credential = stage.open(20)
    charging = costing(21, maximum_cost=maximum, over_capture=over_capture)

    answer = protocol.visit(Service(), charging, headers=accman(credential))

    assert (answer.status, answer.balance) == ends
    assert (b"hello" in answer.body) == (answer.status == 200)
    assert stage.tot(credential) == answer.balance


@pytest.mark.parametrize(
    ("maximum", "code"), [(5, "cost_above_hold"), (None, "insufficient_balance")]
)
def test_denied_client_learns_if_a_top_up_would_help(stage, protocol, maximum, code):
    credential = stage.open(20)

    answer = protocol.visit(
        Service(), costing(21, maximum_cost=maximum), headers=accman(credential)
    )

    assert answer.problem == code


def test_free_visit_needs_no_account(stage, protocol):
    charging = costing(3, free=lambda request: request.method == "OPTIONS")

    answer = protocol.visit(Service(), charging, method="OPTIONS")

    assert (answer.status, answer.body, answer.balance) == (200, b"hello", None)
    assert stage.way.sent.total() == 0


def test_balance_header_of_the_service_itself_is_replaced(stage, protocol):
    credential = stage.open(20)
    service = Service(headers=(("Accman", "1000000"), ("X-Kept", "yes")))

    answer = protocol.visit(service, costing(3), headers=accman(credential))

    assert (answer.balance, answer.every("x-kept")) == (17, ["yes"])


@pytest.mark.parametrize("maximum", [None, 1])
def test_two_visits_at_once_cannot_spend_the_same_credit(stage, protocol, maximum):
    credential = stage.open(1)
    charging = costing(1, maximum_cost=maximum)
    inner = []

    def visit_again():
        inner.append(Wsgi(stage).visit(Service(), charging, headers=accman(credential)))

    outer = protocol.visit(Service(meanwhile=visit_again), charging, headers=accman(credential))

    assert (outer.status, inner[0].status) == (200, 402)
    assert stage.charges(credential) == [1]


def test_everything_available_shuts_out_a_second_visit_and_a_maximum_lets_it_in(stage, protocol):
    credential = stage.open(20)
    for maximum, second in ((None, 402), (1, 200)):
        inner: list[Answer] = []
        charging = costing(1, maximum_cost=maximum)

        def visit_again(charging=charging, inner=inner):
            inner.append(Wsgi(stage).visit(Service(), charging, headers=accman(credential)))

        protocol.visit(Service(meanwhile=visit_again), charging, headers=accman(credential))

        assert inner[0].status == second
    assert stage.charges(credential) == [1, 1, 1]


def test_of_100_visits_at_once_exactly_30_are_paid_by_a_balance_of_30(stage, protocol):
    credential = stage.open(30)
    service = Service()

    answers = protocol.visits(
        service, costing(1, maximum_cost=1), [{"headers": accman(credential)}] * 100
    )

    statuses = [answer.status for answer in answers]
    assert (statuses.count(200), statuses.count(402)) == (30, 70)
    assert (service.calls, stage.tot(credential)) == (30, 0)
    assert stage.charges(credential) == [1] * 30
    assert min(a.balance for a in answers if a.status == 200) == 0


def test_streamed_visit_is_charged_by_its_head(stage, protocol):
    credential = stage.open(20)
    charging = Charging(
        cost=lambda request, response: int(response.headers["x-cost"]), cost_from_head=True
    )
    service = Service(headers=(("X-Cost", "10"),), chunks=(b"one", b"two", b"three"))

    answer = protocol.visit(service, charging, headers=accman(credential))

    assert (answer.status, answer.body, answer.balance) == (200, b"onetwothree", 10)
    assert stage.charges(credential) == [10]


def test_streamed_visit_without_a_body_is_charged(stage, protocol):
    credential = stage.open(20)

    answer = protocol.visit(
        Service(chunks=()), costing(1, cost_from_head=True), headers=accman(credential)
    )

    assert (answer.status, answer.body, answer.balance) == (200, b"", 19)


def test_streamed_visit_that_costs_too_much_is_withheld(stage, protocol):
    credential = stage.open(20)

    answer = protocol.visit(Service(), costing(21, cost_from_head=True), headers=accman(credential))

    assert (answer.status, answer.problem) == (402, "insufficient_balance")
    assert stage.tot(credential) == 20


def test_cost_from_head_cannot_ask_for_the_body(stage, protocol):
    credential = stage.open(20)
    charging = Charging(cost=lambda request, response: response.size, cost_from_head=True)

    answer = protocol.visit(Service(), charging, headers=accman(credential))

    assert (answer.status, answer.problem, stage.tot(credential)) == (500, "cost_unknown", 20)


@pytest.mark.parametrize(
    "terms",
    [{"hold_seconds": 0}, {"maximum_cost": 0}, {"maximum_cost": -5}, {"maximum_cost": 2**53}],
)
def test_terms_that_cannot_work_are_refused_at_the_start(terms):
    with pytest.raises(ValueError, match=next(iter(terms))):
        costing(1, **terms)
