"""Random requests: what to ask, drawn without knowing what is there, and put into words.

A drawn command is a dictionary whose places ("the third hold that was asked for") become ids when
it is asked. `word` writes it as the ledger's own command, the model reads the dictionary.
"""

from collections.abc import Callable
from typing import Any, Final

from hypothesis import strategies as st

from farebox.ledger import model as words
from tests.properties.model import FOREVER

SECOND: Final = 1_000_000
MOST: Final = 2**53 - 1
Drawn = dict[str, Any]

# Short times collide: many things fall due at one instant. Long ones outlast what is loaded.
SPANS: Final = (1, 2, 3, 5, 8, 1000, SECOND, 40 * SECOND, 60 * SECOND, 3600 * SECOND)
_spans = st.sampled_from(SPANS)
_places = st.integers(0, 5)
_amounts = st.one_of(
    st.integers(1, 12), st.sampled_from([1, 1, 2, 20, 60]), st.sampled_from([0, -1, MOST, MOST + 1])
)
# The model counts single units, so nobody is given nine quadrillion of them.
_funds = st.one_of(st.integers(1, 12), st.sampled_from([20, 60, 0, -1, MOST + 1]))
# Buckets: 0 plain, 1 with a credit limit, 2 with the cap 3, 4 of another asset, 9 unknown.
_pots = st.sampled_from([0, 0, 0, 1, 1, 2, 3, 4, 9])
_source_lists = st.sampled_from([
    [(0, None)], [(0, None)], [(0, None)], [(1, None)], [(1, None)], [(2, None)], [(2, 3)],
    [(2, 3)], [(0, None), (1, None)], [(0, None), (2, 3)], [(2, 3), (0, None)],
    [(1, None), (2, 3), (0, None)], [(0, None), (0, None)], [(2, 3), (2, None)],
    [(0, None), (4, None)], [(9, None)], [(0, None), (9, None)], [],
    [(0, None), (1, None, True)], [(2, 3), (1, None, True)], [(0, None, True)],
    [(2, 3, True), (0, None)],
])  # fmt: skip


def _command(do: str, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Drawn]:
    return st.fixed_dictionaries({"do": st.just(do), **fields})


_uses = _command("use", sources=_source_lists, amount=_amounts, at_most=st.booleans())
_holds = _command(
    "hold", sources=_source_lists, amount=_amounts, at_most=st.booleans(),
    ttl=st.none() | _spans, on_expiry=st.sampled_from(["release", "release", "capture"]),
    over=st.sampled_from(["deny", "cap", "debt"]),
)  # fmt: skip
_captures = _command(
    "capture", hold=_places, amount=st.none() | st.just(0) | _amounts,
    hold_on=st.sampled_from([None, None, None, 1, 4, 30, 0, -3, MOST + 1]),
    ttl=st.none() | _spans,
)  # fmt: skip
_grants = _command(
    "grant", bucket=_pots, amount=_funds, priority=st.integers(0, 1),
    purchased=st.integers(0, 1), starts_in=st.none() | _spans,
    ends_in=st.none() | _spans | st.just(-1),
)  # fmt: skip
_others = st.one_of(
    _command("release", hold=_places),
    _command("pin", hold=_places, ttl=st.none() | _spans),
    _command("reverse", operation=_places, amount=st.none() | _amounts),
    _command("void", grant=_places, amount=st.none() | _amounts),
    _command("move", source=_pots, target=_pots, amount=_amounts),
    _command("freeze", bucket=_pots, frozen=st.sampled_from([True, False, False])),
    _command("look", sources=_source_lists, amount=st.just(0) | _amounts),
)
_commands = st.one_of(_uses, _uses, _holds, _holds, _captures, _grants, _others, _others)
_groups = st.one_of(
    _commands.map(lambda command: [command]), st.lists(_commands, min_size=2, max_size=3)
)
_new = st.fixed_dictionaries({"commands": _groups, "keyed": st.booleans()})
# An earlier request again: as it was, with other commands, or from another caller.
_again = st.fixed_dictionaries(
    {"again": _places, "how": st.sampled_from(["same", "other", "caller"])}
)
# Deferred, so that a failure is not told with a hundred kilobytes of strategies.
batches = st.lists(st.deferred(lambda: st.one_of(*[_new] * 7, _again)), min_size=1, max_size=4)
plans = st.fixed_dictionaries({
    "bucket": st.sampled_from([0, 1, 2, 3]), "amount": st.integers(1, 9),
    "unit": st.sampled_from(["minute", "minute", "hour"]), "count": st.integers(1, 2),
    "anchor_in": st.integers(-3, 2), "priority": st.integers(0, 1),
    "rollover": st.sampled_from([0, 0, 3, 100]), "ends_in": st.none() | st.integers(1, 7),
})  # fmt: skip
moves = st.sampled_from([
    *SPANS, 30 * SECOND, 60 * SECOND, 90 * SECOND, 7200 * SECOND, 90_000 * SECOND,
    -1, -3, -2 * SECOND, -3600 * SECOND,
])  # fmt: skip


def word(command: Drawn) -> words.Command:
    """Write a placed command as the ledger's own."""
    spoken: words.Command = _WORDS[command["do"]](command)
    return spoken


def _sources(command: Drawn) -> tuple[words.Source, ...]:
    return tuple(words.Source(*source) for source in command["sources"])


_WORDS: Final[dict[str, Callable[[Drawn], words.Command]]] = {
    "use": lambda c: words.Use(sources=_sources(c), amount=c["amount"], at_most=c["at_most"]),
    "hold": lambda c: words.Hold(
        sources=_sources(c), amount=c["amount"], at_most=c["at_most"], ttl_us=c["ttl"],
        on_expiry=c["on_expiry"], over_capture=c["over"],
    ),
    "capture": lambda c: words.Capture(
        hold=c["hold"], amount=c["amount"], hold_on=c["hold_on"], ttl_us=c["ttl"]
    ),
    "release": lambda c: words.Release(hold=c["hold"]),
    "pin": lambda c: words.Pin(hold=c["hold"], ttl_us=c["ttl"]),
    "grant": lambda c: words.Grant(
        bucket=c["bucket"], amount=c["amount"], priority=c["priority"], class_=c["purchased"],
        starts_at=c["starts"], expires_at=c["expires"],
    ),
    "void": lambda c: words.Void(grant=c["lot"], amount=c["amount"]),
    "reverse": lambda c: words.Reverse(operation=c["operation"], amount=c["amount"]),
    "move": lambda c: words.Move(source=c["source"], target=c["target"], amount=c["amount"]),
    "freeze": lambda c: words.Freeze(bucket=c["bucket"], frozen=c["frozen"]),
    "look": lambda c: words.Look(sources=_sources(c), amount=c["amount"]),
}  # fmt: skip


def starts_and_ends(command: Drawn, now: int) -> Drawn:
    """Return a grant with instants instead of distances."""
    starts = 0 if command["starts_in"] is None else now + command["starts_in"]
    ends = FOREVER if command["ends_in"] is None else max(starts, now) + command["ends_in"]
    return {**command, "starts": starts, "expires": ends}
