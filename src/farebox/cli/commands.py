"""The commands. Each reads the settings, calls what the wiring offers, and prints."""

import os
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter
from cyclopts.validators import Number

from farebox.platform.model import Role

if TYPE_CHECKING:
    from farebox.wiring.settings import Settings

app = App(
    name="farebox",
    help="Farebox sells access: who may use what, and what is left.",
    version_flags=["--version"],
    help_format="plaintext",  # the other formats take a tenth of a second to import
)
keys = App(name="keys", help="Make, list and revoke the keys of operators; rotate secrets.")
app.command(keys)
events = App(name="events", help="Who follows the log of events, and dead letters.")
app.command(events)
clock = App(name="clock", help="What to do when the host's clock was set.")
app.command(clock)

DEMO_FOLDER = "demo-data"
Config = Annotated[Path | None, Parameter(help="A TOML file of settings (FAREBOX_CONFIG).")]
Roles = Annotated[list[Role], Parameter(negative=())]
Only = Annotated[Literal["access", "billing", "notifications"] | None, Parameter()]
Data = Annotated[Path | None, Parameter(help="The folder of the databases (FAREBOX_DATA).")]


def _settings(config: Path | None, **given: Path | str | int | None) -> "Settings":
    from farebox.wiring.settings import changed, load_settings

    settings = load_settings(file=None if config is None else str(config))
    plain = {key: str(one) if isinstance(one, Path) else one for key, one in given.items()}
    return changed(settings, **plain)


@app.command
def serve(
    *,
    config: Config = None,
    data: Data = None,
    host: str | None = None,
    port: int | None = None,
    workers: int | None = None,
    only: Only = None,
    test_clock: Annotated[bool | None, Parameter(negative=())] = None,
) -> None:
    """Serve the API until Ctrl-C. Brings the schema up to date first.

    The first start prints the admin's key once, unless FAREBOX_ADMIN_KEY is set.

    Parameters
    ----------
    host
        The address to listen on (FAREBOX_HOST).
    port
        The port to listen on; 0 takes a free one (FAREBOX_PORT).
    workers
        Processes that serve side by side (FAREBOX_WORKERS).
    only
        Run this service alone (FAREBOX_ONLY).
    test_clock
        Let an admin move the time on, on data of its own (FAREBOX_TEST_CLOCK).
    """
    settings = _settings(
        config,
        data=data,
        host=host,
        port=port,
        workers=workers,
        only=only,
        test_clock=test_clock,
    )
    from farebox.wiring.ports import port_to_listen_on
    from farebox.wiring.services import prepare
    from farebox.wiring.settings import changed

    settings = changed(settings, port=port_to_listen_on(settings.host, settings.port))
    prepare(settings, lambda key: print(f"first admin key (shown once): {key}", flush=True))
    print(f"Farebox listens on {settings.address}", flush=True)
    from farebox.wiring.server import run_server

    run_server(settings)


@app.command
def demo(*, port: int | None = None, films_port: int | None = None, quiet: bool = False) -> None:
    """Start Farebox on SQLite with a living example, and say what to open.

    Its data is in the folder demo-data (FAREBOX_DATA); the next start goes on.

    Parameters
    ----------
    port
        The port of Farebox (FAREBOX_PORT; 8080).
    films_port
        The port of the film service that stands behind Farebox (Farebox's port + 1).
    quiet
        Let no visitors come by themselves.
    """
    settings = _settings(None, data=os.environ.get("FAREBOX_DATA", DEMO_FOLDER), port=port)
    from farebox.demo.run import run_demo

    run_demo(settings, films_port=films_port, visitors=not quiet)


@app.command
def migrate(*, config: Config = None, data: Data = None) -> None:
    """Bring the schema of the databases up to date, forward only."""
    from farebox.wiring.services import migrate_all

    steps = migrate_all(_settings(config, data=data))
    for service, step in steps:
        print(f"applied {step.component} {step.name} to {service}")
    if not steps:
        print("the schema is up to date")


@app.command
def queues(*, config: Config = None) -> None:
    """Make the topics and queues on AWS; doing it again changes nothing (docs/transports.md)."""
    from farebox.wiring.transports import make_queues

    for name in make_queues(_settings(config)):
        print(name)


@app.command
def export(
    file: Path | None = None,
    *,
    form: Annotated[Literal["beancount", "hledger"], Parameter(name="--format")],
    since: datetime | None = None,
    until: datetime | None = None,
    config: Config = None,
    data: Data = None,
) -> None:
    """Write billing's books for plain-text accounting; the program then proves the balances.

    Parameters
    ----------
    file
        Where to write; standard output without it.
    form
        Beancount (bean-check proves it) or hledger (hledger check does).
    since
        The first instant, UTC; everything without it.
    until
        The first instant after, UTC; up to now without it.
    """
    from farebox.cli.exporting import run_export

    run_export(_settings(config, data=data), file, form=form, since=since, until=until)


@app.command
def rates(
    file: Path | None = None, *, reason: str = "", config: Config = None, data: Data = None
) -> None:
    """Take in the European Central Bank's exchange rates; the same file again changes nothing.

    Parameters
    ----------
    file
        eurofxref.csv or eurofxref-hist.csv, or its zip; standard input without it.
    reason
        Why; kept in the audit log.
    """
    from farebox.cli.importing import run_rates

    run_rates(_settings(config, data=data), file, reason)


