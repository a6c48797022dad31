"""Settings: defaults, then a TOML file, then the environment; the later wins.

`FAREBOX_PORT=9000` sets `port`. The list of issuers is given in the file, or as JSON in the
environment. Whatever is unknown or does not fit stops the start with one line that names it.
"""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_args

import msgspec
from msgspec import Meta

from farebox.access.consumers.model import Issuer
from farebox.kernel.refusals import SettingsRefused
from farebox.storage import url_of_file

PREFIX: Final = "FAREBOX_"
CONFIG: Final = "FAREBOX_CONFIG"
Service = Literal["access", "billing", "notifications"]
SERVICES: Final[tuple[Service, ...]] = get_args(Service)
FOLLOWS: Final[dict[Service, tuple[Service, ...]]] = {
    "access": ("billing",),
    "billing": ("access",),
    "notifications": ("access", "billing"),
}
"""Whose log each service follows."""
SHORTEST_ADMIN_KEY: Final = 32
# Variables of this prefix that speak to tests and measurements, not to the server.
_OTHERS: Final = frozenset(
    {
        CONFIG,
        "FAREBOX_BENCH_WORK",
        "FAREBOX_GOLDEN_DIR",
        "FAREBOX_PROPERTY_EXAMPLES",
        "FAREBOX_SCHEMA_EXAMPLES",
    }
)
_MUST_BE: Final = {
    "data": "the path of a folder",
    "host": "an address to listen on",
    "port": "a whole number from 0 to 65535",
    "workers": "a whole number from 1 to 64",
    "admin_key": "32 to 512 printable ASCII characters",
    "keep_events_days": "a whole number of days from 1 to 36500",
    "only": "access, billing or notifications",
    "access_url": "an http or https URL",
    "billing_url": "an http or https URL",
    "log_level": "debug, info, warning or error",
    "keep_denials_days": "a whole number of days from 1 to 36500",
    "keep_answers_days": "a whole number of days from 1 to 36500",
    "keep_audit_days": "a whole number of days from 1 to 36500",
    "test_clock": "true or false",
    "private_webhooks": "true or false",
    "usage_grace_seconds": "a whole number of seconds from 0 to 2592000",
    "nats_url": "nats:// or tls:// and the address of a server, several with commas",
    "nats_stream": "1 to 64 letters, digits, - and _",
    "nats_prefix": "words of letters, digits, - and _ with dots between",
    "nats_copies": "a whole number from 1 to 5",
    "aws_project": "1 to 24 letters, digits, - and _",
    "aws_environment": "1 to 24 letters, digits, - and _",
    "aws_region": "the name of a region, such as eu-central-1",
    "aws_endpoint_url": "an http or https URL",
    "payment_return_url": "an http or https URL",
    "sandbox_secret": "32 to 512 printable ASCII characters",
    "stripe_key": "1 to 512 printable ASCII characters",
    "stripe_webhook_secret": "1 to 512 printable ASCII characters",
    "stripe_url": "an http or https URL",
    "yookassa_shop": "1 to 512 printable ASCII characters",
    "yookassa_key": "1 to 512 printable ASCII characters",
    "yookassa_url": "an http or https URL",
    "smtp_host": "the name or address of a mail server",
    "smtp_port": "a whole number from 1 to 65535",
    "smtp_security": "starttls, tls or none",
    "smtp_from": "an address for letters, perhaps after a name",
    "sms_url": "an address of Apprise with {phone} in it",
    "default_locale": "ru or en",
    "default_zone": "the name of a time zone, such as Europe/Moscow",
    "keep_letters_days": "a whole number of days from 1 to 36500",
    "pepper": "32 to 512 printable ASCII characters",
    "pepper_old": "32 to 512 printable ASCII characters",
}

_AWS: Final = ("aws_project", "aws_environment", "aws_region")
_AWS_KEYS: Final = ("aws_access_key_id", "aws_secret_access_key")
_HALVES: Final = (
    _AWS,
    _AWS_KEYS,
    ("access_url", "access_key"),
    ("billing_url", "billing_key"),
    ("sign_in_issuer", "sign_in_client"),
    ("stripe_key", "stripe_webhook_secret"),
    ("yookassa_shop", "yookassa_key"),
    ("smtp_host", "smtp_from"),
    ("smtp_user", "smtp_password"),
)

# A key travels in a header, where the server sees no other characters, and none at its ends.
AdminKey = Annotated[
    str, Meta(min_length=SHORTEST_ADMIN_KEY, max_length=512, pattern=r"^[!-~]([ -~]*[!-~])?\Z")
]


Days = Annotated[int, Meta(ge=1, le=36_500)]
Pepper = Annotated[str, Meta(min_length=SHORTEST_ADMIN_KEY, max_length=512, pattern=r"^[ -~]+\Z")]


