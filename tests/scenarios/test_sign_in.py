"""Consumers come with tokens of identity providers: over real HTTP, with every way to cheat."""

import hmac
import json
import time
from base64 import urlsafe_b64encode
from contextlib import suppress
from functools import partial
from urllib.parse import parse_qs, urlsplit

import httpx2
import msgspec
import pytest
from joserfc import jwt
from joserfc.jwk import OctKey, OKPKey, RSAKey

from farebox.access.consumers import service as consumers
from farebox.access.consumers.model import (
    Identity,
    Issuer,
    TokenExpired,
    TokenKeyUnknown,
    TokenRefused,
)
from farebox.access.consumers.service_tokens import TokenVerifier
from farebox.access.flows.sign_in import principal_of_token
from farebox.kernel.clock import SystemClock
from farebox.kernel.refusals import SettingsRefused
from farebox.ledger.service import Ledger
from farebox.platform.model import Permission, Principal
from farebox.platform.rules import may
from tests.support.identity import CERTIFICATES, CONFIGURATION, keycloak, mock_provider
from tests.support.services import ADA, at_once, run

SECRET = "a secret that is shared by both sides"


@pytest.fixture
def provider():
    with keycloak() as found:
        yield found


def settings(provider, **named) -> Issuer:
    terms = {"audience": "farebox", "role_clients": ("films",), "algorithms": ("RS256",), **named}
    return Issuer(issuer=provider.issuer, **terms)


def verifying(*issuers: Issuer, cool_down_s: float = 30.0) -> TokenVerifier:
    return TokenVerifier(issuers, SystemClock(), cool_down_s=cool_down_s)


def verified(verifier: TokenVerifier, token: str) -> Identity:
    """Verify a token, however many fetches of keys that takes."""
    for _ in range(100):
        with suppress(TokenKeyUnknown):
            return verifier.verify_patiently(token, seconds=30)
    raise AssertionError("the issuer's keys never came")


@pytest.fixture
def verifier(provider):
    with verifying(settings(provider)) as found:
        verified(found, provider.token())
        yield found


# -- a real provider -----------------------------------------------------------------------------


def id_token(url: str, subject: str) -> str:
    """Sign in as a person does, and return the ID token of the answer."""
    asked = {
        "client_id": "farebox",
        "redirect_uri": "http://127.0.0.1/callback",
        "response_type": "code",
        "scope": "openid email",
        "state": "s",
    }
    with httpx2.Client(base_url=url, timeout=20) as client:
        answer = client.post("/oauth2/authorize", params=asked, data={"sub": subject})
        code = parse_qs(urlsplit(answer.headers["location"]).query)["code"][0]
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": asked["redirect_uri"],
            "client_id": "farebox",
            "client_secret": "any",
        }
        return str(client.post("/oauth2/token", data=form).json()["id_token"])


def test_a_person_signs_in_at_a_provider_and_is_one_consumer_from_then_on(database):
    with mock_provider() as url:
        issuer = Issuer(issuer=url, audience="farebox", create_consumers=True)
        with verifying(issuer) as verifier:
            verified(verifier, id_token(url, "bob@example.org"))
            sign_in = partial(principal_of_token, database, verifier)
            first = sign_in(id_token(url, "bob@example.org"))
            again = sign_in(id_token(url, "bob@example.org"))
            other = sign_in(id_token(url, "ada@example.org"))
    assert first.kind == "consumer"
    assert again.id == first.id
    assert other.id != first.id
    made = run(database, consumers.read_consumer, first.id)
    assert (made.issuer, made.subject) == (url, "bob@example.org")
    assert made.name == "bob@example.org"
    assert len(run(database, consumers.list_consumers).items) == 2


def test_a_real_providers_token_for_another_client_is_refused(database):
    other = partial(Issuer, audience="another", create_consumers=True)
    with mock_provider() as url, verifying(other(issuer=url)) as verifier:
        token = id_token(url, "bob@example.org")
        with pytest.raises(TokenRefused, match="somebody else"):
            verified(verifier, token)
        with pytest.raises(TokenRefused, match="somebody else"):
            principal_of_token(database, verifier, token)
    assert run(database, consumers.list_consumers).items == ()


# -- who it is -----------------------------------------------------------------------------------


def test_keycloaks_token_says_who_it_is_and_its_roles_open_nothing_here(
    database, provider, verifier
):
    made = run(
        database,
        consumers.create_consumer,
        ADA,
        name="Bob",
        issuer=provider.issuer,
        subject="5f1c9a",
    )
    token = provider.token(realm_access={"roles": ["viewer", "admin"]})
    found = principal_of_token(database, verifier, token)
    assert found.id == made.id
    assert found.roles == frozenset({"viewer", "admin", "premiere"})
    assert not any(may(found, permission) for permission in Permission)
    assert found.expires_at is not None
    assert abs(found.expires_at / 1e6 - time.time() - 330) < 60


