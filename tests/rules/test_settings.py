"""Settings: what a file and the environment make of them, and the one line where they are wrong."""

import json
from pathlib import Path

import pytest

from farebox.kernel.refusals import SettingsRefused
from farebox.wiring.settings import Settings, as_environment, changed, load_settings

KEY = "k" * 32
ISSUER = {"issuer": "https://id.example/realms/tv", "audience": "farebox"}


def test_defaults_are_a_folder_here_and_a_port_of_this_host_only():
    settings = load_settings({})
    assert (settings.data, settings.host, settings.port) == ("farebox-data", "127.0.0.1", 8080)
    assert settings.database_url == f"sqlite:///{Path.cwd()}/farebox-data/access.db"
    assert settings.issuer == "http://127.0.0.1:8080"


@pytest.mark.parametrize(
    ("variable", "text", "name", "value"),
    [
        ("FAREBOX_DATA", "/srv/farebox", "data", "/srv/farebox"),
        ("FAREBOX_DATA", "/a b?c#d%20", "database_url", "sqlite:////a b%3Fc%23d%2520/access.db"),
        ("FAREBOX_HOST", "::1", "address", "http://[::1]:8080"),
        ("FAREBOX_PORT", "9000", "port", 9000),
        ("FAREBOX_WORKERS", "4", "workers", 4),
        ("FAREBOX_ACCESS_DATABASE_URL", "postgresql://a@b/c", "database_url", "postgresql://a@b/c"),
        ("FAREBOX_BILLING_DATABASE_URL", "postgresql://a@b/d", "billing_database_url", ...),
        ("FAREBOX_ONLY", "billing", "only", "billing"),
        ("FAREBOX_ADMIN_KEY", KEY, "admin_key", KEY),
        ("FAREBOX_ADMIN_KEY", 'a sentence, with blanks and a "quote"', "admin_key", ...),
        ("FAREBOX_PUBLIC_URL", "https://api.example", "issuer", "https://api.example"),
        ("FAREBOX_SANDBOX_SECRET", KEY, "sandbox_secret", KEY),
        ("FAREBOX_PAYMENT_RETURN_URL", "https://shop.example/back", "payment_return_url", ...),
        ("FAREBOX_LOG_LEVEL", "warning", "log_level", "warning"),
    ],
)
def test_environment_sets(variable, text, name, value):
    settings = load_settings({variable: text, "PATH": "/usr/bin", "FAREBOXES": "not ours"})
    assert getattr(settings, name) == (text if value is ... else value)


def test_issuers_come_as_json_or_as_tables_of_the_file(tmp_path):
    file = tmp_path / "farebox.toml"
    file.write_text('[[issuers]]\nissuer = "https://id.example/realms/tv"\naudience = "farebox"\n')
    from_file = load_settings({}, file=str(file)).issuers
    from_environment = load_settings({"FAREBOX_ISSUERS": json.dumps([ISSUER])}).issuers
    assert [issuer.audience for issuer in from_file] == ["farebox"]
    assert from_file == from_environment


def test_the_later_wins_file_environment_command_line(tmp_path):
    file = tmp_path / "farebox.toml"
    file.write_text('host = "10.0.0.1"\nport = 1000\nworkers = 2\n')
    settings = load_settings({"FAREBOX_PORT": "2000", "FAREBOX_WORKERS": "3"}, file=str(file))
    settings = changed(settings, workers=4, data=None)
    assert (settings.host, settings.port, settings.workers) == ("10.0.0.1", 2000, 4)
    assert settings.data == "farebox-data"


def test_the_variable_names_the_file_unless_the_command_line_does(tmp_path):
    for port in (1, 2):
        (tmp_path / f"{port}.toml").write_text(f"port = {port}\n")
    named = {"FAREBOX_CONFIG": str(tmp_path / "1.toml")}
    assert load_settings(named).port == 1
    assert load_settings(named, file=str(tmp_path / "2.toml")).port == 2


def test_what_tests_and_measurements_are_told_by_is_not_a_setting():
    told = {
        "FAREBOX_BENCH_WORK": "/tmp/bench",
        "FAREBOX_GOLDEN_DIR": "/tmp/golden",
        "FAREBOX_PROPERTY_EXAMPLES": "7",
        "FAREBOX_SCHEMA_EXAMPLES": "60",
    }
    assert load_settings(told) == Settings()


WRONG = {
    "FAREBOX_POTR=1": "there is no setting potr (FAREBOX_POTR)",
    "FAREBOX_PORT=http": "port (FAREBOX_PORT) must be a whole number from 0 to 65535",
    "FAREBOX_PORT=65536": "port (FAREBOX_PORT) must be a whole number from 0 to 65535",
    "FAREBOX_PORT=-1": "port (FAREBOX_PORT) must be a whole number from 0 to 65535",
    "FAREBOX_PORT=80.5": "port (FAREBOX_PORT) must be a whole number from 0 to 65535",
    "FAREBOX_PORT=": "port (FAREBOX_PORT) must be a whole number from 0 to 65535",
    "FAREBOX_WORKERS=0": "workers (FAREBOX_WORKERS) must be a whole number from 1 to 64",
    "FAREBOX_WORKERS=all": "workers (FAREBOX_WORKERS) must be a whole number from 1 to 64",
    "FAREBOX_DATA=": "data (FAREBOX_DATA) must be the path of a folder",
    "FAREBOX_HOST=": "host (FAREBOX_HOST) must be an address to listen on",
    "FAREBOX_LOG_LEVEL=loud": (
        "log_level (FAREBOX_LOG_LEVEL) must be debug, info, warning or error"
    ),
    "FAREBOX_DATA=\udcff": "data (FAREBOX_DATA) is not UTF-8",
    "FAREBOX_ISSUERS=[": "issuers (FAREBOX_ISSUERS) is not JSON: Input data was truncated",
    'FAREBOX_ISSUERS=[{"issuer": "https://id.example"}]': (
        "issuers (FAREBOX_ISSUERS): issuers[0]: Object missing required field `audience`"
    ),
}


