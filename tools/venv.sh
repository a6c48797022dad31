#!/usr/bin/env bash
# Make .venv hold what requirements-dev.lock names, and this package in editable form.
#
# Does nothing when that is so already: the environment carries the digests of the lock and of
# pyproject.toml that it was made from. What a lock no longer names stays until `make clean`. pip
# alone does the work, because pip is the one installer that every Python brings along and that
# reads the user's own pip settings (mirror, proxy, certificates).
set -euo pipefail

cd "$(dirname "$0")/.."
root=$(pwd -P)
readonly root venv=.venv
readonly lock=requirements-dev.lock
readonly oldest='3.11'

say() { printf '%s\n' "$*" >&2; }
fail() { say "make venv: $*"; exit 1; }

digest() { sha256sum "$@" | sha256sum | cut -d' ' -f1; }

new_enough() {
    command -v "$1" >/dev/null 2>&1 &&
        "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

# Debian and Ubuntu ship Python without ensurepip; a venv made without it would have no pip.
makes_venvs() { "$1" -c 'import ensurepip, venv' >/dev/null 2>&1; }

# The distribution's Python first, where it is complete: it is compiled with the optimisations that
# one compiled by a version manager mostly lacks (measured: 5 % more decisions a second).
find_python() {
    local candidate
    if [ -z "${PYTHON:-}" ] && new_enough /usr/bin/python3 && makes_venvs /usr/bin/python3; then
        printf '%s\n' /usr/bin/python3
        return
    fi
    for candidate in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
        if new_enough "$candidate"; then
            command -v "$candidate"
            return
        fi
    done
    fail "needs Python $oldest or newer; none of: ${PYTHON:-python3, python3.11 to python3.14}"
}

create() {
    local python version
    python=$(find_python)
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    makes_venvs "$python" || tools/system_packages.sh "python$version-venv"
    say "make venv: creating $venv with Python $version"
    "$python" -m venv --clear "$venv"
    printf '%s\n' "$root" >"$venv/.made-in"
}

# A copied or moved environment has scripts that start the other one's Python.
usable() {
    [ "$(cat "$venv/.made-in" 2>/dev/null)" = "$root" ] && new_enough "$venv/bin/python"
}

# One at a time: two at once in one folder would install over each other.
exec 9>"$root/.venv.lock"
flock 9

usable || create

locked=$(digest "$lock")
if [ "$(cat "$venv/.locked" 2>/dev/null)" != "$locked" ]; then
    say "make venv: installing what $lock names (less than a minute)"
    rm -f "$venv/.locked"
    # Python compiles what is imported anyway; compiling all of it takes as long as the rest.
    "$venv/bin/pip" install --quiet --disable-pip-version-check --no-compile \
        --require-hashes -r "$lock"
    printf '%s\n' "$locked" >"$venv/.locked"
fi

package=$(digest pyproject.toml)
if [ "$(cat "$venv/.package" 2>/dev/null)" != "$package" ]; then
    "$venv/bin/pip" install --quiet --disable-pip-version-check \
        --no-index --no-deps --no-build-isolation --editable .
    printf '%s\n' "$package" >"$venv/.package"
fi