def test_a_suspended_consumers_token_carries_the_revision_that_denies(database, provider, verifier):
    made = run(
        database,
        consumers.create_consumer,
        ADA,
        name="Bob",
        issuer=provider.issuer,
        subject="5f1c9a",
    )
    before = principal_of_token(database, verifier, provider.token())
    run(database, consumers.suspend_consumer, ADA, made.id)
    after = principal_of_token(database, verifier, provider.token())
    assert after.revision == before.revision + 1 == run(database, Ledger().revision, made.id)


def test_a_subject_nobody_knows_is_refused_unless_the_issuer_makes_consumers(
    database, provider, verifier
):
    with pytest.raises(TokenRefused, match="no consumer"):
        principal_of_token(database, verifier, provider.token())
    assert run(database, consumers.list_consumers).items == ()


def test_first_requests_at_once_make_one_consumer(database, provider):
    with verifying(settings(provider, create_consumers=True)) as verifier:
        token = provider.token()
        verified(verifier, token)
        answers = at_once([partial(principal_of_token, database, verifier, token)] * 6)
    assert all(isinstance(answer, Principal) for answer in answers), answers
    assert len({answer.id for answer in answers if isinstance(answer, Principal)}) == 1
    assert len(run(database, consumers.list_consumers).items) == 1


# -- ways to cheat -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "account"},
        {"aud": ...},
        {"iss": "https://elsewhere.example"},
        {"sub": ...},
        {"exp": ...},
        {"iat": ...},
        {"typ": "ID"},
        {"typ": "Refresh"},
        {"nbf": int(time.time()) + 10**9},
    ],
)
def test_a_token_that_is_not_for_us_is_refused(provider, verifier, claims):
    with pytest.raises(TokenRefused):
        verifier.verify(provider.token(**claims))


def test_an_expired_token_is_refused_after_thirty_seconds_of_grace(provider, verifier):
    at = int(time.time())
    assert verifier.verify(provider.token(exp=at - 5)).subject == "5f1c9a"
    with pytest.raises(TokenExpired):
        verifier.verify(provider.token(exp=at - 31))


def part(value: object) -> str:
    packed = value if isinstance(value, bytes) else json.dumps(value).encode()
    return urlsafe_b64encode(packed).decode().rstrip("=")


def test_a_token_without_a_signature_is_refused(provider, verifier):
    for algorithm in ("none", "None", "NONE", ""):
        head = part({"alg": algorithm, "typ": "JWT", "kid": "first"})
        for tail in ("", provider.token().split(".")[2]):
            with pytest.raises(TokenRefused):
                verifier.verify(f"{head}.{part(provider.claims())}.{tail}")


def test_a_public_key_is_not_taken_for_a_secret(provider, verifier):
    """The issuer's public key, as text, is known to everybody: it must never verify an HMAC."""
    public = provider.keys[0]
    head = part({"alg": "HS256", "typ": "JWT", "kid": "first"})
    body = f"{head}.{part(provider.claims())}"
    for text in (public.as_pem(private=False), json.dumps(public.as_dict(private=False)).encode()):
        signature = part(hmac.digest(text, body.encode(), "sha256"))
        with pytest.raises(TokenRefused, match="does not use"):
            verifier.verify(f"{body}.{signature}")


def test_a_token_signed_by_a_stranger_under_a_known_name_is_refused(provider, verifier):
    stranger = RSAKey.generate_key(2048, {"kid": "first"})
    with pytest.raises(TokenRefused, match="signature"):
        verifier.verify(provider.token(key=stranger))


def test_a_token_cannot_bring_its_own_key_along(provider, verifier):
    stranger = RSAKey.generate_key(2048)
    header = {
        "alg": "RS256",
        "kid": "first",
        "jwk": stranger.as_dict(private=False),
        "jku": "http://127.0.0.1:1/keys",
    }
    token = jwt.encode(header, provider.claims(), stranger, ["RS256"])
    with pytest.raises(TokenRefused):
        verifier.verify(token)


def test_a_key_for_encryption_signs_nothing(provider, verifier):
    token = provider.token(kid="enc")
    with pytest.raises(TokenKeyUnknown):
        verifier.verify(token)


def test_an_algorithm_that_the_settings_do_not_name_is_refused(provider, verifier):
    key = OKPKey.generate_key("Ed25519")
    header = {"alg": "Ed25519", "kid": "first"}
    token = jwt.encode(header, provider.claims(), key, ["Ed25519"])
    with pytest.raises(TokenRefused):
        verifier.verify(token)


@pytest.mark.parametrize("token", ["", "a.b.c", "....", "eyJ.eyJ.", "x" * 9000, "ключ.ключ.ключ"])
def test_what_is_no_token_is_refused(verifier, token):
    with pytest.raises(TokenRefused):
        verifier.verify(token)


def test_the_client_stands_in_for_the_audience_where_the_settings_say_so(provider):
    with verifying(settings(provider, allow_azp=("films-app",))) as verifier:
        assert verified(verifier, provider.token(aud="account")).subject
        with pytest.raises(TokenRefused):
            verifier.verify(provider.token(aud="account", azp="another"))


