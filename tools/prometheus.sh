#!/bin/sh
# Prometheus and its tools, from Debian: found, or as root installed (and not started as a service).
#
#     tools/prometheus.sh promtool ARGUMENTS     e.g. check rules ops/prometheus/rules.yml
#     tools/prometheus.sh prometheus ARGUMENTS
#
# Exit status 2: it is missing and can't be installed.
set -eu
program=${1:?say promtool or prometheus}
shift

if ! command -v "$program" >/dev/null; then
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        echo "$program is missing: run \"apt install prometheus\" as root, then again." >&2
        exit 2
    fi
    echo "Installing prometheus…" >&2
    # Only the programs are wanted: Debian would start a server of its own.
    {
        apt-get -q update
        RUNLEVEL=1 apt-get -q install -y --no-install-recommends prometheus
    } >/dev/null
    if command -v systemctl >/dev/null; then systemctl disable --now prometheus >/dev/null 2>&1 || true; fi
fi
exec "$program" "$@"
