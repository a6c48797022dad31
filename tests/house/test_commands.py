"""The commands that people and CI start do what the README says of them."""

import os
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
SYSTEM_PACKAGES = REPOSITORY / "tools/system_packages.sh"


def answer(folder, command, script):
    path = folder / command
    path.write_text(f"#!/bin/bash\n{script}\n")
    path.chmod(0o755)


@pytest.fixture
def debian(tmp_path):
    """A machine on which `here` is installed and root may install all but `nowhere`."""
    answer(tmp_path, "id", "echo 0")
    answer(tmp_path, "dpkg-query", '[ "${!#}" = here ] && echo installed || exit 1')
    answer(
        tmp_path,
        "apt-get",
        f'echo "$@" >> {tmp_path}/asked; [ "${{!#}}" != nowhere ] || {{ echo no such; exit 100; }}',
    )
    return tmp_path


def have(machine, *packages):
    return subprocess.run(
        [SYSTEM_PACKAGES, *packages],
        env=os.environ | {"PATH": f"{machine}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_packages_that_are_there_are_left_alone(debian):
    assert have(debian, "here").returncode == 0
    assert have(debian).returncode == 0
    assert not (debian / "asked").exists()


def test_root_gets_the_missing_packages_from_apt(debian):
    assert have(debian, "here", "nginx").returncode == 0
    asked = (debian / "asked").read_text().splitlines()
    assert asked == ["update", "install --yes --no-install-recommends nginx"]


def test_others_are_told_in_one_line_what_is_missing(debian):
    answer(debian, "id", "echo 1000")
    result = have(debian, "here", "nginx", "chromium")
    assert result.returncode == 1
    assert result.stderr == (
        "Missing system packages: nginx chromium "
        "(on Debian or Ubuntu: sudo apt-get install nginx chromium)\n"
    )
    assert not (debian / "asked").exists()


def test_a_package_that_apt_has_not_stops_the_command(debian):
    result = have(debian, "nowhere")
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1] == "apt-get could not install: nowhere"


def recipe(*targets):
    command = ["make", "--dry-run", "--no-print-directory", *targets]
    # These tests themselves run below make, whose flags are not for this one.
    env = {name: value for name, value in os.environ.items() if name != "MAKEFLAGS"}
    return subprocess.run(
        command, cwd=REPOSITORY, env=env, capture_output=True, text=True, check=True
    ).stdout.splitlines()


def test_ci_runs_make_test_and_nothing_else():
    script = (REPOSITORY / ".ci/run").read_text().splitlines()
    assert script[:2] == ["#!/usr/bin/env bash", "set -euo pipefail"]
    assert script[2:] == ["", 'cd "$(dirname "$0")/.."', "make test"]
    assert os.access(REPOSITORY / ".ci/run", os.X_OK)


def test_make_test_runs_every_check_and_ends_with_the_tests():
    commands = recipe("test")
    for check in ("ruff format --check", "ruff check", "mypy", "lint-imports", "tools.sizes"):
        assert [line for line in commands if check in line], check
    assert ".venv/bin/pytest" in commands[-1]
    assert "tests/" not in commands[-1]


def test_make_check_is_a_part_of_make_test():
    assert set(recipe("check")[:-1]) <= set(recipe("test"))


def test_what_make_starts_keeps_what_python_has_compiled():
    shown = subprocess.run(
        ["make", "--silent", "--eval", "shown: ; @env", "shown"],
        cwd=REPOSITORY,
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1", "MAKEFLAGS": ""},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "PATH=" in shown
    assert "PYTHONDONTWRITEBYTECODE" not in shown


@pytest.mark.parametrize("target", ["demo", "test", "check", "bench", "format"])
def test_every_command_makes_the_environment_first(target):
    assert "tools/venv.sh" in recipe(target)
