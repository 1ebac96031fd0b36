#!/bin/sh
# Makes .venv and installs aimkeeper into it, with what one lock file pins. Changes nothing outside this folder,
# except that root gets python3-venv from apt where Debian left it out.
set -eu
lock=$1

for python in "${PYTHON:-python3}" python3.11 python3.12 python3.13; do
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then break; fi
    python=
done
if [ -z "$python" ]; then
    echo "aimkeeper needs Python 3.11 or newer: apt install python3, or set PYTHON=/path/to/python3." >&2
    exit 2
fi

if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    package="python$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv"
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "Installing $package…"
        { apt-get -q update && apt-get -q install -y --no-install-recommends "$package"; } >/dev/null
    else
        echo "Python's venv module is missing: run \"apt install $package\" as root, then again." >&2
        exit 2
    fi
fi

[ -x .venv/bin/python ] || "$python" -m venv .venv
echo "Installing what $lock pins…"
# The lock names every package; left to resolve, pip takes `coverage[toml]` for another than `coverage`.
.venv/bin/python -m pip install -qq --disable-pip-version-check --require-hashes --no-deps -r "$lock"
# hatchling is pinned in the lock too: no second download for the build.
.venv/bin/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation -e .
