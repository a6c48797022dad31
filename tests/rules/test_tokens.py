"""Reading tokens: only what the key signed, with an algorithm that we allow; never a crash."""

import json
from base64 import urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey, OctKey, OKPKey

from farebox.platform.tokens import TokenBroken, looks_like_token, peek, read_token, sign_token

KEY = OKPKey.generate_key("Ed25519")
TOKEN = sign_token(
    {"sub": "con_1"}, kind="JWT", kid="k1", private=json.dumps(KEY.as_dict(private=True))
)


def part(value: object) -> str:
    return urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def test_a_token_says_what_was_signed():
    header, claims = read_token(TOKEN, KEY, ["EdDSA"])
    assert (header["kid"], claims) == ("k1", {"sub": "con_1"})
    assert peek(TOKEN) == (header, claims)
    assert looks_like_token(TOKEN)


def test_another_key_or_an_algorithm_that_is_not_allowed_does_not_read_it():
    other = OKPKey.generate_key("Ed25519")
    curve = ECKey.generate_key("P-256")
    for key, allowed in ((other, ["EdDSA"]), (KEY, ["ES256"]), (KEY, []), (curve, ["EdDSA"])):
        with pytest.raises(TokenBroken):
            read_token(TOKEN, key, allowed)


def test_a_token_without_a_signature_is_never_read():
    naked = f"{part({'alg': 'none'})}.{part({'sub': 'con_1'})}."
    for allowed in (["EdDSA"], ["none"]):
        with pytest.raises(TokenBroken):
            read_token(naked, KEY, allowed)


def test_the_text_of_a_public_key_is_no_secret():
    header, claims = part({"alg": "HS256"}), part({"sub": "con_1"})
    with pytest.raises(TokenBroken):
        read_token(f"{header}.{claims}.AAAA", KEY, ["EdDSA", "HS256"])
    with pytest.raises(TokenBroken):
        read_token(f"{header}.{claims}.AAAA", OctKey.import_key("x" * 32), ["HS256"])


@pytest.mark.parametrize("place", range(0, len(TOKEN), 7))
def test_a_changed_letter_breaks_a_token(place):
    if TOKEN[place] == ".":
        place += 1
    changed = TOKEN[:place] + ("A" if TOKEN[place] != "A" else "B") + TOKEN[place + 1 :]
    with pytest.raises(TokenBroken):
        read_token(changed, KEY, ["EdDSA"])


DEEP = "[" * 3000 + "]" * 3000


@given(st.text(max_size=200) | st.lists(st.text(max_size=60), max_size=4).map(".".join))
def test_no_text_makes_the_reader_crash(text):
    for read in (peek, lambda given: read_token(given, KEY, ["EdDSA"])):
        with pytest.raises(TokenBroken):
            read(text)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=8), inner),
        max_leaves=10,
    )
)
def test_no_header_makes_the_reader_crash(value):
    header = {"alg": "EdDSA", "crit": value, "b64": value, "kid": value}
    for head in (value, header):
        with pytest.raises(TokenBroken):
            read_token(f"{part(head)}.{part({})}.AAAA", KEY, ["EdDSA"])


@pytest.mark.parametrize(
    "text", [f"{part({})}.{urlsafe_b64encode(DEEP.encode()).decode()}.x", "a." * 3, "x" * 9000]
)
def test_an_outsized_or_bottomless_token_is_refused(text):
    with pytest.raises(TokenBroken):
        peek(text)
