"""`farebox demo`: Farebox and a film service behind it, started, filled, explained, stopped."""

import secrets
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Final

from rich.console import Console

from farebox.demo.example import admin_of, client_of, set_up
from farebox.demo.films import KEY_VARIABLE, URL_VARIABLE
from farebox.demo.premieres import furnish
from farebox.demo.processes import Children, stopping
from farebox.demo.story import Places, tell
from farebox.demo.subscribers import furnish as furnish_subscribers
from farebox.demo.visitors import Visitors
from farebox.kernel.clock import SystemClock
from farebox.kernel.refusals import SettingsRefused
from farebox.platform.model import FIRST_ADMIN, Actor
from farebox.platform.service_credentials import create_credential
from farebox.wiring.ports import port_to_listen_on
from farebox.wiring.services import opened, prepare
from farebox.wiring.settings import Settings, as_environment, changed

KEY_FILE: Final = "admin.key"


def run_demo(settings: Settings, *, films_port: int | None, visitors: bool) -> None:
    """Run the demo until Ctrl-C or SIGTERM; whatever it started has ended when it returns."""
    # What is printed here is a story: what the log says of it beside errors is kept for who asks.
    quiet = "error" if settings.log_level == "info" else settings.log_level
    port = port_to_listen_on(settings.host, settings.port)
    settings = changed(settings, port=port, log_level=quiet)
    if settings.sandbox_secret is None:
        # The demo's cards are the sandbox's; nobody sends notices about them.
        settings = changed(settings, sandbox_secret=secrets.token_hex(32))
    films = changed(settings, port=_films_port(settings, films_port))
    settings, admin_key = _prepared(settings)
    console = Console()
    with stopping() as stop, Children(stop) as children:
        with console.status("Starting Farebox, and a film service behind it"):
            children.start("Farebox", ("-m", "farebox", "serve"), as_environment(settings))
            children.wait_for(f"{settings.address}/readyz")
            with admin_of(settings.address, admin_key) as admin:
                example = set_up(admin)
                left = admin.left_in(example.family.bucket)
            with client_of(settings.address, admin_key) as connected:
                premieres = furnish(connected)
                # After the premieres, who may have moved the clock on.
                subscribers = furnish_subscribers(connected)
            environment = {URL_VARIABLE: settings.address, KEY_VARIABLE: example.key_of_films}
            children.start("the film service", _film_server(films), environment)
            children.wait_for(f"{films.address}/")
        places = Places(
            farebox=settings.address,
            films=films.address,
            folder=settings.data,
            admin_key=admin_key,
        )
        tell(console, places, example, premieres, subscribers, left=left)
        with Visitors(example, places) if visitors else nullcontext():
            children.watch()


def _films_port(settings: Settings, wanted: int | None) -> int:
    if wanted is not None:
        return port_to_listen_on(settings.host, wanted)
    # The port beside Farebox's own is only where people look first.
    with suppress(SettingsRefused, OverflowError):
        return port_to_listen_on(settings.host, settings.port + 1)
    return port_to_listen_on(settings.host, 0)


def _film_server(films: Settings) -> Sequence[str]:
    return (
        *("-m", "uvicorn", "--factory", "--lifespan", "off", "--no-access-log"),
        *("--host", films.host, "--port", str(films.port)),
        # A film that plays when the demo ends is no fault to be told of.
        *("--log-level", "critical", "--timeout-graceful-shutdown", "2"),
        "farebox.demo.films:from_environment",
    )


def _prepared(settings: Settings) -> tuple[Settings, str]:
    """Return the settings with which the data is served, and the admin's key.

    New data has a test clock, so that an evening's rental is over when somebody says so. Data that
    was begun without one is served without.
    """
    made: list[str] = []
    with_clock = changed(settings, test_clock=True)
    try:
        prepare(with_clock, made.append)
    except SettingsRefused:
        prepare(settings, made.append)
        return settings, _admin_key(settings, made)
    return with_clock, _admin_key(with_clock, made)


def _admin_key(settings: Settings, made: list[str]) -> str:
    """Return the admin's key; one that we made is kept in the folder, so it can be shown again."""
    file = Path(settings.data) / KEY_FILE
    if settings.admin_key is not None:
        return settings.admin_key
    if not made and file.exists():
        return file.read_text("ascii").strip()
    if not made:
        print("The admin's key is not known here any more; the demo makes one of its own.")
        made.append(_another_admin_key(settings))
    file.parent.mkdir(parents=True, exist_ok=True)
    # Nobody else can read it even for a moment, nor is an older file's mode kept.
    file.unlink(missing_ok=True)
    file.touch(0o600)
    file.write_text(f"{made[0]}\n", "ascii")
    return made[0]


def _another_admin_key(settings: Settings) -> str:
    """Make a key for the first admin, as whoever can write the database may."""
    actor = Actor(kind="system", id="demo", reason="the first key is not known any more")
    with opened(settings, SystemClock()) as database:
        return database.run(
            lambda tx: create_credential(
                tx, actor, kind="operator", subject=FIRST_ADMIN, label="Made by the demo"
            )
        ).key
