"""The lock files hold everything, hashed, and name no place to fetch it from."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
RUNTIME, ALL = "requirements.lock", "requirements-dev.lock"

# In parts, so that this file passes its own test.
REGISTRY_HOSTS = [
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("files", "pythonhosted", "org"),
        ("registry", "npmjs", "org"),
        ("registry", "yarnpkg", "com"),
        ("crates", "io"),
        ("proxy", "golang", "org"),
        ("deb", "debian", "org"),
    )
]


def normal(requirement):
    """Return the name alone, as lock files spell it: `psycopg` for `psycopg[binary]>=3`."""
    return re.split(r"[\[<>=!~; ]", requirement, maxsplit=1)[0].lower().replace("_", "-")


def locked(file):
    """Return the hashes of each requirement, by name and version."""
    text = (REPOSITORY / file).read_text().replace("\\\n", "")
    return {
        line.split()[0]: re.findall(r"--hash=sha256:[0-9a-f]{64}", line)
        for line in text.splitlines()
        if line and not line.lstrip().startswith("#")
    }


def declared(*, tests):
    names = PROJECT["project"]["dependencies"] + [
        name for extra in PROJECT["project"]["optional-dependencies"].values() for name in extra
    ]
    if tests:
        names += [name for group in PROJECT["dependency-groups"].values() for name in group]
    return {normal(name) for name in names}


@pytest.mark.parametrize("file", [RUNTIME, ALL])
def test_every_locked_package_has_a_version_and_hashes(file):
    requirements = locked(file)
    assert len(requirements) > 20
    assert [name for name in requirements if not re.match(r"[a-z0-9-]+==[0-9]", name)] == []
    assert [name for name, hashes in requirements.items() if not hashes] == []


@pytest.mark.parametrize(("file", "tests"), [(RUNTIME, False), (ALL, True)])
def test_what_the_project_declares_is_locked(file, tests):
    names = {requirement.partition("==")[0] for requirement in locked(file)}
    assert declared(tests=tests) - names == set()


def test_tests_run_on_the_versions_that_users_install():
    assert locked(RUNTIME).keys() - locked(ALL).keys() == set()


def test_no_file_names_a_registry_host():
    command = ["git", "-C", str(REPOSITORY), "grep", "--untracked", "-lIF"]
    for host in REGISTRY_HOSTS:
        command += ["-e", host]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode in {0, 1}, result.stderr
    assert result.stdout.splitlines() == []
