"""What the demo prints: what to open, and lines to copy that show what Farebox does."""

from collections.abc import Sequence

import msgspec
from rich.console import Console
from rich.text import Text

from farebox.contracts.accounts import MOD_PATH, PAST_PATH, TOT_PATH
from farebox.contracts.decisions import DECIDE_PATH
from farebox.demo.example import CREDENTIAL, FAMILY, FILMS_OF_THE_FAMILY, PRODUCT, Example
from farebox.demo.films import PRICE_OF_DETAILS, PRICE_OF_PLAYING
from farebox.demo.premieres import PASSWORD as OF_GUESTS
from farebox.demo.premieres import Premieres
from farebox.demo.subscribers import PASSWORD, Subscribers

JSON = "-H 'Content-Type: application/json'"
# Enough for everybody to be asked once more than there are films.
ROUNDS = FILMS_OF_THE_FAMILY // len(FAMILY) + 1


class Places(msgspec.Struct, frozen=True, kw_only=True):
    """Where everything is."""

    farebox: str
    films: str
    folder: str
    admin_key: str


def curl(url: str, *options: str) -> str:
    """Return a line for a shell that shows the answer with an end of line behind it."""
    return " ".join(["curl -sS -w '\\n'", *options, f"'{url}'"])


def _bearer(key: str) -> str:
    # In double quotes: in the loop the key is a variable.
    return f'-H "Authorization: Bearer {key}"'


def _watch(places: Places, key: str) -> str:
    body = f'{{"mode":"consume","product":"{PRODUCT}"}}'
    return curl(f"{places.farebox}{DECIDE_PATH}", _bearer(key), JSON, f"-d '{body}'")


def family_story(places: Places, example: Example) -> list[tuple[str, str]]:
    """Return the story of the shared films: what is shown, and the line that shows it."""
    keys = example.family.keys
    turns = " ".join(str(turn) for turn in range(1, ROUNDS + 1))
    bucket = f"{places.farebox}/v1/buckets/{example.family.bucket}"
    everybody = (
        f"for turn in {turns}; do for key in {' '.join(keys.values())}; do "
        f"{_watch(places, '$key')}; done; done"
    )
    top_up = curl(
        f"{bucket}/grants",
        _bearer(places.admin_key),
        JSON,
        '-H "Idempotency-Key: top-up-$(date +%s%N)"',
        "-d '{\"amount\":5}'",
    )
    return [
        (f"{FAMILY[0]} watches a film", _watch(places, keys[FAMILY[0]])),
        (f"all three of them watch, until number {FILMS_OF_THE_FAMILY + 1} is denied", everybody),
        ("a top-up of 5 lets them on", top_up),
        (f"{FAMILY[-1]} watches again", _watch(places, keys[FAMILY[-1]])),
        (
            "what happened on the bucket",
            curl(f"{bucket}/history?limit=5", _bearer(places.admin_key)),
        ),
    ]


def account_story(places: Places, example: Example) -> list[tuple[str, str]]:
    """Return the story of the account that pays for each request."""
    key = _bearer(example.key_of_films)
    account, visitor = f"cred={CREDENTIAL}", f"-H 'ACCMAN: {CREDENTIAL}'"
    film, play = f"{places.films}/films/nosferatu", f"{places.films}/films/the-general/play"
    return [
        ("the balance", curl(f"{places.farebox}{TOT_PATH}?{account}", key)),
        ("take 5 from it", curl(f"{places.farebox}{MOD_PATH}?{account}&by=-5", "-X PATCH", key)),
        (
            f"read about a film for {PRICE_OF_DETAILS}; ACCMAN is what is left",
            curl(film, "-i", visitor),
        ),
        (f"watch one for {PRICE_OF_PLAYING}", curl(play, "-N", visitor)),
        ("its past, newest first", curl(f"{places.farebox}{PAST_PATH}?{account}&limit=5", key)),
        ("a stranger is refused", curl(film, "-i", "-H 'ACCMAN: nobody'")),
    ]


def store_story(places: Places, premieres: Premieres) -> list[tuple[str, str]]:
    """Return the story of the premiere store: what anybody sees, and what Anna has."""
    store, anna = f"{places.farebox}/api/v1", premieres.people["Anna"]
    ahead = (
        f"{places.farebox}/v1/test-clock",
        _bearer(places.admin_key),
        JSON,
        "-d '{\"advance_seconds\":3600}'",
    )
    return [
        ("premieres about a Mauser, with prices", curl(f"{store}/search/?q=mauser&lang=en")),
        ("what a day of it costs", curl(f"{store}/rent/?id=P1&period=24")),
        ("Anna's balance, in kopecks", curl(f"{store}/billing/amount/", _bearer(anna.key))),
        ("let an hour pass, for everybody", curl(*ahead)),
    ]


def tell(
    console: Console,
    places: Places,
    example: Example,
    premieres: Premieres,
    subscribers: Subscribers,
    *,
    left: int,
) -> None:
    """Print what to open and the stories. Lines to copy are never wrapped."""
    films = f"{places.films}/"
    _say(console, f"\nFarebox is running, its data is in {places.folder}\n", "bold")
    for what, where in (
        ("API, to try out", f"{places.farebox}/docs"),
        ("film service", f"{films}  (enter {CREDENTIAL} as the credential)"),
        ("premiere store", f"{places.farebox}/store/  (sign in as {_guests(premieres)})"),
        ("subscribers", f"{places.farebox}/portal/  (sign in as {_who(subscribers)})"),
        ("figures", f"{places.farebox}/metrics"),
        ("admin key", places.admin_key),
    ):
        _say(console, f"  {what:<17}{where}")
    names = f"{', '.join(FAMILY[:-1])} and {FAMILY[-1]}"
    _tell_one(
        console,
        f"A shared prepaid bucket: {names} share {FILMS_OF_THE_FAMILY} films ({left} left)",
        family_story(places, example),
    )
    _tell_one(
        console,
        "AccMan, pay per request: the film service takes its price from an account",
        account_story(places, example),
    )
    _tell_one(
        console,
        "A premiere store: rentals for hours, from a prepaid balance, with a clock that is moved",
        store_story(places, premieres),
    )
    _say(console, "Ctrl-C stops everything; the next start goes on where this one was.\n", "dim")


def _guests(premieres: Premieres) -> str:
    return _sign_in([f"{name.lower()}@example.org" for name in premieres.people], OF_GUESTS)


def _who(subscribers: Subscribers) -> str:
    return _sign_in([person.email for person in subscribers.people.values()], PASSWORD)


def _sign_in(emails: Sequence[str], password: str) -> str:
    return f"{', '.join(emails[:-1])} or {emails[-1]}, password {password}"


def _tell_one(console: Console, title: str, steps: list[tuple[str, str]]) -> None:
    _say(console, f"\n{title}\n", "bold")
    for what, line in steps:
        _say(console, f"  # {what}", "dim")
        _say(console, f"  {line}\n", "cyan")


def _say(console: Console, line: str, style: str = "") -> None:
    console.print(Text(line, style=style), soft_wrap=True)