@app.command
def verify(*, config: Config = None, data: Data = None) -> None:
    """Replay the journal and prove every stored balance, while the system runs.

    Exits with 1 if a balance cannot be proved.
    """
    from farebox.cli.verifying import run_verify

    run_verify(_settings(config, data=data))


@app.command(name="forget")
def forget_old(*, config: Config = None, data: Data = None) -> None:
    """Remove what has been kept as long as the settings say.

    A serving Farebox does it by itself; both at once are harmless.
    """
    from farebox.wiring.keeping import forget_now

    for what, count in forget_now(_settings(config, data=data)).items():
        print(f"{count} {what}")


@app.command
def replay(
    file: Annotated[str, Parameter(allow_leading_hyphen=True)],
    /,
    *,
    config: Config = None,
    data: Data = None,
    product: str = "web",
    count: Literal["requests", "bytes"] = "requests",
    allowance: Annotated[int | None, Parameter(validator=Number(gte=0))] = None,
    top: Annotated[int, Parameter(validator=Number(gte=0))] = 20,
) -> None:
    """Charge a web server's access log (combined format) through the ledger.

    Each line is charged by itself, and who used what is printed at the end.
    A line that an earlier replay of the same file charged is not charged again.

    Parameters
    ----------
    file
        The log; - reads standard input.
    product
        The product that visitors are charged for.
    count
        What a visit costs: requests (1 each) or bytes (as many as were sent).
    allowance
        What each visitor gets at first sight; without it visitors are counted, never refused.
    top
        How many visitors to list.
    """
    from farebox.cli.replaying import Charge, run_replay

    charge = Charge(product=product, count=count, allowance=allowance)
    run_replay(_settings(config, data=data), file, charge, top=top)


@keys.command(name="list")
def list_keys(*, config: Config = None, data: Data = None) -> None:
    """List operators and their keys. The keys themselves are nowhere."""
    from farebox.cli.operating import show_keys

    show_keys(_settings(config, data=data))


@keys.command
def create(
    name: str, /, *, role: Roles, reason: str = "", config: Config = None, data: Data = None
) -> None:
    """Make an operator with roles and print its key, once.

    Parameters
    ----------
    name
        Whose key it is: a person, a service.
    role
        What the operator may do; may be repeated.
    reason
        Why, for the audit log.
    """
    from farebox.cli.operating import create_key

    create_key(_settings(config, data=data), name, role, reason)


@keys.command
def revoke(key_id: str, /, *, reason: str = "", config: Config = None, data: Data = None) -> None:
    """Stop a key at once, on every process.

    Parameters
    ----------
    key_id
        The key's id, as farebox keys list shows it.
    reason
        Why, for the audit log.
    """
    from farebox.cli.operating import revoke_key

    revoke_key(_settings(config, data=data), key_id, reason)


@keys.command
def rotate_signing(*, reason: str = "", config: Config = None, data: Data = None) -> None:
    """Let a new key sign access keys; the old one stays in the JWKS for a day."""
    from farebox.cli.operating import rotate_signing_key

    rotate_signing_key(_settings(config, data=data), reason)


@keys.command
def rotate_pepper(*, reason: str = "", config: Config = None, data: Data = None) -> None:
    """Hash new keys under a new pepper; older keys go on working."""
    from farebox.cli.operating import rotate_pepper_now

    rotate_pepper_now(_settings(config, data=data), reason)


@clock.command
def confirm(*, config: Config = None, data: Data = None) -> None:
    """Say that the host's clock is right as it is now, so that decisions go on."""
    from farebox.wiring.services import confirm_clock

    confirm_clock(_settings(config, data=data))
    print("confirmed; every process goes on within a few seconds")


@events.command(name="positions")
def show_positions(*, config: Config = None, data: Data = None) -> None:
    """List how far senders, followers and readers have come."""
    from farebox.cli.posting import show_positions

    show_positions(_settings(config, data=data))


@events.command(name="forget")
def forget_position(
    kind: Literal["sender", "follower"],
    name: str,
    /,
    *,
    reason: str = "",
    config: Config = None,
    data: Data = None,
) -> None:
    """Forget one that will not come back, so that old events need not be kept for it.

    Parameters
    ----------
    kind
        What it is, as farebox events positions shows it.
    name
        Its name.
    reason
        Why, for the audit log.
    """
    from farebox.cli.posting import forget

    forget(_settings(config, data=data), kind, name, reason)


@events.command(name="dead")
def list_dead_letters(*, config: Config = None, data: Data = None) -> None:
    """List dead letters: events that were set aside after three failed tries."""
    from farebox.cli.posting import show_letters

    show_letters(_settings(config, data=data))


@events.command
def look(letter: str, /, *, config: Config = None, data: Data = None) -> None:
    """Look at a dead letter: what came, and why it failed."""
    from farebox.cli.posting import show_letter

    show_letter(_settings(config, data=data), letter)


@events.command
def resend(letter: str, /, *, reason: str = "", config: Config = None, data: Data = None) -> None:
    """Let an event be tried again, after what stood in its way was mended.

    Parameters
    ----------
    letter
        The dead letter's id.
    reason
        Why, for the audit log.
    """
    from farebox.cli.posting import resend_letter

    resend_letter(_settings(config, data=data), letter, reason)


@events.command
def discard(letter: str, /, *, reason: str = "", config: Config = None, data: Data = None) -> None:
    """Give an event up; the waiting events of its subject go on without it.

    Parameters
    ----------
    letter
        The dead letter's id.
    reason
        Why, for the audit log.
    """
    from farebox.cli.posting import discard_letter

    discard_letter(_settings(config, data=data), letter, reason)
