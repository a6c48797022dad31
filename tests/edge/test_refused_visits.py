"""Who is let in: credentials as they come, and the refusals of those who cannot pay."""

import httpx2
import pytest

from farebox.edge import Farebox
from tests.edge.visits import Service, Wsgi, accman, costing, wsgi_visit


@pytest.mark.parametrize("name", ["ACCMAN", "accman", "AccMan", "aCCmAN"])
def test_header_name_is_read_in_any_case(stage, protocol, name):
    credential = stage.open(20)

    answer = protocol.visit(Service(), costing(1), headers=[(name, credential)])

    assert answer.balance == 19


@pytest.mark.parametrize(
    "credential",
    [
        "a b",
        'quo"ted',
        "100%",
        "a+b&c=d;e#f?g/h",
        "!$'()*,:@[]{}|\\^`~<>",
        "касса-7",
        "映画",
        "é",
        "x" * 500,
    ],
)
def test_any_visible_string_is_a_credential(stage, protocol, credential):
    credential = stage.open(20, f"{stage.unique}{credential}")

    answer = protocol.visit(Service(), costing(1), headers=accman(credential))

    assert (answer.status, answer.balance) == (200, 19)


def test_latin_1_bytes_are_the_same_credential_as_their_utf_8(stage, protocol):
    credential = stage.open(20, f"{stage.unique}é")

    answer = protocol.visit(Service(), costing(1), headers=accman(credential.encode("latin-1")))

    assert answer.balance == 19


@pytest.mark.parametrize("headers", [[], [("ACCMAN", "")], [("ACCMAN", "  ")], [("Accman-X", "y")]])
def test_visit_without_credential_is_401(stage, protocol, headers):
    service = Service()

    answer = protocol.visit(service, costing(1), headers=headers)

    assert (answer.status, answer.problem) == (401, "credential_missing")
    assert answer.every("www-authenticate") == ["ACCMAN"]
    assert service.calls == 0


@pytest.mark.parametrize("credential", ["nobody", "x" * 8193])
def test_visit_with_unknown_account_is_401(stage, protocol, credential):
    service = Service()

    answer = protocol.visit(service, costing(1), headers=accman(credential))

    assert (answer.status, answer.problem, answer.balance) == (401, "account_unknown", None)
    assert service.calls == 0


@pytest.mark.parametrize(("balance", "maximum"), [(0, None), (4, 5)])
def test_insufficient_balance_is_402_with_the_balance(stage, protocol, balance, maximum):
    credential = stage.open(5)
    stage.open(balance - 5, credential)
    service = Service()

    answer = protocol.visit(service, costing(1, maximum_cost=maximum), headers=accman(credential))

    assert (answer.status, answer.problem) == (402, "insufficient_balance")
    assert answer.balance == balance
    assert (service.calls, stage.tot(credential)) == (0, balance)


def test_refusals_are_not_cached(stage, protocol):
    answer = protocol.visit(Service(), costing(1), headers=accman("nobody"))

    assert answer.every("cache-control") == ["no-store"]


@pytest.mark.parametrize(
    ("decision", "ends"),
    [
        ({"allowed": False, "code": "consumer_suspended", "remaining": 0}, (403, None, None)),
        ({"allowed": False, "code": "bucket_frozen", "remaining": 0}, (403, None, None)),
        ({"allowed": False, "code": "member_cap_reached", "remaining": 3}, (402, None, None)),
        ({"allowed": False, "code": "rate_limited"}, (429, None, None)),
        ({"allowed": False, "code": "a_new_reason"}, (403, None, None)),
        (
            {"allowed": False, "code": "bucket_empty", "remaining": 3},
            (402, "insufficient_balance", 3),
        ),
        ({"allowed": False, "code": "no_bucket"}, (402, "insufficient_balance", None)),
        (
            {"allowed": True, "code": "allowed", "hold": "hld_1", "quantity": 0, "remaining": 0},
            (402, "insufficient_balance", 0),
        ),
    ],
)
def test_each_denial_has_its_status(decision, ends):
    status, code, balance = ends
    service = Service()
    transport = httpx2.MockTransport(lambda request: httpx2.Response(200, json=decision))

    with Farebox("http://farebox.test", key="k", transport=transport) as farebox:
        answer = wsgi_visit(Wsgi.app(service, costing(1), farebox), headers=accman("x"))

    assert (answer.status, answer.problem) == (status, code or decision["code"])
    assert (answer.balance, service.calls) == (balance, 0)
