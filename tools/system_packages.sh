#!/usr/bin/env bash
# Have these Debian packages, or say in one line which are missing.
#
#   tools/system_packages.sh nginx chromium
#
# Installs by apt as root. Anybody else is told the command; nothing is asked for interactively,
# and nothing happens when all of them are there.
set -euo pipefail

missing=()
for package in "$@"; do
    # dpkg-query prints "installed" only for a package that is really there: one that was removed
    # but left its settings behind has a line too.
    if [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" != installed ]; then
        missing+=("$package")
    fi
done
[ "${#missing[@]}" -gt 0 ] || exit 0

if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    printf 'Missing system packages: %s (on Debian or Ubuntu: sudo apt-get install %s)\n' \
        "${missing[*]}" "${missing[*]}" >&2
    exit 1
fi

printf 'Installing system packages: %s\n' "${missing[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# A fresh machine has no package lists, or old ones that name files which are gone.
if ! { apt-get update && apt-get install --yes --no-install-recommends "${missing[@]}"; } \
    >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    printf 'apt-get could not install: %s\n' "${missing[*]}" >&2
    exit 1
fi
