"""Secrets, signing keys and remembered answers."""

from collections.abc import Callable
from functools import partial

import pytest
import sqlalchemy as sa
from joserfc.jwk import OKPKey

from farebox.kernel.clock import SECOND_US
from farebox.kernel.refusals import ValueRefused
from farebox.platform import service_credentials as credentials
from farebox.platform import service_posted as posted
from farebox.platform import service_secrets as shared
from farebox.platform import service_signing as signing
from farebox.platform.model import (
    LONGEST_TOKEN_SECONDS,
    SYSTEM,
    KeyReused,
    NewCredential,
    Once,
)
from farebox.platform.tokens import read_token, sign_token
from farebox.storage import Database, Tx
from tests.support.services import ADA, at_once, run


def test_nodes_that_start_at_once_share_one_pepper(database_url, open_database_at):
    nodes = [open_database_at(database_url) for _ in range(4)]
    found = at_once(partial(run, node, shared.ensure_pepper) for node in nodes)
    assert len(set(found)) == 1
    assert isinstance(found[0], bytes)
    assert len(found[0]) == 32


def test_a_rotated_signing_key_signs_and_the_old_one_stays_until_its_tokens_are_out(
    database, clock
):
    first = run(database, signing.ensure_signing_key)
    assert run(database, signing.ensure_signing_key) == first
    second = run(database, signing.rotate_signing_key, ADA)
    assert run(database, signing.signing_key) == second
    kids = [key["kid"] for key in run(database, signing.jwks)["keys"]]
    assert set(kids) == {first.kid, second.kid}
    clock.move((LONGEST_TOKEN_SECONDS + 7200) * SECOND_US)
    assert [key["kid"] for key in run(database, signing.jwks)["keys"]] == [second.kid]


def test_the_published_keys_verify_and_cannot_sign(database):
    key = run(database, signing.ensure_signing_key)
    published = run(database, signing.jwks)
    assert published["keys"][0].keys() == {"kty", "crv", "x", "kid", "use", "alg"}
    token = sign_token({"a": 1}, kind="JWT", kid=key.kid, private=key.private)
    verifying = OKPKey.import_key(published["keys"][0])
    header, claims = read_token(token, verifying, ["EdDSA"])
    assert header == {"alg": "EdDSA", "typ": "JWT", "kid": key.kid}
    assert claims == {"a": 1}
    assert not verifying.is_private


def once(key: str = "k1", payload: bytes = b"POST /v1/things {}", caller: str = "opr_1") -> Once:
    return Once(caller=caller, key=key, payload=payload)


def answer(database: Database, claim: Once | None, work: Callable[[], NewCredential]):
    return database.run(lambda tx: posted.answer_once(tx, claim, NewCredential, work))


class Work:
    """Something that is done: counts how often, and makes a key each time."""

    def __init__(self) -> None:
        self.done = 0

    def on(self, tx: Tx) -> NewCredential:
        self.done += 1
        return credentials.create_credential(tx, SYSTEM, kind="consumer", subject="con_1")

    def post(self, database: Database, claim: Once | None) -> NewCredential:
        return database.run(
            lambda tx: posted.answer_once(tx, claim, NewCredential, lambda: self.on(tx))
        )


def test_a_repeat_gets_the_first_answer_and_does_nothing(database):
    work = Work()
    first = work.post(database, once())
    assert work.post(database, once()) == first
    assert work.done == 1
    assert len(run(database, credentials.list_credentials, "con_1").items) == 1


def test_another_request_under_the_same_key_is_refused_and_does_nothing(database):
    work = Work()
    work.post(database, once())
    with pytest.raises(KeyReused):
        work.post(database, once(payload=b"POST /v1/others {}"))
    assert work.done == 1


def test_keys_belong_to_their_callers_and_without_a_key_nothing_is_remembered(database):
    work = Work()
    work.post(database, once())
    work.post(database, once(caller="opr_2"))
    work.post(database, once(key="k2"))
    work.post(database, None)
    work.post(database, None)
    assert work.done == 5


def test_a_refused_request_leaves_its_key_free(database):
    work = Work()

    def refuse() -> NewCredential:
        raise ValueRefused

    with pytest.raises(ValueRefused):
        answer(database, once(), refuse)
    work.post(database, once(payload=b"a better one"))
    assert work.done == 1


def test_many_repeats_at_once_do_the_work_once(database):
    work = Work()
    answers = at_once(partial(work.post, database, once()) for _ in range(8))
    assert all(isinstance(answer, NewCredential) for answer in answers)
    assert len({answer.key for answer in answers if isinstance(answer, NewCredential)}) == 1
    assert len(run(database, credentials.list_credentials, "con_1").items) == 1


def test_a_remembered_key_cannot_be_read_out_of_the_database(database):
    made = Work().post(database, once())
    with database.read() as tx:
        row = tx.run(sa.text("SELECT answer FROM posted")).one()
    assert made.key.encode() not in bytes(row.answer)
    assert b"con_1" not in bytes(row.answer)


@pytest.mark.parametrize("key", ["", " ", "k" * 256, "ключ", "a\0b"])
def test_what_cannot_be_a_key_is_refused(database, key):
    with pytest.raises(ValueRefused):
        Work().post(database, once(key=key))