_Url = Annotated[str, Meta(max_length=2_048, pattern=r"^https?://[!-~]+\Z")]
_Key = Annotated[str, Meta(min_length=1, max_length=512, pattern=r"^[!-~]([ -~]*[!-~])?\Z")]
_Line = Annotated[str, Meta(min_length=1, max_length=512, pattern=r"^[^\x00-\x1f\x7f]+\Z")]
_Word = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,24}\Z")]
_SmsUrl = Annotated[
    str, Meta(max_length=2_048, pattern=r"^[a-z][a-z0-9+.-]*://[!-~]*\{phone\}[!-~]*\Z")
]
_NatsUrl = Annotated[
    str, Meta(max_length=2_048, pattern=r"^(nats|tls)://[!-+\--~]+(,(nats|tls)://[!-+\--~]+)*\Z")
]
_NatsPrefix = Annotated[str, Meta(max_length=128, pattern=r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\Z")]


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a Farebox is started with.

    `data` is the folder of the embedded databases; `access_database_url`, `billing_database_url`
    and `notifications_database_url` put a service's database elsewhere (on a server). `only` is
    the one service that is run here; others' logs are read at their `*_url` with a `*_key`, or
    without one in their databases, which are then here as well. `admin_key` is the first admin's
    key (at least 32 characters); without one the first start generates a key and prints it once.
    `public_url` is what access keys name as their issuer. `test_clock` lets an admin move the time
    on: never in production. `private_webhooks` lets webhooks go to addresses of one's own network,
    and by plain HTTP. `usage_grace_seconds` is how long after its end a period stays open for late
    usage reports. `nats_*` and `aws_*` are the transports of events; docs/transports.md tells them.
    `sign_in_*` is the identity provider at which people sign in to the pages (docs/pages.md); its
    issuer must be among `issuers`. `sandbox_secret`, `stripe_*` and `yookassa_*` set gateways of
    payments up, `payment_return_url` is where customers come back to from a gateway's page
    (docs/payments.md). `pepper` (at least 32 characters) is what credentials are hashed under;
    without one the database keeps its own. `pepper_old` is the one before, while it is being
    replaced. `smtp_*` is the server that takes our mail, `sms_url` an address of Apprise for short
    messages, `default_*` the language and zone of whom nobody has named any
    (docs/notifications.md). `keep_*_days` is how long denials under keys, answers of POSTs, entries
    of the audit log and events that everybody has had are kept (None: for ever).
    """

    data: Annotated[str, Meta(min_length=1)] = "farebox-data"
    host: Annotated[str, Meta(min_length=1)] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535)] = 8080
    workers: Annotated[int, Meta(ge=1, le=64)] = 1
    access_database_url: str | None = None
    billing_database_url: str | None = None
    notifications_database_url: str | None = None
    only: Service | None = None
    access_url: _Url | None = None
    access_key: _Key | None = None
    billing_url: _Url | None = None
    billing_key: _Key | None = None
    admin_key: AdminKey | None = None
    public_url: str | None = None
    issuers: tuple[Issuer, ...] = ()
    keep_denials_days: Days = 30
    keep_answers_days: Days = 30
    keep_audit_days: Days | None = None
    keep_events_days: Days | None = 400
    test_clock: bool = False
    private_webhooks: bool = False
    usage_grace_seconds: Annotated[int, Meta(ge=0, le=2_592_000)] = 3_600
    nats_url: _NatsUrl | None = None
    nats_stream: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}\Z")] = "FAREBOX"
    nats_prefix: _NatsPrefix = "farebox.events"
    nats_copies: Annotated[int, Meta(ge=1, le=5)] = 1
    aws_project: _Word | None = None
    aws_environment: _Word | None = None
    aws_region: Annotated[str, Meta(pattern=r"^[a-z0-9-]{1,32}\Z")] | None = None
    aws_endpoint_url: Annotated[str, Meta(pattern=r"^https?://[!-~]+\Z")] | None = None
    aws_access_key_id: Annotated[str, Meta(min_length=1)] | None = None
    aws_secret_access_key: Annotated[str, Meta(min_length=1)] | None = None
    payment_return_url: _Url | None = None
    sign_in_issuer: _Url | None = None
    sign_in_client: _Key | None = None
    sign_in_secret: _Key | None = None
    sign_in_name: Annotated[str, Meta(min_length=1, max_length=64)] | None = None
    sandbox_secret: Pepper | None = None
    stripe_key: _Key | None = None
    stripe_webhook_secret: _Key | None = None
    stripe_url: _Url | None = None
    yookassa_shop: _Key | None = None
    yookassa_key: _Key | None = None
    yookassa_url: _Url | None = None
    smtp_host: _Line | None = None
    smtp_port: Annotated[int, Meta(ge=1, le=65535)] = 587
    smtp_security: Literal["starttls", "tls", "none"] = "starttls"
    smtp_user: _Line | None = None
    smtp_password: _Line | None = None
    smtp_from: _Line | None = None
    sms_url: _SmsUrl | None = None
    default_locale: Literal["ru", "en"] = "en"
    default_zone: _Line = "UTC"
    keep_letters_days: Days | None = 400
    pepper: Pepper | None = None
    pepper_old: Pepper | None = None
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @property
    def database_url(self) -> str:
        """Return the URL of the access database."""
        return self.url_of("access")

    def url_of(self, service: Service) -> str:
        """Return the URL of a service's database."""
        urls = {
            "access": self.access_database_url,
            "billing": self.billing_database_url,
            "notifications": self.notifications_database_url,
        }
        return urls[service] or url_of_file(Path(self.data) / f"{service}.db")

    @property
    def served(self) -> tuple[Service, ...]:
        """Return the services that are run here."""
        return SERVICES if self.only is None else (self.only,)

    @property
    def here(self) -> tuple[Service, ...]:
        """Return the services whose databases we reach: those served, and whose log is read."""
        away = {"access": self.access_url, "billing": self.billing_url}
        followed = {one for served in self.served for one in FOLLOWS[served]}
        near = {one for one in followed if away[one] is None and self.nats_url is None}
        return tuple(one for one in SERVICES if one in self.served or one in near)

    @property
    def issuer(self) -> str:
        """Return the name under which this Farebox signs."""
        return self.public_url or self.address

    @property
    def address(self) -> str:
        """Return the URL at which this Farebox is reached from its own host."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"


def load_settings(
    environment: Mapping[str, str] | None = None, *, file: str | None = None
) -> Settings:
    """Read the settings; refuses (`settings_invalid`) with the name of what is wrong."""
    env = os.environ if environment is None else environment
    tree: dict[str, Any] = {}
    path = file or env.get(CONFIG)
    if path is not None:
        tree = _read_file(Path(path))
    for name, text in env.items():
        if name.startswith(PREFIX) and name not in _OTHERS:
            key = name.removeprefix(PREFIX).lower()
            tree[key] = _value(key, text)
    return checked(tree)


def changed(settings: Settings, **changes: object) -> Settings:
    """Return settings with changes from the command line; refuses like `load_settings`."""
    given = {key: value for key, value in changes.items() if value is not None}
    return checked({**msgspec.to_builtins(settings), **given})


def checked(tree: Mapping[str, object]) -> Settings:
    """Return a tree of values as settings; refuses (`settings_invalid`) what does not fit."""
    try:
        made = msgspec.convert(tree, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise SettingsRefused(f"settings: {_fault(error)}") from error
    _refuse_halves(made)
    return made


def _refuse_halves(settings: Settings) -> None:
    """Refuse settings that mean something only together, and are not all there."""
    for names in _HALVES:
        missing = [name for name in names if getattr(settings, name) is None]
        if missing and len(missing) < len(names):
            given = next(name for name in names if name not in missing)
            raise SettingsRefused(f"settings: {_name(missing[0])} must be set with {given}")


def _read_file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise SettingsRefused(f"settings: {path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsRefused(f"settings: {path} is not TOML: {error}") from error


def _value(key: str, text: str) -> object:
    try:
        # Bytes that are not UTF-8 arrive as halves of characters, which nothing can store.
        text.encode()
    except UnicodeEncodeError as error:
        raise SettingsRefused(f"settings: {_name(key)} is not UTF-8") from error
    if key != "issuers":
        return text
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise SettingsRefused(f"settings: {_name(key)} is not JSON: {error}") from error


def _name(key: str) -> str:
    return f"{key} ({PREFIX}{key.upper()})"


def _fault(error: msgspec.ValidationError) -> str:
    """Say which setting is wrong: msgspec ends its message with the place, as `$.port`.

    The value is never repeated: it may be a key, or an address with a password in it.
    """
    what, _, place = str(error).partition(" - at `$")
    if not place:
        # At the top there is only one thing to be wrong: a name that nobody knows.
        return f"there is no setting {_name(what.split('`')[1])}"
    place = place.removesuffix("`").removeprefix(".")
    key = place.partition("[")[0]
    if key in _MUST_BE:
        return f"{_name(key)} must be {_MUST_BE[key]}"
    return f"{_name(key)}: {place}: {what}"


def as_environment(settings: Settings) -> dict[str, str]:
    """Write settings as environment variables, for a command that another process runs."""
    made = {}
    for key, value in msgspec.to_builtins(settings).items():
        if value is None:
            continue
        text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
        made[f"{PREFIX}{key.upper()}"] = text
    return made
