#!/bin/sh
# Pins what pyproject.toml asks for, for every platform, with hashes and without registry addresses.
set -eu
for target in "requirements.lock --group build" "requirements-dev.lock --group build --group dev"; do
    set -- $target
    file=$1
    shift
    .venv/bin/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-emit-index-url \
        --no-header pyproject.toml "$@" -o "$file"
done
