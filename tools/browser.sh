#!/bin/sh
# The browser package: what it is checked, packed and tested with.
#
#     tools/browser.sh setup   Chromium from apt (as root) and the npm packages of the lock files, where missing
#     tools/browser.sh check   tsc --checkJs --strict, of the package and of the operator's page
#     tools/browser.sh types   the package alone, and writes browser/dist/types
#     tools/browser.sh unit    node --test
#     tools/browser.sh pack    types, then browser/dist/aimkeeper-browser-VERSION.tgz
#     tools/browser.sh next    the packed package in a Next app: builds it, copied into the folder given
set -eu
# Once a day npm looks for a newer npm, and says so.
export npm_config_update_notifier=false
cd "$(dirname "$0")/.."
tests=tests/browser

# `npm ci`, unless it was done for this very lock file.
install() {
    [ "$1/package-lock.json" -ot "$1/node_modules/.package-lock.json" ] && return
    (cd "$1" && npm ci --loglevel=error --no-audit --no-fund)
    touch "$1/node_modules/.package-lock.json"
}

chromium() {
    command -v chromium >/dev/null && return
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        echo "Chromium is missing: run \"apt install chromium\" as root, then again." >&2
        exit 2
    fi
    echo "Installing chromium…"
    { apt-get -q update && apt-get -q install -y --no-install-recommends chromium; } >/dev/null
}

case "${1:-}" in
setup)
    chromium
    install browser
    install browser/dev/react18
    ;;
check)
    install browser
    (cd browser && npx --no-install tsc -p . --noEmit && npx --no-install tsc -p dev/board)
    ;;
types)
    install browser
    rm -rf browser/dist/types
    (cd browser && npx --no-install tsc -p .)
    ;;
unit)
    node --test $tests/unit/
    ;;
pack)
    tools/browser.sh types
    (cd browser && npm pack --silent --pack-destination dist)
    ;;
next)
    folder=${2:?say where to build}
    package=$(tools/browser.sh pack)
    cp -R $tests/next_app/app $tests/next_app/package*.json "$folder"
    (
        unset NODE_ENV
        export NEXT_TELEMETRY_DISABLED=1
        here=$PWD
        cd "$folder"
        rm -rf node_modules .next
        npm ci --loglevel=error --no-audit --no-fund
        mkdir node_modules/aimkeeper-browser
        tar -xzf "$here/browser/dist/$package" --strip-components=1 -C node_modules/aimkeeper-browser
        npx --no-install next build
    )
    ;;
*)
    sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p;}' "$0" >&2
    exit 2
    ;;
esac