# -- a shared secret -----------------------------------------------------------------------------


def signed(provider, algorithm: str, secret: str) -> str:
    key = OctKey.import_key(secret)
    return jwt.encode({"alg": algorithm}, provider.claims(), key, [algorithm])


def test_an_issuer_with_a_secret_signs_by_it_alone_and_is_never_asked(provider):
    with verifying(settings(provider, hs256_secret=SECRET)) as verifier:
        assert verifier.verify(signed(provider, "HS256", SECRET)).subject == "5f1c9a"
        for token in (
            signed(provider, "HS256", SECRET + "!"),
            signed(provider, "HS512", SECRET * 2),
            provider.token(),
        ):
            with pytest.raises(TokenRefused):
                verifier.verify_patiently(token)
    assert provider.asked == []


# -- keys come and go ----------------------------------------------------------------------------


def test_verifying_asks_the_provider_nothing(provider, verifier):
    before = list(provider.asked)
    for _ in range(20):
        verifier.verify(provider.token())
    assert provider.asked == before == [CONFIGURATION, CERTIFICATES]


def test_a_new_key_of_the_provider_is_fetched_when_a_token_names_it(provider):
    with verifying(settings(provider), cool_down_s=0.0) as verifier:
        verified(verifier, provider.token())
        provider.rotate("second")
        token = provider.token()
        with pytest.raises(TokenKeyUnknown):
            verifier.verify(token)
        assert verified(verifier, token).subject == "5f1c9a"


def test_made_up_key_names_neither_knock_at_the_provider_nor_keep_anybody_waiting(
    provider, verifier
):
    before = len(provider.asked)
    began = time.monotonic()
    for number in range(50):
        with pytest.raises(TokenKeyUnknown):
            verifier.verify_patiently(provider.token(kid=f"made up {number}"), seconds=5)
    assert time.monotonic() - began < 60
    assert len(provider.asked) == before
    assert verifier.verify(provider.token()).subject == "5f1c9a"


def test_a_provider_that_is_down_locks_nobody_out_whose_key_is_known(provider):
    with verifying(settings(provider), cool_down_s=0.0) as verifier:
        good = provider.token()
        verified(verifier, good)
        provider.answers[CERTIFICATES] = (503, b"down")
        with pytest.raises(TokenKeyUnknown):
            verifier.verify_patiently(provider.token(kid="second"), seconds=30)
        assert verifier.verify(good).subject == "5f1c9a"


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        (CONFIGURATION, (500, b"")),
        (CONFIGURATION, (200, b"not JSON")),
        (CONFIGURATION, (200, b"[]")),
        (CONFIGURATION, (200, b'{"jwks_uri": "x"}')),
        (CERTIFICATES, (200, b"{}")),
        (CERTIFICATES, (200, b'{"keys": [{"kty": []}]}')),
        (CERTIFICATES, (200, b" " * (2**20 + 1))),
        (CERTIFICATES, (302, b"")),
    ],
)
def test_a_provider_that_answers_nonsense_is_asked_again_later(provider, path, answer):
    provider.answers[path] = answer
    with verifying(settings(provider), cool_down_s=0.0) as verifier:
        token = provider.token()
        with pytest.raises(TokenKeyUnknown):
            verifier.verify_patiently(token, seconds=30)
        del provider.answers[path]
        assert verified(verifier, token).subject == "5f1c9a"


def test_a_discovery_that_names_another_issuer_is_not_followed(provider):
    address = provider.issuer.removesuffix("/realms/cinema") + CERTIFICATES
    named = {"issuer": "https://elsewhere.example", "jwks_uri": address}
    provider.answers[CONFIGURATION] = (200, json.dumps(named).encode())
    with verifying(settings(provider)) as verifier, pytest.raises(TokenKeyUnknown):
        verifier.verify_patiently(provider.token(), seconds=30)
    assert CERTIFICATES not in provider.asked


def test_a_configured_address_of_keys_needs_no_discovery(provider):
    address = provider.issuer.removesuffix("/realms/cinema") + CERTIFICATES
    with verifying(settings(provider, jwks_uri=address)) as verifier:
        assert verified(verifier, provider.token()).subject
    assert provider.asked == [CERTIFICATES]


def test_one_providers_token_is_not_verified_by_anothers_keys(provider):
    with keycloak() as other, verifying(settings(provider), settings(other)) as verifier:
        assert verified(verifier, provider.token()).subject
        assert verified(verifier, other.token()).subject
        forged = provider.token(iss=other.issuer, kid="first")
        with pytest.raises(TokenRefused, match="signature"):
            verifier.verify(forged)


def test_settings_that_would_open_a_door_stop_the_start(provider):
    wrong = msgspec.structs.replace(settings(provider), algorithms=("HS256",))
    with pytest.raises(SettingsRefused, match="algorithms"):
        verifying(wrong)