@pytest.mark.parametrize("given", WRONG)
def test_a_wrong_setting_is_one_line_that_names_it(given):
    name, _, text = given.partition("=")
    with pytest.raises(SettingsRefused) as refused:
        load_settings({name: text})
    assert refused.value.detail == f"settings: {WRONG[given]}"


@pytest.mark.parametrize(
    "key",
    [
        "s",
        "s" * 31,
        "s" * 513,
        " " + "s" * 40,
        "s" * 40 + "\n",
        "ключ, которого нет в заголовке HTTP",
    ],
)
def test_an_admin_key_that_is_short_or_cannot_be_sent_is_refused_and_not_repeated(key):
    with pytest.raises(SettingsRefused) as refused:
        load_settings({"FAREBOX_ADMIN_KEY": key})
    assert refused.value.detail == (
        "settings: admin_key (FAREBOX_ADMIN_KEY) must be 32 to 512 printable ASCII characters"
    )


def test_a_number_on_the_command_line_is_held_to_the_same_rule():
    with pytest.raises(SettingsRefused, match="must be a whole number from 0 to 65535"):
        changed(Settings(), port=99_999)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"port = = 1", "is not TOML: "),
        (b"port = 1\nport = 2", "is not TOML: "),
        (b'data = "\xff"', "is not TOML: "),
        (None, "cannot be read: No such file or directory"),
    ],
)
def test_an_unreadable_file_is_one_line_that_names_it(tmp_path, content, why):
    file = tmp_path / "farebox.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SettingsRefused) as refused:
        load_settings({}, file=str(file))
    assert str(refused.value.detail).startswith(f"settings: {file} {why}")
    assert "\n" not in str(refused.value.detail)


def test_a_file_with_an_unknown_word_is_refused(tmp_path):
    file = tmp_path / "farebox.toml"
    file.write_text("[server]\nport = 1\n")
    with pytest.raises(SettingsRefused, match=r"there is no setting server \(FAREBOX_SERVER\)"):
        load_settings({}, file=str(file))


def test_worker_processes_are_given_the_same_settings():
    settings = load_settings(
        {
            "FAREBOX_DATA": "/srv/farebox",
            "FAREBOX_PORT": "9000",
            "FAREBOX_ADMIN_KEY": KEY,
            "FAREBOX_ISSUERS": json.dumps([ISSUER]),
        }
    )
    assert load_settings(as_environment(settings)) == settings


ELSEWHERE = {"FAREBOX_BILLING_URL": "https://billing.example", "FAREBOX_BILLING_KEY": KEY}


@pytest.mark.parametrize(
    ("variables", "served", "here"),
    [
        ({}, "access billing notifications", "access billing notifications"),
        ({"FAREBOX_ONLY": "access"}, "access", "access billing"),
        ({"FAREBOX_ONLY": "billing"}, "billing", "access billing"),
        ({"FAREBOX_ONLY": "access", **ELSEWHERE}, "access", "access"),
        ({"FAREBOX_ONLY": "notifications"}, "notifications", "access billing notifications"),
        ({"FAREBOX_ONLY": "notifications", **ELSEWHERE}, "notifications", "access notifications"),
        ({"FAREBOX_ONLY": "billing", "FAREBOX_NATS_URL": "nats://host:4222"}, "billing", "billing"),
    ],
)
def test_the_other_services_database_is_reached_unless_its_log_comes_otherwise(
    variables, served, here
):
    settings = load_settings(variables)
    assert " ".join(settings.served) == served
    assert " ".join(settings.here) == here


@pytest.mark.parametrize("name", ELSEWHERE)
def test_an_address_without_its_key_is_refused_and_a_key_without_its_address(name):
    with pytest.raises(SettingsRefused, match="must be set with"):
        load_settings({name: ELSEWHERE[name]})


@pytest.mark.parametrize("text", ["letters", "", "access,billing"])
def test_only_a_service_can_be_served_alone(text):
    with pytest.raises(SettingsRefused, match="access, billing or notifications"):
        load_settings({"FAREBOX_ONLY": text})


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ("STRIPE_KEY", "stripe_webhook_secret"),
        ("STRIPE_WEBHOOK_SECRET", "stripe_key"),
        ("YOOKASSA_SHOP", "yookassa_key"),
        ("YOOKASSA_KEY", "yookassa_shop"),
        ("SMTP_HOST", "smtp_from"),
        ("SMTP_FROM", "smtp_host"),
        ("SMTP_USER", "smtp_password"),
    ],
)
def test_half_of_a_gateway_of_payments_is_refused(given, missing):
    with pytest.raises(SettingsRefused, match=f"{missing} .* must be set with"):
        load_settings({f"FAREBOX_{given}": "word"})
