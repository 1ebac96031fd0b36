#!/bin/sh
# Prints where PostgreSQL's programs and PgBouncer are, a line each. Where they are missing, root gets them from apt;
# no server of the system's is started, or made.
set -eu

find_bin() {
    for folder in "${POSTGRES_BIN:-}" /usr/lib/postgresql/*/bin /usr/local/pgsql/bin /opt/homebrew/opt/postgresql*/bin; do
        [ -x "$folder/initdb" ] && echo "$folder"
    done | sort -V | tail -n 1
}

find_bouncer() {
    PATH="$PATH:/usr/sbin:/usr/local/sbin" command -v pgbouncer || true
}

if [ -z "$(find_bin)" ] || [ -z "$(find_bouncer)" ]; then
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        echo "PostgreSQL 13 or newer and PgBouncer are needed: run \"apt install postgresql pgbouncer\" as root," >&2
        echo "or set POSTGRES_BIN=/path/to/its/bin." >&2
        exit 2
    fi
    echo "Installing postgresql and pgbouncer…" >&2
    mkdir -p /etc/postgresql-common
    [ -e /etc/postgresql-common/createcluster.conf ] ||
        echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.conf
    export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
    { apt-get -q update && apt-get -q install -y --no-install-recommends postgresql pgbouncer; } >/dev/null 2>&1
fi

find_bin
find_bouncer
