"""What a token must say to be believed: a table of claims, and what becomes of each."""

from contextlib import suppress

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from farebox.access.consumers.model import Issuer, IssuerFault, TokenExpired, TokenRefused
from farebox.access.consumers.rules import (
    LEEWAY_S,
    checked_issuer,
    identity_of,
    may_verify,
    parsed_object,
    usable_keys,
)
from farebox.kernel.clock import SECOND_US
from farebox.kernel.refusals import SettingsRefused

NOW_S = 1_763_632_800
KEYCLOAK = Issuer(
    issuer="https://id.example/realms/cinema", audience="farebox", role_clients=("films",)
)
CLAIMS = {
    "iss": KEYCLOAK.issuer,
    "aud": ["account", "farebox"],
    "sub": "5f1c",
    "exp": NOW_S + 300,
    "iat": NOW_S,
    "typ": "Bearer",
    "azp": "films-app",
    "preferred_username": "bob",
    "realm_access": {"roles": ["viewer", "offline_access"]},
    "resource_access": {"films": {"roles": ["premiere"]}, "account": {"roles": ["manage"]}},
}
HEADER = {"alg": "RS256", "typ": "JWT", "kid": "k1"}


def read(issuer=KEYCLOAK, header=HEADER, at_s=NOW_S, **changed):
    claims = {name: value for name, value in {**CLAIMS, **changed}.items() if value != "absent"}
    return identity_of(issuer, header, claims, at_s * SECOND_US)


def test_keycloaks_claims_say_who_it_is_and_which_roles_count():
    found = read()
    assert (found.issuer, found.subject, found.name) == (KEYCLOAK.issuer, "5f1c", "bob")
    assert found.roles == {"viewer", "offline_access", "premiere"}
    assert found.expires_at == (NOW_S + 300 + LEEWAY_S) * SECOND_US


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "farebox"},
        {"exp": NOW_S - LEEWAY_S + 1},
        {"iat": NOW_S + LEEWAY_S},
        {"nbf": NOW_S + LEEWAY_S},
        {"exp": NOW_S + 300.5},
        {"typ": "absent"},
        {"realm_access": "absent", "resource_access": "absent"},
        {"realm_access": {"roles": "viewer"}, "resource_access": {"films": None}},
        {"preferred_username": 7, "azp": None},
    ],
)
def test_a_token_that_says_enough_is_believed(claims):
    assert read(**claims).subject == "5f1c"


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://id.example/realms/cinema/"},
        {"iss": "absent"},
        {"iss": ["https://id.example/realms/cinema"]},
        {"aud": "account"},
        {"aud": "absent"},
        {"aud": {"farebox": 1}},
        {"aud": "farebox2"},
        {"aud": ["fare", "box"]},
        {"sub": "absent"},
        {"sub": ""},
        {"sub": 5},
        {"sub": "a\0"},
        {"sub": "s" * 256},
        {"exp": "absent"},
        {"exp": "soon"},
        {"exp": True},
        {"exp": float("inf")},
        {"exp": float("nan")},
        {"exp": 10**400},
        {"exp": -1},
        {"iat": "absent"},
        {"iat": NOW_S + LEEWAY_S + 1},
        {"nbf": NOW_S + LEEWAY_S + 1},
        {"nbf": []},
        {"typ": "ID"},
        {"typ": "Refresh"},
        {"typ": "Offline"},
    ],
)
def test_a_token_that_says_too_little_or_something_else_is_refused(claims):
    with pytest.raises(TokenRefused):
        read(**claims)


@pytest.mark.parametrize("end", [NOW_S - LEEWAY_S, NOW_S - 3600, 0])
def test_an_expired_token_is_told_so(end):
    with pytest.raises(TokenExpired):
        read(exp=end)


@pytest.mark.parametrize(
    ("kind", "believed"),
    [("JWT", True), ("at+jwt", True), (None, True), ("logout+jwt", False), (7, False)],
)
def test_a_header_of_another_kind_is_refused(kind, believed):
    header = {**HEADER, "typ": kind}
    if believed:
        assert read(header=header)
    else:
        with pytest.raises(TokenRefused):
            read(header=header)


def test_the_client_stands_in_for_the_audience_only_where_it_is_listed():
    with pytest.raises(TokenRefused):
        read(aud="account")
    listed = msgspec.structs.replace(KEYCLOAK, allow_azp=("films-app",))
    assert read(listed, aud="account").subject == "5f1c"
    assert read(listed, aud="absent").subject == "5f1c"
    with pytest.raises(TokenRefused):
        read(listed, aud="account", azp="another-app")


def test_a_name_is_shown_as_far_as_it_can_be():
    assert read(preferred_username="a\0b\nc").name == "abc"
    assert read(preferred_username="\0", name="n" * 300).name == "n" * 256
    assert read(preferred_username="absent").name == "5f1c"


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from([*CLAIMS, "nbf", "email"]), json), json)
def test_no_claims_make_the_rule_crash(changed, kind):
    with suppress(TokenRefused):
        read(header={**HEADER, "typ": kind}, **changed)


@pytest.mark.parametrize(
    "wrong",
    [
        {"algorithms": ()},
        {"algorithms": ("none",)},
        {"algorithms": ("HS256",)},
        {"algorithms": ("RS256", "none")},
        {"hs256_secret": "too short"},
        {"issuer": "id.example"},
        {"audience": ""},
    ],
)
def test_settings_that_would_open_a_door_are_refused(wrong):
    with pytest.raises(SettingsRefused):
        checked_issuer(msgspec.structs.replace(KEYCLOAK, **wrong))


RSA = {"kty": "RSA", "e": "AQAB", "n": "x" * 342}
ED = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}


def test_only_keys_that_sign_are_taken_from_a_jwks():
    jwks = {
        "keys": [
            {**ED, "kid": "good", "use": "sig"},
            {**ED, "kid": "encrypts", "use": "enc"},
            {**ED, "kid": "X", "crv": "X25519"},
            {**RSA, "kid": "short", "n": "x" * 171},
            {"kty": "oct", "k": "c2VjcmV0", "kid": "symmetric"},
            {"kty": "EC", "kid": "broken"},
            {"kty": "new"},
            "nonsense",
        ]
    }
    assert [key.get("kid") for key in usable_keys(jwks)] == ["good"]


@given(json)
def test_no_jwks_makes_the_reader_crash(keys):
    for value in (keys, [keys], [{**ED, "x": keys}], [{**RSA, "n": keys}], [{"kty": keys}]):
        with suppress(IssuerFault):
            usable_keys({"keys": value})


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b"null", b'{"a":' * 5000])
def test_an_answer_that_is_no_object_is_a_fault_of_the_issuer(body):
    with pytest.raises(IssuerFault):
        parsed_object(body)


@pytest.mark.parametrize(
    ("header", "fits"),
    [
        ({"alg": "EdDSA", "kid": "k1"}, True),
        ({"alg": "EdDSA"}, True),
        ({"alg": "EdDSA", "kid": "k2"}, False),
        ({"alg": "RS256", "kid": "k1"}, False),
        ({"alg": "HS256", "kid": "k1"}, False),
        ({"alg": None, "kid": "k1"}, False),
        ({}, False),
    ],
)
def test_a_key_may_have_signed_by_its_name_and_kind_alone(header, fits):
    (key,) = usable_keys({"keys": [{**ED, "kid": "k1", "alg": "EdDSA"}]})
    assert may_verify(key, header) is fits
