"""What is lost between the middleware and Farebox, and that nobody pays twice for it."""

import pytest

from tests.edge.stage import CAPTURE, DECIDE, RELEASE
from tests.edge.visits import Service, accman, costing


@pytest.mark.parametrize("losses", [1, 3])
def test_capture_whose_answer_is_lost_is_repeated_and_charged_once(stage, protocol, losses):
    credential = stage.open(20)
    stage.way.lose[CAPTURE] = losses

    answer = protocol.visit(Service(), costing(3), headers=accman(credential))

    assert (answer.status, answer.balance) == (200, 17)
    assert stage.charges(credential) == [3]
    assert stage.pauses == sorted(set(stage.pauses))
    assert len(stage.pauses) == losses


@pytest.mark.parametrize("path", [DECIDE, CAPTURE])
@pytest.mark.parametrize("fault", ["lose", "block", "fail"])
def test_one_fault_on_the_way_is_not_seen_by_the_client(stage, protocol, path, fault):
    credential = stage.open(20)
    getattr(stage.way, fault)[path] = 1

    answer = protocol.visit(Service(), costing(3), headers=accman(credential))

    assert (answer.status, answer.balance) == (200, 17)
    assert (stage.tot(credential), stage.charges(credential)) == (17, [3])


@pytest.mark.parametrize("fault", ["block", "fail"])
def test_answer_is_withheld_when_the_capture_fails_for_good(stage, protocol, fault):
    credential = stage.open(20)
    getattr(stage.way, fault)[CAPTURE] = 100

    answer = protocol.visit(Service(), costing(3, hold_seconds=60), headers=accman(credential))

    assert (answer.status, answer.problem) == (503, "accounting_unavailable")
    assert b"hello" not in answer.body
    assert stage.way.sent[CAPTURE] == 4
    stage.move_clock(60)
    assert (stage.tot(credential), stage.charges(credential)) == (20, [])


def test_service_does_not_run_when_farebox_is_down(stage, protocol):
    stage.way.block[DECIDE] = 100
    service = Service()

    answer = protocol.visit(service, costing(3), headers=accman("anybody"))

    assert (answer.status, answer.problem) == (503, "accounting_unavailable")
    assert service.calls == 0


def test_wrong_key_of_the_service_is_not_the_clients_fault(stage, protocol):
    stage.key = "not-the-key"

    answer = protocol.visit(Service(), costing(3), headers=accman("anybody"))

    assert (answer.status, answer.problem) == (503, "accounting_unavailable")


def test_lost_release_leaves_a_hold_that_expires(stage, protocol):
    credential = stage.open(20)
    stage.way.block[RELEASE] = 100

    answer = protocol.visit(
        Service(status=500), costing(3, hold_seconds=30), headers=accman(credential)
    )

    assert (answer.status, answer.balance) == (500, None)
    assert stage.tot(credential) == 0
    stage.move_clock(30)
    assert stage.tot(credential) == 20


def test_service_slower_than_the_hold_is_not_charged_and_its_answer_is_withheld(stage, protocol):
    credential = stage.open(20)
    service = Service(meanwhile=lambda: stage.move_clock(10))

    answer = protocol.visit(service, costing(3, hold_seconds=10), headers=accman(credential))

    assert (answer.status, answer.problem) == (503, "hold_expired")
    assert (stage.tot(credential), stage.charges(credential)) == (20, [])
