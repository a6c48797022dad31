"""Consumers come with a token of an identity provider as well as with a key."""

from dataclasses import replace

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey

from farebox.access.consumers.model import Issuer
from farebox.access.consumers.service_tokens import TokenVerifier
from farebox.http.auth import Lookup
from farebox.kernel.clock import SECOND_US
from tests.api.conftest import Api, bearer

SECRET = "a secret of thirty-two bytes, or more"
ISSUER = "https://identity.test/realms/films"


@pytest.fixture
def token(clock):
    def make(subject, *, audience="farebox", lasts=300, secret=SECRET):
        now = clock.now_us() // SECOND_US
        claims = {
            "iss": ISSUER, "aud": audience, "sub": subject, "iat": now, "exp": now + lasts,
            "preferred_username": subject, "realm_access": {"roles": ["admin"]},
        }  # fmt: skip
        return jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(secret))

    return make


@pytest.fixture
def with_tokens(client, app, services, clock):
    """Let the app accept tokens of one issuer, who may make consumers."""
    issuer = Issuer(issuer=ISSUER, audience="farebox", hs256_secret=SECRET, create_consumers=True)
    verifier = TokenVerifier((issuer,), clock)
    app.state.services = replace(services, authenticate=Lookup(services.database, verifier))
    return client


def test_a_token_makes_one_consumer_at_first_sight(with_tokens, admin, token):
    for _ in range(2):
        assert Api(with_tokens, bearer(token("ada"))).get("/v1/buckets")["items"] == []
    made = admin.get("/v1/consumers")["items"]
    assert [one["identity"] for one in made] == [{"issuer": ISSUER, "subject": "ada"}]
    own = Api(with_tokens, bearer(token("ada")))
    assert own.get(f"/v1/consumers/{made[0]['id']}")["name"] == "ada"


def test_an_admin_of_the_identity_provider_is_no_operator_here(with_tokens, token):
    refused = Api(with_tokens, bearer(token("ada"))).call("GET", "/v1/operators")
    assert (refused.status_code, refused.json()["code"]) == (403, "role_missing")


@pytest.mark.parametrize(
    "wrong",
    [{"audience": "account"}, {"lasts": -60}, {"secret": "another secret of thirty-two bytes"}],
)
def test_a_token_that_is_not_for_us_is_no_credential(with_tokens, admin, token, wrong):
    refused = Api(with_tokens, bearer(token("ada", **wrong))).call("GET", "/v1/buckets")
    assert (refused.status_code, refused.json()["code"]) == (401, "credential_invalid")
    assert admin.get("/v1/consumers")["items"] == []
