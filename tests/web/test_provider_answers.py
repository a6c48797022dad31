"""What an identity provider may answer that signs nobody in."""

import base64
import json
from contextlib import asynccontextmanager

import anyio
import pytest

from farebox.platform.model import Principal
from farebox.web.provider import CALLBACK, Provider, SignInFailed

HERE = f"https://shop.test{CALLBACK}"


class Library:
    """The library that speaks with the provider: it answers with one token, and notes each ask."""

    def __init__(self, claims):
        body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
        self.token = f"e30.{body}.seal"
        self.asked = 0

    def create_authorization_url(self, address, **_):
        return address, "the state"

    async def fetch_token(self, _address, **_):
        self.asked += 1
        return {"id_token": self.token}


def come_back(monkeypatch, claims, query):
    """Come back from a provider with this query; returns the library, and who has signed in."""
    library = Library(claims)

    @asynccontextmanager
    async def session():
        yield library

    provider = Provider(
        issuer="https://id.test",
        client="farebox",
        secret="a secret of ours",
        name="Example ID",
        home="https://shop.test",
        authenticate=lambda _token: Principal(
            kind="consumer", id="con_1", roles=frozenset(), revision=1
        ),
    )
    ends = ("authorization_endpoint", "token_endpoint")
    provider._metadata = dict.fromkeys(ends, "https://id.test/there")

    async def both():
        _, kept = await provider.begin("/store/")
        nonce = json.loads(bytes.fromhex(kept))["nonce"]
        token = {name: nonce if value == "ours" else value for name, value in claims.items()}
        library.token = Library(token).token
        return await provider.finish(kept, f"{HERE}{query}")

    monkeypatch.setattr(provider, "_session", session)
    try:
        return library, anyio.run(both)
    except SignInFailed:
        return library, None


def test_a_token_made_for_this_sign_in_counts(monkeypatch):
    assert come_back(monkeypatch, {"nonce": "ours"}, "?code=c&state=s")[1] == ("con_1", "/store/")


@pytest.mark.parametrize("claims", [{}, {"nonce": None}, {"nonce": "another"}, {"nonce": 7}])
def test_a_token_that_was_made_for_nothing_or_for_another_signs_nobody_in(monkeypatch, claims):
    assert come_back(monkeypatch, claims, "?code=c&state=s")[1] is None


@pytest.mark.parametrize("query", ["?error=access_denied&state=s", "", "?xcode=c", "?code="])
def test_who_comes_back_without_a_code_asks_for_no_token(monkeypatch, query):
    library, found = come_back(monkeypatch, {"nonce": "ours"}, query)
    assert (library.asked, found) == (0, None)
